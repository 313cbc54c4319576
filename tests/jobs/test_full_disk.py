"""A disk that is full in the middle of a job: said so, nothing lost, done once there is room."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from werkzeug.test import Client

from resumable import JobState, Limits, Processing, ResumableUploads
from resumable.jobs import Jobs
from resumable.jobs.polling import Workplace
from resumable.jobs.queue import MOST_ATTEMPTS
from resumable.stores.local import LocalStore

RECORDING = Path(__file__).parent.parent / "fixtures" / "camera_h264.webm"
# KiB. Room for the recording and its records, but not for the result beside them.
SMALL, LARGE = {"scratch": 100, "storage": 500}, 8_000


@pytest.fixture
def small_disk(tmp_path: Path, full: str) -> Iterator[Path]:
    """A file system of its own."""
    path = tmp_path / "disk"
    path.mkdir()
    if _mount(path, SMALL[full]):
        pytest.skip("needs leave to mount a file system")
    try:
        yield path
    finally:
        subprocess.run(["umount", path], check=True)


def _mount(path: Path, kibibytes: int, *more: str) -> int:
    options = ",".join([f"size={kibibytes}k", *more])
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", path]
    return subprocess.run(command, capture_output=True, check=False).returncode


@pytest.mark.parametrize("full", list(SMALL))
def test_a_disk_that_is_full_in_the_middle(tmp_path: Path, small_disk: Path, full: str) -> None:
    homes = {"scratch": tmp_path / "scratch", "storage": tmp_path / "storage", full: small_disk}
    for home in homes.values():
        home.mkdir(exist_ok=True)
    processing = Processing(run=0, scratch=homes["scratch"], scratch_space=0)
    store = LocalStore(homes["storage"], free_space=0)
    limits = Limits(free_space=0)
    app = ResumableUploads(None, homes["storage"], limits=limits, processing=processing)
    client = Client(app)
    sent = RECORDING.read_bytes()
    client.put("/upload-chunk?uploadId=film&chunkIndex=0&totalChunks=1", data=sent)
    wished = {"uploadId": "film", "options": {"convertToMp4": True}}
    answer = client.post("/finalize-upload", json=wished).json
    now = [1_900_000_000.0]
    place = Workplace(store, Jobs(store.small_files, clock=lambda: now[0]), processing)
    for _ in range(MOST_ATTEMPTS + 1):
        place.round()
        now[0] += 600
    told = client.get(answer["status_url"]).json
    assert (told["state"], told["code"], told["results"]) == ("failed", "unfinished", [])
    assert "room" in told["error"] or "full" in told["error"]
    assert client.get(answer["path"]).data == sent
    assert list(homes["scratch"].glob("resumable-job-*")) == []

    assert _mount(small_disk, LARGE, "remount") == 0
    again = client.post("/jobs", json={"recording": answer["path"], "options": wished["options"]})
    place.round()
    told = client.get(again.json["status_url"]).json
    assert told["state"] == JobState.DONE.value
    assert client.get(told["results"][0]["path"]).data[4:8] == b"ftyp"
