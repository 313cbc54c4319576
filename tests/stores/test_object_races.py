"""Races and lost answers in an object store, each at the one moment in which it could do harm."""

from __future__ import annotations

from collections.abc import Callable
from typing import IO

import pytest

from resumable.errors import Conflict, Unavailable
from resumable.model import State, Upload
from resumable.stores.objects.bucket import Data, Description, Part, Sending
from resumable.stores.objects.store import ObjectStore
from resumable.testing.bucket import Contents, MemoryBucket, MemoryParts
from resumable.testing.contract.base import (
    an_upload,
    content,
    finish,
    keep,
    loaded,
    place,
    some_bytes,
)
from tests.stores.test_objects import store_on

PART = 16


class Meddled(MemoryBucket):
    """Something else happens right after the first put whose name begins with `before`."""

    def __init__(self, contents: Contents, name: str, then: Callable[[], object]) -> None:
        super().__init__(contents)
        self._name = name
        self._then: Callable[[], object] | None = then

    def put(
        self,
        key: str,
        data: Data | IO[bytes],
        *,
        if_absent: bool = False,
        description: Description | None = None,
    ) -> bool:
        stored = super().put(key, data, if_absent=if_absent, description=description)
        if self._then is not None and key.rpartition("/")[2].startswith(self._name):
            then, self._then = self._then, None
            then()
        return stored


@pytest.fixture
def contents() -> Contents:
    return Contents()


@pytest.fixture
def upload(contents: Contents) -> Upload:
    upload = an_upload(part_size=PART)
    assert store_on(contents).begin(upload)
    return upload


def beside(contents: Contents, name: str, then: Callable[[], object]) -> ObjectStore:
    """A process beside which something happens in the middle of its work."""
    return store_on(contents, bucket=Meddled(contents, name, then))


def segments(contents: Contents) -> list[str]:
    return [key for key in contents.objects if "/b." in key]


def test_whoever_stores_second_withdraws(contents: Contents, upload: Upload) -> None:
    other = store_on(contents)
    with store_on(contents).placing(upload, 0) as late:
        late.write(memoryview(b"theirs"))
        place(other, upload, 0, b"mine!!")
        with pytest.raises(Conflict):
            late.commit()
    assert len(segments(contents)) == 1
    assert content(other, finish(store_on(contents), upload, 6).finished) == b"mine!!"


def test_a_chunk_of_another_process_in_the_same_moment(contents: Contents, upload: Upload) -> None:
    """Both see each other, or the later one sees the earlier: never are both acknowledged."""
    refused: list[bool] = []

    def rival() -> None:
        try:
            keep(store_on(contents), upload, 1, b"theirs")
        except Conflict:
            refused.append(True)

    try:
        keep(beside(contents, "b.", rival), upload, 1, b"mine")
    except Conflict:
        refused.append(True)
    assert refused
    chunks = loaded(store_on(contents), upload).chunks
    assert len(chunks) + len(refused) == 2
    assert len(segments(contents)) == len(chunks)


def test_bytes_behind_the_end_that_come_with_the_try_to_finish(
    contents: Contents, upload: Upload
) -> None:
    """They were acknowledged before anybody could refuse them: the finish has to give way."""
    place(store_on(contents), upload, 0, some_bytes(10))
    acknowledged: list[int] = []

    class Early(MemoryBucket):
        def put(
            self,
            key: str,
            data: Data | IO[bytes],
            *,
            if_absent: bool = False,
            description: Description | None = None,
        ) -> bool:
            if key.endswith("/e.1") and not acknowledged:
                acknowledged.append(place(store_on(contents), upload, 10, b"more").status.offset)
            return super().put(key, data, if_absent=if_absent, description=description)

    with pytest.raises(Conflict):
        finish(store_on(contents, bucket=Early(contents)), upload, 10)
    status = loaded(store_on(contents), upload)
    assert (status.state, status.offset) == (State.RECEIVING, 14)
    finished = finish(store_on(contents), upload, 14).finished
    assert content(store_on(contents), finished) == some_bytes(10) + b"more"


@pytest.mark.parametrize("length", [2 * PART + 3, 3 * PART])
@pytest.mark.parametrize("when", ["e.1", "d.1", "done"])
def test_a_part_that_comes_when_the_end_is_decided(
    contents: Contents, upload: Upload, when: str, length: int
) -> None:
    """A writer that had looked before, and whom nobody has promised anything."""
    data = some_bytes(length)
    place(store_on(contents, part_size=PART), upload, 0, data)

    def late() -> None:
        native = next(iter(contents.multiparts), None)
        if native is not None:
            key = contents.multiparts[native].key
            MemoryParts(MemoryBucket(contents)).send(key, native, 3, b"late").result()

    if when == "e.1":
        # It may have been acknowledged before the try: the finish gives way.
        with pytest.raises(Conflict):
            finish(beside(contents, when, late), upload, len(data))
        return
    status = finish(beside(contents, when, late), upload, len(data))
    assert content(store_on(contents), status.finished) == data


