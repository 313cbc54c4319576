"""The real server as a child process that can be killed and started again on the same port."""

from __future__ import annotations

import json
import os
import re
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

import resumable

START_TIMEOUT = 60.0


class DemoServer:
    """`resumable demo` on a free port, keeping its storage across `kill()` and `start()`.

    `storage` is a URL with its `options`; without one it is a folder.
    """

    def __init__(
        self,
        folder: Path,
        storage: str | None = None,
        options: Mapping[str, Any] | None = None,
        workers: int = 1,
    ) -> None:
        self.storage = storage or str(folder / "storage")
        self._options = dict(options or {})
        self._workers = workers
        self.log = folder / "server.log"
        self.port = 0
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Returns when the server takes connections."""
        program = str(Path(sys.executable).with_name("resumable"))
        words = ["--storage", self.storage, "--bind", f"127.0.0.1:{self.port}"]
        words += ["--workers", str(self._workers)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [program, "demo", *words],
                env={
                    **os.environ,
                    # The package that the tests see: not another one that is installed.
                    "PYTHONPATH": str(Path(resumable.__file__).parents[1]),
                    "RESUMABLE_STORAGE_OPTIONS": json.dumps(self._options),
                },
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        self.port = self._port_when_ready()

    def kill_worker(self) -> None:
        """SIGKILL for one of the workers; the master starts another."""
        assert self._process is not None
        workers = psutil.Process(self._process.pid).children()
        workers[0].kill()

    def kill(self) -> None:
        """SIGKILL for the server and all its workers."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        try:
            process.wait(START_TIMEOUT)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()

    def _port_when_ready(self) -> int:
        assert self._process is not None
        assert self._process.stdout is not None
        until = time.monotonic() + START_TIMEOUT
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while selector.select(max(0.0, until - time.monotonic())):
                line = self._process.stdout.readline()
                if match := re.search(r"Listening on http://127\.0\.0\.1:(\d+)", line):
                    return int(match[1])
                if not line:
                    break
        self.kill()
        raise AssertionError(f"the server did not start:\n{self.log.read_text()}")
