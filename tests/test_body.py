"""`open_body` with made-up servers: what it refuses, what it reads, and what it calls whole."""

from __future__ import annotations

import io
import socket
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from resumable import readers
from resumable.body import Body, empty_body, open_body, server_warning
from resumable.errors import (
    BadRequest,
    IdleTimeout,
    Interrupted,
    LengthRequired,
    TooLarge,
    UploadError,
)

CONTENT = bytes(range(256)) * 40


def environ(source: object, length: object = None, **more: Any) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "PATCH",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.input": source,
        "wsgi.multithread": True,
        **({} if length is None else {"CONTENT_LENGTH": str(length)}),
        **more,
    }


def collect(body: Body) -> bytes:
    return b"".join(bytes(piece) for piece in body)


class Script:
    """An input that answers each `read` with the next line of its script; raises the errors."""

    def __init__(self, *lines: bytes | BaseException) -> None:
        self.lines = list(lines)
        self.asked: list[int] = []

    def read(self, size: int) -> bytes:
        self.asked.append(size)
        if not self.lines:
            return b""
        line = self.lines.pop(0)
        if isinstance(line, BaseException):
            raise line
        return line


def made_in(module: str, base: type = Script, name: str = "Input") -> type:
    """A class that looks as if a server's own module had defined it."""
    return type(name, (base,), {"__module__": module})


# Which lengths are taken.


@pytest.mark.parametrize(
    "length", ["+5", "-5", "5,6", "5, 6", "1_0", " 5", "5 ", "5\n", "0x5", "5.0", "٣", "1" * 20]
)
def test_a_length_that_is_not_digits_is_refused(length: str) -> None:
    with pytest.raises(BadRequest, match="Content-Length"):
        open_body(environ(io.BytesIO(CONTENT), length))


@pytest.mark.parametrize("length", ["0", "00", "5", "0005", "9" * 19])
def test_a_length_of_digits_is_taken(length: str) -> None:
    assert open_body(environ(io.BytesIO(CONTENT), length)).length == int(length)


@pytest.mark.parametrize(
    "coding", ["gzip", "xchunked", "gzip, chunked", "chunked, chunked", "identity", "chunked;q=1"]
)
def test_a_transfer_encoding_other_than_chunked_is_refused(coding: str) -> None:
    with pytest.raises(BadRequest, match="chunked"):
        open_body(environ(Script(), HTTP_TRANSFER_ENCODING=coding))


@pytest.mark.parametrize("coding", ["chunked", "gzip", " Chunked "])
@pytest.mark.parametrize("length", ["0", "5", "nonsense"])
def test_a_length_beside_a_transfer_encoding_is_refused(coding: str, length: str) -> None:
    with pytest.raises(BadRequest, match="exclude"):
        open_body(environ(Script(), length, HTTP_TRANSFER_ENCODING=coding))


def test_chunked_is_taken_in_any_case() -> None:
    terminated = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "Chunked "}
    assert collect(open_body(environ(Script(b"abc"), **terminated))) == b"abc"


@pytest.mark.parametrize("terminated", [None, False, "True", 1])
def test_no_length_and_no_promised_end_needs_a_length(terminated: object) -> None:
    with pytest.raises(LengthRequired):
        open_body(environ(Script(b"abc"), **{"wsgi.input_terminated": terminated}))


@pytest.mark.parametrize("home", ["a2wsgi.wsgi", "uvicorn.middleware.wsgi"])
def test_these_servers_end_a_body_without_a_promise(home: str) -> None:
    source = made_in(home)(b"abc")
    body = open_body(environ(source, HTTP_TRANSFER_ENCODING="chunked"))
    assert collect(body) == b"abc"
    assert not body.whole


