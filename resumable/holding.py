"""Holds a file whose form has not said yet where it belongs, in memory or in a spool."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from resumable.errors import UploadError
from resumable.interfaces import Payload, SpooledPayload, Store


class Holding:
    """One process's budget of bytes in memory; what does not fit goes to the store's spool.

    `budget` bytes in all, at most `each` bytes of one payload.
    """

    def __init__(self, store: Store, *, budget: int, each: int) -> None:
        self._store = store
        self._each = each
        self._left = budget
        self._lock = threading.Lock()

    def hold(self, payload: Payload) -> SpooledPayload:
        """All bytes of the payload, to be read again until closed."""
        pieces = iter(payload)
        held = InMemory(self)
        try:
            for view in pieces:
                if held.length + len(view) > self._each or not self._reserve(len(view)):
                    with held:
                        return self._store.spool(_Resumed(held, view, pieces, payload))
                held.add(bytes(view))
        except BaseException:
            held.close()
            raise
        held.whole, held.cut = payload.whole, payload.cut
        return held

    def _reserve(self, size: int) -> bool:
        with self._lock:
            if size > self._left:
                return False
            self._left -= size
            return True

    def release(self, size: int) -> None:
        """Give memory back."""
        with self._lock:
            self._left += size


class InMemory:
    """A payload in memory."""

    def __init__(self, holding: Holding) -> None:
        self._holding = holding
        self._pieces: list[bytes] = []
        self.length = 0
        self.whole = False
        self.cut: UploadError | None = None

    def add(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self.length += len(piece)

    def __iter__(self) -> Iterator[memoryview]:
        return map(memoryview, self._pieces)

    def close(self) -> None:
        self._holding.release(self.length)
        self._pieces, self.length = [], 0

    def __enter__(self) -> InMemory:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


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
        yield self._view
        yield from self._rest
