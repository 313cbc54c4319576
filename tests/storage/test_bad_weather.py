"""Faults in a row, answers that break off or lie, and faults at the other ends of an upload."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest

from resumable.connect import connect
from resumable.engine import Engine
from resumable.errors import Conflict, NotFound, Unavailable, UploadError
from resumable.model import DAY, Limits, Objects
from resumable.stores.objects.store import ObjectStore
from resumable.testing.chunk_client import ChunkClient, retrying
from resumable.testing.crash_points import Host
from resumable.testing.faults import Faults as NoFaults
from tests.servers.fault_proxy import Side
from tests.storage.faults import Fault, Kind
from tests.storage.http_message import Head, copy_body, discard, read_answer_head
from tests.storage.server import StorageServer
from tests.storage.test_faults import KINDS, OPERATIONS, PART, SIZES, World
from tests.storage.weather import Weather

LATE = 30 * DAY


@pytest.fixture
def line(ceph: StorageServer) -> Iterator[Weather]:
    with Weather(ceph.fresh()) as line:
        yield line


# ---------------------------------------------------------------- several in a row


def in_a_row(kind: Kind, operation: str, first: int, count: int) -> list[Fault]:
    return [Fault(kind, operation=operation, nth=n) for n in range(first, first + count)]


def go_through(world: World, faults: list[Fault]) -> None:
    world.line.bring(*faults)
    try:
        retrying(world.client, world.upload, attempts=12)
    finally:
        world.line.clear()
    world.check()


@pytest.mark.parametrize("count", range(1, 5))
@pytest.mark.parametrize("tries", [1, 2])
def test_a_part_is_sent_again_from_its_first_byte(line: Weather, tries: int, count: int) -> None:
    """However many tries fail below, and wherever they left the buffer."""
    world = World(line, retries=tries)
    go_through(world, in_a_row("slow-down", "upload_part", 2, count))
    assert len(line.spoiled) == count


EVERY_ROW = [
    (kind, operation, first, count)
    for kind in KINDS
    for operation in OPERATIONS
    for first in (1, 2)
    for count in (2, 3)
]


@pytest.mark.parametrize(
    ("kind", "operation", "first", "count"), random.Random(5).sample(EVERY_ROW, 10)
)
def test_requests_go_wrong_in_a_row(
    line: Weather, kind: Kind, operation: str, first: int, count: int
) -> None:
    go_through(World(line, retries=1), in_a_row(kind, operation, first, count))


@pytest.mark.chaos
@pytest.mark.parametrize("tries", [1, 2])
@pytest.mark.parametrize(("kind", "operation", "first", "count"), EVERY_ROW)
def test_any_requests_go_wrong_in_a_row(
    line: Weather, kind: Kind, operation: str, first: int, count: int, tries: int
) -> None:
    go_through(World(line, retries=tries), in_a_row(kind, operation, first, count))


# ---------------------------------------------------------------- answers that cannot be believed


class Forger(Weather):
    """Spoils the `nth` answer to one operation (from 1) by a forgery of its head and body."""

    operation, nth = "", 0

    def forge(
        self,
        operation: str,
        nth: int,
        forgery: Callable[[bytes, bytes], tuple[bytes, str]],
        times: int = 1,
    ) -> None:
        """The `nth` answer from now on and the next ones, `times` in all."""
        self.operation, self.nth, self.forgery = operation, nth, forgery
        self.forged = 0
        self.times = times

    async def _exchange(self, client: Side, head: Head) -> bool:
        method, target, _ = head.start.split(" ", 2)
        if self._name(method, target, head.fields) == self.operation:
            self.nth -= 1
            if -self.times < self.nth <= 0:
                await self._forge(client, head)
                return False
        return await super()._exchange(client, head)

    async def _forge(self, client: Side, head: Head) -> None:
        """The server does as asked; what the client is told is another matter."""
        server = Side(*await asyncio.open_connection(*self.upstream))

        async def pass_on(piece: bytes) -> None:
            server.writer.write(piece)

        body: list[bytes] = []

        async def keep(piece: bytes) -> None:
            body.append(piece)

        await pass_on(head.raw)
        await copy_body(head, client.reader, pass_on)
        answer = await read_answer_head(server.reader, discard)
        await copy_body(answer, server.reader, keep, head)
        server.end("fin")
        told, how = self.forgery(answer.raw, b"".join(body))
        client.writer.write(told)
        await client.writer.drain()
        self.forged += 1
        client.end(how)


def torn(head: bytes, body: bytes) -> tuple[bytes, str]:
    """It breaks off in the middle."""
    return head + body[: len(body) // 2], "fin"


def error_after_200(head: bytes, body: bytes) -> tuple[bytes, str]:
    """What S3 may do when completing takes long: 200 first, and then an error."""
    told = b"<Error><Code>InternalError</Code><Message>We encountered an error.</Message></Error>"
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(told), told), "fin"


@pytest.fixture
def forger(ceph: StorageServer) -> Iterator[Forger]:
    with Forger(ceph.fresh()) as line:
        yield line


READINGS = ("get_object", "list_objects", "list_parts")


@pytest.mark.parametrize("nth", [1, 3])
@pytest.mark.parametrize("operation", READINGS)
def test_an_answer_breaks_off(forger: Forger, operation: str, nth: int) -> None:
    """Half a manifest, half a listing, half a segment on its way into a part."""
    world = World(forger, retries=1)
    forger.forge(operation, nth, torn)
    retrying(world.client, world.upload, attempts=12)
    assert forger.forged == 1
    forger.operation = ""
    world.check()


@pytest.mark.parametrize("tries", [1, 3])
def test_an_error_in_an_answer_of_200(forger: Forger, tries: int) -> None:
    world = World(forger, retries=tries)
    forger.forge("complete_multipart_upload", 1, error_after_200)
    retrying(world.client, world.upload, attempts=12)
    assert forger.forged == 1
    world.check()


def test_a_download_that_breaks_off_is_told(forger: Forger) -> None:
    """No reader takes half a block for the whole; it asks three times."""
    world = World(forger, retries=1)
    world.upload()
    finished = world.client.finish()
    forger.forge("get_object", 1, torn, times=2)
    assert b"".join(world.client.engine.store.read(finished, 0, finished.size))
    assert forger.forged == 2
    forger.forge("get_object", 1, torn, times=3)
    with pytest.raises(Unavailable):
        b"".join(world.client.engine.store.read(finished, 0, finished.size))
    assert forger.forged == 3
    world.check()


# ---------------------------------------------------------------- cancel, expiry, delete


class Ending:
    """An upload that somebody ends; whoever ends it tries again until it works."""

    def __init__(self, line: Weather, monkeypatch: pytest.MonkeyPatch, objects: Objects) -> None:
        self.line = line
        self.now = 0.0
        self.objects = objects
        monkeypatch.setattr(
            "resumable.stores.objects.leftovers.time", SimpleNamespace(time=self.clock)
        )
        self.client = ChunkClient(self.engine(), SIZES)

    def clock(self) -> float:
        return time.time() + self.now

    def engine(self) -> Engine:
        given = self.line.server.options
        config = {**given["config_kwargs"], "retries": {"total_max_attempts": 1}}
        sizes = {"part_size": PART, "least_part": PART, "largest_part": 2 * PART}
        options = {**given, **sizes, "config_kwargs": config}
        store = connect(f"{self.line.server.url}/prefix", options, objects=self.objects)
        assert isinstance(store, ObjectStore)
        return Engine(store, Host(NoFaults()), limits=Limits(), clock=self.clock)

    def send(self) -> None:
        for number in (0, 2, 1, 3):
            self.client.send(number)

    def cancel(self) -> None:
        self.send()
        retrying(self.client, self.client.cancel, attempts=12)

    def expire(self) -> None:
        self.send()
        self.now += LATE
        self.sweep()

    def delete(self) -> None:
        for number in range(len(SIZES)):
            self.client.send(number)
        store, finished = self.client.engine.store, self.client.finish()
        until_it_works(lambda: store.delete(finished))
        assert store.find(finished.token) is None
        with pytest.raises(NotFound):
            b"".join(store.read(finished, 0, 10))

    def sweep(self) -> None:
        until_it_works(self.engine().sweep)
        # What one sweep could not do for a fault the next one does.
        self.line.clear()
        self.engine().sweep()

    def check_nothing_left(self) -> None:
        self.now += LATE
        self.sweep()
        raw, bucket = self.line.behind.client(), self.line.behind.bucket
        keys = [one["Key"] for one in raw.list_objects_v2(Bucket=bucket).get("Contents", ())]
        assert keys == []
        assert not raw.list_multipart_uploads(Bucket=bucket).get("Uploads")


def until_it_works(act: Callable[[], object]) -> None:
    for _ in range(12):
        try:
            act()
            return
        except UploadError as error:
            if error.status < 500:
                raise
    raise AssertionError("refused for good")


ENDINGS = {"cancel": Ending.cancel, "expire": Ending.expire, "delete": Ending.delete}
AT_THE_END = (
    "abort_multipart_upload",
    "delete_object",
    "delete_objects",
    "list_multipart_uploads",
    "put_object",
    "list_objects",
)
EVERY_END = [
    (ending, kind, operation, nth)
    for ending in ENDINGS
    for kind in KINDS
    for operation in AT_THE_END
    for nth in (1, 2, 3)
]


def end(
    line: Weather,
    monkeypatch: pytest.MonkeyPatch,
    ending: str,
    kind: Kind,
    operation: str,
    nth: int,
) -> None:
    world = Ending(line, monkeypatch, Objects())
    assert world.client.engine.store.check() == []
    line.bring(*in_a_row(kind, operation, nth, 2))
    try:
        ENDINGS[ending](world)
    except Unavailable:
        # The chunks before the end may meet it as well.
        line.clear()
        ENDINGS[ending](world)
    line.clear()
    world.check_nothing_left()


@pytest.mark.parametrize(
    ("ending", "kind", "operation", "nth"), random.Random(2).sample(EVERY_END, 10)
)
def test_an_upload_ends_in_bad_weather(
    line: Weather,
    monkeypatch: pytest.MonkeyPatch,
    ending: str,
    kind: Kind,
    operation: str,
    nth: int,
) -> None:
    end(line, monkeypatch, ending, kind, operation, nth)


@pytest.mark.chaos
@pytest.mark.parametrize(("ending", "kind", "operation", "nth"), EVERY_END)
def test_an_upload_ends_in_any_weather(
    line: Weather,
    monkeypatch: pytest.MonkeyPatch,
    ending: str,
    kind: Kind,
    operation: str,
    nth: int,
) -> None:
    end(line, monkeypatch, ending, kind, operation, nth)


# ---------------------------------------------------------------- names that are given away once

EXCLUSIVE = Objects(key="the-name", if_exists="refuse")
EVERY_NAME = [
    (kind, operation, nth)
    for kind in KINDS
    for operation in ("head_object", "put_object", "complete_multipart_upload", "get_object")
    for nth in (1, 2)
]


@pytest.mark.parametrize("sizes", [SIZES, (777,)], ids=["parts", "one piece"])
@pytest.mark.parametrize(("kind", "operation", "nth"), random.Random(4).sample(EVERY_NAME, 5))
def test_an_exclusive_name_in_bad_weather(
    line: Weather,
    monkeypatch: pytest.MonkeyPatch,
    kind: Kind,
    operation: str,
    nth: int,
    sizes: tuple[int, ...],
) -> None:
    """One's own object is no stranger's, and a stranger's is never replaced."""
    world = Ending(line, monkeypatch, EXCLUSIVE)
    first, second = (ChunkClient(world.engine(), sizes, id=f"u{n}", seed=n) for n in range(2))
    for client in (first, second):
        for number in range(len(sizes)):
            client.send(number)
    line.bring(*in_a_row(kind, operation, nth, 2))
    retrying(first, first.finish, attempts=12)
    finished = first.finish()
    with pytest.raises(Conflict, match="file of this name"):
        until_it_works(second.finish)
    line.clear()
    stored = b"".join(world.engine().store.read(finished, 0, finished.size))
    assert stored == first.data
