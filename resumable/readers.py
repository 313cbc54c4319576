"""One way of reading per WSGI server, so that no byte that arrived is lost at a cut."""

from __future__ import annotations

import io
import select
import socket as sockets
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from errno import ETIMEDOUT
from typing import Any

STEP = 64 * 1024
"""Bytes asked of a server that gives back, after an error, what it had gathered."""

SMALL_STEP = 4096
"""Bytes asked of a server nobody knows: what it may lose at a cut."""

# Windows has none, and none of the servers for it.
_NO_WAIT = getattr(sockets, "MSG_DONTWAIT", 0)
MOD_WSGI_STEP = 1024
MOST_TRAILERS = 100
_REFUSED_CHUNKS = {"_InvalidClientInput", "InvalidChunkSize", "ChunkMissingTerminator"}
SINGLE_BYTES = 256
"""Bytes that uWSGI's reader gathers one by one before it hands them on."""


class Reader:
    """Reads `source.read(n)` in steps of at most `step` bytes."""

    def __init__(self, source: Any, *, step: int, socket: Any = None) -> None:
        self._source = source
        self._step = step
        self._socket = socket

    def read(self, most: int) -> bytes | memoryview:
        """At most `most` bytes, empty at the end; raises whatever the server raises at a cut."""
        piece: bytes = self._source.read(min(most, self._step))
        return piece

    def held(self, most: int) -> bytes | memoryview:
        """After `read` raised: bytes that the server had gathered, empty when there are no more."""
        return b""

    @contextmanager
    def patience(self, seconds: float | None) -> Iterator[None]:
        """Let no single wait for the client last longer than `seconds`, where that can be done."""
        if self._socket is None:
            yield
            return
        before = self._socket.gettimeout()
        self._socket.settimeout(_shorter(before, seconds))
        try:
            yield
        finally:
            with suppress(OSError):
                self._socket.settimeout(before)


def _shorter(one: float | None, other: float | None) -> float | None:
    """The stricter of two timeouts; 0 (a non-blocking socket) is none, for a reader must wait."""
    given = [seconds for seconds in (one, other) if seconds]
    return min(given, default=None)


class BufferedReader(Reader):
    """One system call a read, never a wait for more (wsgiref, werkzeug, BytesIO).

    `readinto1` on top of bytes that are already buffered waits for more and loses them when that
    fails: `read1` takes them first. Small reads stay with it, so that nothing is buffered anew.
    """

    def __init__(self, source: Any, buffer: memoryview, *, socket: Any = None) -> None:
        super().__init__(source, step=len(buffer), socket=socket)
        self._buffer = buffer
        self._is_first = True

    def read(self, most: int) -> bytes | memoryview:
        most = min(most, self._step)
        if self._is_first or most <= io.DEFAULT_BUFFER_SIZE:
            self._is_first = False
            piece: bytes = self._source.read1(most)
            return piece
        count: int = self._source.readinto1(self._buffer[:most])
        return self._buffer[:count]


class CountedReader(BufferedReader):
    """The same below gevent's or cheroot's own input, whose counter is kept right."""

    def __init__(self, owner: Any, buffer: memoryview) -> None:
        super().__init__(owner.rfile, buffer, socket=socket_below(owner.rfile))
        self._owner = owner


class GeventReader(CountedReader):
    """gevent.pywsgi.Input: counts in `position`, answers `Expect: 100-continue` at a read."""

    def read(self, most: int) -> bytes | memoryview:
        self._owner._send_100_continue()
        piece = super().read(most)
        self._owner.position += len(piece)
        return piece


class CherootReader(CountedReader):
    """cheroot.server.KnownLengthRFile: counts in `remaining`."""

    def read(self, most: int) -> bytes | memoryview:
        piece = super().read(most)
        self._owner.remaining -= len(piece)
        return piece


class CherootChunkedReader(Reader):
    """cheroot.server.ChunkedRFile: takes an end of file for the last chunk, so read on to prove it.

    Behind the last chunk stand trailers and an empty line (RFC 9112, 7.1.2); without that line
    `read_trailer_lines` raises.
    """

    def read(self, most: int) -> bytes | memoryview:
        piece = super().read(most)
        if not piece:
            for number, _ in enumerate(self._source.read_trailer_lines()):
                if number == MOST_TRAILERS:
                    raise ValueError("too many trailers")
        return piece


