"""Uploads as a server of their own: an application without a host, and a process to run it."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from resumable.uploads import Uploads
from resumable.wsgi import ResumableUploads

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

SWEEP_SECONDS = 600.0
_GRACEFUL_SECONDS = 30
_ENDINGS = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM) if os.name == "posix" else ()
_log = logging.getLogger("resumable")


def application(storage: str | os.PathLike[str], **options: Any) -> ResumableUploads:
    """A WSGI application that only takes uploads; options as for `ResumableUploads`."""
    return ResumableUploads(None, storage, **options)


def run(
    make: Callable[[], tuple[WSGIApplication, Uploads]],
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    workers: int = 1,
    threads: int = 16,
    say: Callable[[str], object] = print,
) -> None:
    """Serve until SIGTERM or SIGINT, with gunicorn where it is installed.

    `make` builds the application in each worker. Port 0 picks a free one. `say` gets one line,
    `Listening on http://…`, when requests are taken. Each worker sweeps every ten minutes.
    """

    def make_swept() -> WSGIApplication:
        app, uploads = make()
        sweep_regularly(uploads)
        return app

    try:
        import gunicorn  # noqa: F401 - only to see whether it is there
    except ImportError:
        _run_threads(make_swept, host, port, say)
    else:
        _run_gunicorn(make_swept, host, port, workers, threads, say)


def sweep_regularly(uploads: Uploads, seconds: float = SWEEP_SECONDS) -> threading.Thread:
    """Sweep now and then in the background of this process."""

    def sweeping() -> None:
        pause = threading.Event()
        while not pause.wait(seconds):
            try:
                uploads.sweep()
            except Exception:
                _log.exception("the sweep failed; it is tried again in %d seconds", seconds)

    thread = threading.Thread(target=sweeping, name="resumable-sweep", daemon=True)
    thread.start()
    return thread


def _address(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _run_gunicorn(
    make: Callable[[], WSGIApplication],
    host: str,
    port: int,
    workers: int,
    threads: int,
    say: Callable[[str], object],
) -> None:
    from gunicorn.app.base import BaseApplication
    from gunicorn.arbiter import Arbiter

    settings = {
        "bind": _address(host, port).removeprefix("http://"),
        "workers": workers,
        "threads": threads,
        # A sync worker is killed in the middle of a slow upload.
        "worker_class": "gthread",
        "graceful_timeout": _GRACEFUL_SECONDS,
        "loglevel": "warning",
        "proc_name": "resumable",
        "control_socket_disable": True,
        "post_worker_init": lambda worker: _take_signals(),
        "when_ready": lambda arbiter: say(
            f"Listening on {_address(host, arbiter.LISTENERS[0].sock.getsockname()[1])}"
        ),
    }

    class Patient(Arbiter):  # type: ignore[misc]
        """A new worker has its master's signal handlers for a moment, and what is told it then is
        lost: the server would end half a minute late. So signals wait until it has its own.
        """

        def spawn_worker(self) -> int:
            before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDINGS)
            try:
                pid: int = super().spawn_worker()
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
            return pid

    class Server(BaseApplication):  # type: ignore[misc]
        def load_config(self) -> None:
            for name, value in settings.items():
                if name in self.cfg.settings:
                    self.cfg.set(name, value)

        def load(self) -> WSGIApplication:
            return make()

        def run(self) -> None:
            Patient(self).run()

    Server().run()


def _take_signals() -> None:
    """In a new worker, once it serves. SIGTERM lets requests end; the other two do not wait.

    gunicorn's own way of not waiting takes a lock that the interrupted code may hold, and then the
    server ends half a minute late. What was acknowledged survives any end.
    """
    for number in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, lambda *_: os._exit(0))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDINGS)


def _run_threads(
    make: Callable[[], WSGIApplication], host: str, port: int, say: Callable[[str], object]
) -> None:
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Nothing: errors are logged by the application."""

    print(
        "gunicorn is not installed, so this is werkzeug's development server; "
        "for more than a trial: pip install 'wsgi-resumable[serve]'.",
        file=sys.stderr,
    )
    server = make_server(host, port, make(), threaded=True, request_handler=Quiet)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    say(f"Listening on {_address(host, server.socket.getsockname()[1])}")
    try:
        server.serve_forever()
    finally:
        server.server_close()


def parse_bind(text: str) -> tuple[str, int]:
    """`HOST:PORT`, `[v6]:PORT` or `:PORT`; raises ValueError with a sentence."""
    host, colon, port = text.rpartition(":")
    is_port = colon and port.isascii() and port.isdigit() and len(port) < 6 and int(port) < 65536
    is_v6 = host.startswith("[") and host.endswith("]")
    if not is_port or (":" in host and not is_v6):
        raise ValueError(f"Write the address as HOST:PORT, not {text!r}.")
    name = host.removeprefix("[").removesuffix("]") or "0.0.0.0"
    try:
        socket.getaddrinfo(name, None)
    except (OSError, UnicodeError):
        raise ValueError(f"There is no host {name!r}.") from None
    return name, int(port)