def test_two_processes_begin_the_multipart_upload_at_once(
    contents: Contents, upload: Upload
) -> None:
    data = some_bytes(2 * PART)

    class Slow(MemoryParts):
        """Somebody else agrees on theirs while ours is being begun."""

        def open(self, key: str, description: Description) -> str:
            native = super().open(key, description)
            if len(contents.multiparts) == 1:
                place(store_on(contents, part_size=PART), upload, PART, data[PART:])
            return native

    bucket = MemoryBucket(contents)
    store = store_on(contents, bucket=bucket, part_size=PART)
    store._room._parts = lambda: Slow(bucket)
    place(store, upload, 0, data[:PART])
    assert len(contents.multiparts) == 1
    status = finish(store_on(contents), upload, 2 * PART)
    assert content(store_on(contents), status.finished) == data


def test_a_look_beside_a_finish_never_says_cancelled(contents: Contents, upload: Upload) -> None:
    """The parts are gone when they are asked for, and what ended them is not in the listing."""
    data = some_bytes(2 * PART)
    place(store_on(contents, part_size=PART), upload, 0, data)

    class Overtaken(MemoryParts):
        done = False

        def stored(self, key: str, native: str, after: int = -1) -> list[Part]:
            if not self.done:
                self.done = True
                finish(store_on(contents, part_size=PART), upload, len(data))
            return super().stored(key, native, after)

    bucket = MemoryBucket(contents)
    overtaken = Overtaken(bucket)
    store = store_on(contents, bucket=bucket)
    store._room._parts = store._reader._parts = lambda: overtaken
    assert loaded(store, upload).state is State.COMPLETE


def test_a_lost_answer_to_a_birth_is_no_refusal(contents: Contents) -> None:
    """What repeats the request below sees its own success as a taken name."""

    class Repeating(MemoryBucket):
        def put(
            self,
            key: str,
            data: Data | IO[bytes],
            *,
            if_absent: bool = False,
            description: Description | None = None,
        ) -> bool:
            super().put(key, data, if_absent=if_absent, description=description)
            return super().put(key, data, if_absent=if_absent, description=description)

    upload = an_upload()
    assert store_on(contents, bucket=Repeating(contents)).begin(upload)
    assert not store_on(contents, bucket=Repeating(contents)).begin(upload)


def test_a_part_counts_when_the_storage_has_confirmed_it(
    contents: Contents, upload: Upload
) -> None:
    class Failing(MemoryParts):
        def send(self, key: str, native: str, window: int, data: Data) -> Sending:
            return _Broken()

    class _Broken:
        def result(self) -> None:
            raise Unavailable("The storage did not confirm a part.")

    bucket = MemoryBucket(contents)
    store = store_on(contents, bucket=bucket)
    store._room._parts = lambda: Failing(bucket)
    with store.placing(upload, 0) as placing:
        placing.write(memoryview(some_bytes(PART)))
        with pytest.raises(Unavailable):
            placing.commit()
    assert loaded(store_on(contents), upload).offset == 0
    assert store.memory.taken == 0


def test_tidying_leaves_what_is_young_or_needed(contents: Contents, upload: Upload) -> None:
    place(store_on(contents), upload, 0, some_bytes(2 * PART))
    bucket = MemoryBucket(contents)
    bucket.put("bucket/prefix/.resumable/uploads/gone/birth/b.x", b"orphan")
    orphan = MemoryParts(bucket).open("bucket/prefix/lost", Description("text/plain", {}))
    now = contents.clock()
    assert store_on(contents).tidy(now - 60) == 0
    assert orphan in contents.multiparts
    assert store_on(contents).tidy(now + 60) == 2
    assert len(contents.multiparts) == 1
    assert content(
        store_on(contents), finish(store_on(contents), upload, 2 * PART).finished
    ) == some_bytes(2 * PART)


def test_whoever_keeps_second_withdraws(contents: Contents, upload: Upload) -> None:
    with store_on(contents).keeping(upload, 1) as late:
        late.write(memoryview(b"theirs"))
        keep(store_on(contents), upload, 1, b"mine")
        with pytest.raises(Conflict):
            late.commit(1)
    assert len(segments(contents)) == 1
    assert loaded(store_on(contents), upload).chunks[1].length == 4


def test_of_two_chunks_of_one_number_the_first_counts(contents: Contents, upload: Upload) -> None:
    """The second one's process died before it could look again and withdraw."""
    keep(store_on(contents), upload, 0, b"mine")
    dead = store_on(contents)
    dead._room.put_segment(dead._room.again(upload), None, b"theirs is longer", 16, 0, 0)
    status = loaded(store_on(contents), upload)
    assert (status.offset, status.chunks[0].length) == (4, 4)
    assert content(store_on(contents), finish(store_on(contents), upload, 4).finished) == b"mine"
