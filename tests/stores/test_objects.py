"""The object store on a bucket in memory: its contract, and its crashes."""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from functools import partial
from typing import IO

import pytest

from resumable.errors import Conflict, Unavailable
from resumable.interfaces import Capabilities
from resumable.model import MIB, State, Upload
from resumable.stores.objects.bucket import Description, Found
from resumable.stores.objects.manifest import load_finished
from resumable.stores.objects.names import parse_segment, segment_name
from resumable.stores.objects.store import Destination, ObjectStore
from resumable.testing.bucket import Contents, MemoryBucket, MemoryParts, Object
from resumable.testing.contract import StoreContract
from resumable.testing.contract.base import (
    MakeStore,
    an_upload,
    content,
    finish,
    loaded,
    place,
    some_bytes,
)
from resumable.testing.crash_points import (
    SCRIPTS,
    TURN_SCRIPTS,
    Script,
    TurnScript,
    crash_points,
    failing_calls,
)
from resumable.testing.faults import Faults


def destination(upload: Upload) -> tuple[str, Description]:
    return f"bucket/prefix/{upload.id}/file", Description("application/octet-stream", {})


def store_on(
    contents: Contents,
    faults: Faults | None = None,
    *,
    parts: bool = True,
    part_size: int = 8 * MIB,
    where: Destination = destination,
    bucket: MemoryBucket | None = None,
) -> ObjectStore:
    """A new process's store."""
    bucket = bucket or MemoryBucket(contents, faults=faults)
    return ObjectStore(
        bucket,
        lambda: MemoryParts(bucket) if parts else None,
        "bucket/prefix",
        where,
        capabilities=Capabilities(part_size=part_size, presence=False),
    )


class TestWithParts(StoreContract):
    """Whole windows become parts."""

    @pytest.fixture
    def make_store(self) -> MakeStore:
        contents = Contents()
        return lambda: store_on(contents)


class TestWithSegments(StoreContract):
    """Whole windows are objects like all others."""

    @pytest.fixture
    def make_store(self) -> MakeStore:
        contents = Contents()
        return lambda: store_on(contents, parts=False)


