"""A TCP proxy that spoils connections on purpose: cuts, stalls, slows, garbles, answers itself.

    with FaultProxy("127.0.0.1", server.port, [{"c2s_cut": 1000, "how": "fin"}, {}]) as proxy:
        http.client.HTTPConnection(proxy.host, proxy.port)
    proxy.log[0].sent

One rule for each accepted connection, from a list that is cycled or a function of the connection's
number; an empty rule forwards untouched. `c2s` is client to server, `s2c` server to client.

c2s_cut, s2c_cut      close both sides after exactly that many bytes
how                   "fin" or "rst" (the default)
c2s_stall, s2c_stall  stop forwarding after that many bytes, keep open for `stall_s` seconds (5)
delay                 seconds before the upstream connection is opened
bw                    bytes per second, client to server
status                answer this status after the request's head, forward nothing
garble                flip the lowest bit of the byte at this position, client to server
drop_response         forward the request, read the start of the answer, then reset the client
settle                seconds between the last byte of a cut and the close (0.005)
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any

PIECE = 64 * 1024
LINGER_SECONDS = 30.0
"""How long one direction may go on after the other has ended."""

Rule = dict[str, Any]
Rules = Sequence[Rule] | Callable[[int], Rule]


@dataclass
class Passed:
    """What happened on one connection: bytes client -> server and server -> client."""

    rule: Rule
    sent: int = 0
    answered: int = 0


@dataclass
class Side:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def end(self, how: str) -> None:
        """Plain close, or a reset, whatever still waits to be sent."""
        with suppress(OSError):
            if how == "rst":
                reset = struct.pack("ii", 1, 0)
                raw = self.writer.get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
                self.writer.transport.abort()
            else:
                self.writer.close()


class FaultProxy:
    """Listens on a free port of 127.0.0.1 while its `with` block lasts."""

    def __init__(self, host: str, port: int, rules: Rules = ({},)) -> None:
        self.upstream = (host, port)
        self.host = "127.0.0.1"
        self.port = 0
        self.log: list[Passed] = []
        self._rules = rules
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._connections: set[asyncio.Task[None]] = set()

    def __enter__(self) -> FaultProxy:
        self._thread.start()
        self._server = self._run(asyncio.start_server(self._accept, self.host, 0))
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _close(self) -> None:
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()
        await asyncio.sleep(0)  # Lets the transports that were closed just now go.

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        passed = Passed(self._rule(len(self.log)))
        self.log.append(passed)
        client = Side(reader, writer)
        try:
            await self._serve(client, passed)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            client.end("rst")
        finally:
            self._connections.discard(task)
            with suppress(OSError):
                await writer.wait_closed()

    def _rule(self, number: int) -> Rule:
        if callable(self._rules):
            return self._rules(number)
        return self._rules[number % len(self._rules)]

    async def _serve(self, client: Side, passed: Passed) -> None:
        rule = passed.rule
        if "status" in rule:
            await _answer(client, passed)
            return
        await asyncio.sleep(rule.get("delay", 0))
        server = Side(*await asyncio.open_connection(*self.upstream))
        how = "fin"
        try:
            how = await _forward(client, server, passed)
        except BaseException:
            how = "rst"
            raise
        finally:
            for side in (client, server):
                side.end(how)
            with suppress(OSError):
                await server.writer.wait_closed()


async def _answer(client: Side, passed: Passed) -> None:
    head = await client.reader.readuntil(b"\r\n\r\n")
    passed.sent = len(head)
    answer = (
        f"HTTP/1.1 {passed.rule['status']} Fault\r\nContent-Length: 0\r\n"
        "Connection: close\r\nRetry-After: 0\r\n\r\n"
    ).encode()
    client.writer.write(answer)
    await client.writer.drain()
    passed.answered = len(answer)
    client.end("fin")


async def _forward(client: Side, server: Side, passed: Passed) -> str:
    """Runs both directions until one is spoiled or both have ended; returns how to close."""
    up = asyncio.create_task(_pump(client, server, _Upward(passed)))
    down = asyncio.create_task(_pump(server, client, _Downward(passed)))
    pumps = {up, down}
    try:
        done, _ = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        if any(pump.result() != "end" for pump in done):
            return str(passed.rule.get("how", "rst"))
        if down not in done:
            done, _ = await asyncio.wait({down}, timeout=LINGER_SECONDS)
        if any(pump.result() != "end" for pump in done):
            return str(passed.rule.get("how", "rst"))
        return "fin"
    finally:
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)


class _Upward:
    """What a rule does to the bytes from client to server, and their count."""

    def __init__(self, passed: Passed) -> None:
        self.passed = passed
        self.rule = passed.rule
        self.cut: int | None = self.rule.get("c2s_cut")
        self.stall: int | None = self.rule.get("c2s_stall")
        self.bandwidth: int | None = self.rule.get("bw")
        self.drops = False

    @property
    def count(self) -> int:
        return self.passed.sent

    def add(self, size: int) -> None:
        self.passed.sent += size

    def spoil(self, piece: bytes) -> bytes:
        position = self.rule.get("garble")
        if position is None or not self.count <= position < self.count + len(piece):
            return piece
        at = position - self.count
        return piece[:at] + bytes([piece[at] ^ 1]) + piece[at + 1 :]


class _Downward:
    """The same for the bytes from server to client."""

    def __init__(self, passed: Passed) -> None:
        self.passed = passed
        self.rule = passed.rule
        self.cut: int | None = self.rule.get("s2c_cut")
        self.stall: int | None = self.rule.get("s2c_stall")
        self.bandwidth: int | None = None
        self.drops = bool(self.rule.get("drop_response"))

    @property
    def count(self) -> int:
        return self.passed.answered

    def add(self, size: int) -> None:
        self.passed.answered += size

    def spoil(self, piece: bytes) -> bytes:
        return piece


async def _pump(source: Side, target: Side, way: _Upward | _Downward) -> str:
    """Copies until "end" (of file), "cut", "stalled" or "error"."""
    try:
        while True:
            if way.cut is not None and way.count >= way.cut:
                await asyncio.sleep(way.rule.get("settle", 0.005))
                return "cut"
            if way.stall is not None and way.count >= way.stall:
                await asyncio.sleep(way.rule.get("stall_s", 5))
                return "stalled"
            piece = await source.reader.read(_room(way))
            if not piece:
                return _pass_end_on(target)
            if way.drops:
                return "cut"
            target.writer.write(way.spoil(piece))
            await target.writer.drain()
            way.add(len(piece))
            if way.bandwidth:
                await asyncio.sleep(len(piece) / way.bandwidth)
    except OSError:
        return "error"


def _room(way: _Upward | _Downward) -> int:
    """So many bytes that a piece ends exactly where the rule says."""
    bounds = [bound - way.count for bound in (way.cut, way.stall) if bound is not None]
    return min([PIECE, *bounds])


def _pass_end_on(target: Side) -> str:
    with suppress(OSError):
        target.writer.write_eof()
    return "end"