class RawReader(Reader):
    """io.RawIOBase (werkzeug's chunks): `read` may invent bytes at a cut.

    werkzeug's `readinto` puts a short piece into a longer slice: a bytearray, as `read` gives it,
    shrinks and the count is wrong; a memoryview refuses, and the cut is known for what it is.
    """

    def __init__(self, source: Any, buffer: memoryview, *, socket: Any = None) -> None:
        super().__init__(source, step=min(SMALL_STEP, len(buffer)), socket=socket)
        self._buffer = buffer

    def read(self, most: int) -> bytes | memoryview:
        count: int = self._source.readinto(self._buffer[: min(most, self._step)])
        return self._buffer[:count]


class GunicornReader(Reader):
    """gunicorn's parser: after an error it still has what it gathered, and gives it back."""

    def read(self, most: int) -> bytes | memoryview:
        try:
            return super().read(most)
        except Exception:
            self._give_up()
            raise

    def held(self, most: int) -> bytes | memoryview:
        while self._step:
            try:
                piece: bytes = self._source.read(min(most, self._step))
            except Exception:
                self._step //= 2
            else:
                return piece
        return b""

    def _give_up(self) -> None:
        """No read may wait any more, and the connection is not used for another request."""
        if hasattr(self._source, "failed"):
            self._source.failed = True
        if self._socket is None:
            return
        with suppress(OSError):
            if hasattr(self._socket, "cipher"):
                # shutdown() would end TLS, and the answer would leave in the clear.
                self._socket.settimeout(0.01)
            else:
                self._socket.shutdown(sockets.SHUT_RD)


class GunicornSocketReader(GunicornReader):
    """Past gunicorn's parser: its buffered bytes first, then the client's socket itself.

    The parser's own count of bytes to come is lowered with every piece, so that at any moment
    it knows where the next request starts. A socket with TLS hands over what it has decrypted, to
    the parser as to us.
    """

    def __init__(self, source: Any, buffer: memoryview, socket: Any) -> None:
        super().__init__(source, step=len(buffer), socket=socket)
        self._buffer = buffer
        self._parser = source.reader
        # TLS knows no flags, and a green thread's socket waits whatever they say.
        self._is_plain = type(socket).__module__ == "socket" and socket.gettimeout() is None
        self._trouble: OSError | None = None

    def read(self, most: int) -> bytes | memoryview:
        parser = self._parser
        most = min(most, self._step)
        buffered = parser.unreader.buf.getbuffer().nbytes
        if buffered:
            return self._with_more(parser.read(min(most, buffered)), most)
        try:
            count = self._received(self._buffer[:most])
        except Exception:
            self._give_up()
            raise
        parser.length -= count
        return self._buffer[:count]

    def _with_more(self, piece: bytes, most: int) -> bytes | memoryview:
        """The parser's bytes and what else has arrived: all of a small body is one piece."""
        held = len(piece)
        if held == most or not self._is_plain or self._may_wait:
            return piece
        try:
            count = self._socket.recv_into(self._buffer[held:most], 0, _NO_WAIT)
        except BlockingIOError:
            return piece
        except OSError as trouble:
            # The system tells of it once; these bytes count before it does.
            self._trouble = trouble
            return piece
        self._buffer[:held] = piece
        self._parser.length -= count
        return self._buffer[: held + count]

    @contextmanager
    def patience(self, seconds: float | None) -> Iterator[None]:
        """Sets the timeout, two system calls and one more a read, once a read has to wait."""
        with ExitStack() as self._waiting:
            self._seconds, self._may_wait = seconds, False
            if not self._is_plain:
                self._wait()
            yield

    def _wait(self) -> None:
        self._may_wait = True
        self._waiting.enter_context(super().patience(self._seconds))

    def _received(self, place: memoryview) -> int:
        if self._trouble is not None:
            raise self._trouble
        if not self._may_wait:
            with suppress(BlockingIOError):
                return int(self._socket.recv_into(place, 0, _NO_WAIT))
            self._wait()
        return int(self._socket.recv_into(place))

    def held(self, most: int) -> bytes | memoryview:
        return b""