@pytest.mark.parametrize(
    ("software", "protocol", "needs"),
    [
        ("WSGIServer/0.2 CPython/3.11", "HTTP/1.1", False),
        ("Werkzeug/3.1.9", "HTTP/1.1", False),
        ("WSGIServer/0.2 CPython/3.11", "HTTP/2.0", True),
        ("WSGIServer/0.2 CPython/3.11", "", True),
        ("Apache/2.4", "HTTP/1.1", True),
    ],
)
def test_neither_header_is_an_empty_body_where_both_would_be_seen(
    software: str, protocol: str, needs: bool
) -> None:
    request = environ(io.BytesIO(b"the next request"), SERVER_SOFTWARE=software)
    request["SERVER_PROTOCOL"] = protocol
    if needs:
        with pytest.raises(LengthRequired):
            open_body(request)
    else:
        assert collect(open_body(request)) == b""


@pytest.mark.parametrize(
    ("home", "proven"),
    [
        ("gunicorn.http.body", True),
        ("cheroot.server", True),
        ("granian._granian", True),
        ("a2wsgi.wsgi", True),
        ("gevent.pywsgi", False),
    ],
)
def test_a_missing_length_proves_nothing_where_a_cut_head_gets_through(
    home: str, proven: bool
) -> None:
    source = made_in(home)(AssertionError("read"))
    body = open_body(environ(source, **{"wsgi.input_terminated": True}))
    assert (collect(body), body.cut, body.whole) == (b"", None, proven)


@pytest.mark.parametrize("software", ["WSGIServer/0.2 CPython/3.11", "Werkzeug/3.1.9"])
def test_nor_with_servers_for_development(software: str) -> None:
    body = open_body(environ(io.BytesIO(), SERVER_SOFTWARE=software))
    assert (collect(body), body.cut, body.whole) == (b"", None, False)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE"])
def test_a_method_without_a_body_reads_nothing(method: str) -> None:
    source = Script(AssertionError("read"))
    body = open_body(environ(source, REQUEST_METHOD=method))
    assert (collect(body), body.whole, body.cut) == (b"", True, None)
    assert source.asked == []


def test_an_empty_body_is_whole() -> None:
    for body in (empty_body(), open_body(environ(Script(AssertionError("read")), "0"))):
        body.drain()
        assert (body.read_all(0), body.length, body.received, body.whole) == (b"", 0, 0, True)


# What is read, and what it is called.


@pytest.mark.parametrize("piece_size", [1, 7, 4096, 8192, 8193, 1 << 20])
def test_a_body_ends_at_its_length_and_leaves_the_rest(piece_size: int) -> None:
    source = io.BytesIO(CONTENT + b"the next request")
    body = open_body(environ(source, len(CONTENT)), piece_size=piece_size)
    pieces = [bytes(piece) for piece in body]
    assert b"".join(pieces) == CONTENT
    assert max(map(len, pieces)) <= piece_size
    assert (body.whole, body.received, body.cut) == (True, len(CONTENT), None)
    assert source.read() == b"the next request"


def test_an_end_before_the_length_is_a_cut() -> None:
    body = open_body(environ(io.BytesIO(CONTENT[:99]), len(CONTENT)))
    assert collect(body) == CONTENT[:99]
    assert (body.whole, body.received) == (False, 99)
    assert isinstance(body.cut, Interrupted)
    assert "99 of 10240" in body.cut.message


@pytest.mark.parametrize(
    "trouble",
    [
        ConnectionResetError(104, "Connection reset by peer"),
        OSError("error during read(4096) on wsgi.input"),
        BrokenPipeError(),
        TimeoutError(110, "Connection timed out"),
        EOFError(),
        ValueError("I/O operation on closed file"),
    ],
    ids=repr,
)
def test_an_error_in_the_middle_is_a_cut_and_what_came_stands(trouble: Exception) -> None:
    body = open_body(environ(Script(b"abc", b"de", trouble), 100))
    assert collect(body) == b"abcde"
    assert (body.whole, body.received) == (False, 5)
    assert isinstance(body.cut, Interrupted)
    assert body.cut.__cause__ is trouble
    assert collect(body) == b""


@pytest.mark.parametrize(
    "trouble", [TimeoutError("timed out"), OSError("timeout during read(1) on wsgi.input")]
)
def test_silence_is_its_own_kind_of_cut(trouble: Exception) -> None:
    body = open_body(environ(Script(b"abc", trouble), 100))
    assert collect(body) == b"abc"
    assert isinstance(body.cut, IdleTimeout)


