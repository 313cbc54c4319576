"""A storage whose every request may go wrong: uploads complete, exact, and nothing is doubled."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing

import pytest

from resumable.connect import connect
from resumable.engine import Engine
from resumable.errors import UploadError
from resumable.model import DAY, KIB, Limits
from resumable.stores.objects.store import ObjectStore
from resumable.testing.chunk_client import ChunkClient, retrying
from resumable.testing.crash_points import Host
from resumable.testing.faults import Faults as NoFaults
from tests.storage.faults import Fault, Kind
from tests.storage.server import StorageServer
from tests.storage.weather import Weather

PART = 64 * KIB
SIZES = (PART, PART, 10_000, PART - 10_000, PART, 777)
OPERATIONS = (
    "put_object",
    "get_object",
    "list_objects",
    "list_parts",
    "create_multipart_upload",
    "upload_part",
    "complete_multipart_upload",
    "delete_objects",
)
KINDS: tuple[Kind, ...] = ("lost", "denied", "error", "slow-down", "reset")
NOT_THERE: tuple[int | None, ...] = (1, 2, 3, 5)


@pytest.fixture
def line(ceph: StorageServer) -> Iterator[Weather]:
    with Weather(ceph.fresh()) as line:
        yield line


class World:
    """One bucket behind the line, its processes, and a client."""

    def __init__(self, line: Weather, *, retries: int | None) -> None:
        self.line = line
        self.retries = retries
        self.client = ChunkClient(self.engine(), SIZES)

    def engine(self) -> Engine:
        """A new process. `retries` of its own per call, so that faults come through."""
        options = {
            **self.line.server.options,
            "part_size": PART,
            "least_part": PART,
            "largest_part": 2 * PART,
        }
        config = dict(options["config_kwargs"])
        if self.retries is not None:
            config["retries"] = {"total_max_attempts": self.retries}
        store = connect(f"{self.line.server.url}/prefix", {**options, "config_kwargs": config})
        assert isinstance(store, ObjectStore)
        return Engine(store, Host(NoFaults()), limits=Limits())

    def upload(self) -> None:
        for number in (0, 2, 1, 3, 5, 4, 4):
            self.client.send(number)
        self.client.finish()

    def check(self) -> None:
        """One object, its bytes, and nothing else that would stay."""
        finished = self.client.finish()
        self.client.engine = engine = self.engine()
        assert self.client.finish() == finished
        with closing(engine.store.read(finished, 0, finished.size)) as stored:
            assert b"".join(stored) == self.client.data
        assert [one.token for one in engine.store.list_finished()] == [finished.token]
        raw, bucket = self.line.behind.client(), self.line.behind.bucket
        engine.store.tidy(finished.finished + DAY)
        keys = [one["Key"] for one in raw.list_objects_v2(Bucket=bucket)["Contents"]]
        assert len([key for key in keys if "/.resumable/" not in key]) == 1, keys
        assert not [key for key in keys if ".resumable/probe/" in key], keys
        assert not raw.list_multipart_uploads(Bucket=bucket).get("Uploads")


def go_through(line: Weather, fault: Fault, *, retries: int) -> int:
    """Upload while it happens; how often it did."""
    world = World(line, retries=retries)
    line.bring(fault)
    try:
        retrying(world.client, world.upload, attempts=12)
    finally:
        line.clear()
    world.check()
    return len(line.spoiled)


def sampled(seed: int, count: int) -> list[tuple[Kind, str, int | None]]:
    every = [(kind, name, nth) for kind in KINDS for name in OPERATIONS for nth in NOT_THERE]
    return random.Random(seed).sample(every, count)


@pytest.mark.parametrize(("kind", "operation", "nth"), sampled(3, 30))
def test_a_request_goes_wrong(line: Weather, kind: Kind, operation: str, nth: int) -> None:
    """And the store hears of it: nothing below repeats it."""
    go_through(line, Fault(kind, operation=operation, nth=nth), retries=1)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_lost_answer_is_asked_for_again_below(line: Weather, operation: str) -> None:
    """What repeats below sees one's own success as somebody else's."""
    assert go_through(line, Fault("lost", operation=operation), retries=5) >= 1


@pytest.mark.parametrize("operation", ["upload_part", "put_object"])
@pytest.mark.parametrize("times", [5])
def test_a_body_is_sent_whole_however_often(line: Weather, operation: str, times: int) -> None:
    """With the retries that everybody has: one of the layers sent an empty part, and was told 200.

    Nothing may be acknowledged that the finish then misses.
    """
    world = World(line, retries=None)
    line.bring(*(Fault("slow-down", operation=operation, nth=nth + 1) for nth in range(times)))
    retrying(world.client, world.upload, attempts=12)
    world.check()


def test_a_slow_storage(line: Weather) -> None:
    assert go_through(line, Fault("delay", nth=None, seconds=0.02), retries=1) > 20


@pytest.mark.chaos
@pytest.mark.parametrize("nth", NOT_THERE)
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_any_request_goes_wrong(line: Weather, kind: Kind, operation: str, nth: int | None) -> None:
    go_through(line, Fault(kind, operation=operation, nth=nth), retries=1)


def test_a_storage_that_is_down_is_told_and_waited_for(line: Weather) -> None:
    world = World(line, retries=1)
    world.client.send(0)
    line.bring(Fault("error", nth=None))
    with pytest.raises(UploadError) as told:
        world.client.send(1)
    assert told.value.status == 503
    assert told.value.retry_after
    line.clear()
    world.upload()
    world.check()
