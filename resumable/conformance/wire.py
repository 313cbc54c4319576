"""HTTP over sockets of our own, so that doubled headers, stalled and broken bodies can be said."""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse, IncompleteRead
from types import TracebackType
from urllib.parse import SplitResult, urlsplit

from resumable.conformance.model import Exchange

Fields = tuple[tuple[str, str], ...]
_SHOWN_AT_MOST = 160
# No row asks for an answer that is longer or takes longer than this.
_BODY_SECONDS = 60.0
_BODY_AT_MOST = 64 * 1024 * 1024
_HIDDEN = {"host", "connection", "user-agent"}
_TOLD = ("upload-", "tus-", "access-control-", "location", "cache-control", "allow", "content-")


class NoAnswer(Exception):
    """The server closed the connection, or said nothing in time, or no HTTP."""

    def __init__(self, sentence: str, exchange: Exchange) -> None:
        super().__init__(sentence)
        self.exchange = exchange


class NoConnection(OSError):
    """Nobody takes connections at the address."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One response. `broken`: its body is shorter than its Content-Length promises."""

    status: int
    reason: str
    fields: Fields
    body: bytes
    exchange: Exchange
    broken: bool = False

    def get(self, name: str) -> str | None:
        """A header's value, of several lines the first; None when it is missing."""
        return next((value for key, value in self.fields if key.lower() == name.lower()), None)

    def names(self) -> set[str]:
        """All headers' names in lower case."""
        return {key.lower() for key, _ in self.fields}

    @property
    def good(self) -> bool:
        """Whether the status is a success."""
        return 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a URL's server listens."""

    scheme: str
    host: str
    port: int


def origin_of(url: str) -> Origin:
    """The server of an http or https URL."""
    parts = urlsplit(url)
    return Origin(parts.scheme, parts.hostname or "", parts.port or _port_of(parts))


def _port_of(parts: SplitResult) -> int:
    return 443 if parts.scheme == "https" else 80


class Wire:
    """Makes connections, one a request.

    `extra` headers (a login, say) go to the origin of `url` only, and are never shown. `timeout`
    in seconds holds for each single send and receive.
    """

    def __init__(self, url: str, *, extra: Fields = (), timeout: float = 10.0) -> None:
        self.home = origin_of(url)
        self.extra = extra
        self.timeout = timeout

    def begin(self, method: str, url: str, fields: Fields) -> Flow:
        """Sends a request's head; its body is the caller's to send. Raises NoConnection."""
        origin = origin_of(url)
        extra = self.extra if origin == self.home else ()
        connection = self._connected(origin)
        flow = Flow(connection, method, _shown_request(method, url, fields))
        lines = [f"{method} {_target(url)} HTTP/1.1", f"Host: {_host(url)}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in (*fields, *extra)]
        flow.send("\r\n".join([*lines, "", ""]).encode("latin-1"))
        return flow

    def _connected(self, origin: Origin) -> socket.socket:
        try:
            plain = socket.create_connection((origin.host, origin.port), self.timeout)
            return plain if origin.scheme != "https" else _secured(plain, origin.host)
        except OSError as error:
            where = f"{origin.host}:{origin.port}"
            raise NoConnection(f"no connection to {where} ({error})") from error


def _secured(plain: socket.socket, host: str) -> socket.socket:
    try:
        return ssl.create_default_context().wrap_socket(plain, server_hostname=host)
    except BaseException:
        plain.close()
        raise


class Flow:
    """One request on its way. Leaving the block closes the connection, whatever is unsent."""

    def __init__(self, connection: socket.socket, method: str, sent: str) -> None:
        self._connection = connection
        self._method = method
        self.sent = sent
        self._begun = time.monotonic()

    def __enter__(self) -> Flow:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def send(self, data: bytes) -> None:
        """Sends bytes as they are; a server that has hung up may still have answered."""
        with suppress(ConnectionError):
            self._connection.sendall(data)

    def end(self) -> None:
        """Says that nothing more comes, and still listens: a half-closed connection."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Hangs up."""
        self._connection.close()

    def wait(self, seconds: float) -> None:
        """From now on, a receive may take this many seconds."""
        self._connection.settimeout(seconds)

    def answer(self) -> Answer:
        """The response, whole. Raises NoAnswer."""
        response = HTTPResponse(self._connection, method=self._method)
        try:
            response.begin()
            body = self._body(response)
        except TimeoutError as error:
            spent = time.monotonic() - self._begun
            raise self._silence(f"no whole answer within {spent:.0f} s") from error
        except (OSError, HTTPException) as error:
            raise self._silence(_said(error)) from error
        finally:
            response.close()
        broken = bool(response.length)
        fields = tuple(response.getheaders())
        received = _shown_answer(response.status, response.reason, fields, len(body))
        exchange = Exchange(self.sent, received)
        return Answer(response.status, response.reason, fields, body, exchange, broken)

    def _body(self, response: HTTPResponse) -> bytes:
        """What comes of the body; it may be cut short. Raises TimeoutError where it never ends."""
        give_up = time.monotonic() + _BODY_SECONDS
        body = bytearray()
        with suppress(IncompleteRead):
            while piece := response.read1(65536):
                body += piece
                if time.monotonic() > give_up or len(body) > _BODY_AT_MOST:
                    raise TimeoutError
        return bytes(body)

    def raw(self, quiet: float) -> bytes:
        """All that comes until the server closes, or says nothing for `quiet` seconds."""
        self.wait(quiet)
        pieces: list[bytes] = []
        with suppress(OSError):
            while piece := self._connection.recv(65536):
                pieces.append(piece)
        return b"".join(pieces)

    def _silence(self, sentence: str) -> NoAnswer:
        return NoAnswer(f"{self._method}: {sentence}", Exchange(self.sent, sentence))


def chunks_of(body: bytes, size: int = 1000) -> bytes:
    """A body in the chunked transfer coding, without its last chunk."""
    pieces = (body[at : at + size] for at in range(0, len(body), size))
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)


