"""Starts the programs that storage servers consist of, and ends every one of them again."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tests.servers.running import HOST

TETHER = Path(__file__).with_name("tether.py")
START_SECONDS = 60.0


class Daemon:
    """A running program; all that it printed is in `log()`."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log_path: Path) -> None:
        self.name = name
        self.process = process
        self.log_path = log_path

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")[-4000:]

    def require(self) -> None:
        """Raises `RuntimeError` with the log when the program ended by itself."""
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.name} ended with {self.process.returncode}:\n{self.log()}")

    def kill(self) -> None:
        """SIGKILL, with all its children: what these servers hold is thrown away anyhow."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def run(
    name: str, words: Sequence[str], folder: Path, env: Mapping[str, str] | None = None
) -> Iterator[Daemon]:
    """The program `words`, with `folder` as its working folder and the place of its log."""
    log_path = folder / f"{name}.out"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(TETHER), str(os.getpid()), *words],
            cwd=folder,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    daemon = Daemon(name, process, log_path)
    try:
        yield daemon
    finally:
        daemon.kill()


def wait_until(what: str, condition: Callable[[], bool], daemons: Sequence[Daemon]) -> None:
    """Returns once `condition` holds.

    Raises `RuntimeError` with the logs when a daemon ends before, or after `START_SECONDS`.
    """
    give_up = time.monotonic() + START_SECONDS
    while not condition():
        for daemon in daemons:
            daemon.require()
        if time.monotonic() > give_up:
            logs = "\n".join(f"{daemon.name}: {daemon.log()}" for daemon in daemons)
            raise RuntimeError(f"waited {START_SECONDS} s in vain for {what}:\n{logs}")
        time.sleep(0.02)


def wait_for_answer(daemon: Daemon, port: int) -> None:
    """Returns once any HTTP answer came."""
    wait_until(f"an answer of {daemon.name}", lambda: _answers(port), [daemon])


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=START_SECONDS)
    try:
        connection.request("GET", "/")
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True


def free_ports(count: int) -> list[int]:
    """So many different ports that nobody listens on now."""
    with ExitStack() as held:
        probes = [held.enter_context(socket.create_server((HOST, 0))) for _ in range(count)]
        return [probe.getsockname()[1] for probe in probes]
