"""How fast and in what pieces bytes leave: the limit, the size of chunks, the measured speed."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

from resumable.client.errors import Stopped
from resumable.client.halt import Halt
from resumable.client.model import KIB, MIB, Listener, Phase, Progress

LEAST_CHUNK = 256 * KIB
MOST_CHUNK = 64 * MIB
DEFAULT_CHUNK = 8 * MIB
# A chunk that took less was too small, one that took more would cost too much to send again.
_QUICK, _SLOW = 2.0, 8.0
_NEWS_SECONDS = 0.1
_SMOOTH_SECONDS = 5.0


class RateLimit:
    """At most `limit` bytes a second (None: any) over all threads that ask."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._free_at = 0.0

    def take(self, size: int, halt: Halt) -> None:
        """Return when `size` more bytes may leave; raise `Stopped` when none shall any more."""
        if self._limit is not None:
            with self._lock:
                now = time.monotonic()
                self._free_at = max(self._free_at, now) + size / self._limit
                wait = self._free_at - now
            halt.wait(wait)
        if halt.is_set():
            raise Stopped(0, None)


class ChunkSize:
    """The size of the next chunk, by how long the last ones took.

    `fixed` (bytes) is what the caller wants; else it begins at `wished` and stays between 256 KiB
    and 64 MiB, at most `most`, on borders of `part` where it is larger than that.
    """

    def __init__(
        self,
        *,
        fixed: int | None = None,
        wished: int = DEFAULT_CHUNK,
        part: int = 1,
        most: int | None = None,
    ) -> None:
        self._most = min(MOST_CHUNK, most or MOST_CHUNK)
        self._part = max(1, part)
        self._fixed = fixed if fixed is None or most is None else min(fixed, most)
        self._size = min(wished, self._most)

    def end_of(self, start: int, limit: int | None) -> int:
        """Where the chunk that begins at `start` ends; `limit` is the end of what is wanted."""
        end = start + (self._fixed or self._size)
        border = end - end % self._part
        if self._fixed is None and border > start:
            end = border
        return end if limit is None else min(end, limit)

    def took(self, size: int, seconds: float) -> None:
        """A chunk of `size` bytes was acknowledged after so many seconds."""
        # On a border of parts a chunk is a little smaller than it might be.
        if seconds < _QUICK and size > self._size - self._part:
            self._size = min(self._size * 2, self._most)
        elif seconds > _SLOW:
            self._size = max(self._size // 2, min(LEAST_CHUNK, self._most))

    def refused(self, size: int) -> bool:
        """So many bytes were too many for somebody on the way; whether to try with less."""
        if self._fixed is not None or size <= LEAST_CHUNK:
            return False
        self._most = self._size = max(LEAST_CHUNK, size // 2)
        return True


class Meter:
    """Counts one file's bytes, from any thread, and tells of them ten times a second at most."""

    def __init__(self, name: str, length: int | None, listener: Listener | None) -> None:
        self._now = Progress(name, Phase.STARTING, length=length)
        self._listener = listener
        self._lock = threading.RLock()
        self._told = 0.0
        self._under_way = 0
        self._looked: tuple[float, int] | None = None
        self.moved_at = time.monotonic()

    @property
    def now(self) -> Progress:
        """How far the file is."""
        return self._now

    def phase(self, phase: Phase, *, percent: int | None = None) -> None:
        """Another phase begins."""
        self._change(force=True, phase=phase, percent=percent, note="")

    def known(self, acknowledged: int) -> None:
        """So much was there already."""
        self._change(force=True, acknowledged=acknowledged, sent=acknowledged, note="")

    def length(self, length: int) -> None:
        """The stream has come to its end."""
        self._change(force=True, length=length)

    def sent(self, size: int) -> None:
        """`size` more bytes were handed to the network."""
        with self._lock:
            self.moved_at = time.monotonic()
            self._under_way += size
            self._change(sent=self._now.acknowledged + self._under_way)

    def settled(self, sent: int, acknowledged: int) -> None:
        """A request that had sent so many bytes is over; so many more are safe now."""
        with self._lock:
            self._under_way -= sent
            safe = self._now.acknowledged + acknowledged
            note = self._now.note
            if acknowledged:
                self.moved_at, note = time.monotonic(), ""
            self._change(acknowledged=safe, sent=safe + self._under_way, note=note)

    def note(self, sentence: str) -> None:
        """Something that a person should know; the next progress clears it."""
        self._change(force=True, note=sentence)

    def _measure(self) -> None:
        """The speed is that of the last seconds, the older the less."""
        now, sent = time.monotonic(), self._now.sent
        if self._looked is None or now - self._looked[0] > 4 * _SMOOTH_SECONDS:
            self._looked = (now, sent)
            return
        seconds = now - self._looked[0]
        if seconds < _NEWS_SECONDS:
            return
        fresh = max(0, sent - self._looked[1]) / seconds
        share = min(1.0, seconds / _SMOOTH_SECONDS) if self._now.speed else 1.0
        self._looked = (now, sent)
        self._now = replace(self._now, speed=self._now.speed + share * (fresh - self._now.speed))

    def _change(self, *, force: bool = False, **news: object) -> None:
        with self._lock:
            # mypy cannot see that the names are those of Progress's fields.
            self._now = replace(self._now, **news)  # type: ignore[arg-type]
            self._measure()
            moment = time.monotonic()
            if self._listener is None or not (force or moment - self._told >= _NEWS_SECONDS):
                return
            self._told = moment
            self._now = replace(self._now, left=self._left())
            self._listener(self._now)

    def _left(self) -> float | None:
        length, speed = self._now.length, self._now.speed
        if length is None or not speed:
            return None
        return max(0, length - self._now.acknowledged) / speed
