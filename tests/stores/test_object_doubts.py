"""What a storage shows a moment too late: nothing counts as lost or gone after one look."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import IO

import pytest

from resumable.errors import Broken, Conflict, NotFound, Unavailable
from resumable.model import State, Upload
from resumable.stores.objects.bucket import Data, Description, Found, Missing, Part
from resumable.stores.objects.store import ObjectStore
from resumable.testing.bucket import Contents, MemoryBucket, MemoryParts
from resumable.testing.contract.base import (
    an_upload,
    content,
    finish,
    loaded,
    place,
    some_bytes,
)
from tests.stores.test_object_races import PART, beside, segments
from tests.stores.test_objects import exclusive, store_on

# Looks that show nothing yet.
LATE = 3


@pytest.fixture
def contents() -> Contents:
    return Contents()


@pytest.fixture
def upload(contents: Contents) -> Upload:
    upload = an_upload(part_size=PART)
    assert store_on(contents).begin(upload)
    return upload


@pytest.fixture(autouse=True)
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between looks, which take no time here."""
    pauses: list[float] = []
    monkeypatch.setattr("resumable.stores.objects.doubt.time.sleep", pauses.append)
    return pauses


class Slow(MemoryBucket):
    """Whoever joins the parts takes them away; `then` comes before the `LATE`-th look after it."""

    def __init__(self, contents: Contents) -> None:
        super().__init__(contents)
        self.then: Callable[[], object] | None = None
        self._looks = 0

    def head(self, key: str) -> Found | None:
        if self.then is not None:
            self._looks += 1
            if self._looks == LATE:
                self.then()
        return super().head(key)


class Gap(MemoryParts):
    """Somebody else's join is between its two steps, as moto's and RGW's are for a moment."""

    def __init__(self, bucket: Slow, afterwards: Callable[[], object] | None = None) -> None:
        super().__init__(bucket)
        self._slow = bucket
        self._afterwards = afterwards

    def join(self, key: str, native: str, parts: Sequence[Part], description: Description) -> None:
        multipart = self._contents.multiparts.pop(native)

        def step() -> None:
            self._contents.multiparts[native] = multipart
            MemoryParts(MemoryBucket(self._contents)).join(key, native, parts, description)
            if self._afterwards is not None:
                self._afterwards()

        self._slow.then = step
        raise Missing(key)


def store_in_a_gap(
    contents: Contents, afterwards: Callable[[], object] | None = None
) -> ObjectStore:
    bucket = Slow(contents)
    store = store_on(contents, bucket=bucket, part_size=PART)
    store._room._parts = lambda: Gap(bucket, afterwards)
    return store


@pytest.mark.parametrize("remembered", [False, True])
def test_an_object_that_is_shown_after_its_parts_are_gone(
    contents: Contents, upload: Upload, waited: list[float], remembered: bool
) -> None:
    """Noted meanwhile by whoever was faster, or by us because they died."""
    data = some_bytes(2 * PART + 3)
    place(store_on(contents, part_size=PART), upload, 0, data)

    def other() -> None:
        finish(store_on(contents, part_size=PART), upload, len(data))

    store = store_in_a_gap(contents, other if remembered else None)
    status = finish(store, upload, len(data))
    assert status.state is State.COMPLETE
    assert content(store, status.finished) == data
    assert len(waited) == LATE - 1


def test_a_finish_in_peace_never_waits(
    contents: Contents, upload: Upload, waited: list[float]
) -> None:
    data = some_bytes(2 * PART)
    store = store_on(contents)
    place(store, upload, 0, data)
    assert content(store, finish(store, upload, len(data)).finished) == data
    assert not waited


def test_a_missing_piece_is_no_object(
    contents: Contents, upload: Upload, waited: list[float]
) -> None:
    """Bytes that were confirmed and are gone: said, and nothing is published."""
    place(store_on(contents), upload, 0, b"all of it")

    def lose() -> None:
        for key in segments(contents):
            del contents.objects[key]

    with pytest.raises(Broken, match="lost bytes"):
        finish(beside(contents, "d.1", lose), upload, 9)
    assert 1 < sum(waited) < 3
    with pytest.raises(Missing):
        MemoryBucket(contents).get(f"bucket/prefix/{upload.id}/file")


