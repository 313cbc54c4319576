"""One object out of all that an upload has, or out of the objects that it is made of."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace

from resumable.digests import join_crc32c
from resumable.errors import Unavailable
from resumable.stores.objects.bucket import JOINING, Description, Missing, Part, Piece, Rejected
from resumable.stores.objects.knowledge import Knowledge
from resumable.stores.objects.manifest import End
from resumable.stores.objects.room import Room

# The fact that names what an upload is put together from: key, size and CRC32C of each.
SOURCES = "sources"


class Maker:
    """Makes the object that a finish has decided on. Raises Missing, Occupied."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._bucket = room.bucket

    def make(self, known: Knowledge, key: str, end: End) -> None:
        description, length = known.manifest.description, end.length
        sources = sources_of(end)
        if sources and length:
            whole = [Piece(one[0], 0, one[1], one[1]) for one in sources if one[1]]
            self._join(whole, key, description)
        elif known.native is None and length <= known.part_size:
            with self._room.filled(known, 0, length) as buffer:
                self._bucket.put(key, buffer, description=description)
        elif self._room.parts is not None:
            self._join_parts(known, key, length, description)
        else:
            pieces = [
                Piece(
                    self._room.key(known, piece.segment.name),
                    piece.start - piece.origin,
                    piece.end - piece.origin,
                    piece.segment.length,
                )
                for piece in known.covering(0, length) or ()
            ]
            if sum(piece.end - piece.start for piece in pieces) != length:
                raise Missing(key)
            self._join(pieces, key, description)

    def _join(self, pieces: Sequence[Piece], key: str, description: Description) -> None:
        with self._room.memory.reserved(JOINING):
            self._bucket.join(pieces, key, description)

    def _join_parts(
        self, known: Knowledge, key: str, length: int, description: Description
    ) -> None:
        parts, size = self._room.parts, known.part_size
        assert parts is not None
        windows = range(-(-length // size))
        for window in windows:
            if not self._room.gather(known, window, min(length, (window + 1) * size)):
                raise Missing(key)
        native = self._room.native(known)
        # Those of the look behind the try; one that was gathered since has no tag here.
        listed = [known.parts[window] for window in sorted(known.parts)]
        if not all(part.tag for part in listed):
            listed = parts.stored(key, native)
        sizes = [min(size, length - window * size) for window in windows]
        mine = [part for part in listed if part.window < len(sizes)]
        if [(part.window, part.size) for part in mine] != list(enumerate(sizes)):
            raise Missing(key)
        try:
            parts.join(key, native, mine, description)
        except Rejected:
            late = [one for one in parts.stored(key, native) if one.window >= len(sizes)]
            if not late:
                raise Unavailable("This upload's parts have just changed. Try again.") from None
            self._join_all(known, length, mine, late)

    # ------------------------------------------------------------ late parts

    def _join_all(
        self, known: Knowledge, length: int, mine: Sequence[Part], late: Sequence[Part]
    ) -> None:
        """With parts that nobody was promised, on a server that joins all that it has or nothing.

        Only the last part may be small there. So a single one behind a whole window becomes empty;
        else all are joined, and what is too much is cut off.
        """
        parts, native = self._room.parts, self._room.native(known)
        key, description = known.manifest.key, known.manifest.description
        assert parts is not None
        whole = mine[-1].size == known.part_size
        if whole and len(late) == 1:
            parts.send(key, native, late[0].window, b"").result()
            empty = Part(late[0].window, 0, hashlib.md5(usedforsecurity=False).hexdigest())
            parts.join(key, native, [*mine, empty], description)
            return
        if not whole:
            self._pad(known, mine[-1].window, length)
        listed = parts.stored(key, native)
        parts.join(key, native, listed, description)
        self.cut(known, sum(part.size for part in listed), length)

    def _pad(self, known: Knowledge, window: int, length: int) -> None:
        """Fill the window that the file ends in up to the size of all others."""
        parts, size = self._room.parts, known.part_size
        assert parts is not None
        with self._room.memory.reserved(2 * size):
            data = b"".join(self._room.read_range(known, window * size, length))
            if len(data) != length - window * size:
                raise Unavailable("Parts behind the end of this upload keep it from its end.")
            native = self._room.native(known)
            parts.send(known.manifest.key, native, window, data.ljust(size, b"\0")).result()

    def cut(self, known: Knowledge, size: int, length: int) -> None:
        """The object of `size` bytes becomes its own first `length` bytes."""
        key = known.manifest.key
        # It is ours already: nobody else can have a name that must be the first.
        description = replace(known.manifest.description, exclusive=False)
        self._join([Piece(key, 0, length, size)], key, description)


def sources_of(end: End) -> list[tuple[str, int, int | None]]:
    """What an upload is put together from; nothing for one with bytes of its own."""
    return [(key, size, crc) for key, size, crc in (end.facts or {}).get(SOURCES, ())]


def joined_crc32c(sources: Iterable[tuple[str, int, int | None]]) -> int | None:
    value = 0
    for _, size, crc in sources:
        if crc is None:
            return None
        value = join_crc32c(value, crc, size)
    return value
