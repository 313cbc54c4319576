"""Other bytes in one place: seen before they are stored, or withdrawn by whoever stored second."""

from __future__ import annotations

import hashlib

from resumable.errors import Conflict
from resumable.model import Chunk
from resumable.stores.objects.bucket import Missing, Part
from resumable.stores.objects.knowledge import Knowledge
from resumable.stores.objects.names import Segment
from resumable.stores.objects.room import Room


def check_known(room: Room, known: Knowledge, start: int, view: memoryview) -> None:
    """Raise Conflict where known bytes differ; a part shows only its digest."""
    same = room.same_bytes(known, start, view)
    part, parts = _part_at(known, start, len(view)), room.parts
    if same and part is not None and part.tag and parts is not None and parts.tags_are_md5:
        same = hashlib.md5(view, usedforsecurity=False).hexdigest() == part.tag
    if not same:
        raise _other_bytes(start)


def _part_at(known: Knowledge, start: int, length: int) -> Part | None:
    """The stored part that has exactly these bytes."""
    window, inside = divmod(start, known.part_size)
    part = known.parts.get(window)
    return part if part is not None and (inside, part.size) == (0, length) else None


def check_rivals(room: Room, fresh: Knowledge, segments: list[Segment]) -> None:
    """Raise Conflict where somebody else's segments contradict these."""
    mine = {segment.name for segment in segments}
    for segment in segments:
        assert segment.start is not None
        for at, other in fresh.overlapping(segment.start, segment.end):
            if other.name in mine or (at, other.length, other.crc32c) == (
                segment.start,
                segment.length,
                segment.crc32c,
            ):
                continue
            low, high = max(at, segment.start), min(at + other.length, segment.end)
            if _differ(room, fresh, (segment, segment.start), (other, at), low, high):
                raise _other_bytes(low)


def _differ(
    room: Room,
    fresh: Knowledge,
    mine: tuple[Segment, int],
    other: tuple[Segment, int],
    low: int,
    high: int,
) -> bool:
    """Whether two segments, each with its start, have other bytes in `[low, high)`."""
    try:
        ours, theirs = (
            room.bucket.get(room.key(fresh, segment.name), low - start, high - start)
            for segment, start in (mine, other)
        )
    except Missing:
        return False
    return ours != theirs


def check_same_chunk(known: Knowledge, made: Chunk) -> bool:
    """Is this chunk known already? Raises Conflict when the known one has other bytes."""
    before = known.chunks().get(made.number)
    if before is None:
        return False
    same = (before.length, before.crc32c) == (made.length, made.crc32c)
    if None not in (before.start, made.start):
        same = same and before.start == made.start
    if not same:
        raise Conflict(
            f"Chunk {made.number} is already stored with other bytes. "
            "An upload's bytes cannot be changed; begin a new upload.",
            code="other-bytes",
        )
    return True


def _other_bytes(position: int) -> Conflict:
    return Conflict(
        f"Other bytes are already stored at offset {position}. "
        "An upload's bytes cannot be changed; begin a new upload.",
        code="other-bytes",
    )
