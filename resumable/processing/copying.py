"""Makes a recording anew from the packets that it has, and measures it beside that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from resumable.processing import formats
from resumable.processing.formats import Format
from resumable.processing.making import PLAIN, checked, sound, written_to
from resumable.processing.meter import Meter
from resumable.processing.probing import AudioFacts, Facts, check_duration, measured
from resumable.processing.running import Described, Progress, Run
from resumable.processing.work import Outcome, Work


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
                *written_to(target, path),
            ),
            path,
            target,
            work.outline,
        )


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


def kept(work: Work, outline: Facts) -> Outcome:
    """An MP4 of the same picture."""
    path = kept_as(work)
    return _copied(work, keeping(work, outline.audio), path, formats.MP4, outline)


def kept_as(work: Work) -> Path:
    """Where an MP4 of the same picture lies."""
    return work.folder / f"video.{formats.MP4.extension}"


def can_be_kept(work: Work, outline: Facts) -> bool:
    """Whether an MP4 of the same picture is what is wished."""
    video = outline.video
    return video is not None and formats.can_be_kept(video) and not work.wishes.changes_picture


def keeping(work: Work, audio: AudioFacts | None) -> tuple[str, ...]:
    """The arguments that make it."""
    return (
        *work.input.arguments(work.settings.limits),
        *("-map", "0:V:0?", "-c:v", "copy"),
        *sound(work, audio, formats.MP4),
        *PLAIN,
        *("-threads", str(work.settings.threads)),
        *written_to(formats.MP4, kept_as(work)),
    )


def _copied(
    work: Work, arguments: Sequence[str], path: Path, target: Format, outline: Facts
) -> Outcome:
    run = run_copy(work, arguments, loud=_says_enough(outline, target))
    return checked_copy(work, run, path, target, outline)


def run_copy(
    work: Work, arguments: Sequence[str], *, loud: bool, described: Described | None = None
) -> Run:
    """One run that copies. Raises LimitReached once its packets last too long."""
    limits = work.settings.limits
    meter = Meter(work.report, size=work.input.size)

    def watch(progress: Progress) -> None:
        check_duration(progress.seconds, limits)
        meter(progress)

    return work.runner.run(arguments, watch=watch, loud=loud, described=described)


def checked_copy(work: Work, run: Run, path: Path, target: Format, outline: Facts) -> Outcome:
    """A copy meets every packet: it is what measures the recording, beside its work."""
    if not _says_enough(outline, target):
        run = replace(run, log="")
    outcome = checked(work, path, target, run)
    # The header was written here: it knows more than ffmpeg says while it runs.
    progress = replace(run.progress, seconds=work.known[path].duration)
    work.known[work.source] = measured(outline, progress, work.settings.limits)
    return outcome


def _says_enough(outline: Facts, target: Format) -> bool:
    """Whether ffmpeg's words on what it copies are as good as a look; not all versions tell how it
    is rotated."""
    video = outline.video
    return target is formats.MP4 and video is not None and not video.rotation
