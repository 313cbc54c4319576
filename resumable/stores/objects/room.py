"""One store's dealings with one upload: looks, small objects, segments and windows."""

from __future__ import annotations

import io
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from resumable.digests import crc32c
from resumable.errors import Conflict, NotFound, Unavailable
from resumable.model import MIB, State, Upload
from resumable.stores.objects.bucket import Bucket, Data, Missing, Part, Parts, Sending
from resumable.stores.objects.doubt import create
from resumable.stores.objects.knowledge import Covering, Knowledge
from resumable.stores.objects.manifest import Manifest
from resumable.stores.objects.memory import Memory
from resumable.stores.objects.names import NATIVE, Segment, segment_name
from resumable.stores.objects.reading import Reader

# A look serves the same request a little longer: what is known only grows.
_FRESH_SECONDS = 5.0
# A finish that nobody decided for so long has died.
_DECIDING_SECONDS = 60.0
_LOOKS = 40
_PAUSE_SECONDS = 0.05
_BLOCK = 2 * MIB


@dataclass(slots=True)
class Seen:
    """What this thread saw last."""

    known: Knowledge
    moment: float


class Room:
    """What placing, keeping and finishing share. `pipeline` windows of one request at once."""

    def __init__(
        self,
        bucket: Bucket,
        parts: Callable[[], Parts | None],
        reader: Reader,
        memory: Memory,
        pipeline: int,
    ) -> None:
        self.bucket = bucket
        self._parts = parts
        self.reader = reader
        self.memory = memory
        self.pipeline = pipeline
        self._seen = threading.local()

    @property
    def parts(self) -> Parts | None:
        """None where whole windows are objects like all others."""
        return self._parts()

    # ------------------------------------------------------------ looks

    def look(self, id: str) -> Knowledge | None:
        """A new look, which the same thread may go on from."""
        known = self.reader.look(id)
        self._seen.last = None if known is None else Seen(known, time.monotonic())
        return known

    def known(self, upload: Upload) -> Knowledge:
        """What this thread has just seen, or a new look. Raises NotFound for another upload."""
        seen: Seen | None = getattr(self._seen, "last", None)
        fresh = seen is not None and time.monotonic() - seen.moment < _FRESH_SECONDS
        if seen is not None and fresh and seen.known.manifest.upload.token == upload.token:
            return seen.known
        return self.again(upload)

    def again(self, upload: Upload) -> Knowledge:
        """A new look. Raises NotFound where the upload is not, or another one is under its id."""
        known = self.look(upload.id)
        if known is None or known.manifest.upload.token != upload.token:
            raise NotFound("Upload not found")
        return known

    def born(self, manifest: Manifest) -> None:
        """This thread has just begun an upload, and nobody else knows more of it."""
        self._seen.last = Seen(Knowledge(manifest, version=""), time.monotonic())

    def forget(self) -> None:
        """The next look is a new one."""
        self._seen.last = None

    def writable(self, known: Knowledge) -> None:
        """Raise NotFound or Conflict where the upload takes no more bytes."""
        if known.state is State.CANCELLED:
            raise NotFound("Upload not found")
        if known.state is not State.RECEIVING:
            raise Conflict("This upload is finished and takes no more bytes.", code="finished")
        pending = known.undecided
        if pending is None:
            return
        if time.time() - pending.modified < _DECIDING_SECONDS:
            raise Unavailable("This upload is just being finished. Try again.")
        self.create(known, f"d.{pending.attempt}", b"no")
        self.forget()
        raise Unavailable("This upload's finish had been interrupted. Send the bytes again.")

    def newer(self, known: Knowledge) -> Knowledge:
        """A new look at the same birth, still taking bytes. Raises NotFound, Conflict."""
        for _ in range(_LOOKS):
            fresh = self.again(known.manifest.upload)
            if fresh.manifest.birth != known.manifest.birth:
                raise NotFound("Upload not found")
            if fresh.undecided is None:
                break
            # Whether these bytes count is being decided, by somebody who may have seen them.
            time.sleep(_PAUSE_SECONDS)
        self.writable(fresh)
        return fresh

    # ------------------------------------------------------------ small objects

    def key(self, known: Knowledge, name: str) -> str:
        return f"{self.reader.folder(known.manifest.upload.id)}{known.manifest.birth}/{name}"

    def create(self, known: Knowledge, name: str, data: bytes = b"") -> bytes:
        """Store under a name that is taken once; what is stored there now."""
        key = self.key(known, name)
        data = create(self.bucket, key, data)
        self.reader.remember(key, data)
        return data

    def mark(self, known: Knowledge, name: str) -> None:
        """A name that is all there is to say."""
        self.bucket.put(self.key(known, name), b"")

    # ------------------------------------------------------------ segments

    def put_segment(
        self,
        known: Knowledge,
        start: int | None,
        data: Data | IO[bytes],
        length: int,
        crc: int,
        number: int | None = None,
    ) -> Segment:
        """Store bytes beside the windows; they count from now on."""
        name = segment_name(start, length, crc, secrets.token_hex(4), number)
        self.bucket.put(self.key(known, name), data)
        segment = Segment(name, start, length, crc, number, time.time())
        known.segments[name] = segment
        return segment

    def withdraw(self, known: Knowledge, segments: list[Segment]) -> None:
        """Segments that contradict others; nobody was promised them."""
        self.bucket.delete([self.key(known, segment.name) for segment in segments])
        for segment in segments:
            known.segments.pop(segment.name, None)

    def read(self, known: Knowledge, piece: Covering) -> bytes:
        """The bytes of a segment that serve a range. Raises Missing."""
        start = piece.start - piece.origin
        key = self.key(known, piece.segment.name)
        return self.bucket.get(key, start, start + piece.end - piece.start)

    def read_range(self, known: Knowledge, start: int, end: int) -> Iterator[bytes]:
        """The bytes of a range that segments cover. Raises Missing."""
        for piece in known.covering(start, end) or ():
            for at in range(piece.start, piece.end, _BLOCK):
                stop = min(piece.end, at + _BLOCK)
                yield self.read(known, Covering(piece.segment, piece.origin, at, stop))

    def same_bytes(self, known: Knowledge, start: int, view: memoryview) -> bool:
        """Whether the known segments in the range of `view` have the same bytes there."""
        end = start + len(view)
        for at, segment in known.overlapping(start, end):
            low, high = max(start, at), min(end, at + segment.length)
            mine = view[low - start : high - start]
            if (low, high) == (at, at + segment.length):
                same = crc32c(mine) == segment.crc32c
            else:
                same = self._is(known, Covering(segment, at, low, high), mine)
            if not same:
                return False
        return True

    def _is(self, known: Knowledge, piece: Covering, mine: memoryview) -> bool:
        try:
            return self.read(known, piece) == mine
        except Missing:
            # Withdrawn, or gathered into a window meanwhile: there is nothing to contradict.
            return True

    @contextmanager
    def filled(self, known: Knowledge, start: int, end: int) -> Iterator[io.BytesIO]:
        """A range that segments cover, in memory of the budget. Raises Missing."""
        # A piece on its way is held twice: as it comes, and as one.
        beside = 2 * min(end - start, _BLOCK)
        buffer = self.memory.take(end - start, beside)
        try:
            at = 0
            for piece in self.read_range(known, start, end):
                buffer.seek(at)
                at += buffer.write(piece)
            if at != end - start:
                raise Missing(known.manifest.key)
            yield buffer
        finally:
            self.memory.give_back(buffer, end - start, beside)

    # ------------------------------------------------------------ windows

    def native(self, known: Knowledge) -> str:
        """The unfinished object of this upload, begun when its first window is whole."""
        if known.native is None:
            assert self.parts is not None
            key = known.manifest.key
            mine = self.parts.open(key, known.manifest.description)
            known.native = self.create(known, NATIVE, mine.encode()).decode()
            if known.native != mine:
                self.parts.abandon(key, mine)
        return known.native

    def send(self, known: Knowledge, window: int, data: Data) -> Sending:
        """A whole window on its way into its part."""
        assert self.parts is not None
        return self.parts.send(known.manifest.key, self.native(known), window, data)

    def arrived(self, known: Knowledge, window: int, size: int) -> None:
        """The window's part is stored."""
        known.parts[window] = Part(window, size, "")

    def gather(self, known: Knowledge, window: int, end: int) -> bool:
        """Segments that make a window whole up to `end` become its part.

        A part of another size came late, from a writer that did not know of the file's end.
        """
        start, part = window * known.part_size, known.parts.get(window)
        if part is not None and part.size == end - start:
            return True
        if known.covering(start, end) is None:
            return False
        with self.filled(known, start, end) as buffer:
            self.send(known, window, buffer).result()
        self.arrived(known, window, end - start)
        return True
