"""Numbered chunks whose start nobody knows yet: stored once, their place is told by their names."""

from __future__ import annotations

import contextlib
import tempfile
from types import TracebackType
from typing import IO

from resumable.digests import crc32c
from resumable.errors import Conflict, NotFound, Unavailable, UploadError
from resumable.interfaces import Placed
from resumable.model import MIB, Chunk, Digest, Upload
from resumable.stores.incoming import Incoming
from resumable.stores.objects.bucket import Missing
from resumable.stores.objects.knowledge import Knowledge
from resumable.stores.objects.names import Segment
from resumable.stores.objects.rivals import check_same_chunk
from resumable.stores.objects.room import Room

_MOST_TRIES = 1000


class ObjectKeeping:
    """One numbered chunk as an object of its own; `number` None takes the next free one."""

    def __init__(
        self, room: Room, upload: Upload, number: int | None, *, digest: Digest | None = None
    ) -> None:
        self._room = room
        self._upload = upload
        self._number = number
        self._incoming = Incoming(digest)

    def __enter__(self) -> ObjectKeeping:
        self._known = self._room.known(self._upload)
        self._room.writable(self._known)
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(MIB)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def write(self, view: memoryview) -> None:
        self._incoming.count(view, crc32c(view))
        self._file.write(view)

    def verify(self) -> None:
        self._incoming.verify()

    def keep(self) -> None:
        """Without its end nobody knows what a chunk without a start is: nothing is kept."""

    def commit(self, number: int | None = None) -> Placed:
        self.verify()
        number = self._number if number is None else number
        if number is not None:
            made = self._chunk(number)
            if check_same_chunk(self._known, made):
                return Placed(number, True, self._known.status())
        segment = self._put(number)
        try:
            self._known = self._room.newer(self._known)
            number = self._claim(segment) if number is None else number
            check_same_chunk(self._known, self._chunk(number))
        except (Conflict, NotFound):
            self._room.withdraw(self._known, [segment])
            raise
        gather_around(self._room, self._known, number)
        return Placed(number, False, self._known.status())

    def _chunk(self, number: int) -> Chunk:
        return Chunk(number, self._incoming.received, self._incoming.crc32c, None)

    def _put(self, number: int | None) -> Segment:
        return self._room.put_segment(
            self._known, None, self._file, self._incoming.received, self._incoming.crc32c, number
        )

    def _claim(self, segment: Segment) -> int:
        """The first number that nobody has."""
        number = 0
        for _ in range(_MOST_TRIES):
            taken = self._known.chunks()
            number = next(n for n in range(number, len(taken) + number + 1) if n not in taken)
            if self._room.create(self._known, f"n.{number}", segment.name.encode()) == (
                segment.name.encode()
            ):
                self._known.claims[number] = segment.name
                return number
            number += 1
        raise Unavailable("Too many chunks without a number arrive at once. Try again.")


def gather_around(room: Room, known: Knowledge, number: int) -> None:
    """Windows that became whole because this chunk's length is known; a failure can wait."""
    chunk = known.chunks().get(number)
    if room.parts is None or chunk is None or chunk.start is None:
        return
    size = known.part_size
    extents = known.extents()
    end = extents.known_at(chunk.start)
    with contextlib.suppress(UploadError, Missing):
        for window in range(chunk.start // size, end // size):
            room.gather(known, window, (window + 1) * size)