@pytest.mark.parametrize("stop", [SystemExit(1), KeyboardInterrupt(), GeneratorExit()])
def test_what_is_no_io_error_passes_and_the_count_is_right(stop: BaseException) -> None:
    body = open_body(environ(Script(b"abc", b"de", stop), 100))
    pieces = iter(body)
    assert [bytes(next(pieces)), bytes(next(pieces))] == [b"abc", b"de"]
    with pytest.raises(type(stop)):
        next(pieces)
    assert (body.received, body.whole, body.cut) == (5, False, None)


def test_a_body_left_in_the_middle_is_not_whole_and_can_be_read_on() -> None:
    body = open_body(environ(Script(b"abc", b"de"), 5))
    for _ in body:
        break
    assert (body.received, body.whole) == (3, False)
    assert collect(body) == b"de"
    assert body.whole


# Chunked bodies, per server.


class ChunkMissingTerminator(Exception):
    """As gunicorn names it; `term` is what stood there instead."""

    def __init__(self, term: bytes) -> None:
        self.term = term


class _InvalidClientInput(OSError):
    """As gevent names it."""


class InvalidChunkSize(OSError):
    """As gunicorn 23 has it; later it is no OSError."""


CHUNKED = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}


class CherootChunks(Script):
    trailers: tuple[bytes, ...] = ()
    ends = True

    def read_trailer_lines(self) -> Iterator[bytes]:
        yield from self.trailers
        if not self.ends:
            raise ValueError("Illegal end of headers.")


@pytest.mark.parametrize(
    ("home", "trusted"),
    [
        ("gunicorn.http.body", True),
        ("gevent.pywsgi", True),
        ("cheroot.server", True),
        ("waitress.buffers", True),
        ("granian._granian", False),
        ("_granian", False),
        ("a2wsgi.wsgi", False),
        ("uvicorn.middleware.wsgi", False),
        ("werkzeug.serving", False),
        ("somebody.else", False),
    ],
)
def test_a_clean_end_proves_something_only_where_a_cut_is_told(home: str, trusted: bool) -> None:
    source = made_in(home, CherootChunks)(b"abc", b"de")
    body = open_body(environ(source, **CHUNKED))
    assert collect(body) == b"abcde"
    assert (body.length, body.cut, body.whole) == (None, None, trusted)


def test_a_chunked_body_is_not_whole_before_its_end() -> None:
    body = open_body(environ(made_in("gunicorn.http.body")(b"abc", b"de"), **CHUNKED))
    assert next(iter(body)) == b"abc"
    assert not body.whole


@pytest.mark.parametrize(
    ("trouble", "kind"),
    [
        (ChunkMissingTerminator(b"xx"), BadRequest),
        (ChunkMissingTerminator(b""), Interrupted),
        (InvalidChunkSize("Invalid chunk size: b'zz'"), BadRequest),
        (_InvalidClientInput("Non-hex data", b"z"), BadRequest),
        (_InvalidClientInput("EOF before chunk end reached"), Interrupted),
        (ValueError("Bad chunked transfer size: b'zz'"), BadRequest),
        (ValueError("Bad chunked transfer size: b''"), Interrupted),
        (ValueError("memoryview assignment"), Interrupted),
        (ConnectionResetError(), Interrupted),
        (TimeoutError("timed out"), IdleTimeout),
    ],
    ids=repr,
)
def test_a_broken_chunk_and_a_cut_are_told_apart(
    trouble: Exception, kind: type[UploadError]
) -> None:
    body = open_body(environ(Script(b"abc", trouble), **CHUNKED))
    assert collect(body) == b"abc"
    assert type(body.cut) is kind
    assert not body.whole


def test_cheroot_must_show_the_line_behind_the_last_chunk() -> None:
    source = made_in("cheroot.server", CherootChunks)(b"abc")
    source.ends = False
    body = open_body(environ(source, **CHUNKED))
    assert collect(body) == b"abc"
    assert (type(body.cut), body.whole) == (Interrupted, False)


