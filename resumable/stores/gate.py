"""Quick work of many threads, one at a time, for as long as it is quick.

The threads of one interpreter hand its lock over at each system call. Where eight of them make the
same dozen quick calls, each wakes at every call to find the lock taken again; to wait once, before
all of them, saves a sixth of the processor's time. Work that waits for a disk is another
matter: it goes on beside others.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from resumable.forking import renew_after_fork

# What takes longer has waited for something: once for the processor, again and again for a disk.
_QUICK = 0.002
_SLOW_IN_A_ROW = 3
# A whole queue of quick work is done within it.
_PATIENCE = 0.05
_SECONDS_OPEN = 1.0

Result = TypeVar("Result")


class Quickly(Protocol):
    """Has work done that is over in a moment; see `Gate.through`."""

    def __call__(self, work: Callable[[], Result], /) -> Result: ...


class Gate:
    """Lets one thread through at a time; stands open for a second when work keeps being slow.

    Who has waited for long goes through as well, so that one hanging call stops nobody else.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        self._lock = threading.Lock()
        self._open_until = -math.inf
        self._slow = 0

    def through(self, work: Callable[[], Result]) -> Result:
        """What `work` returns; it must not come here itself."""
        if self._clock() < self._open_until:
            return work()
        lock = self._lock
        if not lock.acquire(timeout=_PATIENCE):
            self._open()
            return work()
        began = self._clock()
        try:
            return work()
        finally:
            self._judge(self._clock() - began)
            lock.release()

    def _judge(self, seconds: float) -> None:
        self._slow = self._slow + 1 if seconds > _QUICK else 0
        if self._slow == _SLOW_IN_A_ROW:
            self._open()

    def _open(self) -> None:
        self._slow = 0
        self._open_until = self._clock() + _SECONDS_OPEN
