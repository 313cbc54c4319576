"""What `resumable upload` shows while it works: bars, lines, or one JSON object an event."""

from __future__ import annotations

import json
import sys
import threading
import time
from dataclasses import asdict
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

import click

from resumable.cli.words import percent_of, shortened, size_of, time_of

if TYPE_CHECKING:
    from rich.progress import TaskID

    from resumable.client import Progress, Uploaded

_LINE_SECONDS = 10.0
_EVENT_SECONDS = 1.0
# More finished bars than that push the running ones off the screen.
_BARS_AT_MOST = 10


class Display(Protocol):
    """Hears of each file by the name that the caller gave it, from any thread."""

    def __enter__(self) -> Display: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def progress(self, file: str, now: Progress) -> None: ...

    def done(self, file: str, uploaded: Uploaded) -> None: ...

    def failed(self, file: str, sentence: str, **more: Any) -> None: ...

    def paused(self, file: str, acknowledged: int, length: int | None) -> None: ...

    def not_begun(self, file: str) -> None: ...

    def say(self, sentence: str) -> None: ...

    def leave(self) -> None:
        """The process ends at once."""
        ...


class Lines:
    """For a log: a line of each file every ten seconds, notes at once; addresses on stdout."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._lock = threading.Lock()
        self._next: dict[str, float] = {}
        self._notes: dict[str, str] = {}

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing is open."""

    def progress(self, file: str, now: Progress) -> None:
        if self._quiet:
            return
        with self._lock:
            if now.note != self._notes.get(file, ""):
                self._notes[file] = now.note
                if now.note:
                    self.say(f"{file}: {now.note}")
            moment = time.monotonic()
            if moment >= self._next.setdefault(file, moment + _LINE_SECONDS):
                self._next[file] = moment + _LINE_SECONDS
                self.say(f"{file}: {_facts(now)}")

    def done(self, file: str, uploaded: Uploaded) -> None:
        self._print(uploaded.url)
        if uploaded.already and not self._quiet:
            self.say(f"{file}: was finished before.")

    def failed(self, file: str, sentence: str, **more: Any) -> None:
        self.say(f"{file}: {sentence}")

    def paused(self, file: str, acknowledged: int, length: int | None) -> None:
        self.say(_pause(file, acknowledged, length))

    def not_begun(self, file: str) -> None:
        """Nobody misses it in a log."""

    def say(self, sentence: str) -> None:
        click.echo(sentence, err=True)

    def leave(self) -> None:
        """Nothing is open."""

    def _print(self, url: str) -> None:
        click.echo(url)


class Bars(Lines):
    """For a terminal: a bar of each file, and one of all files."""

    def __init__(self, files: int) -> None:
        super().__init__()
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Live

        self._console = Console(stderr=True)
        self._live = Live(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[facts]}", markup=False),
            console=self._console,
            expand=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._tasks: dict[str, TaskID] = {}
        self._files = files
        self._ended = 0
        self._all: TaskID | None = None

    def __enter__(self) -> Bars:
        if self._files > 1:
            self._all = self._live.add_task("All files", total=self._files, facts="")
        self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.stop()

    def progress(self, file: str, now: Progress) -> None:
        with self._lock:
            task = self._tasks.get(file)
            if task is None:
                name = shortened(file, self._console.width // 4)
                task = self._tasks[file] = self._live.add_task(name, total=None, facts="")
            self._live.update(
                task,
                completed=now.acknowledged if now.length else 1,
                # Nothing known of the length: the bar shows that something goes on.
                total=None if now.length is None else now.length or 1,
                facts=now.note or _facts(now),
            )

    def done(self, file: str, uploaded: Uploaded) -> None:
        super().done(file, uploaded)
        self._end(file, "done")

    def failed(self, file: str, sentence: str, **more: Any) -> None:
        super().failed(file, sentence)
        self._end(file, "failed")

    def say(self, sentence: str) -> None:
        self._console.print(sentence, markup=False, highlight=False, emoji=False, soft_wrap=True)

    def leave(self) -> None:
        self._console.show_cursor()

    def _end(self, file: str, word: str) -> None:
        with self._lock:
            self._ended += 1
            if self._all is not None:
                told = f"{self._ended} of {self._files}"
                self._live.update(self._all, completed=self._ended, facts=told)
            task = self._tasks.get(file)
            if task is not None:
                self._live.update(task, visible=self._files <= _BARS_AT_MOST)
                if word == "failed":
                    self._live.update(task, facts=word)

    def _print(self, url: str) -> None:
        # On the same terminal an address must not land in the middle of a bar.
        if sys.stdout.isatty():
            self.say(url)
        else:
            click.echo(url)


class Events:
    """For a program: one JSON object a line on stdout."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told: dict[str, tuple[float, str, str]] = {}

    def __enter__(self) -> Events:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing is open."""

    def progress(self, file: str, now: Progress) -> None:
        moment = time.monotonic()
        with self._lock:
            before = self._told.get(file, (-_EVENT_SECONDS, "", ""))
            news = before[1:] != (now.phase.value, now.note)
            if not news and moment - before[0] < _EVENT_SECONDS:
                return
            self._told[file] = (moment, now.phase.value, now.note)
        facts = {key: value for key, value in asdict(now).items() if key != "name"}
        self._tell("progress", file=file, **{**facts, "phase": now.phase.value})

    def done(self, file: str, uploaded: Uploaded) -> None:
        self._tell("done", file=file, **asdict(uploaded))

    def failed(self, file: str, sentence: str, **more: Any) -> None:
        self._tell("failed", file=file, error=sentence, **more)

    def paused(self, file: str, acknowledged: int, length: int | None) -> None:
        self._tell("paused", file=file, acknowledged=acknowledged, length=length)

    def not_begun(self, file: str) -> None:
        self.paused(file, 0, None)

    def say(self, sentence: str) -> None:
        self._tell("note", note=sentence)

    def leave(self) -> None:
        """Nothing is open."""

    def _tell(self, event: str, **facts: Any) -> None:
        with self._lock:
            click.echo(json.dumps({"event": event, **facts}))


def _facts(now: Progress) -> str:
    """As `43 %  4.1 MiB of 9.5 MiB  1.2 MiB/s  0:04 left  uploading`."""
    words = [percent_of(now.acknowledged, now.length), size_of(now.acknowledged)]
    if now.length is not None:
        words[1] += f" of {size_of(now.length)}"
    phase = now.phase.value
    if phase == "uploading":
        words.append(f"{size_of(now.speed)}/s" if now.speed else "")
        words.append("" if now.left is None else f"{time_of(now.left)} left")
    if phase == "processing" and now.percent is not None:
        phase += f" {now.percent} %"
    return "  ".join(word for word in (*words, phase) if word)


def _pause(file: str, acknowledged: int, length: int | None) -> str:
    percent = percent_of(acknowledged, length)
    at = f" at {percent}" if percent else ""
    of = "" if length is None else f" of {length:,}"
    return f"{file}: paused{at}, {acknowledged:,}{of} bytes are on the server."
