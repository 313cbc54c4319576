"""One child under limits: progress, cancel, every limit, and nothing left behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from resumable.processing.failures import (
    Cancelled,
    LimitReached,
    ProcessingFailed,
    ProgramMissing,
    Refused,
    Unfinished,
)
from resumable.processing.program import Program
from resumable.processing.running import Progress, Runner, _Watch
from resumable.processing.settings import ProcessingLimits

# An hour of a test card, as fast as it can be made: it ends only when somebody ends it.
ENDLESS = ("-f", "lavfi", "-i", "testsrc2=s=640x360:r=30:d=3600")
TO_NOWHERE = ("-f", "null", "-")
linux = pytest.mark.skipif(sys.platform != "linux", reason="these limits are Linux's")


@pytest.fixture
def runner(program: Program, scratch: Path) -> Callable[..., Runner]:
    def make(cancel: threading.Event | None = None, **limits: Any) -> Runner:
        return Runner(program, scratch, ProcessingLimits(**limits), cancel=cancel)

    return make


def children() -> set[int]:
    """The processes that this one has started and not yet waited for."""
    return {
        int(pid)
        for path in Path("/proc/self/task").glob("*/children")
        for pid in path.read_text().split()
    }


@contextmanager
def nothing_left() -> Iterator[None]:
    before = children()
    yield
    assert children() == before


def test_progress_is_told_and_the_end_is_known(runner: Callable[..., Runner]) -> None:
    heard: list[Progress] = []
    run = runner().run(
        ("-f", "lavfi", "-i", "testsrc2=s=64x36:r=10:d=2", *TO_NOWHERE), watch=heard.append
    )
    assert heard[-1] == run.progress
    assert run.progress.frames == 20
    assert run.progress.seconds == pytest.approx(2.0, abs=0.11)
    assert [one.seconds for one in heard] == sorted(one.seconds for one in heard)


def test_a_cancel_kills_the_child(runner: Callable[..., Runner]) -> None:
    cancel = threading.Event()
    with nothing_left(), pytest.raises(Cancelled):
        runner(cancel).run((*ENDLESS, *TO_NOWHERE), watch=lambda progress: cancel.set())


def test_a_loud_run_is_heard_while_it_goes_on(runner: Callable[..., Runner]) -> None:
    """Once, and with the whole description; the run would not end by itself."""
    heard: list[str] = []

    def described(log: str) -> None:
        heard.append(log)
        raise RuntimeError("it is something else")

    with nothing_left(), pytest.raises(RuntimeError, match="something else"):
        runner().run((*ENDLESS, *TO_NOWHERE), loud=True, described=described)
    (log,) = heard
    assert re.search(r"^  Stream #0:0: Video: [^\n]+ 640x360[^\n]+\n", log, re.MULTILINE)


def test_a_description_may_come_in_any_pieces(runner: Callable[..., Runner]) -> None:
    heard: list[str] = []
    watch = _Watch(runner(), None, None, heard.append)  # type: ignore[arg-type]
    for letter in "Input #0\n  title: Output #0\nStream mapping:\nOutput #0, mp4":
        watch._take_log(letter.encode())
    assert heard == ["Input #0\n  title: Output #0\nStream mapping:"]


def test_a_cancel_before_the_start_starts_nothing(runner: Callable[..., Runner]) -> None:
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        runner(cancel).run(("-no-such-option",))


def test_a_watch_that_raises_ends_the_child(runner: Callable[..., Runner]) -> None:
    def watch(progress: Progress) -> None:
        raise RuntimeError("the lease is lost")

    with nothing_left(), pytest.raises(RuntimeError, match="lease"):
        runner().run((*ENDLESS, *TO_NOWHERE), watch=watch)


def test_the_wall_clock_is_a_limit(runner: Callable[..., Runner]) -> None:
    with nothing_left(), pytest.raises(LimitReached, match=r"took longer than 0\.5 s"):
        runner(seconds=0.5).run((*ENDLESS, *TO_NOWHERE))


@linux
def test_the_processor_is_a_limit(runner: Callable[..., Runner]) -> None:
    with pytest.raises(LimitReached, match="more than 1 s of the processor"):
        runner(cpu_seconds=1).run((*ENDLESS, *TO_NOWHERE))


@linux
def test_memory_is_a_limit(runner: Callable[..., Runner]) -> None:
    large = (
        "-f",
        "lavfi",
        "-i",
        "color=s=8000x4000:r=25:d=4",
        "-vf",
        "negate,reverse",
        *TO_NOWHERE,
    )
    with pytest.raises(ProcessingFailed, match=r"more than 1\.2 GiB of memory") as caught:
        runner(memory=1_200 * 1024 * 1024).run(large)
    assert caught.type is LimitReached


def test_the_size_of_the_result_is_a_limit(runner: Callable[..., Runner], scratch: Path) -> None:
    raw = (*ENDLESS, "-c:v", "rawvideo", "-f", "rawvideo", "-y", f"file:{scratch / 'raw'}")
    with pytest.raises(LimitReached, match="grew beyond 20 MiB"):
        runner(output_bytes=20 * 1024 * 1024).run(raw)
    assert (scratch / "raw").stat().st_size < 60 * 1024 * 1024


def test_what_others_left_in_the_folder_does_not_count(
    runner: Callable[..., Runner], scratch: Path
) -> None:
    (scratch / "source").write_bytes(bytes(2_000_000))
    runner(output_bytes=1_000_000).run(("-f", "lavfi", "-i", "color=s=64x36:d=0.2", *TO_NOWHERE))


@pytest.mark.parametrize(
    ("arguments", "kind", "sentence"),
    [
        (("-f", "matroska", "-i", "file:/dev/null", *TO_NOWHERE), Refused, "damaged"),
        ((*ENDLESS, "-c:v", "nothing", *TO_NOWHERE), ProgramMissing, "cannot write nothing"),
        (("-nothing",), ProgramMissing, "knows no -nothing"),
    ],
)
def test_a_failure_is_one_sentence(
    runner: Callable[..., Runner],
    arguments: tuple[str, ...],
    kind: type[ProcessingFailed],
    sentence: str,
) -> None:
    with pytest.raises(kind, match=sentence) as caught:
        runner().run(arguments)
    assert "\n" not in caught.value.message
    assert caught.value.message.endswith(".")


def test_a_full_disk_may_be_tried_again(runner: Callable[..., Runner]) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full here")
    raw = ("-f", "lavfi", "-i", "color=s=640x360:d=2", "-f", "rawvideo", "-y", "file:/dev/full")
    with pytest.raises(Unfinished, match="no room left") as caught:
        runner().run(raw)
    assert caught.value.again


@linux
def test_a_child_that_somebody_kills_may_be_tried_again(runner: Callable[..., Runner]) -> None:
    def kill(progress: Progress) -> None:
        for pid in children():
            if "ffmpeg" in Path(f"/proc/{pid}/exe").readlink().name:
                os.kill(pid, signal.SIGKILL)

    with nothing_left(), pytest.raises(Unfinished, match="The system stopped ffmpeg"):
        runner().run((*ENDLESS, *TO_NOWHERE), watch=kill)


WORKER = """
import sys, threading
from pathlib import Path
from resumable.processing.program import find_program
from resumable.processing.running import Runner
from resumable.processing.settings import ProcessingLimits