def test_cheroot_s_trailers_are_bounded() -> None:
    source = made_in("cheroot.server", CherootChunks)(b"abc")
    source.trailers = (b"a: b\r\n",) * 10_000
    body = open_body(environ(source, **CHUNKED))
    assert collect(body) == b"abc"
    assert not body.whole


def test_raw_inputs_cannot_invent_bytes() -> None:
    """werkzeug's chunks: `read` would return as many bytes as the chunk was to have."""

    class Chunks(io.RawIOBase):
        def readinto(self, buffer: Any) -> int:
            buffer[0:5] = b"abc"
            return 5

    body = open_body(environ(Chunks(), **CHUNKED))
    assert collect(body) == b""
    assert isinstance(body.cut, Interrupted)


# Small bodies at once, and what is left of large ones.


def test_a_small_body_comes_at_once() -> None:
    assert open_body(environ(io.BytesIO(CONTENT), len(CONTENT))).read_all(len(CONTENT)) == CONTENT


def test_a_body_over_the_limit_is_refused_unread() -> None:
    source = Script(AssertionError("read"))
    with pytest.raises(TooLarge, match="99 bytes"):
        open_body(environ(source, 100)).read_all(99)
    assert source.asked == []


def test_a_chunked_body_over_the_limit_is_refused_as_it_grows() -> None:
    source = Script(*[b"x" * 50] * 1000)
    with pytest.raises(TooLarge):
        open_body(environ(source, **CHUNKED)).read_all(99)
    assert len(source.asked) == 2


def test_a_small_body_that_was_cut_raises_why() -> None:
    with pytest.raises(Interrupted):
        open_body(environ(io.BytesIO(b"abc"), 4)).read_all(100)
    with pytest.raises(IdleTimeout):
        open_body(environ(Script(b"abc", TimeoutError()), 4)).read_all(100)


def test_a_drain_takes_the_rest() -> None:
    source = io.BytesIO(CONTENT + b"the next request")
    body = open_body(environ(source, len(CONTENT)), piece_size=1000)
    next(iter(body))
    body.drain()
    assert source.read() == b"the next request"
    assert (body.received, body.whole) == (1000, False)


def test_a_drain_ends_at_its_limit() -> None:
    source = io.BytesIO(CONTENT)
    open_body(environ(source, len(CONTENT)), piece_size=1000).drain(limit=2500)
    assert source.tell() == 2500


def test_a_drain_ends_in_time() -> None:
    source = Script(*[b"x"] * 1000)
    body = open_body(environ(source, 1000), clock=Clock(step=1.0))
    body.drain(seconds=10.0)
    assert 0 < len(source.asked) < 11


def test_a_drain_bears_a_cut() -> None:
    body = open_body(environ(Script(b"abc", ConnectionResetError()), 100))
    body.drain()
    assert isinstance(body.cut, Interrupted)


def test_a_drained_body_is_never_whole() -> None:
    body = open_body(environ(io.BytesIO(CONTENT), len(CONTENT)))
    body.drain()
    assert (body.received, body.whole) == (0, False)
    assert collect(body) == b""


def test_nor_is_a_drained_chunked_body() -> None:
    body = open_body(environ(made_in("gunicorn.http.body")(b"abc", b"de"), **CHUNKED))
    for _ in body:
        break
    body.drain()
    assert (body.received, body.whole, body.cut) == (3, False, None)


@pytest.mark.parametrize(
    ("home", "drained"),
    [("a2wsgi.wsgi", False), ("granian._granian", False), ("gunicorn.http.body", True)],
)
def test_a_client_that_awaits_100_continue_is_not_asked_to_send(home: str, drained: bool) -> None:
    source = made_in(home)(b"abc")
    open_body(environ(source, 3, HTTP_EXPECT="100-Continue")).drain()
    assert bool(source.asked) is drained


# Slow clients.


class Clock:
    """Seconds that pass by `step` at every look, or as a test moves them."""

    def __init__(self, step: float = 0.0) -> None:
        self.now = 0.0
        self.step = step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