def test_a_name_that_somebody_else_has_is_no_doubt(waited: list[float]) -> None:
    contents = Contents()
    upload, other = an_upload(part_size=PART), an_upload(part_size=PART)
    for one in (upload, other):
        assert store_on(contents, where=exclusive).begin(one)
        place(store_on(contents), one, 0, b"mine" if one is upload else b"theirs")

    def taken() -> None:
        finish(store_on(contents), other, 6)

    with pytest.raises(Conflict, match="file of this name"):
        finish(beside(contents, "d.1", taken), upload, 4)
    assert not waited


class Hiding(MemoryParts):
    """Says for `hidden` looks that there is no such multipart upload."""

    def __init__(self, bucket: MemoryBucket, hidden: int) -> None:
        super().__init__(bucket)
        self._hidden = hidden

    def stored(self, key: str, native: str, after: int = -1) -> list[Part]:
        self._hidden -= 1
        if self._hidden >= 0:
            raise Missing(key)
        return super().stored(key, native, after)


def test_parts_that_are_not_shown_for_a_moment_are_not_lost(
    contents: Contents, upload: Upload
) -> None:
    data = some_bytes(2 * PART)
    place(store_on(contents), upload, 0, data)
    bucket = MemoryBucket(contents)
    store, hiding = store_on(contents, bucket=bucket), Hiding(bucket, LATE)
    store._reader._parts = lambda: hiding
    status = loaded(store, upload)
    assert (status.state, status.offset) == (State.RECEIVING, len(data))


def test_parts_that_the_storage_has_dropped_end_the_upload(
    contents: Contents, upload: Upload, waited: list[float]
) -> None:
    place(store_on(contents), upload, 0, some_bytes(2 * PART))
    contents.multiparts.clear()
    assert loaded(store_on(contents), upload).state is State.CANCELLED
    assert 1 < sum(waited) < 3
    store_on(contents).remove(upload)
    assert store_on(contents).load(upload.id) is None


def test_parts_of_a_cancelled_upload_are_not_waited_for(
    contents: Contents, upload: Upload, waited: list[float]
) -> None:
    place(store_on(contents), upload, 0, some_bytes(2 * PART))
    store_on(contents).discard(upload)
    store_on(contents).discard(upload)
    assert loaded(store_on(contents), upload).state is State.CANCELLED
    assert not waited


class Conflicted(MemoryBucket):
    """Refuses a name for `refused` tries without having anything there, as S3 may with a 409."""

    def __init__(self, contents: Contents, name: str, refused: int) -> None:
        super().__init__(contents)
        self._name = name
        self._refused = refused

    def put(
        self,
        key: str,
        data: Data | IO[bytes],
        *,
        if_absent: bool = False,
        description: Description | None = None,
    ) -> bool:
        if if_absent and key.endswith(self._name) and self._refused:
            self._refused -= 1
            return False
        return super().put(key, data, if_absent=if_absent, description=description)


@pytest.mark.parametrize("name", ["/e.1", "/d.1", "/done", "token"])
def test_a_name_that_is_refused_and_not_there_is_asked_for_again(
    contents: Contents, upload: Upload, name: str
) -> None:
    place(store_on(contents), upload, 0, b"all of it")
    name = upload.token if name == "token" else name
    store = store_on(contents, bucket=Conflicted(contents, name, LATE))
    assert content(store, finish(store, upload, 9).finished) == b"all of it"


def test_a_name_that_stays_refused_is_an_upload_that_is_gone(
    contents: Contents, upload: Upload, waited: list[float]
) -> None:
    place(store_on(contents), upload, 0, b"all of it")
    with pytest.raises(NotFound):
        finish(store_on(contents, bucket=Conflicted(contents, "/e.1", 100)), upload, 9)
    assert 1 < sum(waited) < 3


def test_an_upload_that_is_listed_and_cannot_be_read_is_not_gone(
    contents: Contents, upload: Upload
) -> None:
    """A sweep would take it for torn at its birth and remove it with all its bytes."""
    place(store_on(contents), upload, 0, b"all of it")

    class Unreadable(MemoryBucket):
        def get_all(self, keys: object) -> dict[str, bytes]:
            return {}

    store = store_on(contents, bucket=Unreadable(contents))
    with pytest.raises(Unavailable):
        store.load(upload.id)
    with pytest.raises(Unavailable):
        store.tidy(contents.clock() + 60)
    assert loaded(store_on(contents), upload).offset == 9
