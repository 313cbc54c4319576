"""Turns what ffmpeg said when it failed into one sentence for a person."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable

from resumable.processing.failures import (
    LimitReached,
    ProcessingFailed,
    ProgramMissing,
    Refused,
    Unfinished,
)
from resumable.processing.settings import ProcessingLimits
from resumable.processing.wording import bytes_in_words, time_in_words

# ffmpeg's own answer to the signals it knows, that of the processor limit among them.
_STOPPED = 255
_NO_ROOM = "There was no room left on the disk for the result."
_NOT_MEDIA = "The file is damaged, or it is not a recording."
_CUT = "The file ends before its index, so it cannot be played; it was probably cut off."
_WORDS: tuple[tuple[str, Callable[..., ProcessingFailed], str], ...] = (
    (r"No space left on device", Unfinished, _NO_ROOM),
    (r"Unknown encoder '(?P<what>[^']+)'", ProgramMissing, "This ffmpeg cannot write {what}."),
    (r"Unrecognized option '(?P<what>[^']+)'", ProgramMissing, "This ffmpeg knows no -{what}."),
    (r"moov atom not found", Refused, _CUT),
    (
        r"not on whitelist",
        Refused,
        "The recording uses a codec that is not accepted here.",
    ),
    (
        r"matches no streams|does not contain any stream",
        Refused,
        "There is neither a picture nor sound in this file.",
    ),
    (r"Invalid data found|End of file|EBML header parsing failed", Refused, _NOT_MEDIA),
)
_PIXELS = re.compile(r"Picture size \S+ is invalid|exceeds specified max pixel count")
_MEMORY = re.compile(
    r"(Cannot|Could not|Unable to) alloc|Error allocating|alloc failed|out of memory"
    r"|failed to map segment|(pthread_create|get_buffer)\(\) failed",
    re.IGNORECASE,
)
_TOO_LARGE = re.compile(r"File too large")


def explain(
    code: int | None, log: str, limits: ProcessingLimits, cpu_seconds: float = 0.0
) -> ProcessingFailed:
    """The failure behind an exit code: negative for a signal, as in `subprocess`.

    None is that of a program which would never have ended. The codes themselves differ between
    versions of ffmpeg; only the log tells.
    """
    return (
        _at_a_limit(code, log, limits, cpu_seconds)
        or _in_known_words(log)
        or _by_signal(code, log)
        or Refused(f"The recording could not be processed: {_last_line(log)}", log=log)
    )


def _at_a_limit(
    code: int | None, log: str, limits: ProcessingLimits, cpu_seconds: float
) -> LimitReached | None:
    said = None
    if _PIXELS.search(log):
        said = f"The picture is larger than {limits.pixels} pixels."
    elif code == -signal.SIGXFSZ or _TOO_LARGE.search(log):
        said = f"The result grew beyond {bytes_in_words(limits.output_bytes)} and was stopped."
    elif code in (_STOPPED, -signal.SIGXCPU, -signal.SIGKILL) and (
        cpu_seconds > limits.cpu_seconds - 1
    ):
        said = (
            f"The processing needed more than {time_in_words(limits.cpu_seconds)} of the processor."
        )
    elif _MEMORY.search(log):
        said = f"The processing needed more than {bytes_in_words(limits.memory)} of memory."
    return LimitReached(said, log=log) if said else None


def _in_known_words(log: str) -> ProcessingFailed | None:
    for pattern, kind, sentence in _WORDS:
        found = re.search(pattern, log)
        if found:
            return kind(sentence.format(**found.groupdict()), log=log)
    return None


def _by_signal(code: int | None, log: str) -> ProcessingFailed | None:
    if code is None:
        return Refused(_NOT_MEDIA, log=log)
    if code == -signal.SIGKILL:
        return Unfinished("The system stopped ffmpeg; it was probably short of memory.", log=log)
    if code < 0:
        return Refused(f"ffmpeg crashed on this file (signal {-code}).", log=log)
    if code == _STOPPED:
        return Unfinished("Somebody stopped ffmpeg.", log=log)
    return None


def _last_line(log: str) -> str:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "ffmpeg did not say why."