def tell(progress):
    pids = [pid for path in Path("/proc/self/task").glob("*/children")
            for pid in path.read_text().split()]
    print(*pids, flush=True)

arguments = ["-f", "lavfi", "-i", "testsrc2=s=640x360:r=30:d=3600", "-f", "null", "-"]
Runner(find_program(), Path(sys.argv[1]), ProcessingLimits()).run(arguments, watch=tell)
"""


@linux
def test_the_child_dies_with_a_killed_worker(program: Program, scratch: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WORKER, str(scratch)], stdout=subprocess.PIPE, text=True
    ) as worker:
        assert worker.stdout is not None
        started = [int(pid) for pid in worker.stdout.readline().split()]
        worker.kill()
    assert len(started) == 2
    give_up = time.monotonic() + 10
    while any(map(is_running, started)):
        assert time.monotonic() < give_up, "the child outlived its worker"
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


@linux
def test_the_child_gets_nothing_of_ours(
    program: Program, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither variables, nor open files, nor our standard input."""
    monkeypatch.setenv("SECRET", "of the app")
    seen: dict[str, str] = {}
    cancel = threading.Event()

    def look(progress: Progress) -> None:
        for pid in children():
            folder = Path(f"/proc/{pid}")
            if "ffmpeg" in (folder / "exe").readlink().name:
                seen["environment"] = (folder / "environ").read_text()
                seen["files"] = " ".join(str(fd.readlink()) for fd in (folder / "fd").iterdir())
                seen["core"] = (folder / "limits").read_text()
                cancel.set()

    with (scratch / "of-ours").open("wb") as ours:
        os.set_inheritable(ours.fileno(), True)
        with pytest.raises(Cancelled):
            Runner(program, scratch, ProcessingLimits(), cancel=cancel).run(
                (*ENDLESS, *TO_NOWHERE), watch=look
            )
    assert "SECRET" not in seen["environment"]
    assert "of-ours" not in seen["files"]
    assert "/dev/null" in seen["files"]
    assert "Max core file size        0" in seen["core"]
