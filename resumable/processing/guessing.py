"""Copies a picture without a look before: what that would show is heard while the work goes on."""

from __future__ import annotations

from resumable.processing import formats
from resumable.processing.copying import can_be_kept, checked_copy, keeping, kept_as, run_copy
from resumable.processing.failures import ProgramMissing, Refused
from resumable.processing.making import sound
from resumable.processing.probing import AudioFacts, Facts, outlined
from resumable.processing.work import Outcome, Work

# What browsers and telephones record beside H.264. A WebM holds no H.264.
_SOUND = {
    "video/x-matroska": AudioFacts("opus", 48_000, "mono"),
    "video/mp4": AudioFacts("aac", 48_000, "mono"),
    "video/quicktime": AudioFacts("aac", 48_000, "mono"),
}


def kept_at_once(work: Work) -> Outcome | Facts:
    """An MP4 of the same picture, if the recording is what such files mostly are; else the outline.

    ffmpeg says what it reads before it begins, so a wrong guess costs hardly more than a look.
    """
    usual = _SOUND.get(work.input.media_type)
    if usual is None or work.wishes.changes_picture or work.source in work.known:
        return work.outline
    return _Guess(work, usual).tried()


class _Otherwise(Exception):
    """The work that was begun is not what this recording needs."""


class _Guess:
    """That the picture can be kept and the sound is the usual one, or none."""

    def __init__(self, work: Work, usual: AudioFacts) -> None:
        self._work = work
        self._usual = usual
        self._outline: Facts | None = None

    def tried(self) -> Outcome | Facts:
        work, path = self._work, kept_as(self._work)
        try:
            run = run_copy(work, keeping(work, self._usual), loud=True, described=self._hear)
        except (_Otherwise, Refused, ProgramMissing):
            if self._outline is not None and self._holds(self._outline):
                raise
        else:
            if self._outline is not None:
                return checked_copy(work, run, path, formats.MP4, self._outline)
        path.unlink(missing_ok=True)
        # A look has the words for what cannot even be described.
        return self._outline or work.outline

    def _hear(self, log: str) -> None:
        """ffmpeg's words on the recording; raises what ends a wrong guess."""
        self._outline = outlined(self._work.input, log, self._work.settings.limits)
        if not self._holds(self._outline):
            raise _Otherwise()

    def _holds(self, outline: Facts) -> bool:
        return can_be_kept(self._work, outline) and (
            self._sound(outline.audio or self._usual) == self._sound(self._usual)
        )

    def _sound(self, audio: AudioFacts) -> tuple[str, ...]:
        return sound(self._work, audio, formats.MP4)
