"""What is learned of a recording without changing it: its facts and its digest."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import ClassVar

from resumable.model import MIB
from resumable.processing.work import Outcome, Work


@dataclass(frozen=True, slots=True)
class Probe:
    """The facts of the recording as it was sent, under "source"; its seconds under "duration".

    Behind a step that has read the whole recording this costs nothing.
    """

    name: ClassVar[str] = "probe"
    share: ClassVar[float] = 0.3
    of_result: ClassVar[bool] = False

    def __call__(self, work: Work) -> Outcome:
        facts = work.facts.as_dict()
        work.report(1.0, 0.0)
        return Outcome(facts={"source": facts, "duration": work.facts.duration})


@dataclass(frozen=True, slots=True)
class Sha256:
    """The SHA-256 of the file as it was sent, in hexadecimal, under "sha256". Any file will do."""

    name: ClassVar[str] = "sha256"
    share: ClassVar[float] = 0.5
    of_result: ClassVar[bool] = False

    def __call__(self, work: Work) -> Outcome:
        digest = hashlib.sha256()
        size = max(1, work.source.stat().st_size)
        read = 0
        with work.source.open("rb") as file:
            while piece := file.read(MIB):
                work.check_cancel()
                digest.update(piece)
                read += len(piece)
                work.report(min(1.0, read / size), None)
        work.report(1.0, 0.0)
        return Outcome(facts={"sha256": digest.hexdigest()})
