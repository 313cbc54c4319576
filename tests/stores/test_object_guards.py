"""Checks of an object store that stand behind others: each in the one case that only it sees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from resumable.errors import Broken, Conflict, Unavailable
from resumable.model import MIB, Finished, State, Upload
from resumable.stores.objects.bucket import Description, Part
from resumable.stores.objects.store import ObjectStore
from resumable.testing.bucket import Contents, MemoryBucket, MemoryParts, Object
from resumable.testing.contract.base import (
    an_upload,
    content,
    describing,
    finish,
    loaded,
    place,
    some_bytes,
)
from tests.stores.test_object_races import PART, beside, segments
from tests.stores.test_objects import exclusive, store_on


@pytest.fixture
def contents() -> Contents:
    return Contents()


@pytest.fixture
def upload(contents: Contents) -> Upload:
    upload = an_upload(part_size=PART)
    assert store_on(contents).begin(upload)
    return upload


def parts_of(contents: Contents) -> dict[int, bytes]:
    """The parts of the only unfinished object."""
    (multipart,) = contents.multiparts.values()
    return {window: data for window, (data, _) in multipart.parts.items()}


# ---------------------------------------------------------------- bytes on their way


def test_bytes_that_the_storage_has_not_kept_are_not_acknowledged(
    contents: Contents, upload: Upload
) -> None:
    def lose() -> None:
        for key in segments(contents):
            del contents.objects[key]

    with pytest.raises(Unavailable, match="Send them again"):
        place(beside(contents, "b.", lose), upload, 0, b"some")


def test_windows_become_parts_as_soon_as_they_are_whole(contents: Contents, upload: Upload) -> None:
    """Also those that a later request fills from their middle, over the end of another one."""
    data = some_bytes(3 * PART)
    store = store_on(contents)
    place(store, upload, 5, data[5:20])
    place(store, upload, 24, data[24:40])
    assert not contents.multiparts
    place(store, upload, 0, data[:5])
    assert parts_of(contents) == {0: data[:PART]}
    place(store, upload, 20, data[20:24])
    assert parts_of(contents) == {0: data[:PART], 1: data[PART : 2 * PART]}
    place(store, upload, 40, data[40:])
    assert len(parts_of(contents)) == 3
    assert content(store, finish(store, upload, len(data)).finished) == data


def test_a_window_that_cannot_be_gathered_now_waits_for_the_finish(
    contents: Contents, upload: Upload
) -> None:
    data = some_bytes(PART)
    place(store_on(contents), upload, 0, data[:7])

    class Failing(MemoryParts):
        def open(self, key: str, description: Description) -> str:
            raise Unavailable("not now")

    bucket = MemoryBucket(contents)
    store = store_on(contents, bucket=bucket)
    store._room._parts = lambda: Failing(bucket)
    assert place(store, upload, 7, data[7:]).status.offset == PART
    assert not contents.multiparts
    assert content(store, finish(store_on(contents), upload, PART).finished) == data


# ---------------------------------------------------------------- the end


@pytest.mark.parametrize("length", [3, 50])
def test_an_object_of_the_same_size_is_not_this_uploads(length: int) -> None:
    """Before the end is decided, and in the last moment: only its birth says whose it is."""
    contents = Contents()
    for birth in ({}, {"resumable-birth": "another"}):
        upload = an_upload(part_size=PART)
        store = store_on(contents, where=exclusive)
        assert store.begin(upload)
        place(store, upload, 0, some_bytes(length))
        theirs = Object(b"t" * length, 0.0, "v", birth)

        def taken(theirs: Object = theirs) -> None:
            contents.objects["bucket/prefix/the-name"] = theirs

        with pytest.raises(Conflict, match="file of this name"):
            finish(beside(contents, "d.1", taken), upload, length)
        assert loaded(store_on(contents), upload).state is State.CANCELLED
        assert contents.objects.pop("bucket/prefix/the-name") is theirs


def described_at(upload: Upload, moment: float) -> Callable[..., Finished]:
    """What an engine says whose clock shows this moment."""

    def described(*told: Any) -> Finished:
        return replace(describing(upload)(*told), finished=moment)

    return described


@pytest.mark.parametrize("name", ["token", "done"])
def test_two_finishers_describe_the_object_alike(
    contents: Contents, upload: Upload, name: str
) -> None:
    """The first description counts: where it is found by its token and where it is remembered."""
    place(store_on(contents), upload, 0, b"all")

    def second() -> None:
        store_on(contents).finish(upload, 3, described_at(upload, 2.0))

    first = beside(contents, upload.token if name == "token" else name, second)
    told = first.finish(upload, 3, described_at(upload, 1.0)).finished
    assert told is not None
    assert told.finished == 1.0
    assert store_on(contents).find(upload.token) == told
    assert loaded(store_on(contents), upload).finished == told


def a_try_to_finish(contents: Contents, upload: Upload) -> None:
    """A finish whose process died before it was decided."""

    class Dies(Exception):
        pass

    def die() -> None:
        raise Dies

    with pytest.raises(Dies):
        finish(beside(contents, "e.1", die), upload, 3)


def names(contents: Contents) -> set[str]:
    return {key.rpartition("/")[2] for key in contents.objects}


@pytest.mark.parametrize(("seconds", "decided"), [(20.0, False), (61.0, True)])
def test_a_finish_has_a_minute_to_be_decided(seconds: float, decided: bool) -> None:
    """Within it a writer waits; later it takes the finisher for dead and decides against it."""
    contents = Contents()
    upload = an_upload(part_size=PART)
    assert store_on(contents).begin(upload)
    place(store_on(contents), upload, 0, b"all")
    a_try_to_finish(contents, upload)
    (tried,) = (one for key, one in contents.objects.items() if key.endswith("/e.1"))
    tried.modified -= seconds
    store = store_on(contents)
    with pytest.raises(Unavailable, match="interrupted" if decided else "just being finished"):
        place(store, upload, 3, b"more")
    assert ("d.1" in names(contents)) == decided
    if decided:
        assert place(store, upload, 3, b"more").status.offset == 7
    assert content(store, finish(store, upload, 7 if decided else 3).finished)[:3] == b"all"


# ---------------------------------------------------------------- reading


class Short(MemoryBucket):
    """A storage that gives a byte less than it has of one kind of object."""

    def __init__(self, contents: Contents, kind: str) -> None:
        super().__init__(contents)
        self._kind = kind

    def get(self, key: str, start: int = 0, end: int | None = None) -> bytes:
        data = super().get(key, start, end)
        return data[:-1] if self._kind in key else data


@pytest.mark.parametrize("length", [3, 50])
def test_a_short_piece_makes_no_object(contents: Contents, upload: Upload, length: int) -> None:
    """Else the last bytes were whatever the buffer had before."""
    data = some_bytes(length)
    place(store_on(contents), upload, 0, data)
    with pytest.raises(Broken):
        finish(store_on(contents, bucket=Short(contents, "/b.")), upload, length)
    assert not [key for key in contents.objects if key.endswith("/file")]
    assert content(store_on(contents), finish(store_on(contents), upload, length).finished) == data


def test_a_download_never_ends_early_without_a_word(contents: Contents, upload: Upload) -> None:
    place(store_on(contents), upload, 0, b"all of it")
    finished = finish(store_on(contents), upload, 9).finished
    with pytest.raises(Unavailable, match="another number of bytes"):
        content(store_on(contents, bucket=Short(contents, "/file")), finished)


def test_a_download_comes_in_blocks(contents: Contents) -> None:
    """Memory does not grow with the range that is asked for."""
    upload = an_upload(part_size=5 * MIB)
    store = store_on(contents, part_size=5 * MIB)
    assert store.begin(upload)
    data = some_bytes(9 * MIB)
    place(store, upload, 0, data)
    finished = finish(store, upload, len(data)).finished
    assert finished is not None
    blocks = list(store.read(finished, 3, len(data) - 2))
    assert max(map(len, blocks)) <= 4 * MIB
    assert b"".join(blocks) == data[3:-2]


class Asking(MemoryParts):
    """Counts the listings of parts."""

    asked = 0

    def stored(self, key: str, native: str, after: int = -1) -> list[Part]:
        Asking.asked += 1
        return super().stored(key, native, after)

    def ask(self, key: str, native: str, after: int = -1) -> Callable[[], list[Part]]:
        Asking.asked += 1
        return super().ask(key, native, after)


def asking_store(contents: Contents) -> ObjectStore:
    store = store_on(contents)
    bucket = store.bucket
    assert isinstance(bucket, MemoryBucket)
    asking = Asking(bucket)
    store._room._parts = store._reader._parts = lambda: asking
    return store


def test_nobody_asks_for_the_parts_of_what_is_done(contents: Contents, upload: Upload) -> None:
    """The next look would ask for them beside its listing, as the last one did."""
    store = asking_store(contents)
    place(store, upload, 0, some_bytes(2 * PART))
    assert loaded(store, upload).offset == 2 * PART
    finish(store, upload, 2 * PART)
    assert loaded(store, upload).state is State.COMPLETE
    before = Asking.asked
    assert loaded(store, upload).state is State.COMPLETE
    assert Asking.asked == before


# ---------------------------------------------------------------- leftovers


def test_old_probes_and_half_born_files_are_tidied_up(contents: Contents) -> None:
    root = "bucket/prefix/.resumable"
    bucket = MemoryBucket(contents)
    left = [f"{root}/probe/one", f"{root}/new/two"]
    for key in [*left, "bucket/prefix/probe/theirs"]:
        bucket.put(key, b"x")
    now = contents.clock()
    assert store_on(contents).tidy(now - 60) == 0
    assert set(left) <= set(contents.objects)
    assert store_on(contents).tidy(now + 60) == 2
    assert set(contents.objects) == {"bucket/prefix/probe/theirs"}
