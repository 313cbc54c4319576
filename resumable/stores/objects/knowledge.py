"""From what is listed of an upload to what is known of it: values in, values out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any

from resumable.digests import join_crc32c
from resumable.extents import Extents
from resumable.model import Chunk, State, Status
from resumable.stores.objects.bucket import Part
from resumable.stores.objects.manifest import Done, End, Manifest
from resumable.stores.objects.names import Record, Segment


@dataclass(frozen=True, slots=True)
class Covering:
    """The part `[start, end)` of a segment that serves a range; the segment begins at `origin`."""

    segment: Segment
    origin: int
    start: int
    end: int

    @property
    def whole(self) -> bool:
        return self.start == self.origin and self.end - self.start == self.segment.length


@dataclass(slots=True)
class Knowledge:
    """One look at an upload, and what has been added to it since by whoever looked."""

    manifest: Manifest
    version: str
    segments: dict[str, Segment] = field(default_factory=dict)
    records: dict[int, Record] = field(default_factory=dict)
    claims: dict[int, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    parts: dict[int, Part] = field(default_factory=dict)
    native: str | None = None
    end: End | None = None
    decision: str | None = None
    done: Done | None = None
    accepted: bool | None = None
    told: set[str] = field(default_factory=set)
    echoed: set[int] = field(default_factory=set)
    touched: float = 0.0
    lost: bool = False

    @property
    def part_size(self) -> int:
        return self.manifest.upload.part_size

    @property
    def length(self) -> int | None:
        known = self.facts.get("length", self.manifest.upload.length)
        return None if known is None else int(known)

    # ------------------------------------------------------------ the life

    @property
    def state(self) -> State:
        if self.done is not None:
            return self._state_when_done(self.done)
        if self.lost or (self.end is not None and self.end.kind == "cancel"):
            return State.CANCELLED
        if self.end is not None and self.decision == "go":
            return State.FINISHING
        return State.RECEIVING

    def _state_when_done(self, done: Done) -> State:
        if "digest" not in done.facts or self.accepted:
            return State.COMPLETE
        return State.VERIFYING if self.accepted is None else State.REJECTED

    @property
    def undecided(self) -> End | None:
        """A finish that somebody has begun and nobody has decided."""
        if self.done is None and self.end is not None and self.end.kind == "finish":
            return self.end if self.decision is None else None
        return None

    def status(self) -> Status:
        """What the engine is told."""
        chunks: Mapping[int, Chunk] = self.chunks()
        extents, facts, finished = self.extents(), dict(self.facts), None
        if self.done is not None:
            chunks, facts, finished = self.done.chunks, dict(self.done.facts), self.done.finished
            extents = Extents([(0, finished.size)])
        elif self.state is State.FINISHING and self.end is not None:
            facts = dict(self.end.facts or {})
            extents = Extents([(0, self.end.length)])
        return Status(
            self.manifest.upload,
            self.state,
            extents,
            chunks,
            facts,
            self.touched or self.manifest.upload.created,
            frozenset(self.told),
            finished,
        )

    # ------------------------------------------------------------ chunks

    def chunks(self) -> dict[int, Chunk]:
        """Numbered chunks, each with its start as far as the lengths before it tell it."""
        known: dict[int, Chunk] = {}
        for number, start, length, crc in self._numbered():
            first = known.setdefault(number, Chunk(number, length, crc, start))
            if first.start is None and (first.length, first.crc32c) == (length, crc):
                known[number] = replace(first, start=start)
        for number in sorted(known):
            if known[number].start is None:
                known[number] = replace(known[number], start=self._start_of(number, known))
        return known

    def _numbered(self) -> Iterator[tuple[int, int | None, int, int]]:
        for record in self.records.values():
            yield record.number, record.start, record.length, record.crc32c
        claimed = {name: number for number, name in self.claims.items()}
        for segment in sorted(self.segments.values(), key=lambda one: (one.modified, one.name)):
            number = claimed.get(segment.name, segment.number)
            if number is not None:
                yield number, segment.start, segment.length, segment.crc32c

    def _start_of(self, number: int, known: Mapping[int, Chunk]) -> int | None:
        if number == 0:
            return 0
        before = known.get(number - 1)
        if before is not None and before.end is not None:
            return before.end
        size = self.facts.get("chunk_size")
        return None if size is None else number * int(size)

    # ------------------------------------------------------------ bytes

    def placed(self) -> list[tuple[int, Segment]]:
        """Segments whose place is known, by their start; the longest of one start first."""
        chunks = self.chunks()
        claimed = {name: number for number, name in self.claims.items()}
        placed = []
        for segment in self.segments.values():
            number = claimed.get(segment.name, segment.number)
            start = segment.start
            if start is None and number is not None:
                chunk = chunks[number]
                same = (chunk.length, chunk.crc32c) == (segment.length, segment.crc32c)
                start = chunk.start if same else None
            if start is not None and segment.length:
                placed.append((start, segment))
        placed.sort(key=lambda one: (one[0], -one[1].length, one[1].modified, one[1].name))
        return placed

    def extents(self) -> Extents:
        ranges = [(start, start + segment.length) for start, segment in self.placed()]
        size = self.part_size
        ranges += [(n * size, n * size + part.size) for n, part in self.parts.items()]
        return Extents(ranges)

    def overlapping(self, start: int, end: int) -> list[tuple[int, Segment]]:
        """Segments that have bytes in `[start, end)`."""
        return [
            (at, segment)
            for at, segment in self.placed()
            if at < end and at + segment.length > start
        ]

    def covering(self, start: int, end: int) -> list[Covering] | None:
        """Segments that make `[start, end)` without a gap; None where they do not."""
        found: list[Covering] = []
        position = start
        for at, segment in self.overlapping(start, end):
            if at > position:
                return None
            if at + segment.length > position:
                stop = min(end, at + segment.length)
                found.append(Covering(segment, at, position, stop))
                position = stop
        return found if position >= end else None

    def crc32c(self, length: int) -> int | None:
        """CRC32C of `[0, length)` where the names alone tell it."""
        pieces = self.covering(0, length)
        if self.parts or pieces is None or not all(piece.whole for piece in pieces):
            return None
        return reduce(
            lambda crc, piece: join_crc32c(crc, piece.segment.crc32c, piece.segment.length),
            pieces,
            0,
        )
