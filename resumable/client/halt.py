"""The word to stop, which one thread says and others look for."""

from __future__ import annotations

import time

_LOOK_SECONDS = 0.05


class Halt:
    """Set for good by `set`, or by that of the one it branches off.

    A flag and no lock: a signal handler may set it while its own thread waits here.
    """

    def __init__(self, above: Halt | None = None) -> None:
        self._above = above
        self._set = False

    def branch(self) -> Halt:
        """One that can be set without this one."""
        return Halt(self)

    def set(self) -> None:
        self._set = True

    def is_set(self) -> bool:
        return self._set or (self._above is not None and self._above.is_set())

    def wait(self, seconds: float) -> bool:
        """Return after so many seconds, or soon after it was set; whether it is."""
        until = time.monotonic() + seconds
        while not self.is_set() and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _LOOK_SECONDS))
        return self.is_set()
