"""Byte ranges: one that is durable, and the union of all that are known."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Extent:
    """A durable byte range: `length` bytes from `start`, with their CRC32C."""

    start: int
    length: int
    crc32c: int

    @property
    def end(self) -> int:
        return self.start + self.length


class Extents:
    """An immutable union of byte ranges `[start, end)`, kept sorted, disjoint and merged."""

    __slots__ = ("_ends", "_starts")

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._starts: tuple[int, ...] = ()
        self._ends: tuple[int, ...] = ()
        for start, end in ranges:
            merged = self.adding(start, end)
            self._starts, self._ends = merged._starts, merged._ends

    def adding(self, start: int, end: int) -> Extents:
        """This union and `[start, end)`; an empty range changes nothing."""
        if end <= start:
            return self
        low = bisect_left(self._ends, start)
        high = bisect_right(self._starts, end)
        if low < high:
            start = min(start, self._starts[low])
            end = max(end, self._ends[high - 1])
        union = Extents()
        union._starts = (*self._starts[:low], start, *self._starts[high:])
        union._ends = (*self._ends[:low], end, *self._ends[high:])
        return union

    @property
    def offset(self) -> int:
        """End of the gap-free prefix, in bytes."""
        return self._ends[0] if self._starts and self._starts[0] == 0 else 0

    @property
    def end(self) -> int:
        """End of the last range, in bytes."""
        return self._ends[-1] if self._ends else 0

    @property
    def size(self) -> int:
        """Bytes in all ranges."""
        return sum(self._ends) - sum(self._starts)

    def covers(self, start: int, end: int) -> bool:
        """Whether every byte of `[start, end)` is known; an empty range always is."""
        if end <= start:
            return True
        at = bisect_right(self._starts, start) - 1
        return at >= 0 and self._ends[at] >= end

    def known_at(self, position: int) -> int:
        """End of the range that holds `position`, or `position` itself where nothing is known."""
        at = bisect_right(self._starts, position) - 1
        return max(position, self._ends[at]) if at >= 0 else position

    def next_known(self, position: int) -> int | None:
        """Start of the first range at or behind `position`."""
        at = bisect_left(self._starts, position)
        return self._starts[at] if at < len(self._starts) else None

    def missing(self, length: int | None) -> list[tuple[int, int | None]]:
        """The gaps up to `length`; with an unknown length the last gap is open (`end` is None)."""
        gaps: list[tuple[int, int | None]] = []
        position = 0
        for start, end in self:
            if start > position:
                gaps.append((position, start))
            position = end
        if length is None:
            gaps.append((position, None))
        elif position < length:
            gaps.append((position, length))
        return gaps

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self._starts, self._ends, strict=True)

    def __len__(self) -> int:
        return len(self._starts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Extents) and list(self) == list(other)

    def __hash__(self) -> int:
        return hash((self._starts, self._ends))

    def __repr__(self) -> str:
        return f"Extents({list(self)})"
