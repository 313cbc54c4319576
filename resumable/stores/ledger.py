"""What the records of one journal add up to: the only reader of their meaning."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any

from resumable.digests import join_crc32c
from resumable.extents import Extent, Extents
from resumable.model import GREATEST_LENGTH, Chunk, Finished, State, Upload
from resumable.stores.journal import Record
from resumable.stores.records import Kept

_NOTHING = Extent(0, 0, 0)
_UPLOAD = frozenset(field.name for field in fields(Upload))
_FINISHED = frozenset(field.name for field in fields(Finished))


@dataclass(slots=True)
class Writer:
    """Where a writer may write, and where others could write while it did."""

    start: int
    end: int
    rivals: Extents


class Ledger:
    """The sum of the records so far; `boot` tells which unsynced ones still count.

    `extents` are all bytes that count, `durable` those that survive a power cut, `unsynced` the
    pieces that are not known to.
    """

    def __init__(self, boot: str) -> None:
        self.boot = boot
        self.upload: Upload | None = None
        self.extents = Extents()
        self.durable = Extents()
        self.unsynced: list[Extent] = []
        self.voids = 0
        self.chunks: dict[int, Chunk] = {}
        self.kept: dict[int, Kept] = {}
        self.ready: set[int] = set()
        self.facts: dict[str, Any] = {}
        self.told: frozenset[str] = frozenset()
        self.echoed: frozenset[int] = frozenset()
        self.sealed: Extent | None = None
        self.finished: Finished | None = None
        self.accepted: bool | None = None
        self.discarded = False
        self.sure = 0
        self._pieces: dict[int, Extent] = {}
        self._prefix = _NOTHING
        self._writers: dict[str, Writer] = {}
        self._next = 0
        self._whole: dict[int, Chunk] = {}
        self._snapshot: Mapping[int, Chunk] | None = None

    def fold(self, record: Record) -> None:
        """Learn from one more record; one of a newer version is passed over, never fatal."""
        understand = _KINDS.get(record.get("kind", ""))
        if understand is not None:
            try:
                understand(self, record)
            except (KeyError, TypeError, ValueError):
                return

    # ------------------------------------------------------------ questions

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

    def chunk(self, number: int) -> Chunk | None:
        """A chunk that arrived whole, placed or kept."""
        return self._whole.get(number)

    def all_chunks(self) -> Mapping[int, Chunk]:
        """Every chunk that arrived whole, as they stand now: it does not change later."""
        if self._snapshot is None:
            self._snapshot = MappingProxyType(self._whole.copy())
        return self._snapshot

    def durable_chunks(self) -> Mapping[int, Chunk]:
        """Those of them that survive a power cut."""
        chunks = self.all_chunks()
        if not self.unsynced:
            return chunks
        return {
            number: chunk
            for number, chunk in chunks.items()
            if chunk.start is None or self.durable.covers(chunk.start, chunk.start + chunk.length)
        }

    def next_number(self) -> int:
        """The smallest number that no chunk has."""
        while self._next in self._whole:
            self._next += 1
        return self._next

    def start_of(self, number: int) -> int | None:
        """Where a numbered chunk begins, once the chunk before it is placed."""
        if number == 0:
            return 0
        before = self.chunks.get(number - 1)
        return before.end if before else None

    def contested(self, start: int, end: int, writer: str) -> bool:
        """Could another writer have written into this range since this one announced itself?"""
        mine = self._writers.get(writer)
        return mine is not None and touches(mine.rivals, start, end)

    def ends_before(self, start: int, writer: str) -> bool:
        """Is nothing known from `start` on, and nobody else at work on bytes there?"""
        others = (other for name, other in self._writers.items() if name != writer)
        return self.extents.end <= start and not any(other.end > start for other in others)

    def crc32c(self, length: int) -> int | None:
        """CRC32C of `[0, length)` from the pieces; None where they do not lie edge to edge."""
        if self._prefix.length == length:
            return self._prefix.crc32c
        # The pieces that were joined first are not always those that lead to the end.
        joined = self._extended(_NOTHING, length)
        return joined.crc32c if joined.length == length else None

    def _extended(self, prefix: Extent, most: int) -> Extent:
        """The bytes from 0 on with all pieces behind them, up to `most` bytes."""
        while prefix.length < most:
            piece = self._pieces.get(prefix.length)
            if piece is None or piece.end > most:
                break
            crc = join_crc32c(prefix.crc32c, piece.crc32c, piece.length)
            prefix = Extent(0, piece.end, crc)
        return prefix

    # ------------------------------------------------------------ bytes

    def _learn_birth(self, record: Record) -> None:
        if self.upload is None:
            self.upload = Upload(**_known(_UPLOAD, record["upload"]))

    def _learn_intent(self, record: Record) -> None:
        end = GREATEST_LENGTH if record["end"] is None else record["end"]
        new = Writer(record["start"], end, Extents())
        # Said twice it says nothing new: the writer's rivals stay.
        if record["writer"] in self._writers:
            return
        for other in self._writers.values():
            if other.start < new.end and other.end > new.start:
                other.rivals = other.rivals.adding(new.start, new.end)
                new.rivals = new.rivals.adding(other.start, other.end)
        self._writers[record["writer"]] = new

    def _learn_withdrawn(self, record: Record) -> None:
        self._writers.pop(record["writer"], None)

    def _learn_placed(self, record: Record) -> None:
        if record["boot"] == self.boot:
            extent = _extent(record)
            self.unsynced.append(extent)
            self._know(extent)

    def _learn_synced(self, record: Record) -> None:
        extent = _extent(record)
        self.durable = self.durable.adding(extent.start, extent.end)
        if self.unsynced:
            self.unsynced = [
                other for other in self.unsynced if not self.durable.covers(other.start, other.end)
            ]
        self._know(extent)

    def _know(self, extent: Extent) -> None:
        if extent.length <= 0:
            # A piece that leads nowhere would be met again and again.
            return
        self.extents = self.extents.adding(extent.start, extent.end)
        longest = self._pieces.get(extent.start)
        if longest is None or extent.length >= longest.length:
            self._pieces[extent.start] = extent
        # As they come: at the finish there are many, and the client waits.
        self._prefix = self._extended(self._prefix, GREATEST_LENGTH)

    def _learn_void(self, record: Record) -> None:
        lost, self.unsynced = self.unsynced, []
        self.voids += 1
        self.extents = self.durable
        for extent in lost:
            self._pieces.pop(extent.start, None)
        self._prefix = _NOTHING
        for chunk in tuple(self.chunks.values()):
            if not self._covers(chunk):
                del self.chunks[chunk.number]
                self._set_whole(chunk.number, None)
        self.ready = {number for number in self.kept if self.start_of(number) is not None}

    # ------------------------------------------------------------ numbered chunks

    def _learn_chunk(self, record: Record) -> None:
        chunk = Chunk(record["number"], record["length"], record["crc"], record["start"])
        # A line may have outlived the lines of its bytes; others may lie there later.
        if chunk.number in self.chunks or not self._covers(chunk):
            return
        self.chunks[chunk.number] = chunk
        self.kept.pop(chunk.number, None)
        self.ready.discard(chunk.number)
        if chunk.number + 1 in self.kept:
            self.ready.add(chunk.number + 1)
        self._set_whole(chunk.number, chunk)

    def _covers(self, chunk: Chunk) -> bool:
        return chunk.start is not None and self.extents.covers(
            chunk.start, chunk.start + chunk.length
        )

    def _learn_kept(self, record: Record) -> None:
        number = record["number"]
        durable = record["synced"] or record["boot"] == self.boot
        if not durable or number in self.chunks or number in self.kept:
            return
        kept = Kept(number, record["length"], record["crc"], record["name"])
        self.kept[number] = kept
        if self.start_of(number) is not None:
            self.ready.add(number)
        self._set_whole(number, Chunk(number, kept.length, kept.crc32c, None))

    def _learn_lost(self, record: Record) -> None:
        number = record["number"]
        kept = self.kept.get(number)
        if kept is not None and kept.name == record["name"]:
            del self.kept[number]
            self.ready.discard(number)
            self._set_whole(number, None)

    def _set_whole(self, number: int, chunk: Chunk | None) -> None:
        if chunk is None:
            self._whole.pop(number, None)
            self._next = min(self._next, number)
        else:
            self._whole[number] = chunk
        self._snapshot = None

    # ------------------------------------------------------------ facts and ends

    def _learn_facts(self, record: Record) -> None:
        # What is said after the decision to finish cannot change what is finished.
        if self.sealed is None:
            for name, value in record["facts"].items():
                self.facts.setdefault(name, value)

    def _learn_told(self, record: Record) -> None:
        self.told |= {record["event"]}

    def _learn_echo(self, record: Record) -> None:
        self.echoed |= {record["number"]}

    def _learn_sealed(self, record: Record) -> None:
        if self.sealed is None:
            self._learn_facts(record)
            self.sealed = _extent(record)

    def _learn_finished(self, record: Record) -> None:
        if self.finished is None:
            self.finished = Finished(**_known(_FINISHED, record["finished"]))

    def _learn_verdict(self, record: Record) -> None:
        if self.accepted is None:
            self.accepted = record["accepted"]

    def _learn_discarded(self, record: Record) -> None:
        self.discarded = True

    def _learn_sure(self, record: Record) -> None:
        self.sure = max(self.sure, record["to"])


_KINDS: Mapping[str, Callable[[Ledger, Record], None]] = {
    name.removeprefix("_learn_"): method
    for name, method in vars(Ledger).items()
    if name.startswith("_learn_")
}


def touches(extents: Extents, start: int, end: int) -> bool:
    """Is any byte of `[start, end)` in there?"""
    following = extents.next_known(start)
    return extents.known_at(start) > start or (following is not None and following < end)


def _extent(record: Record) -> Extent:
    return Extent(record["start"], record["length"], record["crc"])


def _known(names: frozenset[str], values: Mapping[str, Any]) -> dict[str, Any]:
    """Without what a newer version may have added."""
    return {name: value for name, value in values.items() if name in names}