class A2wsgiReader(Reader):
    """a2wsgi.Body: `read(n)` waits for n bytes, so take what one message of the server brought."""

    def read(self, most: int) -> bytes | memoryview:
        source = self._source
        first: bytes = b"" if source.buffer else source.read(1)
        if not first and not source.buffer:
            return b""
        rest: bytes = source.read(min(most - len(first), len(source.buffer)))
        return first + rest


class UwsgiReader(Reader):
    """uWSGI loses what a failing read had gathered: never ask for more than is there.

    Bytes that came in one packet with the head are in uWSGI's memory, where the kernel does not
    count them: they are taken one by one, until a read is seen to lower the kernel's count.
    `may_poll`: waiting may block this thread, for no event loop runs in it.
    """

    _patience: float | None = None
    _is_past_head = False

    def __init__(self, source: Any, *, may_poll: bool) -> None:
        super().__init__(source, step=STEP)
        self._descriptor = source.fileno()
        self._may_poll = may_poll
        self._bytes_waiting()  # Raises here, where there still is another way to read.

    def read(self, most: int) -> bytes | memoryview:
        most = min(most, self._step)
        waiting = self._bytes_waiting()
        if waiting:
            return self._read_waiting(most, waiting)
        if self._is_past_head and self._may_poll:
            self._wait()
            return self._read_waiting(most, self._bytes_waiting())
        return self._gather(min(most, SINGLE_BYTES))

    @contextmanager
    def patience(self, seconds: float | None) -> Iterator[None]:
        self._patience = seconds
        yield

    def _read_waiting(self, most: int, waiting: int) -> bytes:
        """At the end of the stream nothing waits: the one byte asked for then raises."""
        piece: bytes = self._source.read(min(most, waiting or 1))
        if self._bytes_waiting() < waiting:
            self._is_past_head = True
        return piece

    def _gather(self, most: int) -> bytes:
        gathered = bytearray(self._one_byte())
        while 0 < len(gathered) < most and not self._bytes_waiting():
            try:
                gathered += self._source.read(1)
            except OSError:
                break  # A lasting trouble is met again by the next read.
        return bytes(gathered)

    def _one_byte(self) -> bytes:
        """Outlasts uWSGI's own `socket-timeout` (4 s by default) up to our patience."""
        give_up = time.monotonic() + (self._patience or 0)
        while True:
            try:
                byte: bytes = self._source.read(1)
            except OSError as error:
                if not _says_timeout(error) or time.monotonic() >= give_up:
                    raise
            else:
                return byte

    def _wait(self) -> None:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        if not poll.poll(None if self._patience is None else self._patience * 1000):
            raise TimeoutError("the client was silent")

    def _bytes_waiting(self) -> int:
        """Bytes that the kernel has for this socket."""
        # Here, because Windows has neither; uWSGI does not run there.
        import fcntl
        import termios

        answer = fcntl.ioctl(self._descriptor, termios.FIONREAD, b"\0\0\0\0")
        count: int = struct.unpack("i", answer)[0]
        return count


def is_silence(error: Exception) -> bool:
    """True when a read ended because the client sent nothing for too long."""
    if isinstance(error, TimeoutError):
        return error.errno != ETIMEDOUT  # That one is the kernel's: the peer is gone.
    return _says_timeout(error)


def is_malformed(error: Exception) -> bool:
    """True when a server refused the chunks it read; a cut between two of them is none."""
    if isinstance(error, ValueError):  # cheroot shows the line that it did not get.
        return str(error).startswith("Bad chunk") and "b''" not in str(error)
    if getattr(error, "term", None) == b"" or "EOF" in str(error):
        return False
    return not isinstance(error, OSError) or type(error).__name__ in _REFUSED_CHUNKS


def _says_timeout(error: Exception) -> bool:
    """uWSGI raises a plain OSError when the client was silent; only its text tells."""
    return str(error).startswith("timeout during read")


def socket_below(stream: Any) -> Any:
    """The socket under a buffered stream made by `socket.makefile`, or `None`."""
    socket = getattr(getattr(stream, "raw", None), "_sock", None)
    return socket if hasattr(socket, "settimeout") else None