class SlowInput:
    """One kilobyte a read, each after so many seconds."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self.clock = clock
        self.seconds = seconds

    def read(self, size: int) -> bytes:
        self.clock.now += self.seconds
        return bytes(min(size, 1024))


def test_a_client_below_the_minimum_rate_is_given_up_after_the_grace() -> None:
    clock = Clock()
    body = open_body(
        environ(SlowInput(clock, seconds=10.0), 1 << 20), minimum_rate=1024, clock=clock
    )
    assert len(collect(body)) == 4 * 1024
    assert isinstance(body.cut, IdleTimeout)
    assert "1024 bytes per second" in body.cut.message


def test_a_client_at_the_minimum_rate_is_kept() -> None:
    clock = Clock()
    slow = SlowInput(clock, seconds=1.0)
    body = open_body(environ(slow, 100 * 1024), minimum_rate=1024, clock=clock)
    collect(body)
    assert (body.whole, clock.now) == (True, 100.0)


def test_our_own_slowness_is_not_the_client_s() -> None:
    clock = Clock()
    quick = SlowInput(clock, seconds=0.1)
    body = open_body(environ(quick, 100 * 1024), minimum_rate=1024, clock=clock)
    for _ in body:
        clock.now += 100.0
    assert body.whole


@contextmanager
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_a_silent_socket_is_given_up_and_its_timeout_put_back() -> None:
    with pair() as (ours, theirs), ours.makefile("rb") as stream:
        theirs.sendall(b"abc")
        ours.settimeout(99.0)
        body = open_body(environ(stream, 10), idle_timeout=0.05)
        assert collect(body) == b"abc"
        assert isinstance(body.cut, IdleTimeout)
        assert ours.gettimeout() == 99.0


@pytest.mark.parametrize(
    ("before", "ours", "during"),
    [(None, 60.0, 60.0), (10.0, 60.0, 10.0), (60.0, 10.0, 10.0), (0.0, 5.0, 5.0),
     (None, None, None), (0.0, None, None)],
)  # fmt: skip
def test_the_stricter_timeout_holds_while_reading(
    before: float | None, ours: float | None, during: float | None
) -> None:
    with pair() as (mine, theirs), mine.makefile("rb") as stream:
        theirs.sendall(b"abc")
        body = open_body(environ(stream, 3), idle_timeout=ours)
        mine.settimeout(before)
        for _ in body:
            assert mine.gettimeout() == during
        assert mine.gettimeout() == before


# Each reader, against what it is for.


def test_buffered_bytes_are_handed_out_before_the_socket_is_asked() -> None:
    """`readinto1` would wait for more on top of them, and lose them when that fails."""
    with pair() as (ours, theirs), ours.makefile("rb") as stream:
        theirs.sendall(b"head\nbody")
        stream.readline()
        body = open_body(environ(stream, 100_000), idle_timeout=0.05)
        pieces = iter(body)
        assert bytes(next(pieces)) == b"body"
        theirs.sendall(b"x" * 50_000)
        assert bytes(next(pieces)) == b"x" * 50_000


def test_an_unknown_server_is_asked_for_little() -> None:
    source = Script(b"abc")
    collect(open_body(environ(source, 10**9)))
    assert set(source.asked) == {4096}


def test_mod_wsgi_is_asked_for_less() -> None:
    source = Script(b"abc")
    collect(open_body(environ(source, 10**9, **{"mod_wsgi.version": (4, 9)})))
    assert set(source.asked) == {1024}


class Gunicorn23(Script):
    """Gives back what it held, but only to small reads."""

    def read(self, size: int) -> bytes:
        if size > 1024:
            raise ConnectionResetError
        return super().read(size)


def test_gunicorn_gives_back_what_it_held_to_smaller_reads() -> None:
    source = made_in("gunicorn.http.body", Gunicorn23)(b"abc", b"de")
    body = open_body(environ(source, 10**6))
    assert collect(body) == b"abcde"
    assert isinstance(body.cut, Interrupted)
    assert source.asked == [1024, 1024, 1024]


class PlainGunicorn:
    """Waits for all that was asked for, and holds what came when that fails."""

    def __init__(self, ours: socket.socket) -> None:
        self.ours = ours
        self.held = bytearray()
        self.failed = False
        self.errors = 0

    def read(self, size: int) -> bytes:
        while len(self.held) < size:
            try:
                piece = self.ours.recv(size)
            except OSError:
                self.errors += 1
                raise
            if not piece:
                break
            self.held += piece
        answer = bytes(self.held[:size])
        del self.held[:size]
        return answer


def test_gunicorn_s_socket_is_shut_after_silence_so_that_no_read_waits_again() -> None:
    with pair() as (ours, theirs):
        theirs.sendall(CONTENT[:5000])
        source = made_in("gunicorn.http.body", PlainGunicorn)(ours)
        body = open_body(environ(source, 10**6, **{"gunicorn.socket": ours}), idle_timeout=0.05)
        assert collect(body) == CONTENT[:5000]
        assert isinstance(body.cut, IdleTimeout)
        assert (source.errors, source.failed) == (1, True)
        ours.sendall(b"408")
        assert theirs.recv(100) == b"408"


class Uwsgi:
    """uWSGI's input: head bytes in its memory, the rest in the kernel, all or nothing."""

    def __init__(self, ours: socket.socket, head: bytes) -> None:
        self.ours = ours
        self.head = bytearray(head)
        self.asked: list[int] = []

    def fileno(self) -> int:
        return self.ours.fileno()

    def read(self, size: int) -> bytes:
        self.asked.append(size)
        piece = bytes(self.head[:size])
        del self.head[:size]
        while len(piece) < size:
            try:
                more = self.ours.recv(size - len(piece))
            except TimeoutError:
                raise OSError(f"timeout during read({size}) on wsgi.input") from None
            if not more:
                raise OSError(f"error during read({size}) on wsgi.input")
            piece += more
        return piece


