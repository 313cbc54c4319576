"""tuspy, aiotus and resumable-upload from PyPI, against a real server."""

from __future__ import annotations

import hashlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import MakeFile
from tests.clients.world import KIB, MIB, World
from tests.servers.fault_proxy import FaultProxy

# tuspy leaves the files that it opens to the garbage collection.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
HOW = "needs: pip install -e '.[test]'"
PATIENCE = 60.0


def run(module: str, folder: Path, *words: str) -> str:
    """A client's own command; what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", module, *words],
        cwd=folder,
        env={**os.environ, "HOME": str(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def url_in(text: str) -> str:
    found = re.search(r"http://[^\s'\"]+/files/[\w-]{22}", text)
    assert found, text
    return found[0]


# ---------------------------------------------------------------- tuspy 1.1.0


@pytest.fixture
def tus_client(world: World) -> Any:
    client = pytest.importorskip("tusclient.client", reason=HOW)
    return client.TusClient(world.endpoint)


def test_tuspy_sends_a_whole_file(tus_client: Any, world: World, make_file: MakeFile) -> None:
    """Without metadata it sends an empty `Upload-Metadata`."""
    path = make_file(2 * MIB + 1)
    uploader = tus_client.uploader(str(path))
    uploader.upload()
    world.check(uploader.url, path.read_bytes())
    assert "upload-metadata" not in world.head(uploader.url)


def test_tuspy_sends_chunks_with_checksums(
    tus_client: Any, world: World, make_file: MakeFile
) -> None:
    path = make_file(MIB)
    said = {"filename": "größe.txt", "empty": ""}
    uploader = tus_client.uploader(
        str(path), chunk_size=300 * KIB, metadata=said, upload_checksum=True
    )
    uploader.upload()
    finished = world.check(uploader.url, path.read_bytes())
    assert finished.filename == "größe.txt"
    assert finished.metadata == said


def test_tuspy_hears_of_a_wrong_checksum(
    tus_client: Any, world: World, make_file: MakeFile
) -> None:
    """One bit is turned over on the way."""
    errors = pytest.importorskip("tusclient.exceptions", reason=HOW)
    path = make_file(100 * KIB)
    uploader = tus_client.uploader(str(path), upload_checksum=True)
    uploader.upload(stop_at=50 * KIB)
    with FaultProxy(world.server.host, world.server.port, [{"garble": 20 * KIB}]) as proxy:
        uploader.set_url(f"http://{proxy.host}:{proxy.port}/files/{uploader.url[-22:]}")
        with pytest.raises(errors.TusUploadFailed) as failed:
            uploader.upload()
    assert failed.value.status_code == 460
    assert world.head(uploader.url)["upload-offset"] == str(50 * KIB)
    uploader.set_url(world.endpoint + uploader.url[-22:])
    uploader.upload()
    world.check(uploader.url, path.read_bytes())


def test_tuspy_resumes_from_a_url_that_it_stored(
    tus_client: Any, world: World, make_file: MakeFile, tmp_path: Path
) -> None:
    filestorage = pytest.importorskip("tusclient.storage.filestorage", reason=HOW)
    path = make_file(MIB)
    told = {"chunk_size": 100 * KIB, "store_url": True}
    storage = filestorage.FileStorage(str(tmp_path / "urls"))
    try:
        first = tus_client.uploader(str(path), url_storage=storage, **told)
        first.upload(stop_at=350 * KIB)
        second = tus_client.uploader(str(path), url_storage=storage, **told)
        assert (second.url, second.offset) == (first.url, 350 * KIB)
        second.upload()
    finally:
        storage.close()
    world.check(second.url, path.read_bytes())


def test_tuspy_tries_again_over_a_line_that_breaks(
    tus_client: Any, world: World, make_file: MakeFile
) -> None:
    path = make_file(2 * MIB)
    uploader = tus_client.uploader(str(path), retries=9, retry_delay=0)
    uploader.upload(stop_at=1)

    def rule(number: int) -> dict[str, Any]:
        return {"c2s_cut": 500_000} if number < 3 else {}

    with FaultProxy(world.server.host, world.server.port, rule) as proxy:
        uploader.set_url(f"http://{proxy.host}:{proxy.port}/files/{uploader.url[-22:]}")
        uploader.upload()
    world.check(uploader.url, path.read_bytes())


def test_tuspy_sends_nothing_at_all(tus_client: Any, world: World) -> None:
    uploader = tus_client.uploader(file_stream=io.BytesIO())
    uploader.upload()
    world.check(uploader.url, b"")


# ---------------------------------------------------------------- aiotus 1.1.0


@pytest.mark.parametrize("size", [9 * MIB, 100, 0])
def test_aiotus(world: World, make_file: MakeFile, tmp_path: Path, size: int) -> None:
    """Its chunks have 4 MiB, each after a HEAD; a key without a value is in its grammar."""
    pytest.importorskip("aiotus", reason=HOW)
    path = make_file(size)
    words = ["--metadata", "filename=aio.bin", "--metadata", "confidential"]
    url = url_in(run("aiotus", tmp_path, "upload", *words, world.endpoint, str(path)))
    finished = world.check(url, path.read_bytes())
    assert finished.filename == "aio.bin"
    assert finished.metadata["confidential"] == ""
    assert "aio.bin" in run("aiotus", tmp_path, "metadata", url)


def test_aiotus_resumes_over_a_line_that_breaks(
    world: World, make_file: MakeFile, tmp_path: Path
) -> None:
    pytest.importorskip("aiotus", reason=HOW)
    path = make_file(6 * MIB)

    def rule(number: int) -> dict[str, Any]:
        return {"c2s_cut": 2 * MIB} if number == 0 else {}

    with FaultProxy(world.server.host, world.server.port, rule) as proxy:
        endpoint = f"http://{proxy.host}:{proxy.port}/files/"
        url = url_in(run("aiotus", tmp_path, "upload", endpoint, str(path)))
        assert len(proxy.log) > 1
    world.check(url, path.read_bytes())


# ---------------------------------------------------------------- resumable-upload 0.3.0

COMMAND = "resumable_upload"


@pytest.mark.parametrize(
    "words",
    [
        ("--chunk-size", str(300 * KIB)),
        ("--checksum", "sha256", "--chunk-size", str(300 * KIB)),
        ("--checksum", "md5"),
        ("--checksum", "none", "--override-patch-method"),
        ("--parallel", "3", "--checksum", "sha256", "--override-patch-method"),
        ("--parallel", "4", "--checksum", "sha1", "--chunk-size", str(100 * KIB)),
    ],
    ids=" ".join,
)
def test_resumable_upload(
    world: World, make_file: MakeFile, tmp_path: Path, words: tuple[str, ...]
) -> None:
    pytest.importorskip("resumable_upload", reason=HOW)
    path = make_file(MIB + 5)
    told = ["--url", world.endpoint, "--metadata", "album=ü", *words]
    url = url_in(run(COMMAND, tmp_path, "upload", *told, str(path)))
    finished = world.check(url, path.read_bytes())
    assert finished.metadata["album"] == "ü"
    assert finished.filename == path.name


def test_resumable_upload_resumes_in_another_process(
    world: World, make_file: MakeFile, tmp_path: Path
) -> None:
    pytest.importorskip("resumable_upload", reason=HOW)
    path = make_file(2 * MIB)
    words = ["--resume", "--max-retries", "0", "--chunk-size", str(256 * KIB)]

    def rule(number: int) -> dict[str, Any]:
        return {"c2s_cut": 400 * KIB} if number < 20 else {}

    with FaultProxy(world.server.host, world.server.port, rule) as proxy:
        endpoint = f"http://{proxy.host}:{proxy.port}/files/"
        for _ in range(20):
            try:
                told = run(COMMAND, tmp_path, "upload", "--url", endpoint, *words, str(path))
            except AssertionError:
                continue
            break
        else:
            raise AssertionError("it never came to an end")
    world.check(url_in(told), path.read_bytes())
    hashed = hashlib.sha256(path.read_bytes()).digest()
    assert hashlib.sha256(world.download(url_in(told))).digest() == hashed
