"""Makes a request's body safe: clean, counted, bounded bytes, and a verdict, whole or cut."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from resumable import readers, servers
from resumable.errors import (
    BadRequest,
    IdleTimeout,
    Interrupted,
    LengthRequired,
    TooLarge,
    UploadError,
)

PIECE_SIZE = 256 * 1024
"""Bytes of a piece at most; one such buffer is all the memory that a body takes."""

DRAIN_LIMIT = 16 * 1024 * 1024
DRAIN_SECONDS = 10.0
RATE_GRACE = 30.0
"""Seconds of waiting for the client before its rate is looked at."""

_LENGTH = re.compile(r"[0-9]{1,19}")
_BODILESS = frozenset({"GET", "HEAD", "OPTIONS", "DELETE", "TRACE"})


class Body:
    """The bytes of one request, read once.

    `length`: bytes announced by Content-Length; `None` for a chunked body.
    `received`: bytes handed out so far.
    `cut`: why the body ended early (`Interrupted`, `IdleTimeout`, or `BadRequest` for malformed
    chunks), else `None`.
    """

    def __init__(
        self,
        reader: readers.Reader,
        *,
        length: int | None,
        piece_size: int = PIECE_SIZE,
        idle_timeout: float | None = None,
        minimum_rate: int = 0,
        tells_a_cut: bool = False,
        must_drain: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.length = length
        self.received = 0
        self.cut: UploadError | None = None
        self._reader = reader
        self._piece_size = piece_size
        self._idle_timeout = idle_timeout
        self._minimum_rate = minimum_rate
        self._tells_a_cut = tells_a_cut
        self._must_drain = must_drain
        self._clock = clock
        self._taken = 0
        self._waited = 0.0
        self._ended = length == 0
        self._trouble: Exception | None = None

    @property
    def whole(self) -> bool:
        """True only when it is proven that every byte of the body was handed out."""
        if self.cut is not None or self.received != self._taken:
            return False
        if self.length is not None:
            return self.received == self.length
        return self._ended and self._tells_a_cut

    def __iter__(self) -> Iterator[memoryview]:
        """The pieces, each valid until the next is asked for; quiet at the end and at a cut.

        What is not an I/O error (SystemExit, GreenletExit, KeyboardInterrupt) passes through:
        `received` is right then, and the pieces handed out stand.
        """
        with self._reader.patience(self._idle_timeout):
            while piece := self._next(self._piece_size):
                self.received += len(piece)
                yield memoryview(piece)

    def read_all(self, limit: int) -> bytes:
        """A small body at once; raises `TooLarge` over `limit` bytes, or `cut` if it was cut."""
        if self.length is not None and self.length > limit:
            raise _too_large(limit)
        content = bytearray()
        for piece in self:
            content += piece
            if len(content) > limit:
                raise _too_large(limit)
        if self.cut is not None:
            raise self.cut
        return bytes(content)

    def drain(self, limit: int = DRAIN_LIMIT, seconds: float = DRAIN_SECONDS) -> None:
        """Discard the rest before an early answer, `limit` bytes and `seconds` at most.

        A client that is still sending would not read the answer, and a proxy would turn it into
        a 502. One that waits for `100 Continue` sends nothing yet, so nothing is asked for.
        """
        if not self._must_drain and not self._taken:
            return
        deadline = self._clock() + seconds
        discarded = 0
        with self._reader.patience(_shorter(self._idle_timeout, seconds)):
            while discarded < limit and self._clock() < deadline:
                piece = self._next(min(self._piece_size, limit - discarded))
                if not piece:
                    break
                discarded += len(piece)

    def _next(self, most: int) -> bytes | memoryview:
        if self._ended or self.cut is not None:
            return b""
        if self.length is not None:
            most = min(most, self.length - self._taken)
        piece = self._held(most) if self._trouble else self._read(most)
        self._taken += len(piece)
        if self._taken == self.length:
            self._ended = True
        return piece

    def _read(self, most: int) -> bytes | memoryview:
        if self._is_too_slow():
            self.cut = IdleTimeout(
                f"The body came slower than {self._minimum_rate} bytes per second; "
                "what arrived is kept, resume from there."
            )
            return b""
        started = self._clock()
        try:
            piece = self._reader.read(most)
        except Exception as trouble:
            self._trouble = trouble
            return self._held(most)
        self._waited += self._clock() - started
        if not piece:
            self._end_of_file()
        return piece

    def _held(self, most: int) -> bytes | memoryview:
        piece = self._reader.held(most)
        if not piece and self._trouble:
            self.cut = _verdict(self._trouble, chunked=self.length is None)
        return piece

    def _end_of_file(self) -> None:
        if self.length is None:
            self._ended = True
        else:
            self.cut = _interrupted(f"after {self._taken} of {self.length} bytes")

    def _is_too_slow(self) -> bool:
        return self._waited > RATE_GRACE and self._taken < self._minimum_rate * self._waited


def open_body(
    environ: Mapping[str, Any],
    *,
    idle_timeout: float | None = 60.0,
    minimum_rate: int = 0,
    piece_size: int = PIECE_SIZE,
    clock: Callable[[], float] = time.monotonic,
) -> Body:
    """The body of a WSGI request.

    `idle_timeout`: seconds of silence after which the body counts as cut, wherever the server
    lets its socket be reached (`None`: no limit). `minimum_rate`: bytes per second, averaged,
    after a grace of 30 s. `piece_size`: bytes.

    Raises `BadRequest` for a Content-Length that is not 1 to 19 digits, for one beside
    Transfer-Encoding, and for a Transfer-Encoding other than `chunked` (RFC 9112, 6.1 and 6.3);
    `LengthRequired` without a length on a server that is not known to end bodies.
    """
    length = _announced(environ)
    server = servers.recognise(environ)
    if length == 0 or (length is None and _has_none(environ)):
        return empty_body()
    if length is None and _seems_to_have_none(environ, server):
        return _nothing() if server.takes_a_cut_head else empty_body()
    if length is None and not _ends_bodies(environ, server):
        raise LengthRequired(
            "This server cannot tell where a body without a length ends; send Content-Length."
        )
    buffer = memoryview(bytearray(piece_size if length is None else min(piece_size, length)))
    return Body(
        servers.choose_reader(environ, buffer, length=length),
        length=length,
        piece_size=piece_size,
        idle_timeout=idle_timeout,
        minimum_rate=minimum_rate,
        tells_a_cut=server.tells_a_cut,
        must_drain=not (server.asks_late and _awaits_continue(environ)),
        clock=clock,
    )


def empty_body() -> Body:
    """A body of no bytes, which is whole."""
    return Body(readers.Reader(io.BytesIO(), step=1), length=0)


def _nothing() -> Body:
    """No bytes came, and nothing proves that none were meant."""
    return Body(readers.Reader(io.BytesIO(), step=1), length=None)


def server_warning(environ: Mapping[str, Any]) -> str | None:
    """One sentence when this server or its settings defeat resumability, else `None`."""
    return servers.warning(environ)


def _announced(environ: Mapping[str, Any]) -> int | None:
    """Bytes that Content-Length promises, `None` for a chunked body or none."""
    length = environ.get("CONTENT_LENGTH") or ""
    coding = _transfer_encoding(environ)
    if coding and length:
        raise BadRequest("Content-Length and Transfer-Encoding exclude each other; send one.")
    if coding and coding != "chunked":
        raise BadRequest("The only Transfer-Encoding taken here is chunked.")
    if not length:
        return None
    if not _LENGTH.fullmatch(length):
        raise BadRequest("Content-Length must be a number of 1 to 19 digits.")
    return int(length)


def _transfer_encoding(environ: Mapping[str, Any]) -> str:
    coding: str = environ.get("HTTP_TRANSFER_ENCODING") or ""
    return coding.strip(" \t").lower()


def _has_none(environ: Mapping[str, Any]) -> bool:
    method = environ.get("REQUEST_METHOD", "GET")
    return method in _BODILESS and not _transfer_encoding(environ)


def _seems_to_have_none(environ: Mapping[str, Any], server: servers.Server) -> bool:
    """Neither header in HTTP/1 means no body (RFC 9112, 6.3), if the server shows us both."""
    protocol: str = environ.get("SERVER_PROTOCOL") or ""
    is_framed = _transfer_encoding(environ) or not protocol.startswith("HTTP/1.")
    return server.shows_framing and not is_framed


def _ends_bodies(environ: Mapping[str, Any], server: servers.Server) -> bool:
    return server.ends_bodies or environ.get("wsgi.input_terminated") is True


def _awaits_continue(environ: Mapping[str, Any]) -> bool:
    expectation: str = environ.get("HTTP_EXPECT") or ""
    return expectation.strip().lower() == "100-continue"


def _verdict(trouble: Exception, *, chunked: bool) -> UploadError:
    """What a server's exception in the middle of a body means."""
    if readers.is_silence(trouble):
        verdict: UploadError = IdleTimeout(
            "The client sent nothing for too long; what arrived is kept, resume from there."
        )
    elif chunked and readers.is_malformed(trouble):
        verdict = BadRequest("The chunked body is malformed; what came before is kept.")
    else:
        verdict = _interrupted("by the connection")
    verdict.__cause__ = trouble
    return verdict


def _interrupted(how: str) -> Interrupted:
    return Interrupted(f"The body was cut {how}; what arrived is kept, resume from there.")


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"This body may have at most {limit} bytes.")


def _shorter(one: float | None, other: float) -> float:
    return other if one is None else min(one, other)
