"""Azurite, Microsoft's own emulator of Azure's block blobs.

    with run_azurite(tmp_path) as server: ...

Looked for on PATH, then where `.ci/run` puts it: ~/.cache/resumable-tests (XDG_CACHE_HOME counts).
"""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.servers.running import HOST
from tests.storage.daemon import free_ports, run, wait_for_answer
from tests.storage.server import StorageServer

ACCOUNT = "testaccount"
KEY = base64.b64encode(b"the key of a throw-away emulator").decode()
CONTAINER = "resumable-test"


def missing() -> str | None:
    """Why Azurite cannot run here and how to get it, or `None`."""
    if find_spec("adlfs") is None:
        return "adlfs is not installed: pip install -e '.[test]'"
    if shutil.which("node") is None:
        return "node is not installed: apt-get install nodejs npm"
    install = f"npm install --prefix {_cache()} azurite@3"
    return None if _program() else f"azurite-blob is not installed: {install}"


@contextmanager
def run_azurite(folder: Path) -> Iterator[StorageServer]:
    """An Azurite of its own, in memory."""
    program = _program()
    if program is None:
        raise RuntimeError(missing())
    (port,) = free_ports(1)
    words = [program, "--blobHost", HOST, "--blobPort", str(port), "--inMemoryPersistence"]
    words += ["--skipApiVersionCheck", "--disableTelemetry", "--silent"]
    with run("azurite", words, folder, {"AZURITE_ACCOUNTS": f"{ACCOUNT}:{KEY}"}) as daemon:
        wait_for_answer(daemon, port)
        with _server(f"http://{HOST}:{port}/{ACCOUNT}") as server:
            yield server


@contextmanager
def _server(endpoint: str) -> Iterator[StorageServer]:
    from azure.storage.blob import BlobServiceClient

    connection = (
        f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};"
        f"BlobEndpoint={endpoint};"
    )
    with BlobServiceClient.from_connection_string(connection, retry_total=0) as client:
        client.create_container(CONTAINER)
        options: dict[str, Any] = {"connection_string": connection, "use_listings_cache": False}
        yield StorageServer(
            "azurite", "abfs", endpoint, CONTAINER, options, 0, client, client.create_container
        )


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base, "resumable-tests")


def _program() -> str | None:
    ours = _cache() / "node_modules/.bin"
    return shutil.which("azurite-blob") or shutil.which("azurite-blob", path=str(ours))
