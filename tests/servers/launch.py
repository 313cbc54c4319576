"""Serves a WSGI app with one of the servers that are a library and have no command.

python -m tests.servers.launch KIND MODULE:NAME HOST PORT THREADS
"""

from __future__ import annotations

import os
import socketserver
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

App = Callable[..., Any]


def load(path: str) -> App:
    module, _, name = path.partition(":")
    app: App = getattr(import_module(module), name or "app")
    return app


def asgi_app() -> Any:
    """The factory that uvicorn imports; the app's path comes by RESUMABLE_TEST_APP."""
    from a2wsgi import WSGIMiddleware

    return WSGIMiddleware(
        load(os.environ["RESUMABLE_TEST_APP"]), workers=int(os.environ["RESUMABLE_TEST_THREADS"])
    )


def serve_gevent(app: App, host: str, port: int, threads: int) -> None:
    from gevent import monkey

    monkey.patch_all()
    from gevent import pywsgi

    pywsgi.WSGIServer((host, port), app, log=None, spawn=threads).serve_forever()


def serve_cheroot(app: App, host: str, port: int, threads: int) -> None:
    from cheroot import wsgi

    wsgi.Server((host, port), app, numthreads=threads, timeout=60).start()


def serve_waitress(app: App, host: str, port: int, threads: int) -> None:
    import waitress

    waitress.serve(app, host=host, port=port, threads=threads)


def serve_werkzeug(app: App, host: str, port: int, threads: int) -> None:
    from werkzeug.serving import run_simple

    run_simple(host, port, app, threaded=threads > 1)


class ThreadedServer(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 128


class QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: the request line of every upload is of no use to a test."""


def serve_wsgiref(app: App, host: str, port: int, threads: int) -> None:
    server = ThreadedServer if threads > 1 else WSGIServer
    make_server(host, port, app, server, QuietHandler).serve_forever()


SERVERS = {
    "gevent-pywsgi": serve_gevent,
    "cheroot": serve_cheroot,
    "waitress": serve_waitress,
    "werkzeug": serve_werkzeug,
    "wsgiref": serve_wsgiref,
}


def main() -> None:
    kind, path, host, port, threads = sys.argv[1:]
    if kind == "gevent-pywsgi":
        from gevent import monkey

        monkey.patch_all()  # Before the app's own imports.
    SERVERS[kind](load(path), host, int(port), int(threads))


if __name__ == "__main__":
    main()
