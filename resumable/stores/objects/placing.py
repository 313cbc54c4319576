"""Bytes on their way to their position: whole windows as parts, ends as segments beside them."""

from __future__ import annotations

import contextlib
import tempfile
from types import TracebackType
from typing import IO

from resumable.digests import crc32c
from resumable.errors import Conflict, NoRoom, NotFound, Unavailable, UploadError
from resumable.extents import Extents
from resumable.interfaces import Placed
from resumable.model import MIB, Chunk, Digest, Upload
from resumable.stores.incoming import Incoming
from resumable.stores.objects.bucket import Data, Missing
from resumable.stores.objects.flight import Filling, Flight
from resumable.stores.objects.names import Record, Segment, record_name
from resumable.stores.objects.rivals import check_known, check_rivals, check_same_chunk
from resumable.stores.objects.room import Room

# Errors after which the bytes that came before are still good.
_KEEP_AFTER = (NoRoom, Unavailable)
_PIECE = MIB


class ObjectPlacing:
    """Writes at a position, one window after the other, while the one before is being sent.

    Bytes that may yet be refused for their digest wait in memory or in a temporary file.
    """

    def __init__(
        self,
        room: Room,
        upload: Upload,
        start: int,
        *,
        length: int | None,
        digest: Digest | None = None,
    ) -> None:
        self._room = room
        self._upload = upload
        self._start = self._position = start
        self._length = length
        self._incoming = Incoming(digest)
        self._digested = digest is not None
        self._filling: Filling | None = None
        self._flight = Flight(room)
        self._segments: list[Segment] = []
        self._wrote = self._recorded = False
        self._committed = False

    def __enter__(self) -> ObjectPlacing:
        self._known = self._room.known(self._upload)
        self._room.writable(self._known)
        self._files = contextlib.ExitStack()
        self._aside: IO[bytes] | None = None
        if self._digested:
            self._aside = self._files.enter_context(tempfile.SpooledTemporaryFile(MIB))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._files:
            try:
                if not self._committed and error is not None and _leaves_good_bytes(error):
                    with contextlib.suppress(UploadError):
                        self.keep()
            finally:
                self._give_all_back()

    def _give_all_back(self) -> None:
        self._flight.give_up()
        if self._filling is not None:
            self._flight.give_back(self._filling)
            self._filling = None

    # ------------------------------------------------------------ bytes

    def write(self, view: memoryview) -> None:
        self._incoming.count(view, crc32c(view))
        if self._aside is not None:
            self._aside.write(view)
        else:
            self._fill(view)

    def _fill(self, view: memoryview) -> None:
        while view:
            filling = self._filling
            if filling is None or filling.end == filling.limit:
                filling = self._next()
            count = min(len(view), filling.limit - filling.end)
            filling.add(view[:count])
            self._position += count
            view = view[count:]

    def _next(self) -> Filling:
        """The next window's buffer, once the one before is on its way."""
        self._flush()
        size = self._known.part_size
        limit = self._position - self._position % size + size
        if self._length is not None:
            limit = max(self._position + 1, min(limit, self._start + self._length))
        buffer = self._flight.buffer(self._known, limit - self._position)
        self._filling = Filling(self._position, limit, buffer)
        return self._filling

    # ------------------------------------------------------------ onto the storage

    def _flush(self, number: int | None = None) -> None:
        """Hand over what is filled; `number` where it is one whole chunk."""
        filling, self._filling = self._filling, None
        if filling is None:
            return
        sent = False
        try:
            sent = self._hand_over(filling, number)
        finally:
            if not sent:
                self._flight.give_back(filling)

    def _hand_over(self, filling: Filling, number: int | None) -> bool:
        """True while the storage still reads the buffer."""
        with filling.buffer.getbuffer() as whole, whole[: filling.filled] as view:
            check_known(self._room, self._known, filling.start, view)
            known = self._known.extents()
            if known.covers(filling.start, filling.end):
                return False
            self._wrote = True
            is_window = self._is_window(filling)
            if not is_window and any(a < filling.end and b > filling.start for a, b in known):
                self._put_gaps(filling, view, known)
                return False
            crc = 0 if is_window else crc32c(view)
        filling.buffer.truncate(filling.filled)
        if is_window:
            self._flight.send(self._known, filling)
        else:
            self._put(filling.start, filling.buffer, filling.filled, crc, number)
        return is_window

    def _put(
        self, start: int, data: Data, length: int, crc: int, number: int | None = None
    ) -> None:
        segment = self._room.put_segment(self._known, start, data, length, crc, number)
        self._segments.append(segment)

    def _is_window(self, filling: Filling) -> bool:
        """A whole window, or the last one of several: what may become a part at once."""
        known = self._known
        if self._room.parts is None or filling.start % known.part_size:
            return False
        # A length that was only said later may be unknown to a writer behind it: then the end stays
        # a segment, for the finish may have to put it elsewhere.
        last = filling.end == known.manifest.upload.length and filling.start > 0
        return filling.filled == known.part_size or last

    def _put_gaps(self, filling: Filling, view: memoryview, known: Extents) -> None:
        """What lies between known ranges."""
        position = filling.start
        while position < filling.end:
            known_end = known.known_at(position)
            if known_end > position:
                position = known_end
                continue
            next_known = known.next_known(position)
            end = filling.end if next_known is None else min(next_known, filling.end)
            data = bytes(view[position - filling.start : end - filling.start])
            self._put(position, data, len(data), crc32c(data))
            position = end

    # ------------------------------------------------------------ ends

    def verify(self) -> None:
        self._incoming.verify()

    def commit(self, number: int | None = None) -> Placed:
        self.verify()
        made = None
        if number is not None:
            made = Chunk(number, self._incoming.received, self._incoming.crc32c, self._start)
            check_same_chunk(self._known, made)
        self._replay()
        alone = self._filling is not None and self._filling.start == self._start
        self._store(number if alone else None)
        if made is not None and self._needs_record(made):
            self._record(made)
        if self._segments or self._recorded or self._may_be_late():
            self._look_again(made)
        self._committed = True
        status = self._known.status()
        if not status.extents.covers(self._start, self._position):
            raise Unavailable("The storage failed while these bytes were saved. Send them again.")
        return Placed(number, not self._wrote, status)

    def _may_be_late(self) -> bool:
        """Where parts are taken after the end as well, one has to look."""
        parts = self._room.parts
        return self._wrote and parts is not None and not parts.refuses_late

    def keep(self) -> None:
        if self._aside is not None:
            return
        self._store(None)
        if self._segments:
            self._look_again(None)
        self._committed = True

    def _replay(self) -> None:
        """Bytes that had to wait for their digest."""
        if self._aside is None:
            return
        self._aside.seek(0)
        while piece := self._aside.read(_PIECE):
            self._fill(memoryview(piece))

    def _store(self, number: int | None) -> None:
        self._flush(number)
        self._flight.land(self._known)

    def _needs_record(self, made: Chunk) -> bool:
        """Unless its name, or its size and place, say which chunk it is."""
        if made.number in self._known.chunks():
            return self._known.chunks()[made.number].start is None
        size = self._known.facts.get("chunk_size")
        return size is None or made.start != made.number * int(size)

    def _record(self, made: Chunk) -> None:
        assert made.start is not None
        record = Record(made.number, made.start, made.length, made.crc32c)
        self._room.mark(self._known, record_name(record))
        self._known.records.setdefault(made.number, record)
        self._recorded = True
        self._wrote = self._wrote or not made.length

    def _look_again(self, made: Chunk | None) -> None:
        """Whoever stores second sees the first, and withdraws where the two contradict.

        Two that see each other both do, so that never both are acknowledged.
        """
        before = self._known
        try:
            fresh = self._room.newer(before)
            check_rivals(self._room, fresh, self._segments)
            if made is not None:
                check_same_chunk(fresh, made)
        except (Conflict, NotFound):
            self._room.withdraw(before, self._segments)
            raise
        self._known = fresh
        self._gather_windows()

    def _gather_windows(self) -> None:
        """Windows that are whole now; whoever fails leaves it to the finish."""
        if self._room.parts is None:
            return
        size = self._known.part_size
        with contextlib.suppress(UploadError, Missing):
            for window in range(self._start // size, -(-self._position // size)):
                self._room.gather(self._known, window, (window + 1) * size)


def _leaves_good_bytes(error: BaseException) -> bool:
    return not isinstance(error, UploadError) or isinstance(error, _KEEP_AFTER)