def uwsgi(source: Uwsgi, length: int) -> dict[str, Any]:
    return environ(source, length, **{"uwsgi.version": b"2.0.31"})


@pytest.mark.parametrize("head", [b"", CONTENT[:1], CONTENT[:300], CONTENT[:5000]])
def test_uwsgi_is_never_asked_for_what_is_not_there(head: bytes) -> None:
    with pair() as (ours, theirs):
        theirs.sendall(CONTENT[len(head) :])
        theirs.shutdown(socket.SHUT_WR)
        body = open_body(uwsgi(Uwsgi(ours, head), len(CONTENT) + 7))
        assert collect(body) == CONTENT
        assert isinstance(body.cut, Interrupted)


def test_uwsgi_s_gathered_head_is_kept_when_the_client_falls_silent() -> None:
    with pair() as (ours, _theirs):
        ours.settimeout(0.01)
        body = open_body(uwsgi(Uwsgi(ours, b"x" * 300), 1000), idle_timeout=0.03)
        pieces = [bytes(piece) for piece in body]
        assert [len(piece) for piece in pieces] == [256, 44]
        assert isinstance(body.cut, IdleTimeout)


def test_uwsgi_is_waited_for_longer_than_its_own_timeout() -> None:
    with pair() as (ours, theirs):
        ours.settimeout(0.01)
        source = Uwsgi(ours, b"")
        original = source.read

        def read(size: int) -> bytes:
            if len(source.asked) == 3:
                theirs.sendall(b"abc")
            return original(size)

        source.read = read  # type: ignore[method-assign]
        assert collect(open_body(uwsgi(source, 3), idle_timeout=60)) == b"abc"
        assert source.asked[:4] == [1, 1, 1, 1]


def test_uwsgi_is_polled_once_its_memory_is_known_to_be_empty() -> None:
    with pair() as (ours, theirs):
        theirs.sendall(b"abc")
        source = Uwsgi(ours, b"")
        body = open_body(uwsgi(source, 100), idle_timeout=0.05)
        assert collect(body) == b"abc"
        assert isinstance(body.cut, IdleTimeout)
        assert source.asked == [3]


