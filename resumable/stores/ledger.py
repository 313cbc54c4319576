"""What the records of one journal add up to: the only reader of their meaning.

birth      the manifest
intent     a writer is about to write a range     withdrawn  it gave up
placed     bytes are written, not yet synced: they count in the same boot only
synced     the same bytes survive a power cut
void       a sync failed: nothing placed before counts
chunk      this number is that range              kept       this number is in a file of its own
facts      learned once, the first wins
sealed     a finish has begun; no writer may add
finished   the object is visible                  verdict    its whole-file digest was compared
told       the host heard of an event             echo       a finished chunk came once more
discarded  the upload has ended without an object
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from resumable.digests import join_crc32c
from resumable.model import Chunk, Extent, Extents, Finished, State, Upload
from resumable.stores.journal import Record


@dataclass(frozen=True, slots=True)
class Kept:
    """A numbered chunk in a file of its own, because its start is not known yet."""

    number: int
    length: int
    crc32c: int
    name: str


class Ledger:
    """The sum of the records so far; `boot` tells which unsynced ones still count."""

    def __init__(self, boot: str) -> None:
        self.boot = boot
        self.upload: Upload | None = None
        self.extents = Extents()
        self.unsynced: tuple[Extent, ...] = ()
        self.chunks: dict[int, Chunk] = {}
        self.kept: dict[int, Kept] = {}
        self.intents: dict[str, tuple[int, int | None]] = {}
        self.facts: dict[str, Any] = {}
        self.told: frozenset[str] = frozenset()
        self.echoed: frozenset[int] = frozenset()
        self.sealed: Extent | None = None
        self.finished: Finished | None = None
        self.accepted: bool | None = None
        self.discarded = False
        self._synced = Extents()
        self._pieces: dict[int, Extent] = {}
        self._waiting: list[Chunk] = []

    def fold(self, record: Record) -> None:
        """Learn from one more record; an unknown kind is a newer version's and is passed over."""
        understand = _KINDS.get(record.get("kind", ""))
        if understand is not None:
            understand(self, record)

    @property
    def state(self) -> State:
        """Where the upload stands in its life."""
        if self.discarded:
            return State.CANCELLED
        if self.finished is None:
            return State.FINISHING if self.sealed else State.RECEIVING
        if self.accepted is None:
            return State.VERIFYING if "digest" in self.facts else State.COMPLETE
        return State.COMPLETE if self.accepted else State.REJECTED

    def all_chunks(self) -> dict[int, Chunk]:
        """Every chunk that arrived whole, placed or kept."""
        waiting = {
            kept.number: Chunk(kept.number, kept.length, kept.crc32c, None)
            for kept in self.kept.values()
            if kept.number not in self.chunks
        }
        return {**waiting, **self.chunks}

    def contested(self, start: int, end: int, writer: str) -> bool:
        """Has another writer announced bytes in this range, and not said that it is done?"""
        return any(
            other != writer and first < end and (last is None or last > start)
            for other, (first, last) in self.intents.items()
        )

    def start_of(self, number: int) -> int | None:
        """Where a numbered chunk begins, once the chunk before it is placed."""
        if number == 0:
            return 0
        before = self.chunks.get(number - 1)
        return before.end if before else None

    def crc32c(self, length: int) -> int | None:
        """CRC32C of `[0, length)` from the pieces; None where they do not lie edge to edge."""
        position, crc = 0, 0
        while position < length:
            piece = self._pieces.get(position)
            if piece is None or piece.end > length:
                return None
            crc = join_crc32c(crc, piece.crc32c, piece.length)
            position = piece.end
        return crc

    def _learn_birth(self, record: Record) -> None:
        if self.upload is None:
            self.upload = Upload(**record["upload"])

    def _learn_intent(self, record: Record) -> None:
        self.intents[record["writer"]] = (record["start"], record["end"])

    def _learn_withdrawn(self, record: Record) -> None:
        self.intents.pop(record["writer"], None)

    def _learn_placed(self, record: Record) -> None:
        if record["boot"] == self.boot:
            extent = _extent(record)
            self.unsynced = (*self.unsynced, extent)
            self._know(extent)

    def _learn_synced(self, record: Record) -> None:
        extent = _extent(record)
        self._synced = self._synced.adding(extent.start, extent.end)
        self.unsynced = tuple(
            other for other in self.unsynced if not self._synced.covers(other.start, other.end)
        )
        self._know(extent)

    def _know(self, extent: Extent) -> None:
        self.extents = self.extents.adding(extent.start, extent.end)
        longest = self._pieces.get(extent.start)
        if longest is None or extent.length >= longest.length:
            self._pieces[extent.start] = extent
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            for chunk in waiting:
                self._place(chunk)

    def _learn_void(self, record: Record) -> None:
        lost, self.unsynced = self.unsynced, ()
        self.extents = self._synced
        for extent in lost:
            self._pieces.pop(extent.start, None)
        known, self.chunks = self.chunks, {}
        for chunk in known.values():
            self._place(chunk)

    def _learn_chunk(self, record: Record) -> None:
        self._place(Chunk(record["number"], record["length"], record["crc"], record["start"]))

    def _place(self, chunk: Chunk) -> None:
        # The line may have outlived the lines of its bytes: it counts when they are known.
        if chunk.start is not None and self.extents.covers(chunk.start, chunk.start + chunk.length):
            self.chunks.setdefault(chunk.number, chunk)
            self.kept.pop(chunk.number, None)
        else:
            self._waiting.append(chunk)

    def _learn_kept(self, record: Record) -> None:
        durable = record["synced"] or record["boot"] == self.boot
        if durable and record["number"] not in self.chunks:
            kept = Kept(record["number"], record["length"], record["crc"], record["name"])
            self.kept.setdefault(kept.number, kept)

    def _learn_lost(self, record: Record) -> None:
        self.kept.pop(record["number"], None)

    def _learn_facts(self, record: Record) -> None:
        for name, value in record["facts"].items():
            self.facts.setdefault(name, value)

    def _learn_told(self, record: Record) -> None:
        self.told |= {record["event"]}

    def _learn_echo(self, record: Record) -> None:
        self.echoed |= {record["number"]}

    def _learn_sealed(self, record: Record) -> None:
        if self.sealed is None:
            self.sealed = _extent(record)

    def _learn_finished(self, record: Record) -> None:
        if self.finished is None:
            self.finished = Finished(**record["finished"])

    def _learn_verdict(self, record: Record) -> None:
        if self.accepted is None:
            self.accepted = record["accepted"]

    def _learn_discarded(self, record: Record) -> None:
        self.discarded = True


_KINDS: Mapping[str, Callable[[Ledger, Record], None]] = {
    name.removeprefix("_learn_"): method
    for name, method in vars(Ledger).items()
    if name.startswith("_learn_")
}


def _extent(record: Record) -> Extent:
    return Extent(record["start"], record["length"], record["crc"])


def birth(upload: Upload) -> Record:
    return {"kind": "birth", "upload": asdict(upload)}


def placed(extent: Extent, boot: str) -> Record:
    return {"kind": "placed", **_range(extent), "boot": boot}


def synced(extent: Extent) -> Record:
    return {"kind": "synced", **_range(extent)}


def sealed(extent: Extent) -> Record:
    return {"kind": "sealed", **_range(extent)}


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


def finished(record: Finished) -> Record:
    return {"kind": "finished", "finished": asdict(record)}


def _range(extent: Extent) -> dict[str, int]:
    return {"start": extent.start, "length": extent.length, "crc": extent.crc32c}
