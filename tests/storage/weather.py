"""A line to a storage server that loses answers, invents errors and counts what passes.

    with Weather(server) as line:
        fs, root = fsspec.core.url_to_fs(line.server.url, **line.server.options)
        line.bring(Fault("lost", operation="upload_part", nth=2))
        ...
        assert line.take() == {"upload_part": 3}

"lost"          the server does as asked; its answer is swallowed and the connection reset
"denied"        the server does as asked; the client is told 500
"error"         500, and the server never hears of it
"slow-down"     503 SlowDown, and the server never hears of it
"reset"         the connection is reset before the server hears of it
"delay"         everything goes its way, `seconds` later

Requests reach the server as they are, Host field included, so their signatures hold.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from urllib.parse import urlsplit

from tests.servers.fault_proxy import FaultProxy, Passed, Side
from tests.storage.faults import Fault, Faults, Kind, error_answer
from tests.storage.http_message import Head, copy_body, discard, read_answer_head, read_head
from tests.storage.operations import NAMERS
from tests.storage.server import StorageServer

LAST_PIECE_SECONDS = 0.1
"""A body that is not through so long after the answer never will be: nobody wants it."""


class Weather(FaultProxy):
    """Fair until faults are brought; `server` is what the tests shall use."""

    def __init__(self, server: StorageServer) -> None:
        address = urlsplit(server.endpoint)
        assert address.hostname is not None
        assert address.port is not None
        super().__init__(address.hostname, address.port)
        self.behind = server
        self._name = NAMERS[server.scheme]
        self._faults = Faults()

    def __enter__(self) -> Weather:
        super().__enter__()
        return self

    @property
    def server(self) -> StorageServer:
        return self.behind.at(f"{self.host}:{self.port}")

    @property
    def spoiled(self) -> list[tuple[Kind, str]]:
        """What struck so far, and the operation that it struck."""
        return list(self._faults.spoiled)

    def bring(self, *faults: Fault) -> None:
        """From now on; of several that strike the same request the one that came first wins."""
        self._faults.bring(*faults)

    def clear(self) -> None:
        self._faults.clear()

    def take(self) -> Counter[str]:
        """How many requests came for each operation since the last time, spoiled ones too."""
        return self._faults.take()

    async def _serve(self, client: Side, passed: Passed) -> None:
        try:
            while (head := await read_head(client.reader)) and await self._exchange(client, head):
                pass
        finally:
            client.end("fin")

    async def _exchange(self, client: Side, head: Head) -> bool:
        """One request and its answer; whether another may follow on this connection."""
        method, target, _ = head.start.split(" ", 2)
        fault = self._faults.judge(method, target, self._name(method, target, head.fields))
        match fault.kind if fault else None:
            case "reset":
                client.end("rst")
                return False
            case "error" | "slow-down":
                await self._refuse(client, head)
            case "lost":
                await self._pass(client, head, swallow=True)
                client.end("rst")
                return False
            case "denied":
                await self._pass(client, head, swallow=True)
            case _:
                await asyncio.sleep(fault.seconds if fault else 0)
                return await self._pass(client, head)
        assert fault is not None
        client.writer.write(error_answer(fault.kind, self.behind.scheme))
        await client.writer.drain()
        return True

    @staticmethod
    async def _refuse(client: Side, head: Head) -> None:
        """Takes the body off the line, so that the answer is read."""
        if "expect" in head.fields:
            client.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await copy_body(head, client.reader, discard)

    async def _pass(self, client: Side, head: Head, swallow: bool = False) -> bool:
        server = Side(*await asyncio.open_connection(*self.upstream))
        how = "rst"
        try:
            sending = asyncio.create_task(_send(client, server, head))
            receiving = asyncio.create_task(_receive(client, server, head, swallow))
            keeps = await _both(sending, receiving)
            how = "fin"
            return keeps
        finally:
            server.end(how)
            with suppress(OSError):
                await server.writer.wait_closed()


async def _send(client: Side, server: Side, head: Head) -> None:
    server.writer.write(head.raw)

    async def pass_on(piece: bytes) -> None:
        with suppress(OSError):  # A server that answers early may close; its answer counts.
            server.writer.write(piece)
            await server.writer.drain()

    await copy_body(head, client.reader, pass_on)


async def _receive(client: Side, server: Side, request: Head, swallow: bool) -> bool:
    """Passes the answer on; whether the connection may be used again."""

    async def pass_on(piece: bytes) -> None:
        client.writer.write(piece)
        await client.writer.drain()

    answer = await read_answer_head(server.reader, pass_on)
    sink = discard if swallow else pass_on
    await sink(answer.raw)
    await copy_body(answer, server.reader, sink, request)
    return answer.keeps_open and request.keeps_open


async def _both(sending: asyncio.Task[None], receiving: asyncio.Task[bool]) -> bool:
    try:
        await asyncio.wait({sending, receiving}, return_when=asyncio.FIRST_COMPLETED)
        if sending.done() and not receiving.done():
            sending.result()
        keeps = await receiving
        await asyncio.wait({sending}, timeout=LAST_PIECE_SECONDS)
        return keeps and sending.done()
    finally:
        for task in (sending, receiving):
            task.cancel()
        await asyncio.gather(sending, receiving, return_exceptions=True)
