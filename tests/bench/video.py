"""Jobs on a recording beside ffmpeg called by hand with the same flags, as a table in Markdown.

python -m tests.bench.video [--rounds N]
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from werkzeug.test import Client

from resumable import Processing, ResumableUploads
from resumable.processing import VideoSettings, find_program

MIB = 1024 * 1024
AIM = 1.1
_PLAIN = (
    *("-map_metadata", "-1", "-map_chapters", "-1", "-fflags", "+bitexact"),
    *("-flags:v", "+bitexact", "-flags:a", "+bitexact", "-threads", "2"),
    *("-movflags", "+faststart", "-f", "mp4", "-y"),
)
_SOUND = ("-map", "0:a:0", "-c:a", "aac", "-b:a", "128000", "-af", "aresample=async=1")
_REMUX = ("-map", "0:V:0", "-c:v", "copy", *_SOUND, *_PLAIN)
_ENCODE = (
    *("-map", "0:V:0", "-c:v", "libx264", "-preset", "veryfast", "-crf", "23"),
    *("-pix_fmt", "yuv420p", "-level:v", "4.2", "-fps_mode", "vfr"),
    *("-force_key_frames", "expr:gte(t,n_forced*2)", *_SOUND, *_PLAIN),
)


@dataclass(frozen=True)
class Load:
    """A recording, and the flags by hand for what the job does."""

    name: str
    recording: Path
    flags: Sequence[str]


def recorded(folder: Path, ffmpeg: str, name: str, seconds: int, *codec: str) -> Path:
    """A noisy 720p recording as browsers send them: no duration, no index, Opus beside it."""
    path = folder / name
    picture = f"testsrc2=s=1280x720:r=30:d={seconds},noise=alls=12:allf=t"
    with path.open("wb") as file:
        subprocess.run(
            [
                *(ffmpeg, "-v", "error", "-f", "lavfi", "-i", picture),
                *("-f", "lavfi", "-i", f"sine=f=300:d={seconds}", "-g", "120", *codec),
                *("-pix_fmt", "yuv420p", "-c:a", "libopus", "-b:a", "128k"),
                *("-f", "matroska", "-live", "1", "pipe:1"),
            ],
            stdout=file,
            check=True,
        )
    return path


def processor_seconds() -> float:
    """Used by this process and by those of its children that have ended."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


@dataclass(frozen=True)
class Taken:
    """Seconds of the wall and of the processor, and until progress was seen."""

    wall: float
    processor: float
    seen: float = 0.0


def by_hand(ffmpeg: str, load: Load, folder: Path) -> Taken:
    target = folder / "by-hand.mp4"
    began, used = time.perf_counter(), processor_seconds()
    command = [ffmpeg, "-v", "error", "-nostdin", "-i", str(load.recording), *load.flags]
    subprocess.run([*command, str(target)], check=True)
    taken = Taken(time.perf_counter() - began, processor_seconds() - used)
    target.unlink()
    return taken


class App:
    """A storage of its own with one recording in it."""

    def __init__(self, folder: Path, durability: str) -> None:
        self.root = Path(tempfile.mkdtemp(dir=folder))
        processing = Processing(run=0, scratch=folder, video=VideoSettings(niceness=0))
        self.app = ResumableUploads(None, self.root, durability=durability, processing=processing)
        self.client = Client(self.app)

    def ask(self, recording: Path) -> str:
        """Send it; the id of its job."""
        path = "/upload-chunk?uploadId=film&chunkIndex=0&totalChunks=1"
        assert self.client.put(path, data=recording.read_bytes()).status_code == 200
        wished = {"uploadId": "film", "options": {"convertToMp4": True}}
        return str(self.client.post("/finalize-upload", json=wished).json["job"])

    def status(self, job: str) -> Any:
        return self.client.get(f"/jobs/{job}").json


def ours(load: Load, folder: Path, durability: str) -> Taken:
    """A job from its claim to its end, while a client looks."""
    app = App(folder, durability)
    job = app.ask(load.recording)
    worker = threading.Thread(target=app.app.uploads.work, args=(job,))
    began, used = time.perf_counter(), processor_seconds()
    seen: list[float] = []

    def look() -> None:
        while worker.is_alive() and not seen:
            time.sleep(0.1)
            if app.status(job)["progress"] > 0:
                seen.append(time.perf_counter() - began)

    looking = threading.Thread(target=look)
    worker.start()
    looking.start()
    worker.join()
    taken, used = time.perf_counter() - began, processor_seconds() - used
    looking.join()
    told = app.status(job)
    assert told["state"] == "done", told["error"]
    shutil.rmtree(app.root)
    return Taken(taken, used, min([*seen, taken]))


def memory(load: Load, folder: Path) -> float:
    """The most that `resumable worker` itself held while it did a job, in bytes."""
    app = App(folder, "process")
    job = app.ask(load.recording)
    command = "from resumable.cli import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", command, "worker", "--storage", str(app.root)],
        stdout=subprocess.DEVNULL,
    ) as process:
        held, known = 0, psutil.Process(process.pid)
        while app.status(job)["state"] in ("queued", "running"):
            held = max(held, known.memory_info().rss)
            time.sleep(0.02)
        process.terminate()
    return held


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="", help="rows whose name holds this")
    given = parser.parse_args()
    ffmpeg = find_program().path
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=Path.cwd()) as name:
        folder = Path(name)
        fast = ("-c:v", "libx264", "-preset", "ultrafast", "-b:v", "7500k", "-maxrate", "8000k")
        film = recorded(folder, ffmpeg, "h264.webm", 60, *fast, "-bufsize", "8000k")
        short = ("-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "2500k")
        camera = recorded(folder, ffmpeg, "vp8.webm", 10, *short)
        size = film.stat().st_size / MIB
        loads = (
            Load(f"60 s of H.264 ({size:.0f} MiB) to MP4, picture copied", film, _REMUX),
            Load("10 s of VP8 to H.264, veryfast", camera, _ENCODE),
        )
        report(ffmpeg, [one for one in loads if given.only in one.name], folder, given.rounds)
        print(f"\nA worker itself held at most {memory(loads[0], folder) / MIB:.0f} MiB (aim: 80).")


def report(ffmpeg: str, loads: Sequence[Load], folder: Path, rounds: int) -> None:
    print(f"1280x720, ffmpeg {find_program().version}; medians of {rounds} rounds in turn.")
    print("Seconds of the wall, and of the processor, which other work disturbs less.\n")
    print("| work | durability | by hand | as a job | ratio | processor | aim | progress after |")
    print("|---|---|---|---|---|---|---|---|")
    for load in loads:
        for durability in ("process", "full"):
            hands, jobs = [], []
            for _ in range(rounds):
                hands.append(by_hand(ffmpeg, load, folder))
                jobs.append(ours(load, folder, durability))
            print(f"| {load.name} | {durability} | {_row(hands, jobs)} |", flush=True)


def _row(hands: Sequence[Taken], jobs: Sequence[Taken]) -> str:
    hand, job = middle(one.wall for one in hands), middle(one.wall for one in jobs)
    used = middle(one.processor for one in jobs) / middle(one.processor for one in hands)
    seen = middle(one.seen for one in jobs)
    return f"{hand:.2f} s | {job:.2f} s | {job / hand:.2f} | {used:.2f} | {AIM} | {seen:.2f} s"


def middle(figures: Iterable[float]) -> float:
    return statistics.median(list(figures))


if __name__ == "__main__":
    main()
