"""Starts each WSGI server that is installed here, really, on a free port, and stops it again.

    with run_server("gunicorn-gthread", "package.module:app", env={"KEY": "value"}) as server:
        http.client.HTTPConnection(server.host, server.port)
        server.kill_worker()      # SIGKILL; a master starts another one
        server.kill()             # SIGKILL, all of it

`KINDS` names them all; `missing(kind)` says how to get one that is not here.
"""

from __future__ import annotations

import http.client
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psutil

HOST = "127.0.0.1"
REPOSITORY = Path(__file__).parents[2]
START_SECONDS = 30.0
STOP_SECONDS = 10.0


@dataclass(frozen=True)
class Plan:
    """What a server is asked to do; each kind turns it into its own words."""

    app: str
    port: int
    workers: int
    threads: int


Command = Callable[[Plan], list[str]]


@dataclass
class Server:
    """A running server. `log()` is all that it printed."""

    kind: str
    host: str
    port: int
    process: subprocess.Popen[bytes]
    log_path: Path
    tls: bool = False

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}"

    @property
    def pids(self) -> list[int]:
        """The living processes, the one that was started first."""
        with suppress(psutil.NoSuchProcess):
            first = psutil.Process(self.process.pid)
            return [each.pid for each in (first, *first.children(recursive=True)) if _lives(each)]
        return []

    @property
    def worker_pids(self) -> list[int]:
        """The processes that run the app: the children, or the only process there is."""
        return self.pids[1:] or self.pids

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def kill_worker(self) -> int:
        """SIGKILL one process that runs the app; returns its pid."""
        pid = self.worker_pids[-1]
        os.kill(pid, signal.SIGKILL)
        return pid

    def kill(self) -> None:
        """SIGKILL everything, as a power switch would; may be called again."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """SIGTERM, then `kill` what is left."""
        if self.process.poll() is None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(seconds)
        self.kill()

    def wait_ready(self, path: str = "/", seconds: float = START_SECONDS) -> None:
        """Returns once any HTTP answer came; raises `RuntimeError` with the log otherwise."""
        give_up = time.monotonic() + seconds
        while not _answers(self, path):
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.kind} ended while starting:\n{self.log()}")
            if time.monotonic() > give_up:
                raise RuntimeError(f"{self.kind} did not answer within {seconds} s:\n{self.log()}")
            time.sleep(0.02)


def _lives(process: psutil.Process) -> bool:
    """A killed process that its parent has not looked at yet is still listed."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@dataclass(frozen=True)
class Kind:
    """One server: its command, the modules it needs, and how to get them."""

    command: Command
    needs: tuple[str, ...]
    install: str
    program: str | None = None

    def missing(self) -> str | None:
        if self.program and not _program(self.program).exists():
            return f"{self.program} is not installed: {self.install}"
        absent = [name for name in self.needs if find_spec(name) is None]
        return f"{', '.join(absent)} is not installed: {self.install}" if absent else None


def _program(name: str) -> Path:
    return Path(sys.executable).parent / name


def _gunicorn(worker: str) -> Command:
    def command(plan: Plan) -> list[str]:
        words = [sys.executable, "-m", "gunicorn", plan.app, "--bind", f"{HOST}:{plan.port}"]
        words += ["--worker-class", worker, "--workers", str(plan.workers)]
        words += ["--graceful-timeout", "3", "--no-control-socket"]
        return words + (["--threads", str(plan.threads)] if worker == "gthread" else [])

    return command


def _launched(kind: str) -> Command:
    def command(plan: Plan) -> list[str]:
        if plan.workers != 1:
            raise ValueError(f"{kind} has one process only")
        words = [sys.executable, "-m", "tests.servers.launch", kind, plan.app]
        return [*words, HOST, str(plan.port), str(plan.threads)]

    return command


def _granian(plan: Plan) -> list[str]:
    words = [sys.executable, "-m", "granian", plan.app, "--interface", "wsgi", "--host", HOST]
    words += ["--port", str(plan.port), "--workers", str(plan.workers), "--no-ws"]
    return [*words, "--blocking-threads", str(plan.threads), "--workers-kill-timeout", "3"]


def _uwsgi(plan: Plan) -> list[str]:
    words = [str(_program("uwsgi")), "--http-socket", f"{HOST}:{plan.port}", "--module", plan.app]
    words += ["--virtualenv", sys.prefix, "--master", "--die-on-term", "--need-app"]
    words += ["--processes", str(plan.workers), "--threads", str(plan.threads), "--enable-threads"]
    return [*words, "--buffer-size", "65535", "--socket-timeout", "60", "--disable-logging"]


