"""What a processor is given and what it gives back: the seam between jobs and processing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from resumable.processing.failures import Cancelled
from resumable.processing.inputs import Input, opened
from resumable.processing.options import Wishes
from resumable.processing.probing import Facts, outline, probe
from resumable.processing.program import Program, find_program
from resumable.processing.running import Runner
from resumable.processing.settings import VideoSettings

# How much is done, from 0 to 1, and the seconds that are left, where that can be said.
Report = Callable[[float, float | None], None]


def silent(done: float, seconds_left: float | None) -> None:
    """A report that nobody hears."""


@dataclass(frozen=True)
class Work:
    """One recording, one scratch folder, what is wished, and how to tell of progress.

    `source` is a local file that can be read at any position; nothing writes to it. `folder` is
    private to this work; results lie in it until whoever began the work has taken them. A report
    that raises, and a `cancel` event that is set, end the work and its child.
    """

    source: Path
    folder: Path
    wishes: Wishes = field(default_factory=Wishes)
    settings: VideoSettings = field(default_factory=VideoSettings)
    report: Report = silent
    cancel: threading.Event = field(default_factory=threading.Event)
    # What any step has learned of a file, for those that come later.
    known: dict[Path, Facts] = field(default_factory=dict)

    @cached_property
    def input(self) -> Input:
        """The source, sniffed. Raises Refused."""
        return opened(self.source)

    @property
    def facts(self) -> Facts:
        """What the source is, measured once for all steps. Raises ProcessingFailed."""
        if self.source not in self.known:
            self.known[self.source] = probe(self.input, self.runner)
        return self.known[self.source]

    @cached_property
    def outline(self) -> Facts:
        """What the source says it is, without reading it all. Raises ProcessingFailed."""
        return self.known.get(self.source) or outline(self.input, self.runner)

    @cached_property
    def program(self) -> Program:
        """The ffmpeg of these settings. Raises ProgramMissing."""
        return find_program(self.settings.ffmpeg)

    @cached_property
    def runner(self) -> Runner:
        """Runs ffmpeg for this work."""
        return Runner(
            self.program,
            self.folder,
            self.settings.limits,
            cancel=self.cancel,
            niceness=self.settings.niceness,
        )

    def check_cancel(self) -> None:
        """Raise Cancelled once the event is set."""
        if self.cancel.is_set():
            raise Cancelled()

    def on(self, source: Path) -> Work:
        """The same work with another source: what an earlier step made."""
        return replace(self, source=source)

    def reporting(self, report: Report) -> Work:
        """The same work, told to somebody else."""
        return replace(self, report=report)


@dataclass(frozen=True, slots=True)
class Result:
    """A file that was made: where it lies, what it is to the recording, its type, what it is.

    `role` is one of "video", "poster", "sprite", "thumbnails", "playlist", "segment". `name` is its
    name among the results; `mentions` are the names of those that its own text refers to, relative
    to itself.
    """

    path: Path
    role: str
    media_type: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    mentions: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def size(self) -> int:
        """Bytes."""
        return self.path.stat().st_size


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a processor made and learned. `notes` are sentences on what was wished and left out."""

    results: tuple[Result, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def joined(self, later: Outcome) -> Outcome:
        """This and what a later step made."""
        return Outcome(
            (*self.results, *later.results),
            {**self.facts, **later.facts},
            (*self.notes, *later.notes),
        )


class Processor(Protocol):
    """One step. It may run again from the beginning, in another folder, after a crash.

    `share` is its part of the whole's time beside the other steps: a copy has 1, encoding 10.
    `of_result` says whether it looks at the recording that earlier steps made, if one did, instead
    of the one that was sent.
    """

    @property
    def name(self) -> str: ...

    @property
    def share(self) -> float: ...

    @property
    def of_result(self) -> bool: ...

    def __call__(self, work: Work) -> Outcome:
        """Do the step. Raises ProcessingFailed."""
