"""Workers that are killed over a job: it is done again within seconds, and ends once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import psutil
import pytest

from tests.reliability import Record
from tests.servers.running import run_server

RECORDING = Path(__file__).parent.parent / "fixtures" / "camera_vp8.webm"
# A lease, a look, and the start of a process; the issue's own bound is 15 seconds.
PATIENCE = 60.0


def until(what: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """What it says, once that is something."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = what()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what} said nothing in {seconds} seconds")


@dataclass
class World:
    """A storage, the app's processes, and what they wrote down."""

    home: Path
    environment: dict[str, str]
    address: str = ""
    jobs: list[str] = field(default_factory=list)

    def begun(self) -> list[int]:
        return [int(line) for line in self._lines("begun")]

    def ended(self) -> list[list[str]]:
        return [line.split() for line in self._lines("ended")]

    def _lines(self, name: str) -> list[str]:
        path = self.home / name
        return path.read_text().splitlines() if path.exists() else []

    def ask(self, method: str, path: str, document: Any = None, **headers: str) -> Any:
        body = None if document is None else json.dumps(document).encode()
        request = Request(self.address + path, body, headers, method=method)
        with urlopen(request, timeout=90) as answer:
            return json.loads(answer.read() or b"null")

    def upload(self, **options: Any) -> str:
        """A recording with wishes; the id of its job."""
        id = f"upload-{len(self.jobs)}"
        path = f"{self.address}/upload-chunk?uploadId={id}&chunkIndex=0&totalChunks=1"
        with urlopen(Request(path, RECORDING.read_bytes(), method="PUT"), timeout=30):
            pass
        wished = {"uploadId": id, "filename": "film.webm", "options": options or {"poster": True}}
        job = self.ask("POST", "/finalize-upload", wished)["job"]
        self.jobs.append(job)
        return str(job)

    def status(self, job: str) -> Any:
        return self.ask("GET", f"/jobs/{job}")

    def looked(self, job: str) -> bool:
        """Somebody looks; whether there was anybody to answer."""
        try:
            return bool(self.status(job))
        except OSError:
            return False

    def wait(self, job: str) -> Any:
        return until(lambda: (told := self.status(job))["results"] and told)

    def is_closed(self) -> bool:
        """Nothing is open of any job."""
        return not list((self.home / "data/.resumable/jobs").iterdir())

    def check_nothing_left(self) -> None:
        """Each job ended once, with one set of results, and nothing else is there."""
        until(self.is_closed)
        listed = self.ask("GET", "/recordings")["recordings"]
        assert len(listed) == len(self.jobs)
        objects = {path.name for path in (self.home / "data").iterdir() if path.is_file()}
        named = {one["path"].split("/")[2] for entry in listed for one in entry["results"]}
        named |= {entry["path"].split("/")[2] for entry in listed}
        assert objects == named
        left = [path.name for path in (self.home / "data/.resumable/uploads").glob("*.data")]
        assert left == []
        scratch = Path(tempfile.gettempdir())
        assert not [path for job in self.jobs for path in scratch.glob(f"resumable-job-{job}-*")]


@contextmanager
def world(
    home: Path, *, run: str, slow: float, redis: str = "", server: str = "gunicorn-gthread"
) -> Iterator[World]:
    environment = {
        "JOBS_ROOT": str(home / "data"),
        "JOBS_RUN": run,
        "JOBS_SLOW": str(slow),
        "JOBS_BEGUN": str(home / "begun"),
        "JOBS_ENDED": str(home / "ended"),
        "JOBS_REDIS": redis,
    }
    with run_server(server, "tests.jobs.job_app:app", env=environment) as running:
        yield World(home, environment, f"http://{running.host}:{running.port}")


COMMANDS = {
    "worker": [
        "-c",
        "from resumable.cli import main; main()",
        "worker",
        "--app",
        "tests.jobs.job_app:app",
    ],
    "celery": [
        "-m",
        "celery",
        "-A",
        "tests.jobs.job_app:celery",
        "worker",
        "-c",
        "1",
        "-l",
        "ERROR",
    ],
    "rq": ["-m", "rq.cli", "worker", "--quiet"],
}