def fields_of(pairs: Iterable[tuple[str, str | tuple[str, ...] | None]]) -> Fields:
    """Headers as they are sent: a tuple is a header sent several times, None one left out."""
    fields: list[tuple[str, str]] = []
    for name, value in pairs:
        if value is not None:
            lines = (value,) if isinstance(value, str) else value
            fields += [(name, line) for line in lines]
    return tuple(fields)


def header_field(text: str) -> tuple[str, str]:
    """`Name: value` as a header. Raises ValueError."""
    name, colon, value = text.partition(":")
    if not colon or not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name.strip()):
        raise ValueError(f"{text!r} is no header: write 'Name: value'.")
    if not value.isprintable():
        raise ValueError(f"The value of {name} has characters that no header may have.")
    return name.strip(), value.strip()


def _said(error: Exception) -> str:
    if isinstance(error, ConnectionError):  # http.client's RemoteDisconnected is one
        return "the connection was closed without an answer"
    if isinstance(error, HTTPException):
        return f"the answer is no HTTP ({type(error).__name__})"
    return f"the connection failed: {error}"


def _target(url: str) -> str:
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


def _shown_request(method: str, url: str, fields: Fields) -> str:
    told = [f"{name}: {value}" for name, value in fields if name.lower() not in _HIDDEN]
    return _cut("; ".join([f"{method} {_target(url)}", *map(_cut, told)]), 4 * _SHOWN_AT_MOST)


def _shown_answer(status: int, reason: str, fields: Fields, size: int) -> str:
    told = [f"{name}: {value}" for name, value in fields if name.lower().startswith(_TOLD)]
    tail = [f"{size} bytes of body"] if size else []
    line = f"{status} {reason}".strip()
    return _cut("; ".join([line, *map(_cut, told), *tail]), 4 * _SHOWN_AT_MOST)


def _cut(text: str, limit: int = _SHOWN_AT_MOST) -> str:
    printable = "".join(each if each.isprintable() else f"\\x{ord(each):02x}" for each in text)
    return printable if len(printable) <= limit else printable[: limit - 1] + "…"
