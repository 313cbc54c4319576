"""A small body on its way into a local upload: held until it is whole, then placed in one step."""

from __future__ import annotations

from functools import partial
from typing import Any

from resumable.digests import crc32c
from resumable.extents import Extent
from resumable.interfaces import Placed
from resumable.model import KIB
from resumable.pieces import kept
from resumable.stores import records
from resumable.stores.disk import translated
from resumable.stores.gate import Quickly
from resumable.stores.ledger import touches
from resumable.stores.placing import LocalPlacing, OpenSession

# Bytes that each request may hold in memory; larger bodies go to the disk as they come.
MOST = 256 * KIB


class SmallPlacing(LocalPlacing):
    """Writes and records while the range is held once.

    Whoever writes there too either comes before, and is known, or after, and knows; so nothing
    has to be announced. Where some of the bytes are known already it goes the long way.
    """

    def __init__(
        self, open_session: OpenSession, start: int, *, quickly: Quickly, **named: Any
    ) -> None:
        super().__init__(open_session, start, **named)
        self._quickly = quickly
        self._pieces: list[bytes] = []
        self._body: Extent | None = None

    def __enter__(self) -> SmallPlacing:
        self._quickly(super().__enter__)
        return self

    def write(self, view: memoryview) -> None:
        self._pieces.append(kept(view))

    def verify(self) -> None:
        self._close_body()
        super().verify()

    def commit(self, number: int | None = None) -> Placed:
        self._close_body()
        return self._quickly(partial(super().commit, number))

    def _close_body(self) -> Extent:
        """What has come, counted once."""
        if self._body is None:
            self._pieces = [b"".join(self._pieces)]
            content = self._pieces[0]
            self._body = Extent(self._start, len(content), crc32c(content))
            self._incoming.count(memoryview(content), self._body.crc32c)
            self._position = self._body.end
        return self._body

    def _record(self) -> None:
        body = self._close_body()
        if body.length and not self._record_at_once(body):
            self._position = self._start
            super().write(memoryview(self._pieces[0]))
        # Whatever fails from here on, these bytes are not written a second time.
        self._pieces, self._body = [b""], Extent(self._start, 0, 0)
        super()._record()

    def _record_at_once(self, body: Extent) -> bool:
        """False where some of the bytes are known: nothing was written then."""
        session = self._session
        with translated("writing"), session.range_locked(body.start, body.length):
            session.refresh()
            data = session.writable()
            if touches(session.ledger.extents, body.start, body.end):
                return False
            session.disk.write_at(data, memoryview(self._pieces[0]), body.start)
            placed = records.placed(body, session.ledger.boot)
            chunks = () if session.full else self._new_chunks()
            session.append(placed, *chunks, durable=False)
        self._wrote = body.length
        self._placed.append(body)
        return True
