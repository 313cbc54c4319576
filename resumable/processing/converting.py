"""Makes a recording anew: an MP4 that plays everywhere, with what is wished laid over it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from resumable.processing import formats
from resumable.processing.drawing import Drawing, draw
from resumable.processing.failures import Refused
from resumable.processing.formats import Format
from resumable.processing.graph import filters, layout
from resumable.processing.index import seconds_of_mp4
from resumable.processing.meter import Meter
from resumable.processing.options import Wishes
from resumable.processing.probing import AudioFacts, Facts, check_duration, measured, written
from resumable.processing.running import Progress, Run
from resumable.processing.wording import time_in_words
from resumable.processing.work import Outcome, Result, Work

# What is missing at the end, in seconds and as a share, before somebody is told of it.
_MISSING_SECONDS = 1.0
_MISSING_SHARE = 0.05
# The same input gives the same bytes, and says nothing of who made it, when, and where.
_PLAIN = (
    *("-map_metadata", "-1", "-map_chapters", "-1"),
    *("-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact"),
)


@dataclass(frozen=True, slots=True)
class Mp4:
    """H.264 and AAC with the index in front: what is that already is copied, the rest encoded.

    Overlay, trim, scale, rate and gain are done in the same pass.
    """

    name: ClassVar[str] = "mp4"
    share: ClassVar[float] = 10.0
    of_result: ClassVar[bool] = False

    def __call__(self, work: Work) -> Outcome:
        video = work.outline.video
        if video is None:
            return _converted(work, formats.M4A)
        if formats.can_be_kept(video) and not work.wishes.changes_picture:
            return _kept(work)
        return _converted(work, formats.MP4)


@dataclass(frozen=True, slots=True)
class Overlay:
    """Frame, label and icon over the picture, and the plain wishes, in the same kind of file."""

    name: ClassVar[str] = "overlay"
    share: ClassVar[float] = 10.0
    of_result: ClassVar[bool] = False

    def __call__(self, work: Work) -> Outcome:
        return Mp4()(work) if work.input.indexed else _converted(work, formats.WEBM)


@dataclass(frozen=True, slots=True)
class Repair:
    """The same streams in a file that knows its duration and where its key frames are."""

    name: ClassVar[str] = "repair"
    share: ClassVar[float] = 1.0
    of_result: ClassVar[bool] = False

    def __call__(self, work: Work) -> Outcome:
        target = _same_kind(work.outline)
        path = work.folder / f"repaired.{target.extension}"
        streams = ("-map", "0:V:0?", "-map", "0:a:0?", "-c", "copy")
        return _copied(
            work,
            (
                *work.input.arguments(work.settings.limits),
                *streams,
                *("-fflags", "+bitexact"),
                *_written(target, path),
            ),
            path,
            target,
        )


def _kept(work: Work) -> Outcome:
    """An MP4 of the same picture."""
    path = work.folder / f"video.{formats.MP4.extension}"
    return _copied(
        work,
        (
            *work.input.arguments(work.settings.limits),
            *("-map", "0:V:0", "-c:v", "copy"),
            *_sound(work, work.outline.audio, formats.MP4),
            *_PLAIN,
            *("-threads", str(work.settings.threads)),
            *_written(formats.MP4, path),
        ),
        path,
        formats.MP4,
    )


def _copied(work: Work, arguments: Sequence[str], path: Path, target: Format) -> Outcome:
    """A copy meets every packet: it is what measures the recording, beside its work."""
    limits = work.settings.limits
    meter = Meter(work.report, size=work.input.size)

    def watch(progress: Progress) -> None:
        check_duration(progress.seconds, limits)
        meter(progress)

    run = work.runner.run(arguments, watch=watch, loud=_says_enough(work, target))
    outcome = _checked(work, path, target, run)
    # The header was written here: it knows more than ffmpeg says while it runs.
    progress = replace(run.progress, seconds=work.known[path].duration)
    work.known[work.source] = measured(work.outline, progress, limits)
    return outcome


def _says_enough(work: Work, target: Format) -> bool:
    """Whether ffmpeg's words on what it copies are as good as a look; not all versions tell how it
    is rotated."""
    video = work.outline.video
    return target is formats.MP4 and video is not None and not video.rotation


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
            *_sound(work, facts.audio, target),
            *_PLAIN,
            *("-threads", str(work.settings.threads)),
            *_end(work),
            *_written(target, path),
        ),
        watch=Meter(work.report, duration),
    )
    return Outcome(notes=notes).joined(_checked(work, path, target, run, duration))


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


def _sound(work: Work, audio: AudioFacts | None, target: Format) -> tuple[str, ...]:
    if audio is None:
        return ()
    wishes = work.wishes
    encode = formats.opus if target is formats.WEBM else formats.aac
    arguments = encode(work.settings, audio, wishes.audio_gain, anew=wishes.changes_sound)
    return ("-map", "0:a:0", *arguments)


def _written(target: Format, path: Path) -> tuple[str, ...]:
    return (*target.options, "-f", target.writer, "-y", f"file:{path}")


def _same_kind(facts: Facts) -> Format:
    """The format that a recording is in, by what it holds and not by what it calls itself."""
    return {
        "video/webm": formats.WEBM,
        "video/x-matroska": formats.MATROSKA,
        "video/ogg": formats.MATROSKA,
        "audio/ogg": formats.OGG,
        "audio/mpeg": formats.MP3,
        "audio/wav": formats.WAV,
        "audio/flac": formats.FLAC,
        "audio/mp4": formats.M4A,
    }.get(facts.media_type, formats.MP4)


def _checked(work: Work, path: Path, target: Format, run: Run, expected: float = 0.0) -> Outcome:
    """The file that was made, if it is one: an exit code alone proves nothing."""
    (work.folder / "drawing.png").unlink(missing_ok=True)
    if not path.exists() or not path.stat().st_size:
        raise Refused("Nothing of the recording could be read, so there is no result.")
    facts = _facts_of_made(work, path, target, run)
    if facts.duration <= 0:
        raise Refused("Nothing of the recording could be read, so the result has no length.")
    work.known[path] = facts
    role = "video" if facts.video else "audio"
    work.report(1.0, 0.0)
    return Outcome(
        (Result(path, role, target.media_type, facts.as_dict()),),
        notes=_on_what_is_missing(facts.duration, expected),
    )


def _facts_of_made(work: Work, path: Path, target: Format, run: Run) -> Facts:
    """By its header, which was written here and is believed; the frames are those of the run.

    What is an MP4 to its end, and was described while it was written, needs no other look.
    """
    video, audio = written(run.log)
    seconds = seconds_of_mp4(path) if video and target is formats.MP4 else 0.0
    if seconds:
        facts = Facts(target.media_type, path.stat().st_size, seconds, video, audio)
    else:
        facts = work.on(path).outline
    if facts.video is None:
        return facts
    return replace(facts, video=replace(facts.video, frames=run.progress.frames))


def _on_what_is_missing(made: float, expected: float) -> tuple[str, ...]:
    if expected - made <= max(_MISSING_SECONDS, expected * _MISSING_SHARE):
        return ()
    return (
        f"The recording is damaged: of {time_in_words(expected)}"
        f" only {time_in_words(made)} could be read.",
    )
