"""One host, many processes: each of them may see the end of an upload, one tells the app."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from werkzeug.test import Client

from resumable import ResumableUploads
from resumable.host_lock import claimed

# Looks at the upload when all are ready; its hook takes its time, or dies in the middle.
_LOOK = """
import os, signal, sys, time
from werkzeug.test import Client
from resumable import ResumableUploads

root, heard, how = sys.argv[1:]

def completed(finished):
    with open(heard, "a") as file:
        file.write(f"{how} {finished.id}\\n")
    if how == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.5)

client = Client(ResumableUploads(None, root, completed=completed))
print("ready", flush=True)
sys.stdin.readline()
assert client.get("/upload-status/film").json["isComplete"]
"""


def look(root: Path, heard: Path, how: str) -> subprocess.Popen[str]:
    """A process that looks once it is told to."""
    process = subprocess.Popen(
        [sys.executable, "-c", _LOOK, str(root), str(heard), how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def go(*processes: subprocess.Popen[str]) -> list[int]:
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=60)
    return [process.returncode for process in processes]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A storage with one finished upload of which no app has heard."""
    client = Client(ResumableUploads(None, tmp_path / "data"))
    client.put("/upload-chunk?uploadId=film&chunkIndex=0&totalChunks=1", data=b"once")
    assert client.post("/finalize-upload", json={"uploadId": "film"}).status_code == 200
    return tmp_path / "data"


def test_many_processes_see_the_end_and_one_tells(root: Path, tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    assert go(*(look(root, heard, "tells") for _ in range(4))) == [0] * 4
    assert len(heard.read_text().splitlines()) == 1
    assert go(look(root, heard, "tells")) == [0]
    assert len(heard.read_text().splitlines()) == 1


def test_a_teller_that_dies_leaves_it_to_the_next(root: Path, tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    assert go(look(root, heard, "dies")) == [-9]
    assert go(*(look(root, heard, "tells") for _ in range(2))) == [0, 0]
    assert [line.split()[0] for line in heard.read_text().splitlines()] == ["dies", "tells"]


def test_a_claim_is_refused_at_once_and_free_again_afterwards() -> None:
    with claimed("one") as first, claimed("one") as again, claimed("two") as other:
        assert (first, again, other) == (True, False, True)
        with claimed("one") as third:
            assert not third
    with claimed("one") as free:
        assert free
