"""What clients see of jobs: asked for with an upload or later, looked at, called off, deleted."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from resumable import JobState, Processing, ResumableUploads
from resumable.errors import BadRequest
from resumable.processing import Outcome, Rules, VideoSettings, Work
from resumable.processing.work import Result
from tests.calls import Answer, call, file
from tests.jobs.test_workers import RECORDING, until

FAST = VideoSettings(preset="ultrafast", niceness=0)
LOOK = "/jobs/{}"


@dataclass(frozen=True)
class Gate:
    """A step that waits until it is let through, and makes one file; it ends when it is told to."""

    opened: threading.Event = field(default_factory=threading.Event)
    entered: threading.Event = field(default_factory=threading.Event)
    name: str = "gate"
    share: float = 1.0
    of_result: bool = False

    def __call__(self, work: Work) -> Outcome:
        self.entered.set()
        work.report(0.25, 12.3)
        while not self.opened.wait(0.02):
            work.check_cancel()
        made = work.folder / "poster.jpg"
        made.write_bytes(b"picture")
        return Outcome((Result(made, "poster", "image/jpeg"),), {"asked": True}, ("a note",))


Make = Callable[..., "Site"]


@dataclass
class Site:
    """An app whose jobs one thread of its own does."""

    app: ResumableUploads
    root: Path

    def ask(self, method: str, path: str, document: Any = None, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return call(self.app, method, path, headers=named, json=document)

    def send(self, id: str = "film", data: bytes = b"film", **headers: str) -> None:
        path = f"/upload-chunk?uploadId={id}&chunkIndex=0&totalChunks=1"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        assert call(self.app, "PUT", path, data, named).status == 200

    def finish(self, id: str = "film", data: bytes = b"film", **headers: str) -> Any:
        self.send(id, data, **headers)
        return self.finalize({}, id, **headers)

    def finalize(self, options: Any, id: str = "film", **headers: str) -> Any:
        wished = {"uploadId": id, "filename": f"{id}.webm", "options": options}
        answer = self.ask("POST", "/finalize-upload", wished, **headers)
        assert answer.status == 200, answer
        return answer.json

    def job(self, id: str, **headers: str) -> Any:
        answer = self.ask("GET", LOOK.format(id), **headers)
        assert answer.status == 200, answer
        return answer.json

    def wait(self, id: str) -> Any:
        return until(lambda: self.job(id)["state"] in ("done", "failed", "cancelled")) and (
            self.job(id)
        )

    def objects(self) -> set[str]:
        return {path.name for path in self.root.iterdir() if path.is_file()}


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.opened.set()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Make]:
    made: list[ResumableUploads] = []

    def make(*steps: Any, processing: dict[str, Any] | None = None, **options: Any) -> Site:
        told = {"video": FAST, "scratch_space": 0, "processors": steps, **(processing or {})}
        root = tmp_path / "data"
        app = ResumableUploads(
            None, root, durability="process", processing=Processing(**told), **options
        )
        made.append(app)
        return Site(app, root)

    yield make
    for app in made:
        app._desk._threads.close()  # type: ignore[union-attr]


# ---------------------------------------------------------------- with an upload


def test_a_recording_becomes_what_was_wished(site: Make) -> None:
    here = site(listing=True)
    here.send(data=RECORDING.read_bytes())
    wishes = {"convertToMp4": True, "poster": True, "hls": True, "sprite": True}
    told = here.finalize(wishes, Prefer="wait=60")
    assert told["processed"] is True
    assert (told["filename"], told["type"]) == ("film.mp4", "video/mp4")
    assert told["original"]["filename"] == "film.webm"
    assert told["original"]["size"] == RECORDING.stat().st_size
    roles = [one["role"] for one in told["results"]]
    assert sorted(roles) == ["playlist", "poster", "sprite", "thumbnails", "video"]
    for one in told["results"]:
        got = here.ask("GET", one["path"])
        assert (got.status, len(got.body)) == (200, one["size"]), one
        assert got.headers["content-type"].partition(";")[0] == one["type"]
    movie = here.ask("GET", told["path"])
    assert movie.body[4:8] == b"ftyp"
    # An answer that was lost is asked for again.
    assert here.finalize(wishes) == told
    (entry,) = here.ask("GET", "/recordings").json["recordings"]
    assert entry["path"] == told["original"]["path"]
    assert entry["results"] == told["results"]
    assert here.job(told["job"])["facts"]["duration"] == pytest.approx(4.98, abs=0.1)


def test_texts_find_their_files_by_relative_names(site: Make) -> None:
    here = site()
    here.send(data=RECORDING.read_bytes())
    told = here.finalize({"hls": True, "hlsSegment": 1, "sprite": True}, Prefer="wait=60")
    by_role = {one["role"]: one for one in told["results"]}
    playlist = here.ask("GET", by_role["playlist"]["path"]).body.decode()
    pieces = [line for line in playlist.splitlines() if line and not line.startswith("#")]
    assert len(pieces) > 1
    folder = by_role["playlist"]["path"].rpartition("/")[0]
    first = playlist.partition('#EXT-X-MAP:URI="')[2].partition('"')[0]
    for name in [first, *pieces]:
        piece = here.ask("GET", f"{folder}/{name}", Range="bytes=4-7")
        assert (piece.status, len(piece.body)) == (206, 4), name
    assert here.ask("GET", f"{folder}/{first}").body[4:8] == b"ftyp"
    thumbnails = by_role["thumbnails"]["path"]
    text = here.ask("GET", thumbnails).body.decode()
    picture = next(line for line in text.splitlines() if "#xywh=" in line).partition("#")[0]
    got = here.ask("GET", f"{thumbnails.rpartition('/')[0]}/{picture}")
    assert (got.headers["content-type"], got.body[:2]) == ("image/jpeg", b"\xff\xd8")


def test_a_finalize_answers_at_once(site: Make, gate: Gate) -> None:
    here = site(gate)
    told = here.finish()
    assert (told["ok"], told["processed"], told["filename"]) == (True, False, "film.webm")
    assert told["status_url"] == f"/jobs/{told['job']}"
    assert (told["results"], "original" in told) == ([], False)
    gate.entered.wait(30)
    running = until(lambda: (seen := here.job(told["job"]))["percent"] == 25 and seen)
    assert (running["state"], running["attempt"]) == ("running", 1)
    assert running["progress"] == 0.25
    assert running["secondsLeft"] is None or running["secondsLeft"] > 0
    assert running["original"]["path"] == told["path"]
    gate.opened.set()
    done = here.wait(told["job"])
    assert (done["state"], done["percent"], done["error"]) == ("done", 100, None)
    assert (done["facts"], done["notes"]) == ({"asked": True}, ["a note"])
    (made,) = done["results"]
    assert (made["role"], made["filename"], made["size"]) == ("poster", "film.poster.jpg", 7)
    assert here.ask("GET", made["path"]).body == b"picture"


def test_a_direct_upload_has_a_job_too(site: Make, gate: Gate) -> None:
    here = site(gate)
    form = [("options", json.dumps({"sha256": True})), file("file", b"film", filename="a.webm")]
    answer = call(here.app, "POST", "/process-video-chunks", form=form)
    told = answer.json
    assert (told["ok"], told["processed"]) == (True, False)
    assert told["note"] == "Stored as it was sent; it is being processed."
    assert here.job(told["job"])["state"] in ("queued", "running")


def test_without_wishes_there_is_no_job(site: Make) -> None:
    told = site().finish()
    assert "job" not in told
    assert told["processed"] is False


def test_an_app_without_processing_keeps_the_name_jobs(tmp_path: Path) -> None:
    here = Site(ResumableUploads(None, tmp_path / "data"), tmp_path / "data")
    told = here.finish()
    wished = here.finalize({"poster": True})
    assert (wished["processed"], "job" in wished, wished) == (False, False, told)
    assert call(here.app, "GET", LOOK.format("A" * 32)).body == b"Not Found"
    assert here.ask("GET", "/upload-config").json["processing"] is False


def test_options_that_make_no_sense_change_nothing(site: Make) -> None:
    here = site()
    here.send()
    wished = {"uploadId": "film", "options": {"fps": 1000}}
    answer = here.ask("POST", "/finalize-upload", wished)
    assert (answer.status, answer.json["code"]) == (400, "bad-options")
    assert here.objects() == set()
    assert here.ask("GET", "/upload-status/film").json["isComplete"] is True


def test_the_app_has_the_last_word(site: Make) -> None:
    rules = Rules(forced={"sha256": True}, forbidden=frozenset({"hls", "poster"}))
    here = site(processing={"rules": rules})
    here.send(data=RECORDING.read_bytes())
    told = here.finalize({"hls": True, "poster": True}, Prefer="wait=30")
    assert (told["state"], told["results"]) == ("done", [])
    assert "sha256" in here.job(told["job"])["facts"]


def test_what_is_forbidden_is_as_if_it_had_not_been_sent(site: Make) -> None:
    here = site(processing={"rules": Rules(forbidden=frozenset({"hls"}))})
    here.send()
    assert "job" not in here.finalize({"hls": True})


def test_what_is_no_recording_is_refused_and_stays(site: Make) -> None:
    here = site()
    here.send(data=b"no film at all")
    told = here.finalize({"convertToMp4": True}, Prefer="wait=30")
    assert (told["processed"], told["state"], told["filename"]) == (False, "failed", "film.webm")
    assert here.ask("GET", told["path"]).body == b"no film at all"
    (left,) = here.objects()
    assert left in told["path"]


# ---------------------------------------------------------------- looking


def test_events_follow_a_job_to_its_end(site: Make, gate: Gate) -> None:
    here = site(gate)
    job = here.finish()["job"]
    gate.entered.wait(30)
    opener = threading.Timer(1.2, gate.opened.set)
    opener.start()
    threads = {"wsgi.multithread": True}
    headers = {"Accept": "text/event-stream"}
    answer = call(here.app, "GET", LOOK.format(job), headers=headers, environ=threads)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert "content-length" not in answer.headers
    events = answer.body.decode().split("\n\n")
    assert events.pop() == ""
    told = [json.loads(event.removeprefix("data: ")) for event in events if event[0] != ":"]
    assert [one["state"] for one in told][-1] == "done"
    assert told[0]["state"] == "running"
    assert told[-1] == here.job(job)
    opener.join()


def test_a_server_of_one_thread_is_not_held_by_events(site: Make, gate: Gate) -> None:
    here = site(gate)
    job = here.finish()["job"]
    for threads, accept in ((False, "text/event-stream"), (True, "application/json")):
        answer = call(
            here.app,
            "GET",
            LOOK.format(job),
            headers={"Accept": accept},
            environ={"wsgi.multithread": threads},
        )
        assert answer.json["state"] in ("queued", "running")
        assert answer.headers["retry-after"] == "1"


@pytest.mark.parametrize("job", ["A" * 32, "short", "..%2f..%2fsecret", "a" * 300])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_an_unknown_job(site: Make, method: str, job: str) -> None:
    answer = site().ask(method, LOOK.format(job))
    assert (answer.status, answer.json["error"]) == (404, "Job not found")


def test_others_cannot_even_see_a_job(site: Make, gate: Gate) -> None:
    here = site(gate, owner=lambda environ: environ.get("HTTP_X_USER"))
    told = here.finish(X_User="alice")
    paths = [("GET", told["status_url"], None), ("DELETE", told["status_url"], None)]
    again = {"recording": told["path"], "options": {"poster": True}}
    paths.append(("POST", "/jobs", again))
    for method, path, document in paths:
        for user in ("bob", ""):
            assert here.ask(method, path, document, X_User=user).status == 404
    assert here.ask("GET", told["status_url"], X_User="alice").json["state"] != "cancelled"
    assert here.ask("DELETE", told["status_url"], X_User="alice").status == 204


def test_the_app_is_asked_for_its_leave(site: Make, gate: Gate) -> None:
    refused: set[str] = set()
    here = site(gate, authorize=lambda caller, action, subject: action not in refused)
    told = here.finish()
    again = {"recording": told["path"], "options": {"poster": True}}
    refused |= {"inspect", "cancel", "process"}
    for method, path, document in (
        ("GET", told["status_url"], None),
        ("DELETE", told["status_url"], None),
        ("POST", "/jobs", again),
    ):
        answer = here.ask(method, path, document)
        what = "Recording" if document else "Job"
        # In the words for what nobody knows.
        assert (answer.status, answer.json["error"]) == (404, f"{what} not found"), method
    refused.clear()
    assert here.job(told["job"])["state"] in ("queued", "running")


# ---------------------------------------------------------------- calling off


def test_a_job_is_called_off(site: Make, gate: Gate) -> None:
    here = site(gate)
    told = here.finish()
    gate.entered.wait(30)
    assert here.ask("DELETE", told["status_url"]).status == 204
    ended = here.wait(told["job"])
    assert (ended["state"], ended["code"], ended["results"]) == ("cancelled", "cancelled", [])
    assert ended["error"] == "The processing was called off."
    answer = here.ask("DELETE", told["status_url"])
    assert (answer.status, answer.json["code"]) == (409, "ended")
    assert here.ask("GET", told["path"]).body == b"film"
    assert len(here.objects()) == 1


def encodes(process: psutil.Process) -> bool:
    try:
        return "libx264" in process.cmdline()
    except psutil.Error:
        return False


def test_calling_off_kills_ffmpeg(site: Make) -> None:
    slow = VideoSettings(preset="veryslow", niceness=0)
    here = site(processing={"video": slow})
    here.send(data=RECORDING.read_bytes())
    told = here.finalize({"convertToMp4": True, "width": 3840, "fps": 60})

    def children() -> list[psutil.Process]:
        return [one for one in psutil.Process().children(recursive=True) if encodes(one)]

    until(children)
    assert here.ask("DELETE", told["status_url"]).status == 204
    until(lambda: not children(), 5)
    assert here.wait(told["job"])["state"] == "cancelled"
    assert len(here.objects()) == 1


# ---------------------------------------------------------------- again, and away


def test_a_recording_is_processed_again(site: Make, gate: Gate) -> None:
    gate.opened.set()
    here = site(gate, listing=True)
    first = here.finish(Prefer="wait=30")
    for recording in (first["path"], first["path"].split("/")[2]):
        wished = {"recording": recording, "options": {"sha256": True}}
        answer = here.ask("POST", "/jobs", wished)
        assert answer.status == 202
        again = here.wait(answer.json["job"])
        assert (again["state"], again["job"] == first["job"]) == ("done", False)
        assert "sha256" in again["facts"]
    assert here.job(first["job"])["results"] == first["results"]
    (entry,) = here.ask("GET", "/recordings").json["recordings"]
    assert entry["job"] == again["job"]


def test_what_cannot_be_processed_again(site: Make) -> None:
    here = site()
    told = here.finish()
    for document, status, code in (
        ({"recording": told["path"], "options": {}}, 400, "nothing-wished"),
        ({"recording": told["path"], "options": {"fps": "many"}}, 400, "bad-options"),
        ({"recording": "/recordings/" + "A" * 22}, 404, "not-found"),
        ({"recording": 5}, 400, "bad-json"),
        ([], 400, "bad-json"),
    ):
        answer = here.ask("POST", "/jobs", document)
        assert (answer.status, answer.json["code"]) == (status, code), document


def test_results_are_no_recordings_to_begin_from(site: Make, gate: Gate) -> None:
    gate.opened.set()
    here = site(gate)
    (made,) = here.finish(Prefer="wait=30")["results"]
    wished = {"recording": made["path"], "options": {"poster": True}}
    assert here.ask("POST", "/jobs", wished).status == 404


def test_the_app_processes_what_it_has(site: Make, gate: Gate) -> None:
    gate.opened.set()
    here = site(gate)
    uploads = here.app.uploads
    finished = uploads.find(here.finish(Prefer="wait=30")["path"].split("/")[2])
    begun = uploads.process(finished, {"sha256": True})
    ended = uploads.job(begun.job.id, wait=30)
    assert ended.state is JobState.DONE
    assert [one.job.id for one in uploads.jobs(finished)][1:] == [begun.job.id]
    with pytest.raises(BadRequest, match="hls"):
        uploads.process(finished, {"hls": "perhaps"})


def test_a_recording_goes_with_all_that_was_made_of_it(site: Make, gate: Gate) -> None:
    gate.opened.set()
    here = site(gate, deleting=True)
    told = here.finish(Prefer="wait=30")
    assert len(here.objects()) == 2
    assert here.ask("DELETE", told["path"]).status == 204
    assert here.objects() == set()
    for path in (told["path"], told["status_url"], told["results"][0]["path"]):
        assert here.ask("GET", path).status == 404
    assert here.ask("DELETE", told["path"]).status == 404


def test_a_recording_goes_in_the_middle_of_its_job(site: Make, gate: Gate) -> None:
    here = site(gate, deleting=True)
    told = here.finish()
    gate.entered.wait(30)
    assert here.ask("DELETE", told["path"]).status == 204
    until(lambda: not list((here.root / ".resumable/jobs").iterdir()))
    until(lambda: here.ask("GET", told["status_url"]).status == 404)
    assert here.objects() == set()


def test_deleting_is_off_unless_the_app_says_so(site: Make) -> None:
    here = site()
    told = here.finish()
    answer = here.ask("DELETE", told["path"])
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
    assert here.ask("GET", told["path"]).body == b"film"
