"""Turns what ffmpeg says of its progress into a share that only grows, and the seconds left."""

from __future__ import annotations

import time
from collections.abc import Callable

from resumable.processing.running import Progress

_MOST_BEFORE_THE_END = 0.99
# Before this much is done, nothing can be said of the rest.
_LEAST_FOR_A_GUESS = 0.02
_LEAST_SECONDS = 0.5


class Meter:
    """The progress of one run that shall make `duration` seconds, or `size` bytes of a copy; 0
    where that is not known.

    `report` hears the share that is done and the seconds left, or None while those are a guess.
    """

    def __init__(
        self, report: Callable[[float, float | None], None], duration: float = 0.0, size: int = 0
    ) -> None:
        self._report = report
        self._duration = duration
        self._size = size
        self._began = time.monotonic()
        self._done = 0.0

    def __call__(self, progress: Progress) -> None:
        self._done = max(self._done, min(self._share(progress), _MOST_BEFORE_THE_END))
        self._report(self._done, self._left())

    def _share(self, progress: Progress) -> float:
        if self._duration > 0:
            return progress.seconds / self._duration
        return progress.bytes / self._size if self._size > 0 else 0.0

    def _left(self) -> float | None:
        elapsed = time.monotonic() - self._began
        if self._done < _LEAST_FOR_A_GUESS or elapsed < _LEAST_SECONDS:
            return None
        return elapsed * (1 - self._done) / self._done
