"""An HTTP/1.1 proxy between the browser and the server that counts, cuts, delays and refuses."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

BLOCK = 16 * 1024
PATIENCE = 60.0
"""Seconds that a loaded machine may take; only a test that fails waits so long."""


@dataclass
class Answer:
    """The proxy answers itself, after the request's body; the server never hears of it."""

    status: int
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Cut:
    """The server gets `after` bytes of the body, at most all but its last; then it ends."""

    after: int


@dataclass
class Swallow:
    """The server does its work, but its answer never arrives."""


@dataclass
class Hold:
    """The body stops after `after` bytes, or before its last one, until `release()` or `drop()`."""

    after: int
    reached: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)
    dropped: bool = False

    def wait(self) -> None:
        assert self.reached.wait(PATIENCE), "no request came so far as to be held"

    def pause(self) -> bool:
        """Waits for the test's word; False when the rest is dropped."""
        self.reached.set()
        # What nobody lets go is dropped: a test must not pass because it was slow.
        if not self.released.wait(PATIENCE):
            self.dropped = True
        return not self.dropped

    def release(self) -> None:
        """The rest of the body goes on."""
        self.released.set()

    def drop(self) -> None:
        """The rest of the body never arrives."""
        self.dropped = True
        self.released.set()


Action = Answer | Cut | Swallow | Hold
Rule = Callable[["Exchange"], Action | None]


@dataclass
class Exchange:
    """One request as it was seen on the wire."""

    method: str
    path: str
    headers: dict[str, str]
    started: float
    body_bytes: int = 0
    status: int | None = None

    @property
    def length(self) -> int:
        """Bytes of the body."""
        return int(self.headers.get("content-length", "0"))

    @property
    def is_chunk(self) -> bool:
        return self.path == "/upload-chunk"

    @property
    def chunk(self) -> int:
        return int(self.headers["x-chunk-index"])

    @property
    def range(self) -> tuple[int, int]:
        """Start and end (exclusive) of the bytes that the request announces."""
        match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", self.headers["content-range"])
        assert match is not None
        return int(match[1]), int(match[2]) + 1


class HttpProxy:
    """Serves `http://127.0.0.1:port`; `rule(exchange)` may name what is to happen to a request."""

    def __init__(self, server: tuple[str, int]) -> None:
        self.server = server
        self.rule: Rule = lambda exchange: None
        self.pages: dict[str, tuple[str, bytes]] = {}
        self.exchanges: list[Exchange] = []
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._open: set[socket.socket] = set()
        self._holds: list[Hold] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._start(self._accept)

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for hold in self._holds:
                hold.drop()
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)

    def narrow(self) -> int:
        """From now on a connection buffers little; the bytes that can wait in it unread."""
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        return self._listener.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)

    @property
    def chunks(self) -> list[Exchange]:
        """The chunk requests so far."""
        with self._lock:
            return [exchange for exchange in self.exchanges if exchange.is_chunk]

    def seen(self, method: str, path: str) -> list[Exchange]:
        """The requests so far whose path begins with `path`."""
        with self._lock:
            return [e for e in self.exchanges if e.method == method and e.path.startswith(path)]

    def forget(self) -> None:
        with self._lock:
            self.exchanges.clear()

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._start(self._serve, connection)

    @contextmanager
    def _tracked(self, connection: socket.socket) -> Iterator[socket.socket]:
        with self._lock:
            self._open.add(connection)
        try:
            with connection:
                yield connection
        finally:
            with self._lock:
                self._open.discard(connection)

    def _serve(self, connection: socket.socket) -> None:
        with self._tracked(connection), suppress(OSError):
            head, rest = _read_head(connection)
            if not head:
                return
            exchange = _parse(head)
            page = self.pages.get(exchange.path)
            if page is not None:
                connection.sendall(_response(200, page[1], {"Content-Type": page[0]}))
                return
            with self._lock:
                self.exchanges.append(exchange)
            self._handle(connection, exchange, head, rest)

    def _handle(self, client: socket.socket, exchange: Exchange, head: bytes, rest: bytes) -> None:
        action = self.rule(exchange)
        if isinstance(action, Hold):
            with self._lock:
                self._holds.append(action)
        if exchange.length == 0 and not _passes(action):
            return
        body = self._body(client, exchange, rest)
        if isinstance(action, Answer):
            for _ in body:
                pass
            exchange.status = action.status
            client.sendall(_response(action.status, action.body, action.headers))
            return
        with self._tracked(socket.create_connection(self.server, PATIENCE)) as server:
            server.sendall(re.sub(rb"(?im)^connection:[^\r]*", b"Connection: close", head))
            whole = _forward(server, body, action, exchange.length)
            if not whole:
                # The server is done with what it has before the browser hears of the cut.
                server.shutdown(socket.SHUT_WR)
            if not whole or isinstance(action, Swallow):
                _drain(server)
            else:
                _relay(server, client, exchange)

    def _body(self, client: socket.socket, exchange: Exchange, rest: bytes) -> Iterator[bytes]:
        left = exchange.length
        while left:
            block = rest or client.recv(min(BLOCK, left))
            if not block:
                raise ConnectionError("the browser went away")
            rest = b""
            left -= len(block)
            exchange.body_bytes += len(block)
            yield block


