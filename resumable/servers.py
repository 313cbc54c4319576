"""Which WSGI server serves a request, what is known about it, and how to read from it."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from resumable import readers


@dataclass(frozen=True)
class Server:
    """The facts about one server that decide how far its bodies can be trusted.

    `tells_a_cut`: a chunked body that was cut raises, so a clean end proves that it is whole.
    `ends_bodies`: reading stops at the end of a body without Content-Length, though
    `wsgi.input_terminated` does not say so.
    `shows_framing`: Transfer-Encoding, when there is one, is seen in environ.
    `takes_a_cut_head`: a request whose head was cut comes as one with fewer headers, so a missing
    Content-Length proves nothing.
    `asks_late`: `100 Continue` leaves only when the body is read, or never, so a client that waits
    for it sends nothing before.
    `warning`: how it defeats resumability.
    """

    name: str
    tells_a_cut: bool = False
    ends_bodies: bool = False
    shows_framing: bool = False
    takes_a_cut_head: bool = False
    asks_late: bool = False
    warning: str | None = None


UNKNOWN = Server("")

_SERVERS = {
    server.name: server
    for server in (
        Server("gunicorn", tells_a_cut=True, shows_framing=True),
        Server(
            "gevent", tells_a_cut=True, shows_framing=True, takes_a_cut_head=True, asks_late=True
        ),
        Server("cheroot", tells_a_cut=True, shows_framing=True),
        Server("granian", shows_framing=True, asks_late=True),
        Server("a2wsgi", ends_bodies=True, shows_framing=True, asks_late=True),
        Server("uvicorn", ends_bodies=True, shows_framing=True, asks_late=True),
        Server("uwsgi", shows_framing=True, asks_late=True),
        Server("mod_wsgi"),
        Server("werkzeug", shows_framing=True, takes_a_cut_head=True),
        Server(
            "wsgiref",
            shows_framing=True,
            takes_a_cut_head=True,
            asks_late=True,
            warning="wsgiref serves one request at a time and cannot read chunked bodies: it is "
            "for development only.",
        ),
        Server(
            "waitress",
            tells_a_cut=True,
            warning="waitress keeps a body to itself until all of it has arrived, so a dropped "
            "request leaves nothing behind: let clients send chunks of 8 MiB or less.",
        ),
        Server(
            "hypercorn",
            ends_bodies=True,
            shows_framing=True,
            warning="hypercorn reads a whole body into memory before the application is called: "
            "let clients send small chunks, or use uvicorn with a2wsgi.",
        ),
        Server(
            "bjoern",
            warning="bjoern keeps a body in memory until all of it has arrived, and one request "
            "with two lengths ends its process: use gunicorn with threads instead.",
        ),
    )
}

_GUNICORN_SYNC = (
    "gunicorn's sync worker is killed in the middle of any upload that takes longer than "
    "--timeout: run it with --worker-class gthread --threads 16."
)
_UWSGI_CHUNKED = (
    "uWSGI hands the application an empty body when a request is chunked: let clients send "
    "Content-Length, or put nginx with request buffering before it."
)
_SIGNATURES = {"WSGIServer/": "wsgiref", "Werkzeug/": "werkzeug", "waitress": "waitress"}


def recognise(environ: Mapping[str, Any]) -> Server:
    """The server of this request, `UNKNOWN` if nothing gives it away."""
    for key in ("uwsgi", "mod_wsgi"):
        if f"{key}.version" in environ:
            return _SERVERS[key]
    package = _home_of(environ.get("wsgi.input")).partition(".")[0].lstrip("_")
    if package in _SERVERS:
        return _SERVERS[package]
    software: str = environ.get("SERVER_SOFTWARE") or ""
    for start, name in _SIGNATURES.items():
        if software.startswith(start):
            return _SERVERS[name]
    if software or type(environ.get("wsgi.input")) is not io.BytesIO:
        return UNKNOWN
    return _nameless()


def _nameless() -> Server:
    """hypercorn and bjoern do not say who they are: only their module in this process does."""
    for name in ("hypercorn", "bjoern"):
        if name in sys.modules:
            return _SERVERS[name]
    return UNKNOWN


def warning(environ: Mapping[str, Any]) -> str | None:
    """One sentence when this server or its settings defeat resumability, else `None`."""
    server = recognise(environ)
    if server.name == "gunicorn" and not environ.get("wsgi.multithread"):
        return _GUNICORN_SYNC
    if server.name == "uwsgi" and environ.get("HTTP_TRANSFER_ENCODING"):
        return _UWSGI_CHUNKED
    return server.warning


def choose_reader(
    environ: Mapping[str, Any], buffer: memoryview, *, length: int | None
) -> readers.Reader:
    """The reader for this request's input; `buffer` is what pieces are read into.

    Whatever is not recognised is read in small steps, so that the loss at a cut stays bounded.
    """
    source = environ["wsgi.input"]
    home = _home_of(source)
    if _is_buffered(source):
        socket = environ.get("werkzeug.socket") or readers.socket_below(source)
        return readers.BufferedReader(source, buffer, socket=socket)
    if home.startswith("gunicorn."):
        return _gunicorn(environ, source, buffer, length)
    if home == "gevent.pywsgi" and _is_plain_gevent(source, length):
        return readers.GeventReader(source, buffer)
    if home == "cheroot.server" and _is_plain_cheroot(source, length):
        return readers.CherootReader(source, buffer)
    if home == "cheroot.server" and length is None:
        return readers.CherootChunkedReader(source, step=readers.SMALL_STEP)
    if "uwsgi.version" in environ:
        return _uwsgi(source)
    if "mod_wsgi.version" in environ:
        return readers.Reader(source, step=readers.MOD_WSGI_STEP)
    if home == "a2wsgi.wsgi" and isinstance(getattr(source, "buffer", None), bytearray):
        return readers.A2wsgiReader(source, step=readers.STEP)
    if home.partition(".")[0] in {"granian", "_granian", "a2wsgi", "uvicorn", "waitress"}:
        return readers.Reader(source, step=readers.STEP)
    socket = environ.get("werkzeug.socket") or readers.socket_below(getattr(source, "rfile", None))
    if isinstance(source, io.RawIOBase):
        return readers.RawReader(source, buffer, socket=socket)
    return readers.Reader(source, step=readers.SMALL_STEP, socket=socket)


def _gunicorn(
    environ: Mapping[str, Any], source: Any, buffer: memoryview, length: int | None
) -> readers.Reader:
    if _home_of(source) != "gunicorn.http.body":
        # HTTP/2: one socket for many requests, not to be touched.
        return readers.GunicornReader(source, step=readers.SMALL_STEP)
    socket = environ.get("gunicorn.socket")
    if length is not None and _is_direct(source, socket, length):
        return readers.GunicornSocketReader(source, buffer, socket)
    return readers.GunicornReader(source, step=readers.STEP, socket=socket)


def _is_direct(source: Any, socket: Any, length: int) -> bool:
    """True when every private thing the direct road touches is as gunicorn 23 to 27 have it."""
    parser = getattr(source, "reader", None)
    unreader = getattr(parser, "unreader", None)
    return (
        type(parser).__name__ == "LengthReader"
        and type(unreader).__name__ == "SocketUnreader"
        and getattr(parser, "length", None) == length
        and getattr(unreader, "sock", None) is socket
        and type(getattr(unreader, "buf", None)) is io.BytesIO
        and type(getattr(source, "buf", None)) is io.BytesIO
        and not source.buf.getbuffer().nbytes
        and hasattr(socket, "recv_into")
    )


def _is_plain_gevent(source: Any, length: int | None) -> bool:
    return (
        length is not None
        and _is_buffered(getattr(source, "rfile", None))
        and not getattr(source, "chunked_input", True)
        and getattr(source, "position", None) == 0
        and getattr(source, "content_length", None) == length
        and hasattr(source, "_send_100_continue")
    )


def _is_plain_cheroot(source: Any, length: int | None) -> bool:
    return (
        length is not None
        and _is_buffered(getattr(source, "rfile", None))
        and getattr(source, "remaining", None) == length
    )


def _is_buffered(stream: Any) -> bool:
    return hasattr(stream, "read1") and hasattr(stream, "readinto1")


def _uwsgi(source: Any) -> readers.Reader:
    server = sys.modules.get("uwsgi")
    if "https-socket" in getattr(server, "opt", {}):
        # There the kernel counts encrypted bytes.
        return readers.Reader(source, step=readers.MOD_WSGI_STEP)
    try:
        return readers.UwsgiReader(source, may_poll=not getattr(server, "loop", None))
    except (AttributeError, OSError, ValueError):
        return readers.Reader(source, step=readers.MOD_WSGI_STEP)


def _home_of(source: object) -> str:
    """The module that an input's class comes from: no header can fake it."""
    return type(source).__module__
