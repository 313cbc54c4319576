"""Open files between two operations of one request, so that they are opened once."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from typing import Generic, Protocol, TypeVar

_MOST = 32
_SECONDS = 5.0


class Sleeper(Protocol):
    """Open files that can be put aside and taken up again."""

    id: str

    def wake(self) -> bool:
        """Be at work again; False when that makes no sense any more."""

    def discard(self) -> None:
        """Close the files."""


_S = TypeVar("_S", bound=Sleeper)


class Idle(Generic[_S]):
    """What is put aside holds no lock. Little is kept, nothing for long, nothing over a fork."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[_S, float]] = OrderedDict()
        self._lock = threading.Lock()
        self._pid = os.getpid()

    def take(self, id: str) -> _S | None:
        """What was put aside of this upload, if its name still means the same one."""
        self._start_anew_after_fork()
        with self._lock:
            taken, _ = self._kept.pop(id, (None, 0.0))
            dropped = self._old()
        _close(dropped)
        if taken is not None and not taken.wake():
            _close([taken])
            return None
        return taken

    def keep(self, files: _S) -> None:
        """Put them aside; of two of the same upload the later ones stay."""
        self._start_anew_after_fork()
        with self._lock:
            former, _ = self._kept.pop(files.id, (None, 0.0))
            self._kept[files.id] = files, time.monotonic()
            dropped = self._old()
        _close([former, *dropped] if former else dropped)

    def _old(self) -> list[_S]:
        oldest_use = time.monotonic() - _SECONDS
        dropped = []
        while self._kept:
            id, (files, used) = next(iter(self._kept.items()))
            if used > oldest_use and len(self._kept) <= _MOST:
                break
            del self._kept[id]
            dropped.append(files)
        return dropped

    def _start_anew_after_fork(self) -> None:
        # The parent's other threads may have held the lock; the open files are shared with it.
        if self._pid != os.getpid():
            self._pid, self._lock = os.getpid(), threading.Lock()
            self.close()

    def close(self) -> None:
        """Close all that was put aside."""
        with self._lock:
            kept = [files for files, _ in self._kept.values()]
            self._kept.clear()
        _close(kept)

    def __del__(self) -> None:
        self.close()


def _close(dropped: Iterable[Sleeper]) -> None:
    for files in dropped:
        with contextlib.suppress(OSError):
            files.discard()