def _uvicorn(plan: Plan) -> list[str]:
    words = [sys.executable, "-m", "uvicorn", "--factory", "tests.servers.launch:asgi_app"]
    words += ["--host", HOST, "--port", str(plan.port), "--workers", str(plan.workers)]
    return [*words, "--no-access-log", "--timeout-graceful-shutdown", "3"]


_TEST_EXTRA = "pip install -e '.[test]'"
KINDS: dict[str, Kind] = {
    "gunicorn-gthread": Kind(_gunicorn("gthread"), ("gunicorn",), _TEST_EXTRA),
    "gunicorn-sync": Kind(_gunicorn("sync"), ("gunicorn",), _TEST_EXTRA),
    "gunicorn-gevent": Kind(_gunicorn("gevent"), ("gunicorn", "gevent"), _TEST_EXTRA),
    "gevent-pywsgi": Kind(_launched("gevent-pywsgi"), ("gevent",), _TEST_EXTRA),
    "cheroot": Kind(_launched("cheroot"), ("cheroot",), _TEST_EXTRA),
    "granian": Kind(_granian, ("granian",), _TEST_EXTRA),
    "uwsgi": Kind(_uwsgi, (), "pip install uWSGI (needs a C compiler)", program="uwsgi"),
    "waitress": Kind(_launched("waitress"), ("waitress",), _TEST_EXTRA),
    "werkzeug": Kind(_launched("werkzeug"), ("werkzeug",), _TEST_EXTRA),
    "wsgiref": Kind(_launched("wsgiref"), (), _TEST_EXTRA),
    "uvicorn-a2wsgi": Kind(_uvicorn, ("uvicorn", "a2wsgi"), _TEST_EXTRA),
}


def missing(kind: str) -> str | None:
    """Why this server cannot run here and how to get it, or `None`."""
    return KINDS[kind].missing()


@contextmanager
def run_server(
    kind: str,
    app: str,
    *,
    env: Mapping[str, str] | None = None,
    workers: int = 1,
    threads: int = 8,
    extra: Sequence[str] = (),
    port: int | None = None,
    ready_path: str = "/",
    tls: bool = False,
) -> Iterator[Server]:
    """A server of this kind with `app` ("module:name"), stopped at the end.

    `threads`: requests served at the same time (a number of greenlets under gevent). `extra`: more
    words for its command line (gunicorn, granian, uwsgi, uvicorn). `port`: one to use again after
    a kill; a free one by default. `tls`: say True when `extra` makes it speak TLS. Modules are
    looked for in the repository and in `env`'s PYTHONPATH. Raises `RuntimeError` with the server's
    log when it does not start.
    """
    plan = Plan(app, port or free_port(), workers, threads)
    with tempfile.TemporaryDirectory(prefix="resumable-server-") as folder:
        server = _start(kind, plan, env or {}, extra, Path(folder, "log"))
        server.tls = tls
        try:
            server.wait_ready(ready_path)
            yield server
        finally:
            server.stop()


def _start(
    kind: str, plan: Plan, env: Mapping[str, str], extra: Sequence[str], log_path: Path
) -> Server:
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [*KINDS[kind].command(plan), *extra],
            cwd=REPOSITORY,
            env=_environment(plan, env),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Server(kind, HOST, plan.port, process, log_path)


def _environment(plan: Plan, env: Mapping[str, str]) -> dict[str, str]:
    path = os.pathsep.join(filter(None, [env.get("PYTHONPATH"), str(REPOSITORY)]))
    return {
        **os.environ,
        "RESUMABLE_TEST_APP": plan.app,
        "RESUMABLE_TEST_THREADS": str(plan.threads),
        **env,
        "PYTHONPATH": path,
    }


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(server: Server, path: str) -> bool:
    connection = _connection(server)
    try:
        connection.request("GET", path)
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True


def _connection(server: Server) -> http.client.HTTPConnection:
    if not server.tls:
        return http.client.HTTPConnection(server.host, server.port, timeout=START_SECONDS)
    unverified = ssl._create_unverified_context()
    return http.client.HTTPSConnection(
        server.host, server.port, timeout=START_SECONDS, context=unverified
    )