@contextmanager
def worker(world: World, kind: str) -> Iterator[psutil.Process]:
    """One worker, with the processes below it."""
    command = list(COMMANDS[kind])
    if kind == "rq":
        command += ["--url", world.environment["JOBS_REDIS"]]
    process = subprocess.Popen(
        [sys.executable, *command],
        env={**os.environ, **world.environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield psutil.Process(process.pid)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def kill_all(process: psutil.Process) -> None:
    """As the kernel does when there is no memory, and worse: everything at once."""
    for one in [*process.children(recursive=True), process]:
        try:
            one.kill()
        except psutil.NoSuchProcess:
            continue


RUNS = {"threads": "1", "worker": "0", "celery": "celery", "rq": "rq"}


def kill_over_jobs(home: Path, kind: str, redis: str, kills: int) -> list[float]:
    """Kill whoever is at work, once for each job; the seconds until another was at work."""
    delays = []
    with ExitStack() as stack:
        here = stack.enter_context(world(home, run=RUNS[kind], slow=1.5, redis=redis))
        for _ in range(kills):
            with ExitStack() as crew:
                if kind != "threads":
                    victim = crew.enter_context(worker(here, kind))
                    # A second one of Celery's and RQ's gets no task that the first holds.
                    crew.enter_context(worker(here, kind))
                known = len(here.begun())
                job = here.upload()
                until(lambda known=known: len(here.begun()) > known)
                at_work = here.begun()[-1]
                if kind == "threads":
                    os.kill(at_work, signal.SIGKILL)
                else:
                    del victim
                    for one in psutil.process_iter(["pid"]):
                        if one.pid == at_work:
                            kill_all(one)
                killed = time.monotonic()
                # A client that looks wakes the process that has taken the dead one's place.
                until(
                    lambda known=known, job=job: here.looked(job) and len(here.begun()) > known + 1
                )
                delays.append(time.monotonic() - killed)
                told = here.wait(job)
                assert told["state"] == "done"
                assert told["attempt"] == 2
                assert [one["role"] for one in told["results"]] == ["poster"]
                # A worker that is stopped between telling and closing makes another tell again.
                until(here.is_closed)
        here.check_nothing_left()
        until(lambda: len(here.ended()) == kills)
        assert sorted(line[0] for line in here.ended()) == sorted(here.jobs)
    return delays


@pytest.mark.parametrize("kind", ["threads", "worker"])
def test_a_killed_worker_is_replaced(tmp_path: Path, kind: str) -> None:
    (delay,) = kill_over_jobs(tmp_path, kind, "", 1)
    assert delay < 30


@pytest.mark.parametrize("kind", ["celery", "rq"])
def test_a_killed_task_is_done_again(tmp_path: Path, kind: str, redis_url: str) -> None:
    (delay,) = kill_over_jobs(tmp_path, kind, redis_url, 1)
    assert delay < 30


@pytest.mark.chaos
@pytest.mark.parametrize("kind", RUNS)
def test_twenty_killed_workers(
    tmp_path: Path, kind: str, redis_url: str, record_figure: Record
) -> None:
    delays = kill_over_jobs(tmp_path, kind, redis_url, 20)
    record_figure(
        f"SIGKILL of whoever does a job ({kind})",
        f"20 kills, 20 jobs done by another within {max(delays):.0f} seconds, "
        "each with one set of results, nothing left over",
    )


def test_a_worker_that_is_stopped_gives_its_job_back(tmp_path: Path) -> None:
    with world(tmp_path, run="0", slow=30) as here:
        with worker(here, "worker"):
            job = here.upload()
            until(here.begun)
        assert here.status(job)["state"] == "queued"
        here.environment["JOBS_SLOW"] = "0"
        with worker(here, "worker"):
            told = here.wait(job)
        assert told["state"] == "done"
        here.check_nothing_left()


@pytest.mark.parametrize("kind", ["gunicorn-gthread", "gunicorn-gevent", "granian"])
def test_a_server_that_is_stopped_gives_its_job_back(tmp_path: Path, kind: str) -> None:
    """At once and in words: nobody has to wait for a sign of life that does not come."""
    with world(tmp_path, run="1", slow=30, server=kind) as here:
        job = here.upload()
        until(here.begun)
    with world(tmp_path, run="0", slow=0, server=kind) as here:
        assert here.status(job)["state"] == "queued"
        here.jobs.append(job)
        with worker(here, "worker"):
            assert here.wait(job)["state"] == "done"
        here.check_nothing_left()


def test_a_process_that_ends_while_it_rests_does_not_wait(tmp_path: Path) -> None:
    with world(tmp_path, run="8", slow=0) as here:
        here.wait(here.upload())
        began = time.monotonic()
    assert time.monotonic() - began < 4


def test_events_arrive_while_the_job_goes_on(tmp_path: Path) -> None:
    with world(tmp_path, run="1", slow=2) as here:
        job = here.upload(sha256=True)
        asked = Request(f"{here.address}/jobs/{job}", headers={"Accept": "text/event-stream"})
        moments = []
        with urlopen(asked, timeout=30) as events:
            assert events.headers["Content-Type"].startswith("text/event-stream")
            for line in events:
                if line.startswith(b"data: "):
                    moments.append((json.loads(line[6:])["state"], time.monotonic()))
        states = [state for state, _ in moments]
        assert states[-1] == "done"
        assert "running" in states
        assert moments[-1][1] - moments[0][1] > 1


@pytest.mark.parametrize(
    ("jobs", "wishes"),
    [(50, {"sha256": True}), pytest.param(50, {"poster": True}, marks=pytest.mark.chaos)],
    ids=["digests", "posters"],
)
def test_fifty_jobs_on_two_workers(tmp_path: Path, jobs: int, wishes: dict[str, Any]) -> None:
    """Each is published once, and no worker rests while a job waits."""
    with world(tmp_path, run="0", slow=0.05) as here:
        for _ in range(jobs):
            here.upload(**wishes)
        # However late one of them starts: the first job of the other lasts until then.
        here.environment["JOBS_CREW"] = "2"
        with worker(here, "worker"), worker(here, "worker"):
            until(lambda: len(set(here.begun())) == 2)
            began = time.monotonic()
            until(lambda: len(here.ended()) >= jobs, 120)
            took = time.monotonic() - began
            told = [here.status(job) for job in here.jobs]
        assert sorted(line[0] for line in here.ended()) == sorted(here.jobs)
        assert {(one["state"], one["attempt"]) for one in told} == {("done", 1)}
        assert (len(here.begun()), len(set(here.begun()))) == (jobs, 2)
        # With a rest of two seconds behind each it were 48 seconds for each worker, and the work.
        assert took < 45
        here.check_nothing_left()
