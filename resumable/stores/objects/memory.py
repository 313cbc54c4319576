"""One process's memory for bytes on their way to the storage: a budget that no crowd can exceed."""

from __future__ import annotations

import threading
import time

from resumable.errors import Unavailable

_PATIENCE_SECONDS = 30.0
_SPARES = 4


class Memory:
    """`budget` bytes in all. A request waits for its first buffer and never for a second."""

    def __init__(self, budget: int, patience: float = _PATIENCE_SECONDS) -> None:
        self._budget = self._left = budget
        self._patience = patience
        self._changed = threading.Condition()
        self._spare: list[bytearray] = []

    @property
    def taken(self) -> int:
        """Bytes in use now."""
        with self._changed:
            return self._budget - self._left

    def take(self, size: int) -> bytearray:
        """A buffer of `size` bytes. Raises Unavailable when none is free for a while."""
        size_counted = min(size, self._budget)
        deadline = time.monotonic() + self._patience
        with self._changed:
            while self._left < size_counted:
                left = deadline - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    raise Unavailable(
                        "More uploads arrive at once than this server has memory for. Try again.",
                        code="busy",
                        retry_after=5,
                    )
            self._left -= size_counted
        return self._made(size)

    def try_take(self, size: int) -> bytearray | None:
        """A buffer if there is room for it at once."""
        with self._changed:
            if self._left < size:
                return None
            self._left -= size
        return self._made(size)

    def _made(self, size: int) -> bytearray:
        """A new buffer's pages have to be made by the system: a used one is ready."""
        with self._changed:
            at = next((n for n, spare in enumerate(self._spare) if len(spare) == size), None)
            if at is not None:
                return self._spare.pop(at)
            if self._left < sum(map(len, self._spare)):
                self._spare.clear()
        return bytearray(size)

    def give_back(self, buffer: bytearray, size: int) -> None:
        """A buffer that was taken with `size` is not used any more."""
        with self._changed:
            self._left += min(size, self._budget)
            if len(buffer) == size and len(self._spare) < _SPARES:
                self._spare.append(buffer)
            self._changed.notify_all()
