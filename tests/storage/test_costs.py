"""What an upload costs in requests to the storage, and in memory."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from resumable.connect import connect
from resumable.engine import Engine
from resumable.model import KIB, MIB, Limits
from resumable.operations import ByClientId, Caller, Completed, Finish, Known, Place
from resumable.stores.objects.store import ObjectStore
from resumable.testing.chunk_client import Body
from resumable.testing.contract.base import some_bytes
from resumable.testing.crash_points import Host
from resumable.testing.faults import Faults as NoFaults
from tests.storage.operations import S3_WRITES
from tests.storage.server import StorageServer
from tests.storage.weather import Weather


@pytest.fixture
def line(ceph: StorageServer) -> Iterator[Weather]:
    with Weather(ceph.fresh()) as line:
        yield line


def engine_on(server: StorageServer, **options: object) -> Engine:
    """A new process."""
    store = connect(f"{server.url}/prefix", {**server.options, **options})
    return Engine(store, Host(NoFaults()), limits=Limits())


def writes(calls: Counter[str]) -> int:
    return sum(count for name, count in calls.items() if name in S3_WRITES)


def reads(calls: Counter[str]) -> int:
    return calls.total() - writes(calls)


def send(engine: Engine, number: int, data: bytes, chunk_size: int | None, total: int) -> None:
    operation = Place(
        reference=ByClientId("upload", guessable=False),
        number=number,
        chunk_size=chunk_size,
        total_chunks=total,
    )
    outcome = engine.perform(operation, Caller(None), Body(data, piece=64 * KIB))
    assert isinstance(outcome, Known)


def finish(engine: Engine) -> bytes:
    reference = ByClientId("upload", guessable=False)
    outcome = engine.perform(Finish(reference=reference), Caller(None), Body(b""))
    assert isinstance(outcome, Completed)
    finished = outcome.finished
    with closing(engine.store.read(finished, 0, finished.size)) as stored:
        return b"".join(stored)


@pytest.mark.parametrize("size", [5 * MIB, 8 * MIB])
def test_a_chunk_of_a_part_is_one_write(line: Weather, size: int) -> None:
    """In one process that knows the upload; its birth is shared by all of its chunks."""
    count, engine = 20, engine_on(line.server)
    data = [some_bytes(1000, number) * (size // 1000 + 1) for number in range(count)]
    assert engine.store.check() is not None
    line.take()
    for number in range(count):
        send(engine, number, data[number][:size], size, count)
    calls = line.take()
    # The birth: manifest, two facts, the multipart upload and its name.
    assert writes(calls) - 5 <= 1.05 * count, calls
    assert calls["upload_part"] == count
    assert reads(calls) <= 2 * count, calls
    stored = finish(engine)
    assert stored == b"".join(one[:size] for one in data)
    assert writes(line.take()) <= 8


@pytest.mark.parametrize("count", [10, 40])
def test_the_finish_of_foreign_chunks_gathers_one_window(line: Weather, count: int) -> None:
    """A client that sends small chunks and says nothing of their size."""
    part, size = 4 * MIB, MIB
    engine = engine_on(line.server, part_size=part, least_part=part, largest_part=2 * part)
    data = [some_bytes(1000, number) * (size // 1000 + 1) for number in range(count)]
    for number in range(count):
        send(engine, number, data[number][:size], None, count)
    calls = line.take()
    assert calls["upload_part"] == count * size // part
    reference = ByClientId("upload", guessable=False)
    engine.perform(Finish(reference=reference), Caller(None), Body(b""))
    calls = line.take()
    assert calls["upload_part"] <= 1
    assert calls.total() <= 30, calls


def test_no_crowd_takes_more_memory_than_the_budget(ceph: StorageServer) -> None:
    budget, part = 4 * MIB, 256 * KIB
    options = {"memory": budget, "part_size": part, "least_part": part, "largest_part": MIB}
    engine = engine_on(ceph.fresh(), **options)
    store = engine.store
    assert isinstance(store, ObjectStore)
    peaks: list[int] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.002):
            peaks.append(store.memory.taken)

    def upload(number: int) -> bytes:
        reference = ByClientId(f"upload {number}", guessable=False)
        data = some_bytes(1000, number) * 2000
        place = Place(reference=reference, start=0, length=len(data))
        engine.perform(place, Caller(None), Body(data, piece=64 * KIB))
        outcome = engine.perform(Finish(reference=reference), Caller(None), Body(b""))
        assert isinstance(outcome, Completed)
        with closing(store.read(outcome.finished, 0, len(data))) as stored:
            assert b"".join(stored) == data
        return data

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        with ThreadPoolExecutor(32) as pool:
            sent: Sequence[bytes] = list(pool.map(upload, range(32)))
    finally:
        over.set()
        watching.join()
    assert len(sent) == 32
    assert 2 * part < max(peaks) <= budget
    assert store.memory.taken == 0