class Bucketful:
    """A bucket that outlives the processes on it, with its own clock."""

    def __init__(self, *, parts: bool = True, part_size: int = 16) -> None:
        self.now = 1_700_000_000.0
        self.contents = Contents(self.clock)
        self._parts = parts
        self._part_size = part_size

    def process(self, faults: Faults) -> ObjectStore:
        return store_on(self.contents, faults, parts=self._parts, part_size=self._part_size)

    def clock(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds

    def leftovers(self) -> list[str]:
        objects = self.contents.objects
        shelf = "bucket/prefix/.resumable/finished/"
        final = {
            load_finished(one.data).location
            for key, one in objects.items()
            if key.startswith(shelf)
        }
        left = [key for key in objects if not key.startswith(shelf) and key not in final]
        return [*left, *self.contents.multiparts]


SIZES = (20, 9, 31, 16)
STORAGES = {
    "parts": Bucketful,
    "segments": partial(Bucketful, parts=False),
    "one part": partial(Bucketful, part_size=8 * MIB),
}


@pytest.mark.parametrize("positions", [False, True])
@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_process_dies_at_any_write(script: Script, storage: str, positions: bool) -> None:
    assert crash_points(STORAGES[storage], script, SIZES, positions=positions) > 20


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("script", SCRIPTS)
def test_any_write_fails(script: Script, storage: str) -> None:
    errors = (lambda: Unavailable("The storage does not answer."),)
    assert failing_calls(STORAGES[storage], script, SIZES, errors=errors) > 20


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("script", TURN_SCRIPTS)
def test_uploads_by_turns_die_or_fail_at_any_write(script: TurnScript, storage: str) -> None:
    errors = (lambda: Unavailable("The storage does not answer."),)
    assert crash_points(STORAGES[storage], script, SIZES) > 20
    assert failing_calls(STORAGES[storage], script, SIZES, errors=errors) > 20


def exclusive(upload: Upload) -> tuple[str, Description]:
    return "bucket/prefix/the-name", Description("text/plain", {}, exclusive=True)


@pytest.mark.parametrize("length", [3, 50])
def test_a_name_is_given_away_once(length: int) -> None:
    """Seen before the end is decided: the upload stays as it is."""
    contents = Contents()
    first, second = (an_upload(part_size=16) for _ in range(2))
    for upload in (first, second):
        store = store_on(contents, part_size=16, where=exclusive)
        assert store.begin(upload)
        place(store, upload, 0, some_bytes(length, len(upload.id)))
    assert finish(store_on(contents), first, length).state is State.COMPLETE
    with pytest.raises(Conflict, match="file of this name") as refused:
        finish(store_on(contents), second, length)
    assert refused.value.code == "name-taken"
    assert loaded(store_on(contents), second).state is State.RECEIVING


@pytest.mark.parametrize("length", [3, 50])
def test_a_name_that_is_lost_in_the_last_moment_ends_the_upload(length: int) -> None:
    contents = Contents()
    upload = an_upload(part_size=16)
    store = store_on(contents, part_size=16, where=exclusive)
    assert store.begin(upload)
    place(store, upload, 0, some_bytes(length))

    class Late(MemoryBucket):
        def head(self, key: str) -> Found | None:
            """Nobody has the name yet; a moment later somebody does."""
            found = super().head(key)
            contents.objects.setdefault(key, Object(b"theirs", 0.0, "v", {}))
            return found

    with pytest.raises(Conflict, match="file of this name"):
        finish(store_on(contents, bucket=Late(contents)), upload, length)
    assert contents.objects["bucket/prefix/the-name"].data == b"theirs"
    assert loaded(store_on(contents), upload).state is State.CANCELLED
    store_on(contents).remove(upload)
    assert not contents.multiparts


@pytest.mark.parametrize("length", [3, 50])
def test_a_lost_answer_to_the_last_step_is_no_conflict(length: int) -> None:
    """The object under the exclusive name is this upload's own."""
    contents = Contents()
    upload = an_upload(part_size=16)
    store = store_on(contents, part_size=16, where=exclusive)
    assert store.begin(upload)
    data = some_bytes(length)
    place(store, upload, 0, data)
    calls = 0
    for _ in range(30):
        faults = Faults(1, "after", lambda: Unavailable("lost"))
        with contextlib.suppress(Unavailable):
            finish(store_on(contents, faults), upload, length)
        calls += faults.fired
    status = finish(store_on(contents), upload, length)
    assert calls >= 4
    assert content(store_on(contents), status.finished) == data


class Diary(MemoryBucket):
    """Notes what is written and what is removed, by the last part of its key, in order."""

    def __init__(self, contents: Contents) -> None:
        super().__init__(contents)
        self.steps: list[str] = []

    def put(
        self,
        key: str,
        data: bytes | IO[bytes],
        *,
        if_absent: bool = False,
        description: Description | None = None,
    ) -> bool:
        self.steps.append("+" + key.rpartition("/")[2])
        return super().put(key, data, if_absent=if_absent, description=description)

    def delete(self, keys: Collection[str]) -> None:
        self.steps += ["-" + key.rpartition("/")[2] for key in keys]
        super().delete(keys)


class DiaryParts(MemoryParts):
    def __init__(self, diary: Diary) -> None:
        super().__init__(diary)
        self._diary = diary

    def abandon(self, key: str, native: str) -> None:
        self._diary.steps.append("-parts")
        super().abandon(key, native)


def diary_of(contents: Contents, parts: bool = True) -> tuple[ObjectStore, Diary]:
    diary = Diary(contents)
    store = ObjectStore(
        diary,
        lambda: DiaryParts(diary) if parts else None,
        "bucket/prefix",
        destination,
        capabilities=Capabilities(part_size=16, presence=False),
    )
    return store, diary


def begun(store: ObjectStore, length: int) -> Upload:
    upload = an_upload(part_size=16)
    assert store.begin(upload)
    place(store, upload, 0, some_bytes(length))
    return upload


@pytest.mark.parametrize("length", [3, 50])
def test_no_bytes_go_before_the_end_is_remembered(length: int) -> None:
    """Whoever comes between the two would know nothing of the chunks any more."""
    store, diary = diary_of(Contents())
    upload = begun(store, length)
    finish(store, upload, length)
    gone = [n for n, step in enumerate(diary.steps) if step.startswith("-b.")]
    assert gone
    assert diary.steps.index("+done") < min(gone)


def test_an_upload_is_told_to_be_cancelled_before_its_parts_go() -> None:
    """Else a writer between the two is acknowledged for bytes that nobody has."""
    store, diary = diary_of(Contents())
    upload = begun(store, 50)
    store.discard(upload)
    store.discard(upload)
    assert diary.steps.index("+e.1") < diary.steps.index("-parts")


@pytest.mark.parametrize("length", [3, 50])
def test_the_manifest_goes_first(length: int) -> None:
    """A removal that dies leaves what belongs to no upload, never half an upload."""
    store, diary = diary_of(Contents())
    upload = begun(store, length)
    finish(store, upload, length)
    diary.steps.clear()
    store.remove(upload)
    assert diary.steps[0] == "-m"
    assert len(diary.steps) > 2


def test_a_torn_segment_does_not_count() -> None:
    """On a storage whose writes are not atomic a name may promise more than there is."""
    name = segment_name(0, 10, 0, "nonce", None)
    assert parse_segment(name, 10, 0.0) is not None
    assert parse_segment(name, 9, 0.0) is None
