"""Jobs in real object storage: asked for on one host, done on others, each published once."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from resumable import JobStatus, Processing, ResumableUploads
from resumable.processing import VideoSettings
from tests.calls import call
from tests.jobs.workshop import Maker
from tests.storage.server import StorageServer

RECORDING = Path(__file__).parent.parent / "fixtures" / "camera_vp8.webm"
FAST = VideoSettings(preset="ultrafast", niceness=0)
SERVERS = ["ceph", "moto", "azurite", "gcs", "memory"]


@dataclass
class Hosts:
    """Apps on one storage, each as if it were alone on its host."""

    url: str
    options: Mapping[str, Any]
    heard: list[JobStatus] = field(default_factory=list)

    def app(self, *steps: Any) -> ResumableUploads:
        processing = Processing(
            video=FAST, processors=steps, run=0, scratch_space=0, ended=self.heard.append
        )
        return ResumableUploads(
            None, self.url, storage_options=self.options, processing=processing, listing=True
        )


@pytest.fixture(params=SERVERS)
def hosts(request: pytest.FixtureRequest) -> Hosts:
    if request.param == "memory":
        # Any file system of fsspec's.
        return Hosts(f"memory://{secrets.token_hex(6)}/prefix", {})
    server: StorageServer = request.getfixturevalue(request.param)
    bucket = server.fresh()
    return Hosts(f"{bucket.url}/prefix", bucket.options)


def upload(app: ResumableUploads, id: str, data: bytes, **options: Any) -> str:
    path = f"/upload-chunk?uploadId={id}&chunkIndex=0&totalChunks=1"
    assert call(app, "PUT", path, data).status == 200
    asked = {"uploadId": id, "filename": f"{id}.webm", "options": options}
    told = call(app, "POST", "/finalize-upload", json=asked).json
    assert told["processed"] is False
    return str(told["job"])


def test_a_recording_on_one_host_is_made_into_a_stream_on_another(hosts: Hosts) -> None:
    here, there = hosts.app(), hosts.app()
    job = upload(here, "film", RECORDING.read_bytes(), convertToMp4=True, hls=True, hlsSegment=1)
    assert call(here, "GET", f"/jobs/{job}").json["state"] == "queued"
    assert there.uploads.work(job)
    told = call(here, "GET", f"/jobs/{job}").json
    assert (told["state"], told["error"]) == ("done", None)
    playlist = next(one for one in told["results"] if one["role"] == "playlist")
    text = call(here, "GET", playlist["path"]).body.decode()
    for name in [line for line in text.splitlines() if line and line[0] != "#"]:
        piece = call(here, "GET", f"{playlist['path'].rpartition('/')[0]}/{name}")
        assert (piece.status, piece.headers["content-type"]) == (200, "video/iso.segment")
    (entry,) = call(here, "GET", "/recordings").json["recordings"]
    assert entry["results"] == told["results"]
    assert [one.job.id for one in hosts.heard] == [job]


def test_of_two_hosts_one_does_each_job(hosts: Hosts) -> None:
    here = hosts.app(Maker())
    jobs = [upload(here, f"film{number}", b"film", sha256=True) for number in range(4)]
    workers, begin = [hosts.app(Maker()).uploads for _ in range(2)], threading.Barrier(2)

    def work(at: int) -> int:
        begin.wait(30)
        return sum(workers[at].work(job) for job in jobs)

    with ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(work, range(2))) == len(jobs)
    assert {one.job.id for one in hosts.heard} == set(jobs)
    for job in jobs:
        told = call(here, "GET", f"/jobs/{job}").json
        assert (told["state"], told["attempt"]) == ("done", 1)
        assert sorted(one["role"] for one in told["results"]) == ["poster", "thumbnails"]
    entries = call(here, "GET", "/recordings").json["recordings"]
    assert len(entries) == len(jobs)


def test_a_recording_goes_with_all_that_was_made_of_it(hosts: Hosts) -> None:
    here = hosts.app(Maker())
    job = upload(here, "film", b"film", sha256=True)
    assert here.uploads.work(job)
    (original,) = here.uploads.list()
    paths = [one["path"] for one in call(here, "GET", f"/jobs/{job}").json["results"]]
    here.uploads.delete(original)
    for path in [*paths, f"/jobs/{job}", original.path]:
        assert call(here, "GET", path).status == 404
