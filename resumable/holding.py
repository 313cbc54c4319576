"""Holds a file whose form has not said yet where it belongs, in memory or in a spool."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from resumable.errors import TooLarge, UploadError
from resumable.forking import renew_after_fork
from resumable.interfaces import Payload, SpooledPayload, Store
from resumable.pieces import kept


class Holding:
    """One process's budget of bytes in memory; what does not fit goes to the store's spool.

    `budget` bytes in all, at most `each` bytes of one payload. A payload of more than `most` bytes
    is refused (None: no limit).
    """

    def __init__(self, store: Store, *, budget: int, each: int, most: int | None) -> None:
        self._store = store
        self._each = each
        self._most = most
        self._budget = budget
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        self._left = self._budget
        self._lock = threading.Lock()

    def hold(self, payload: Payload) -> SpooledPayload:
        """All bytes of the payload, to be read again until closed. Raises TooLarge."""
        pieces = _limited(payload, self._most)
        held = InMemory(self)
        try:
            for view in pieces:
                if held.length + len(view) > self._each or not self.reserve(len(view)):
                    return self._store.spool(_Resumed(held, view, pieces, payload))
                held.add(view)
        except BaseException:
            held.close()
            raise
        held.whole, held.cut = payload.whole, payload.cut
        return held

    def reserve(self, size: int) -> bool:
        """Take memory out of the budget, if it is there."""
        with self._lock:
            if size > self._left:
                return False
            self._left -= size
            return True

    def release(self, size: int) -> None:
        """Give memory back."""
        with self._lock:
            self._left += size


def _limited(payload: Payload, most: int | None) -> Iterator[memoryview]:
    count = 0
    for view in payload:
        count += len(view)
        if most is not None and count > most:
            raise TooLarge(f"A file in a form may have at most {most} bytes.")
        yield view


class InMemory:
    """A payload in memory that a budget has given."""

    def __init__(self, holding: Holding) -> None:
        self._holding = holding
        self._pieces: list[bytes] = []
        self.length = 0
        self.whole = False
        self.cut: UploadError | None = None

    def add(self, view: memoryview) -> None:
        """Keep a piece whose memory has been reserved."""
        self.length += len(view)
        self._pieces.append(kept(view))

    def __iter__(self) -> Iterator[memoryview]:
        return map(memoryview, self._pieces)

    def close(self) -> None:
        """Forget the bytes and give their memory back."""
        size, self.length, self._pieces = self.length, 0, []
        self._holding.release(size)


class _Resumed:
    """What was held, the piece that was too much, and the rest of the same payload."""

    length: int | None = None

    def __init__(
        self, held: InMemory, view: memoryview, rest: Iterator[memoryview], source: Payload
    ) -> None:
        self._held = held
        self._view = view
        self._rest = rest
        self._source = source

    @property
    def whole(self) -> bool:
        return self._source.whole

    @property
    def cut(self) -> UploadError | None:
        return self._source.cut

    def __iter__(self) -> Iterator[memoryview]:
        yield from self._held
        # A slow client's rest may take long: others may have the memory meanwhile.
        self._held.close()
        yield self._view
        yield from self._rest