def _passes(action: Action | None) -> bool:
    """Waits out a hold; False when nothing more may reach the server."""
    if isinstance(action, Hold):
        return action.pause()
    return not isinstance(action, Cut)


def _forward(
    server: socket.socket, body: Iterator[bytes], action: Action | None, length: int
) -> bool:
    """Sends the body on; False when it was cut."""
    sent = 0
    # The first slice of a recording is often one byte: it is spoilt like any other.
    limit = min(action.after, length - 1) if isinstance(action, Cut | Hold) else None
    for block in body:
        if limit is not None and sent + len(block) > limit:
            server.sendall(block[: limit - sent])
            if not _passes(action):
                return False
            block = block[limit - sent :]
            sent, limit = limit, None
        server.sendall(block)
        sent += len(block)
    return True


def _relay(server: socket.socket, client: socket.socket, exchange: Exchange) -> None:
    head, rest = _read_head(server)
    exchange.status = int(head.split(b" ", 2)[1]) if head else None
    client.sendall(head + rest)
    while block := server.recv(BLOCK):
        client.sendall(block)


def _drain(server: socket.socket) -> None:
    while server.recv(BLOCK):
        pass


def _read_head(connection: socket.socket) -> tuple[bytes, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        block = connection.recv(BLOCK)
        if not block:
            return b"", b""
        data += block
    head, _, rest = data.partition(b"\r\n\r\n")
    return head + b"\r\n\r\n", rest


def _parse(head: bytes) -> Exchange:
    first, *lines = head.decode("latin-1").strip().split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
    return Exchange(method, target.partition("?")[0], headers, time.monotonic())


def _response(status: int, body: bytes, headers: dict[str, str]) -> bytes:
    merged = {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in merged.items())
    return f"HTTP/1.1 {status} Told\r\nConnection: close\r\n{lines}\r\n".encode() + body


def refusal(status: int, **headers: str) -> Answer:
    """An error as the server would say it."""
    body = json.dumps({"error": f"Refused with {status}.", "code": "refused"}).encode()
    return Answer(status, body, {name.replace("_", "-"): text for name, text in headers.items()})


def is_chunk(number: int) -> Callable[[Exchange], bool]:
    """Matches the requests that carry this chunk."""
    return lambda exchange: exchange.is_chunk and exchange.chunk == number


def once(matches: Callable[[Exchange], bool], action: Action) -> Rule:
    """A rule that spoils the first request that matches, and no other."""
    spoilt: list[Exchange] = []

    def rule(exchange: Exchange) -> Action | None:
        if spoilt or not matches(exchange):
            return None
        spoilt.append(exchange)
        return action

    return rule
