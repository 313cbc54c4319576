"""Working files of a process that was killed go; those of one that lives stay."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from resumable import Processing, ResumableUploads
from resumable.jobs import scratch
from resumable.jobs.scratch import scratch_folder, sweep_scratch
from tests.jobs.workshop import Workshop

OTHER = """
import sys, time
from pathlib import Path
from resumable.jobs.scratch import scratch_folder

with scratch_folder(Path(sys.argv[1]), "job-1") as folder:
    (folder / "video.mp4").write_bytes(b"half of it")
    print(folder, flush=True)
    time.sleep(60)
"""


@contextmanager
def somebody_at_work(home: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    process = subprocess.Popen(
        [sys.executable, "-c", OTHER, str(home)], stdout=subprocess.PIPE, text=True
    )
    with process:
        try:
            assert process.stdout is not None
            yield process, Path(process.stdout.readline().strip())
        finally:
            process.send_signal(signal.SIGKILL)


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """The folder of a process that was killed."""
    with somebody_at_work(tmp_path) as (_, folder):
        pass
    assert (folder / "video.mp4").exists()
    return folder


def test_those_of_the_dead_are_swept_and_those_of_the_living_are_not(
    tmp_path: Path, left: Path
) -> None:
    with (
        scratch_folder(tmp_path, "job-2") as mine,
        somebody_at_work(tmp_path) as (_, theirs),
    ):
        # Whoever begins sweeps too.
        assert not left.exists()
        assert sweep_scratch(tmp_path) == 0
        assert mine.exists()
        assert (theirs / "video.mp4").exists()
    assert not mine.exists()
    assert sweep_scratch(tmp_path) == 1
    assert list(tmp_path.iterdir()) == []


def test_nothing_else_is_touched(tmp_path: Path) -> None:
    (tmp_path / "somebodys").mkdir()
    (tmp_path / "resumable-job-file").write_bytes(b"no folder")
    (tmp_path / "resumable-job-link").symlink_to(tmp_path / "somebodys")
    assert sweep_scratch(tmp_path) == 0
    assert len(list(tmp_path.iterdir())) == 3


def test_a_folder_that_is_swept_before_it_is_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept: list[Path] = []
    locked = scratch._locked

    def late(folder: Path) -> int | None:
        lock = locked(folder)
        if len(swept) < 2:
            swept.append(folder)
            folder.rmdir()
        return lock

    monkeypatch.setattr(scratch, "_locked", late)
    with scratch_folder(tmp_path, "job") as folder:
        assert len(swept) == 2
        assert folder not in swept
        assert folder.exists()


def test_the_sweep_of_the_uploads_takes_them_along(tmp_path: Path, left: Path) -> None:
    processing = Processing(run=0, scratch=tmp_path)
    app = ResumableUploads(None, tmp_path / "data", processing=processing)
    app.uploads.sweep()
    assert not left.exists()


def test_a_worker_that_starts_takes_them_along(tmp_path: Path, left: Path) -> None:
    shop = Workshop()
    place = shop.workplace(scratch=tmp_path)
    place.close()
    place.keep_at_it(threading.Event())
    assert not left.exists()
