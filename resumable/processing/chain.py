"""The steps that follow from wishes, one behind the other, with one progress."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from resumable.processing.converting import Mp4, Overlay
from resumable.processing.copying import Repair
from resumable.processing.looking import Probe, Sha256
from resumable.processing.options import Wishes
from resumable.processing.pictures import Poster, Sprite
from resumable.processing.streaming import Hls
from resumable.processing.work import Outcome, Processor, Report, Work

_LEAST_FOR_A_GUESS = 0.02
_LEAST_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Chain:
    """Steps in their order; empty where nothing is wished."""

    steps: tuple[Processor, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.steps)

    def __call__(self, work: Work) -> Outcome:
        """Do all steps. The recording that one of them makes is what later ones look at.

        Raises ProcessingFailed of the first step that fails; what earlier ones made stays in the
        folder, for nobody.
        """
        outcome, current = Outcome(), work
        total = sum(step.share for step in self.steps)
        done, began = 0.0, time.monotonic()
        for step in self.steps:
            work.check_cancel()
            report = _part(work.report, done / total, step.share / total, began)
            made = step((current if step.of_result else work).reporting(report))
            outcome = outcome.joined(made)
            main = next((one for one in made.results if one.role in ("video", "audio")), None)
            current = work.on(main.path) if main else current
            done += step.share
        work.report(1.0, 0.0)
        return outcome


def chain_for(wishes: Wishes, extra: Sequence[Processor] = ()) -> Chain:
    """The steps that make what is wished, then the app's own, which always run."""
    steps: list[Processor] = [*_main(wishes)]
    # Behind the one that reads all of the recording, if there is one.
    steps += [Probe()] if steps or wishes.poster or wishes.sprite or wishes.probe else []
    steps += [Poster()] if wishes.poster else []
    steps += [Sprite()] if wishes.sprite else []
    steps += [Hls()] if wishes.hls else []
    steps += [Sha256()] if wishes.sha256 else []
    return Chain((*steps, *extra))


def _main(wishes: Wishes) -> Sequence[Processor]:
    """The one step that makes a recording of the recording, if any is needed."""
    if wishes.changes:
        return [Overlay() if wishes.mp4 is False else Mp4()]
    if wishes.mp4 or wishes.hls:
        return [Mp4()]
    return [Repair()] if wishes.repair else []


def _part(report: Report, before: float, share: float, began: float) -> Report:
    """Reports a step's progress as that of the whole."""

    def tell(done: float, seconds_left: float | None) -> None:
        whole = min(before + done * share, 1.0)
        elapsed = time.monotonic() - began
        guess = whole >= _LEAST_FOR_A_GUESS and elapsed >= _LEAST_SECONDS
        report(whole, elapsed * (1 - whole) / whole if guess else None)

    return tell