def test_uwsgi_with_tls_of_its_own_is_read_in_small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    server = type(sys)("uwsgi")
    server.opt = {"https-socket": b":443"}  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "uwsgi", server)
    source = Script(b"abc")
    collect(open_body(environ(source, 10**6, **{"uwsgi.version": b"2.0.31"})))
    assert set(source.asked) == {1024}


# gunicorn's own classes, without a server.


class SocketUnreader:
    def __init__(self, sock: Any, held: bytes) -> None:
        self.sock = sock
        self.buf = io.BytesIO(held)

    def read(self, size: int, read_ahead: int | None = None) -> bytes:
        held = self.buf.getvalue()
        assert len(held) >= size, "this would wait for the socket"
        self.buf = io.BytesIO(held[size:])
        return held[:size]


class LengthReader:
    def __init__(self, unreader: SocketUnreader, length: int) -> None:
        self.unreader = unreader
        self.length = length

    def read(self, size: int) -> bytes:
        piece = self.unreader.read(min(size, self.length), read_ahead=self.length)
        self.length -= len(piece)
        return piece


class GunicornBody(Script):
    def __init__(self, sock: Any, held: bytes, length: int) -> None:
        super().__init__()
        self.reader = LengthReader(SocketUnreader(sock, held), length)
        self.buf = io.BytesIO()
        self.failed = False


def gunicorn(ours: Any, held: bytes, length: int) -> tuple[Any, dict[str, Any]]:
    source = made_in("gunicorn.http.body", GunicornBody)(ours, held, length)
    return source, environ(source, length, **{"gunicorn.socket": ours})


def test_the_direct_road_takes_what_the_parser_has_then_the_socket() -> None:
    with pair() as (ours, theirs):
        theirs.sendall(CONTENT[300:] + b"next")
        source, request = gunicorn(ours, CONTENT[:300], len(CONTENT))
        body = open_body(request)
        seen = 0
        for piece in body:
            seen += len(piece)
            assert source.reader.length == len(CONTENT) - seen
        assert (body.whole, source.asked, source.failed) == (True, [], False)
        assert ours.recv(100) == b"next"


def test_the_direct_road_hands_over_all_that_has_arrived_in_one_piece() -> None:
    with pair() as (ours, theirs):
        theirs.sendall(CONTENT[300:] + b"next")
        source, request = gunicorn(ours, CONTENT[:300], len(CONTENT))
        body = open_body(request)
        assert [bytes(piece) for piece in body] == [CONTENT]
        assert (body.whole, source.reader.length, source.failed) == (True, 0, False)
        assert ours.recv(100) == b"next"


def test_what_the_parser_had_counts_though_the_connection_is_gone() -> None:
    with pair() as (ours, theirs):
        # Unread bytes make the end a reset, of which the system tells once.
        ours.sendall(b"never read")
        theirs.close()
        source, request = gunicorn(ours, b"abc", 10)
        body = open_body(request)
        assert collect(body) == b"abc"
        assert isinstance(body.cut, Interrupted)
        assert isinstance(body.cut.__cause__, ConnectionError)
        assert source.failed


def test_the_direct_road_leaves_the_next_request_in_the_parser() -> None:
    with pair() as (ours, _theirs):
        source, request = gunicorn(ours, b"abcGET / HTTP/1.1", 3)
        assert collect(open_body(request)) == b"abc"
        assert source.reader.unreader.buf.getvalue() == b"GET / HTTP/1.1"


def test_the_direct_road_closes_after_silence() -> None:
    with pair() as (ours, theirs):
        theirs.sendall(b"abc")
        source, request = gunicorn(ours, b"", 10)
        body = open_body(request, idle_timeout=0.05)
        assert collect(body) == b"abc"
        assert isinstance(body.cut, IdleTimeout)
        assert source.failed
        ours.sendall(b"408")
        assert theirs.recv(100) == b"408"


