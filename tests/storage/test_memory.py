"""What 20 uploads at once take of one process's memory, all of it, beside the declared budget."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from resumable.connect import connect
from resumable.engine import Engine
from resumable.model import KIB, MIB, Limits
from resumable.operations import ByClientId, Caller, Finish, Place
from resumable.testing.chunk_client import Body
from resumable.testing.crash_points import Host
from resumable.testing.faults import Faults as NoFaults
from tests.storage.server import StorageServer

CROWD = 20
BUDGET = 16 * MIB
PART = 2 * MIB
# Half a megabyte for each request: its thread, its connections, its pieces on the line.
BESIDE = 16 * MIB


class Zeros(Body):
    """A body that takes no memory."""

    def __init__(self, length: int) -> None:
        super().__init__(b"")
        self.length = length

    def __iter__(self) -> Iterator[memoryview]:
        piece = memoryview(bytes(64 * KIB))
        for at in range(0, self.length or 0, len(piece)):
            yield piece[: min(len(piece), (self.length or 0) - at)]
        self.whole = True


def reference(number: int) -> ByClientId:
    return ByClientId(f"upload {number}", guessable=False)


def position_known(engine: Engine, number: int, together: Barrier) -> None:
    """Windows on their way into parts, and an end beside them."""
    size = 3 * PART + 1000
    place = Place(reference=reference(number), start=0, length=size)
    engine.perform(place, Caller(None), Zeros(size))


def below_a_part(engine: Engine, number: int, together: Barrier) -> None:
    """Each request's bytes become one segment."""
    size = PART - 1000
    place = Place(reference=reference(number), start=0, length=size)
    engine.perform(place, Caller(None), Zeros(size))


def position_unknown(engine: Engine, number: int, together: Barrier) -> None:
    """An old client's second chunk, before its first."""
    place = Place(reference=reference(number), number=1, total_chunks=2)
    engine.perform(place, Caller(None), Zeros(PART - 1000))


def finish(engine: Engine, number: int, together: Barrier) -> None:
    """All are put together in the same moment."""
    below_a_part(engine, number, together)
    together.wait(60)
    engine.perform(Finish(reference=reference(number)), Caller(None), Body(b""))


@pytest.mark.parametrize("act", [position_known, below_a_part, position_unknown, finish])
def test_a_crowd_stays_within_the_budget(
    ceph: StorageServer, act: Callable[[Engine, int, Barrier], None]
) -> None:
    bucket = ceph.fresh()
    sizes = {"part_size": PART, "least_part": PART, "largest_part": PART}
    options = {**bucket.options, **sizes, "memory": BUDGET}
    store = connect(f"{bucket.url}/prefix", options)
    engine = Engine(store, Host(NoFaults()), limits=Limits())
    together = Barrier(CROWD)
    assert store.check() == []
    tracemalloc.start()
    try:
        with ThreadPoolExecutor(CROWD) as pool:
            # The libraries' own tables come with the first request.
            list(pool.map(lambda number: store.load(f"nobody-has-this-{number:08}"), range(CROWD)))
            gc.collect()
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            list(pool.map(lambda number: act(engine, number, together), range(CROWD)))
        taken = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert PART < taken <= BUDGET + BESIDE, f"{taken / MIB:.1f} MiB"
