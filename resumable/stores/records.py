"""What is written into a journal, one function a kind; `Ledger` reads the same words.

birth      the manifest
intent     a writer is about to write a range     withdrawn  it writes no more
placed     bytes are written, not yet synced: they count in the same boot only
synced     the same bytes survive a power cut
void       a sync failed: nothing placed before counts
chunk      this number is that range, if the lines before make all its bytes known
kept       this number is in a file of its own    lost       and that file is of no use
facts      learned once, the first wins
sealed     a finish has begun, with its facts; no writer may add
finished   the object is visible                  verdict    its whole-file digest was compared
told       the host heard of an event             echo       a finished chunk came once more
discarded  the upload has ended without an object
sure       the first `to` bytes of the journal survive a power cut
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from resumable.extents import Extent
from resumable.model import Chunk, Finished, Upload
from resumable.stores.journal import Record


@dataclass(frozen=True, slots=True)
class Kept:
    """A numbered chunk in a file of its own, because its start is not known yet."""

    number: int
    length: int
    crc32c: int
    name: str


_FIELDS = {kind: tuple(field.name for field in fields(kind)) for kind in (Upload, Finished)}


def birth(upload: Upload) -> Record:
    return {"kind": "birth", "upload": _plain(upload)}


def intent(writer: str, start: int, end: int | None) -> Record:
    return {"kind": "intent", "writer": writer, "start": start, "end": end}


def withdrawn(writer: str) -> Record:
    return {"kind": "withdrawn", "writer": writer}


def placed(extent: Extent, boot: str) -> Record:
    return {"kind": "placed", **_range(extent), "boot": boot}


def synced(extent: Extent) -> Record:
    return {"kind": "synced", **_range(extent)}


def void() -> Record:
    return {"kind": "void"}


def chunk(placed_chunk: Chunk) -> Record:
    return {
        "kind": "chunk",
        "number": placed_chunk.number,
        "start": placed_chunk.start,
        "length": placed_chunk.length,
        "crc": placed_chunk.crc32c,
    }


def kept(chunk_kept: Kept, boot: str, *, durable: bool) -> Record:
    return {
        "kind": "kept",
        "number": chunk_kept.number,
        "length": chunk_kept.length,
        "crc": chunk_kept.crc32c,
        "name": chunk_kept.name,
        "boot": boot,
        "synced": durable,
    }


def lost(chunk_kept: Kept) -> Record:
    return {"kind": "lost", "number": chunk_kept.number, "name": chunk_kept.name}


def facts(learned: Mapping[str, Any]) -> Record:
    return {"kind": "facts", "facts": dict(learned)}


def sealed(extent: Extent, learned: Mapping[str, Any]) -> Record:
    return {"kind": "sealed", **_range(extent), "facts": dict(learned)}


def finished(made: Finished) -> Record:
    return {"kind": "finished", "finished": _plain(made)}


def verdict(accepted: bool) -> Record:
    return {"kind": "verdict", "accepted": accepted}


def told(event: str) -> Record:
    return {"kind": "told", "event": event}


def echo(number: int) -> Record:
    return {"kind": "echo", "number": number}


def discarded() -> Record:
    return {"kind": "discarded"}


def sure(to: int) -> Record:
    return {"kind": "sure", "to": to}


def _plain(value: Upload | Finished) -> dict[str, Any]:
    """The fields as they are: nothing in them needs to be copied for JSON."""
    return {name: getattr(value, name) for name in _FIELDS[type(value)]}


def _range(extent: Extent) -> dict[str, int]:
    return {"start": extent.start, "length": extent.length, "crc": extent.crc32c}
