"""Makes a recording anew: an MP4 that plays everywhere, with what is wished laid over it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from resumable.processing import formats
from resumable.processing.copying import can_be_kept, kept
from resumable.processing.drawing import Drawing, draw
from resumable.processing.failures import Refused
from resumable.processing.formats import Format
from resumable.processing.graph import filters, layout
from resumable.processing.guessing import kept_at_once
from resumable.processing.making import PLAIN, checked, sound, written_to
from resumable.processing.meter import Meter
from resumable.processing.options import Wishes
from resumable.processing.probing import Facts
from resumable.processing.wording import time_in_words
from resumable.processing.work import Outcome, Work


@dataclass(frozen=True, slots=True)
class Mp4:
    """H.264 and AAC with the index in front: what is that already is copied, the rest encoded.

    Overlay, trim, scale, rate and gain are done in the same pass.
    """

    name: ClassVar[str] = "mp4"
    share: ClassVar[float] = 10.0
    of_result: ClassVar[bool] = False

    def __call__(self, work: Work) -> Outcome:
        made = kept_at_once(work)
        if isinstance(made, Outcome):
            return made
        if can_be_kept(work, made):
            return kept(work, made)
        return _converted(work, formats.MP4 if made.video else formats.M4A)


@dataclass(frozen=True, slots=True)
class Overlay:
    """Frame, label and icon over the picture, and the plain wishes, in the same kind of file."""

    name: ClassVar[str] = "overlay"
    share: ClassVar[float] = 10.0
    of_result: ClassVar[bool] = False

    def __call__(self, work: Work) -> Outcome:
        return Mp4()(work) if work.input.indexed else _converted(work, formats.WEBM)


def _converted(work: Work, target: Format) -> Outcome:
    facts, wishes = work.facts, work.wishes
    _check_streams(facts, wishes)
    duration = _duration_after(facts, wishes)
    path = work.folder / f"video.{target.extension}"
    if facts.video is None:
        path = work.folder / f"audio.{target.extension}"
    picture, notes = _picture(work, target)
    run = work.runner.run(
        (
            *_entry(work),
            *picture,
            *sound(work, facts.audio, target),
            *PLAIN,
            *("-threads", str(work.settings.threads)),
            *_end(work),
            *written_to(target, path),
        ),
        watch=Meter(work.report, duration),
    )
    return Outcome(notes=notes).joined(checked(work, path, target, run, duration))


def _check_streams(facts: Facts, wishes: Wishes) -> None:
    if wishes.trim_start and wishes.trim_start >= facts.duration:
        raise Refused(
            f"The recording lasts {time_in_words(facts.duration)}, so nothing is left of it from"
            f" trimStart {wishes.trim_start:g} on."
        )


def _duration_after(facts: Facts, wishes: Wishes) -> float:
    """Seconds of what is left after the cuts."""
    end = facts.duration if wishes.trim_end is None else min(wishes.trim_end, facts.duration)
    return end - wishes.trim_start


def _entry(work: Work) -> tuple[str, ...]:
    """The input; an indexed one is entered at the cut, any other is read from its beginning."""
    start = work.wishes.trim_start
    # The filters stay when a recorder changes its size: begun anew, they would miss the drawing.
    source = ("-reinit_filter", "0", *work.input.arguments(work.settings.limits))
    return ("-ss", f"{start:.6f}", *source) if start and work.input.indexed else source


def _end(work: Work) -> tuple[str, ...]:
    """The cuts on the way out, and in any case an end."""
    wishes = work.wishes
    skipped = (
        () if work.input.indexed or not wishes.trim_start else ("-ss", f"{wishes.trim_start:.6f}")
    )
    return (*skipped, "-t", f"{_longest(work):.6f}")


def _longest(work: Work) -> float:
    wishes = work.wishes
    if wishes.trim_end is None:
        return work.settings.limits.duration
    return wishes.trim_end - wishes.trim_start


def _picture(work: Work, target: Format) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The arguments for the picture, and notes on what could not be drawn."""
    video, wishes, settings = work.facts.video, work.wishes, work.settings
    if video is None:
        left_out = ("There is no picture in this recording to draw on.",) if wishes.draws else ()
        return (), left_out
    where = layout(video, wishes)
    drawing = draw(wishes, where.canvas, where, settings)
    second = _kept_as_file(drawing, work.folder)
    encode = formats.vp9 if target is formats.WEBM else formats.h264
    keys = f"expr:gte(t,n_forced*{formats.KEY_FRAME_SECONDS})"
    return (
        *second,
        *("-filter_complex", filters(video, wishes, where, drawn=bool(second)), "-map", "[v]"),
        *encode(settings, *where.canvas),
        *("-fps_mode", "vfr", "-force_key_frames", keys),
    ), drawing.notes


def _kept_as_file(drawing: Drawing, folder: Path) -> tuple[str, ...]:
    """The drawing as ffmpeg's second input, or nothing."""
    if drawing.image is None:
        return ()
    path = folder / "drawing.png"
    path.write_bytes(drawing.image)
    return ("-f", "png_pipe", "-i", f"file:{path}")
