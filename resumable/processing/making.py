"""What all runs that make a recording have in common: sound, target, and what came of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from resumable.processing import formats
from resumable.processing.failures import Refused
from resumable.processing.formats import Format
from resumable.processing.index import seconds_of_mp4
from resumable.processing.probing import AudioFacts, Facts, written
from resumable.processing.running import Run
from resumable.processing.wording import time_in_words
from resumable.processing.work import Outcome, Result, Work

# What is missing at the end, in seconds and as a share, before somebody is told of it.
_MISSING_SECONDS = 1.0
_MISSING_SHARE = 0.05
# The same input gives the same bytes, and says nothing of who made it, when, and where.
PLAIN = (
    *("-map_metadata", "-1", "-map_chapters", "-1"),
    *("-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact"),
)


def sound(work: Work, audio: AudioFacts | None, target: Format) -> tuple[str, ...]:
    """The arguments for the sound, as the target takes it."""
    if audio is None:
        return ()
    wishes = work.wishes
    encode = formats.opus if target is formats.WEBM else formats.aac
    arguments = encode(work.settings, audio, wishes.audio_gain, anew=wishes.changes_sound)
    return ("-map", "0:a:0?", *arguments)


def written_to(target: Format, path: Path) -> tuple[str, ...]:
    """The arguments for the file itself; they come last."""
    return (*target.options, "-f", target.writer, "-y", f"file:{path}")


def checked(work: Work, path: Path, target: Format, run: Run, expected: float = 0.0) -> Outcome:
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
