"""The object store on a bucket in memory: its contract, and its crashes."""

from __future__ import annotations

from functools import partial

import pytest

from resumable.errors import Unavailable
from resumable.interfaces import Capabilities
from resumable.model import MIB, Upload
from resumable.stores.objects.bucket import Description
from resumable.stores.objects.manifest import load_finished
from resumable.stores.objects.store import ObjectStore
from resumable.testing.bucket import Contents, MemoryBucket, MemoryParts
from resumable.testing.contract import StoreContract
from resumable.testing.contract.base import MakeStore
from resumable.testing.crash_points import SCRIPTS, Script, crash_points, failing_calls
from resumable.testing.faults import Faults


def destination(upload: Upload) -> tuple[str, Description]:
    return f"bucket/prefix/{upload.id}/file", Description("application/octet-stream", {})


def store_on(
    contents: Contents,
    faults: Faults | None = None,
    *,
    parts: bool = True,
    part_size: int = 8 * MIB,
) -> ObjectStore:
    """A new process's store."""
    bucket = MemoryBucket(contents, faults=faults)
    return ObjectStore(
        bucket,
        lambda: MemoryParts(bucket) if parts else None,
        "bucket/prefix",
        destination,
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
