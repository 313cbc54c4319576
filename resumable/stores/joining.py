"""An upload made of finished objects: the system copies their bytes, none passes through here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from resumable.digests import join_crc32c
from resumable.errors import NotFound
from resumable.extents import Extent
from resumable.model import Finished
from resumable.stores import records
from resumable.stores.session import Session


def join(session: Session, sources: Sequence[Finished], path: Callable[[Finished], Path]) -> None:
    """All bytes of `sources` into an upload without bytes of its own, and recorded.

    May run again after a crash. Raises NotFound where a source has gone.
    """
    whole = Extent(0, sum(source.size for source in sources), 0)
    with session.all_locked():
        data = session.writable()
        if session.ledger.extents.covers(0, whole.length):
            return
        crc: int | None = 0
        position = 0
        for source in sources:
            _copy(session, data, path(source), source.size, position)
            position += source.size
            crc = _joined(crc, source)
        if crc is None:
            crc = session.crc32c_of(0, whole.length)
        extent = Extent(0, whole.length, crc)
        if session.full:
            session.sync([extent], voids=session.ledger.voids)
        else:
            session.append(records.placed(extent, session.ledger.boot))


def _copy(session: Session, data: int, path: Path, length: int, position: int) -> None:
    try:
        source = session.disk.open_to_read(path)
    except FileNotFoundError:
        raise NotFound("A part of this upload has been deleted.") from None
    try:
        session.disk.copy_at(source, 0, data, length, position)
    finally:
        session.disk.close(source)


def _joined(crc: int | None, source: Finished) -> int | None:
    if crc is None or source.crc32c is None:
        return None
    return join_crc32c(crc, source.crc32c, source.size)
