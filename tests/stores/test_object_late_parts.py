"""Parts that come after a finish was decided, on a server that joins all that it has, or nothing.

Ceph RGW is like this; `tests/storage/test_late_parts.py` asks it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import count

import pytest

from resumable.errors import Unavailable
from resumable.model import State
from resumable.stores.objects.bucket import Description, Part, Rejected
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
from resumable.testing.faults import Crash, Faults
from tests.stores.test_object_races import PART, Meddled
from tests.stores.test_objects import destination, exclusive, store_on


class AllOrNone(MemoryParts):
    """All parts that there are, in their order, and only the last one may be small."""

    def join(self, key: str, native: str, parts: Sequence[Part], description: Description) -> None:
        stored = self._multipart(key, native).parts
        tags = {window: hashlib.md5(data).hexdigest() for window, (data, _) in stored.items()}
        small = [part for part in parts[:-1] if part.size < PART]
        if {part.window: part.tag for part in parts} != tags or small:
            raise Rejected(key)

        def perform() -> None:
            data = b"".join(stored[part.window][0] for part in parts)
            self._bucket._store(key, data, description)
            del self._contents.multiparts[native]

        self._faults.around(perform)


def on_such_a_server(store: ObjectStore) -> ObjectStore:
    """The same store, whose parts are like that."""
    bucket = store.bucket
    assert isinstance(bucket, MemoryBucket)
    store._room._parts = lambda: AllOrNone(bucket)
    return store


class World:
    """One upload that has been sent; parts of these windows arrive when its end is decided."""

    def __init__(
        self,
        length: int,
        windows: Sequence[int],
        *,
        named: bool = False,
        declared: bool = False,
    ) -> None:
        self.contents = Contents()
        self.where = exclusive if named else destination
        self.upload = an_upload(part_size=PART, length=length if declared else None)
        self.data = some_bytes(length)
        self._windows = windows
        store = on_such_a_server(store_on(self.contents, where=self.where))
        assert store.begin(self.upload)
        place(store, self.upload, 0, self.data)

    def late(self) -> None:
        """Their writer looked before the end; it begins the object if nobody has."""
        store = store_on(self.contents)
        known = store._room.again(self.upload)
        for window in self._windows:
            store._room.send(known, window, b"late" * (PART // 4)).result()

    def store(self, faults: Faults | None = None, when: str | None = None) -> ObjectStore:
        """The store of another process, beside which they arrive when `when` is there."""
        bucket = MemoryBucket(self.contents, faults=faults)
        if when is not None:
            bucket = Meddled(self.contents, when, self.late)
        return on_such_a_server(store_on(self.contents, bucket=bucket, where=self.where))

    def check(self) -> None:
        status = finish(self.store(), self.upload, len(self.data))
        assert status.state is State.COMPLETE
        assert content(self.store(), status.finished) == self.data
        assert status.finished is not None
        found = self.store().bucket.head(status.finished.location or "")
        assert found is not None
        assert found.size == len(self.data)
        # What a late writer has begun anew belongs to nobody.
        self.store().tidy(self.contents.clock() + 60)
        assert not self.contents.multiparts


LENGTHS = [3 * PART, 2 * PART + 3, PART, 3]
WINDOWS = [(3,), (3, 5)]


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("windows", WINDOWS)
@pytest.mark.parametrize("length", LENGTHS)
def test_they_do_not_keep_the_object_from_being_made(
    length: int, windows: Sequence[int], named: bool
) -> None:
    """Their writer was promised nothing."""
    world = World(length, windows, named=named)
    finish(world.store(when="d.1"), world.upload, length)
    world.check()


def decide(store: ObjectStore, world: World) -> None:
    """The finish is decided, and then they arrive."""
    finisher = store._finisher
    finisher._begin(store._room.again(world.upload), len(world.data), {}, None)
    known = store._room.again(world.upload)
    assert known.undecided is not None
    finisher._decide(known, known.undecided)
    world.late()


@pytest.mark.parametrize("how", ["before", "torn", "after"])
@pytest.mark.parametrize("windows", WINDOWS)
@pytest.mark.parametrize("length", LENGTHS)
def test_a_crash_at_every_step(length: int, windows: Sequence[int], how: str) -> None:
    for at in count(1):
        world = World(length, windows)
        decide(world.store(), world)
        try:
            finish(world.store(Faults(at, how)), world.upload, length)
        except Crash:
            world.check()
            continue
        break
    assert at > 4


def test_one_that_fills_the_window_in_which_the_file_ends() -> None:
    """It is larger than what the file has there, and may have other bytes."""
    world = World(2 * PART + 3, (2,))
    finish(world.store(when="d.1"), world.upload, len(world.data))
    world.check()


def test_while_the_object_is_too_long_nobody_calls_it_done() -> None:
    world = World(2 * PART + 3, (3,))
    store = world.store(when="d.1")
    cut, seen = store._finisher._maker.cut, []

    def watched(*asked: object) -> None:
        seen.append(loaded(world.store(), world.upload).state)
        # Another finisher comes by.
        finish(world.store(), world.upload, len(world.data))
        cut(*asked)  # type: ignore[arg-type]

    store._finisher._maker.cut = watched  # type: ignore[method-assign]
    finish(store, world.upload, len(world.data))
    assert seen == [State.FINISHING]
    world.check()


def test_an_end_that_nobody_can_read_again_is_not_made_up() -> None:
    """No writer of ours sends a part behind an end that was declared at birth."""
    world = World(2 * PART + 3, (3,), declared=True)
    with pytest.raises(Unavailable, match="behind the end"):
        finish(world.store(when="d.1"), world.upload, len(world.data))
    assert loaded(world.store(), world.upload).state is State.FINISHING
    assert len(world.contents.multiparts) == 1


def test_parts_that_change_all_the_time_are_asked_for_again() -> None:
    world = World(3 * PART, ())

    class Restless(MemoryParts):
        def join(
            self, key: str, native: str, parts: Sequence[Part], description: Description
        ) -> None:
            raise Rejected(key)

    store = world.store()
    store._room._parts = lambda: Restless(MemoryBucket(world.contents))
    with pytest.raises(Unavailable):
        finish(store, world.upload, len(world.data))
    world.check()


@pytest.mark.parametrize(("declared", "parts"), [(None, 2), (2 * PART + 3, 3)])
def test_the_end_of_a_late_length_stays_a_segment(declared: int | None, parts: int) -> None:
    """Not all writers may know of it; a length that was declared at birth they do know."""
    contents = Contents()
    upload = an_upload(part_size=PART, length=declared)
    store = store_on(contents)
    assert store.begin(upload)
    store.note(upload, {"length": 2 * PART + 3})
    place(store, upload, 0, some_bytes(2 * PART + 3))
    (multipart,) = contents.multiparts.values()
    assert len(multipart.parts) == parts
