"""Runs ffmpeg once, watches it, and says in one sentence how it failed."""

from __future__ import annotations

import re
import selectors
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from resumable.processing.child import Child
from resumable.processing.explaining import explain
from resumable.processing.failures import Cancelled, LimitReached
from resumable.processing.program import Program
from resumable.processing.settings import ProcessingLimits
from resumable.processing.wording import bytes_in_words, time_in_words

_TICK = 0.1
_PIECE = 65_536
_LOG_BYTES = 65_536
# Whoever complains this much goes round in a circle: ffmpeg 9 does, where memory is refused to it.
_FLOOD_BYTES = 4 * 1024 * 1024
_LONGEST_LINE = 4_096
# What follows ffmpeg's description of its input, whichever comes first in its version.
_DESCRIBED = re.compile(rb"\n(?:Stream mapping:|Output #0)")
_LONGEST_MARK = 32
# Nothing is asked on a terminal, nothing but errors is said, and progress is told to us.
_ALWAYS = ("-hide_banner", "-nostdin", "-nostats", "-progress", "pipe:1", "-stats_period", "0.25")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far ffmpeg is: seconds of its output, frames, bytes."""

    seconds: float = 0.0
    frames: int = 0
    bytes: int = 0


Watch = Callable[[Progress], None]
Described = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Run:
    """What a run that succeeded left: its last progress and the end of its log."""

    progress: Progress
    log: str


class Runner:
    """Runs ffmpeg in one scratch folder, with its limits and its cancel event.

    `niceness` is added to that of this process.
    """

    def __init__(
        self,
        program: Program,
        folder: Path,
        limits: ProcessingLimits,
        *,
        cancel: threading.Event | None = None,
        niceness: int = 0,
    ) -> None:
        self.program = program
        self.folder = folder
        self.limits = limits
        self.niceness = niceness
        self.cancel = cancel or threading.Event()

    def run(
        self,
        arguments: Sequence[str],
        *,
        watch: Watch | None = None,
        loud: bool = False,
        described: Described | None = None,
    ) -> Run:
        """ffmpeg with `arguments`, to its end; `loud` lets it describe its input in the log.

        `watch` hears of progress four times a second at most. `described` hears a loud run's log
        once, as soon as the input is described in it. What they raise ends the child.
        Raises ProcessingFailed with one sentence.
        """
        self.check_cancel()
        level = "info" if loud else "error"
        command = (self.program.path, *_ALWAYS, "-v", level, *arguments)
        with Child(command, self.folder, self.limits, self.niceness) as child:
            return _Watch(self, child, watch, described).to_the_end()

    def check_cancel(self) -> None:
        """Raise Cancelled once the event is set."""
        if self.cancel.is_set():
            raise Cancelled()


class _Watch:
    """One child being watched."""

    def __init__(
        self, runner: Runner, child: Child, watch: Watch | None, described: Described | None
    ) -> None:
        self._runner = runner
        self._child = child
        self._tell = watch
        self._described = described
        self._last_said = b""
        self._log: deque[bytes] = deque()
        self._logged = 0
        self._said = 0
        self._line = b""
        self._seen: dict[str, str] = {}
        self._progress = Progress()
        self._cpu_seconds = 0.0
        self._deadline = time.monotonic() + runner.limits.seconds
        self._size_before = _size_of(runner.folder)

    def to_the_end(self) -> Run:
        with selectors.DefaultSelector() as selector:
            for pipe, take in (
                (self._child.process.stdout, self._take_progress),
                (self._child.process.stderr, self._take_log),
            ):
                assert pipe is not None
                selector.register(pipe, selectors.EVENT_READ, take)
            while selector.get_map():
                self._take_what_came(selector)
                self._check()
        while not self._child.ended(_TICK):
            self._check()
        return self._judged(self._child.process.returncode)

    def _take_what_came(self, selector: selectors.BaseSelector) -> None:
        for key, _ in selector.select(_TICK):
            piece = key.fileobj.read1(_PIECE)  # type: ignore[union-attr]
            if piece:
                key.data(piece)
            else:
                selector.unregister(key.fileobj)

    def _take_log(self, piece: bytes) -> None:
        self._log.append(piece)
        self._logged += len(piece)
        self._said += len(piece)
        while self._logged - len(self._log[0]) > _LOG_BYTES:
            self._logged -= len(self._log.popleft())
        self._tell_described(piece)

    def _tell_described(self, piece: bytes) -> None:
        said = self._last_said + piece
        self._last_said = said[-_LONGEST_MARK:]
        if self._described is not None and _DESCRIBED.search(said):
            tell, self._described = self._described, None
            tell(self._text())

    def _take_progress(self, piece: bytes) -> None:
        *lines, rest = (self._line + piece).split(b"\n")
        self._line = rest[:_LONGEST_LINE]
        for line in lines:
            key, _, value = line.decode("ascii", "replace").partition("=")
            self._seen[key.strip()] = value.strip()
            if key == "progress":
                self._tell_progress()

    def _tell_progress(self) -> None:
        self._progress = Progress(
            seconds=max(self._number("out_time_us") / 1e6, self._progress.seconds),
            frames=self._number("frame"),
            bytes=self._number("total_size"),
        )
        if self._tell is not None:
            self._tell(self._progress)

    def _number(self, key: str) -> int:
        """The figure ffmpeg gave, which may be "N/A" or, before the first packet, negative."""
        text = self._seen.get(key, "")
        return int(text) if text.isdigit() else 0

    def _check(self) -> None:
        """Raise when the work is to be stopped; leaving the child's block kills it."""
        self._runner.check_cancel()
        limits = self._runner.limits
        self._cpu_seconds = max(self._cpu_seconds, self._child.cpu_seconds())
        if time.monotonic() > self._deadline:
            raise LimitReached(
                f"The processing took longer than {time_in_words(limits.seconds)} and was stopped.",
                log=self._text(),
            )
        if self._said > _FLOOD_BYTES:
            raise explain(None, self._text(), limits, self._cpu_seconds)
        if _size_of(self._runner.folder) - self._size_before > limits.output_bytes:
            raise LimitReached(
                f"The result grew beyond {bytes_in_words(limits.output_bytes)} and was stopped.",
                log=self._text(),
            )

    def _judged(self, code: int) -> Run:
        if code != 0:
            raise explain(code, self._text(), self._runner.limits, self._cpu_seconds)
        return Run(self._progress, self._text())

    def _text(self) -> str:
        return b"".join(self._log).decode("utf-8", "replace")


def _size_of(folder: Path) -> int:
    """Bytes of all files in a folder without folders."""
    total = 0
    for path in folder.iterdir():
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue
    return total
