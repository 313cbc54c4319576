"""gcp-storage-emulator: somebody else's idea of Google's storage, for smoke tests.

It takes conditions and does not look at them, and composes more than 32 sources; `gcs_double` is
the one to race on.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from tests.servers.running import HOST
from tests.storage.daemon import free_ports, run, wait_for_answer
from tests.storage.server import StorageServer, gcs_server

BUCKET = "resumable-test"


def missing() -> str | None:
    """Why the emulator cannot run here and how to get it, or `None`."""
    if find_spec("gcp_storage_emulator"):
        return None
    return "gcp-storage-emulator is not installed: pip install -e '.[test]'"


@contextmanager
def run_gcs_emulator(folder: Path) -> Iterator[StorageServer]:
    """An emulator of its own, in memory."""
    (port,) = free_ports(1)
    words = [sys.executable, "-m", "gcp_storage_emulator", "start", "--in-memory"]
    with run("gcs-emulator", [*words, "--host", HOST, "--port", str(port)], folder) as daemon:
        wait_for_answer(daemon, port)
        with gcs_server("gcs-emulator", f"http://{HOST}:{port}", BUCKET) as server:
            yield server
