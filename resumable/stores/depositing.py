"""A whole file into files of its own, of which nobody knows yet: written, recorded and sealed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from resumable.digests import crc32c
from resumable.errors import Interrupted
from resumable.interfaces import Payload
from resumable.model import Extent, Upload
from resumable.stores import records
from resumable.stores.journal import Record
from resumable.stores.publishing import HEAD
from resumable.stores.session import Session


def deposit(session: Session, upload: Upload, payload: Payload, facts: Mapping[str, Any]) -> bytes:
    """Everything up to the seal, in one append behind the bytes; the first of the bytes.

    Whoever finds it from then on takes it to its end, as after any other seal.
    """
    head, whole = _write(session, payload)
    if not payload.whole:
        raise payload.cut or Interrupted("The body ended early.")
    made = [_written(session, whole)] if whole.length else []
    if session.full:
        # What is sealed must have its bytes, whichever name a power cut takes.
        session.sync_names()
    session.append(records.birth(upload), *made, records.sealed(whole, facts))
    return head


def _write(session: Session, payload: Payload) -> tuple[bytes, Extent]:
    """All bytes to their place: their head, and what they are."""
    data, disk = session.data, session.disk
    assert data is not None
    head, position, crc = bytearray(), 0, 0
    for view in payload:
        disk.write_at(data, view, position)
        head += view[: HEAD - len(head)]
        position, crc = position + len(view), crc32c(view, crc)
    return bytes(head), Extent(0, position, crc)


def _written(session: Session, whole: Extent) -> Record:
    """The record of bytes that survive what this store's records promise."""
    if not session.full:
        return records.placed(whole, session.ledger.boot)
    assert session.data is not None
    session.disk.sync_data(session.data)
    return records.synced(whole)
