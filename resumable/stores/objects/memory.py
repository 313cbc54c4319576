"""One process's memory for bytes on their way to the storage: a budget that no crowd can exceed."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from resumable.errors import Unavailable
from resumable.forking import renew_after_fork

_PATIENCE_SECONDS = 30.0
_SPARES = 4


class Memory:
    """`budget` bytes in all. A request waits for its first buffer and never for a second."""

    def __init__(self, budget: int, patience: float = _PATIENCE_SECONDS) -> None:
        self._budget = budget
        self._patience = patience
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        self._left = self._budget
        self._changed = threading.Condition()
        self._spare: list[io.BytesIO] = []

    @property
    def taken(self) -> int:
        """Bytes in use now."""
        with self._changed:
            return self._budget - self._left

    def take(self, size: int, beside: int = 0) -> io.BytesIO:
        """A buffer of `size` bytes, to be filled in place and sent as a file.

        `beside` bytes more are counted, for what it is filled from. Raises Unavailable when none
        is free for a while.
        """
        self._count(min(size + beside, self._budget))
        return self._made(size)

    @contextmanager
    def reserved(self, size: int) -> Iterator[None]:
        """Room for bytes that somebody else holds. Raises Unavailable as `take` does."""
        counted = min(size, self._budget)
        self._count(counted)
        try:
            yield
        finally:
            with self._changed:
                self._left += counted
                self._changed.notify_all()

    def _count(self, counted: int) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: self._left >= counted, self._patience):
                raise Unavailable(
                    "More uploads arrive at once than this server has memory for. Try again.",
                    code="busy",
                    retry_after=5,
                )
            self._left -= counted

    def try_take(self, size: int) -> io.BytesIO | None:
        """A buffer if there is room for it at once."""
        with self._changed:
            if self._left < size:
                return None
            self._left -= size
        return self._made(size)

    def _made(self, size: int) -> io.BytesIO:
        """A new buffer's pages have to be made by the system: a used one is ready."""
        with self._changed:
            at = next((n for n, spare in enumerate(self._spare) if _size(spare) == size), None)
            if at is not None:
                return self._spare.pop(at)
            if self._left < sum(map(_size, self._spare)):
                self._spare.clear()
        return io.BytesIO(bytes(size))

    def give_back(self, buffer: io.BytesIO, size: int, beside: int = 0) -> None:
        """A buffer that was taken with these two is not used any more."""
        with self._changed:
            self._left += min(size + beside, self._budget)
            if not buffer.closed and _size(buffer) == size and len(self._spare) < _SPARES:
                self._spare.append(buffer)
            self._changed.notify_all()


def _size(buffer: io.BytesIO) -> int:
    return buffer.getbuffer().nbytes