def change(path: str, value: object) -> Callable[[Any, dict[str, Any]], None]:
    def apply(source: Any, request: dict[str, Any]) -> None:
        *way, last = path.split(".")
        for name in way:
            source = getattr(source, name)
        setattr(source, last, value)

    return apply


def other_socket(source: Any, request: dict[str, Any]) -> None:
    request["gunicorn.socket"] = object()


def no_socket(source: Any, request: dict[str, Any]) -> None:
    del request["gunicorn.socket"]


def half_read(source: Any, request: dict[str, Any]) -> None:
    source.buf.write(b"x")


@pytest.mark.parametrize(
    "difference",
    [
        change("reader", object()),
        change("reader.length", 1),
        change("reader.unreader", object()),
        change("reader.unreader.buf", bytearray()),
        change("buf", None),
        other_socket,
        no_socket,
        half_read,
    ],
)
def test_the_direct_road_is_left_when_anything_looks_strange(
    difference: Callable[[Any, dict[str, Any]], None],
) -> None:
    with pair() as (ours, _theirs):
        source, request = gunicorn(ours, b"", 3)
        difference(source, request)
        if "gunicorn.socket" in request and request["gunicorn.socket"] is not ours:
            del request["gunicorn.socket"]
        source.lines = [b"abc"]
        assert collect(open_body(request)) == b"abc"
        assert source.asked == [3]


def test_a_tls_socket_is_not_shut_after_silence() -> None:
    """Python's `SSLSocket.shutdown` ends TLS: the answer would leave in the clear."""

    class Tls:
        cipher = None
        seconds: float | None = None

        def gettimeout(self) -> float | None:
            return self.seconds

        def settimeout(self, seconds: float | None) -> None:
            self.seconds = seconds

        def shutdown(self, how: int) -> None:
            raise AssertionError("TLS would end here")

    source = made_in("gunicorn.http.body")(b"abc", TimeoutError(), b"de")
    body = open_body(environ(source, **CHUNKED, **{"gunicorn.socket": Tls()}))
    assert collect(body) == b"abcde"
    assert isinstance(body.cut, IdleTimeout)


# Warnings, and what it all costs.


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"wsgi.input": made_in("waitress.buffers")()}, "waitress"),
        ({"SERVER_SOFTWARE": "waitress"}, "waitress"),
        ({"SERVER_SOFTWARE": "WSGIServer/0.2 CPython/3.11"}, "wsgiref"),
        ({"wsgi.input": made_in("gunicorn.http.body")(), "wsgi.multithread": False}, "gthread"),
        ({"uwsgi.version": b"2", "HTTP_TRANSFER_ENCODING": "chunked"}, "uWSGI"),
        ({"wsgi.input": made_in("gunicorn.http.body")()}, None),
        ({"uwsgi.version": b"2"}, None),
        ({"wsgi.input": made_in("granian._granian")()}, None),
        ({"SERVER_SOFTWARE": "somebody/1"}, None),
    ],
)
def test_a_server_that_defeats_resuming_is_named(more: dict[str, Any], words: str | None) -> None:
    warning = server_warning(environ(io.BytesIO()) | more)
    assert warning is None if words is None else words in str(warning)


@pytest.mark.parametrize("module", ["hypercorn", "bjoern"])
def test_servers_without_a_name_are_known_by_their_module(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, type(sys)(module))
    assert module in str(server_warning(environ(io.BytesIO())))


def test_a_large_body_needs_little_memory() -> None:
    class Endless(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            return len(buffer)

    request = environ(io.BufferedReader(Endless()), 512 * 1024 * 1024)
    tracemalloc.start()
    try:
        for _ in open_body(request):
            pass
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * 1024 * 1024


def test_a_small_body_makes_no_large_buffer() -> None:
    request = environ(io.BytesIO(b"abc"), 3)
    tracemalloc.start()
    try:
        assert open_body(request).read_all(3) == b"abc"
        assert tracemalloc.get_traced_memory()[1] < 64 * 1024
    finally:
        tracemalloc.stop()


def test_every_reader_ends_without_bytes_held_back() -> None:
    assert readers.Reader(io.BytesIO(b""), step=1).held(10) == b""
