"""All bytes of one upload, over a few threads, past every interruption."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from resumable.client.errors import Refused, Stopped, Trouble
from resumable.client.halt import Halt
from resumable.client.lines import Gap, Journey, Sizes, Track, sum_of
from resumable.client.model import Retry
from resumable.client.pace import ChunkSize, Meter, RateLimit
from resumable.client.persistence import Persistence
from resumable.client.source import Buffered, Source, Stream

_LOOK_SECONDS = 0.2
_GRACE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Manner:
    """How bytes are sent: in chunks of `chunk_size` bytes (None: by the line's speed)."""

    retry: Retry
    limit: RateLimit
    chunk_size: int | None = None
    checksum: str | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """`[start, end)` of `source`, in one request."""

    start: int
    end: int
    source: Source


class Gaps:
    """Cuts what is missing of a file into pieces, for any thread that asks."""

    def __init__(self, gaps: Sequence[Gap], source: Source, size: ChunkSize) -> None:
        self._gaps = [(start, source.size if end is None else end) for start, end in gaps]
        self._source = source
        self.size = size
        self._lock = threading.Lock()

    def take(self) -> Piece | None:
        """The next piece; None when there is none."""
        with self._lock:
            if not self._gaps:
                return None
            start, limit = self._gaps[0]
            end = self.size.end_of(start, limit)
            if end < limit:
                self._gaps[0] = (end, limit)
            else:
                del self._gaps[0]
            return Piece(start, end, self._source)


class StreamPieces:
    """Reads a stream piece by piece; `length` is known once it has come to its end."""

    def __init__(self, stream: Stream, size: ChunkSize) -> None:
        self._stream = stream
        self.size = size
        self._lock = threading.Lock()
        self._at = 0
        self.length: int | None = None

    def take(self) -> Piece | None:
        with self._lock:
            if self.length is not None:
                return None
            wanted = self.size.end_of(self._at, None) - self._at
            data = self._stream.read(wanted)
            if len(data) < wanted:
                self.length = self._at + len(data)
            if not data:
                return None
            start, self._at = self._at, self._at + len(data)
            return Piece(start, self._at, Buffered(start, data))


class Sender:
    """Fills the tracks of `journey`, until the first error of any thread or until `halt` is set."""

    def __init__(
        self, journey: Journey, manner: Manner, meter: Meter, halt: Halt, sizes: Sizes
    ) -> None:
        self._journey = journey
        self._manner = manner
        self._meter = meter
        self._halt = halt.branch()
        self._sizes = sizes
        self._errors: list[BaseException] = []

    def send_file(self, source: Source, tracks: Sequence[Track]) -> None:
        """All that `tracks` lack of it."""
        work = []
        for track in tracks:
            pieces = Gaps(track.gaps, source, self._chunk_size())
            work += [(track, pieces)] * (track.at_once if track.gaps else 0)
        self._run(work)

    def send_stream(self, stream: Stream, track: Track) -> int:
        """All of it; its length in bytes."""
        pieces = StreamPieces(stream, self._chunk_size())
        self._run([(track, pieces)] * track.at_once)
        assert pieces.length is not None
        return pieces.length

    def _chunk_size(self) -> ChunkSize:
        return ChunkSize(
            fixed=self._manner.chunk_size,
            wished=self._sizes.wished,
            part=self._sizes.part,
            most=self._sizes.most,
        )

    # ------------------------------------------------------------ threads

    def _run(self, work: Sequence[tuple[Track, Gaps | StreamPieces]]) -> None:
        ends: list[threading.Event] = []
        try:
            for one in work:
                ends.append(self._begun(*one))
            for end in ends:
                while not self._halt.is_set() and not end.wait(_LOOK_SECONDS):
                    pass
        except BaseException:
            self._halt.set()
            raise
        finally:
            # What waits for an answer that does not come is left behind.
            deadline = time.monotonic() + _GRACE_SECONDS
            for end in ends:
                end.wait(max(0.0, deadline - time.monotonic()))
        if self._errors:
            raise self._errors[0]
        if self._halt.is_set():
            raise Stopped(0, None)

    def _begun(self, track: Track, pieces: Gaps | StreamPieces) -> threading.Event:
        """A thread at work; the event of its end."""
        end = threading.Event()
        threading.Thread(
            target=self._work, args=(track, pieces, end), name="resumable-client", daemon=True
        ).start()
        return end

    def _work(self, track: Track, pieces: Gaps | StreamPieces, end: threading.Event) -> None:
        try:
            persistence = Persistence(self._manner.retry, self._meter, self._halt)
            while not self._halt.is_set():
                piece = pieces.take()
                if piece is None:
                    return
                self._carry(track, piece, pieces.size, persistence)
        except BaseException as error:
            if not isinstance(error, Stopped):
                self._errors.append(error)
            self._halt.set()
        finally:
            end.set()

    # ------------------------------------------------------------ one piece

    def _carry(self, track: Track, piece: Piece, size: ChunkSize, persistence: Persistence) -> None:
        """Send it until all of it is safe; after a failure the server is asked first."""
        at, doubt = piece.start, False
        while at < piece.end:
            before = at
            try:
                if doubt:
                    at = self._journey.arrived(track, at, piece.end)
                    self._meter.settled(0, at - before)
                else:
                    at = self._send(track, piece, at, size)
                doubt = False
            except Refused as refused:
                # Somebody on the way, a proxy perhaps, takes less at once than the server says.
                asked = size.end_of(at, piece.end) - at
                if refused.status != 413 or not size.refused(asked):
                    raise
            except Trouble as trouble:
                doubt = True
                persistence.failed(trouble)
            if at > before:
                persistence.progress()

    def _send(self, track: Track, piece: Piece, start: int, size: ChunkSize) -> int:
        began, flow = time.monotonic(), Flow(self._meter, self._manner.limit, self._halt)
        end = size.end_of(start, piece.end)
        digest, at = self._digest(piece, start, end), start
        try:
            blocks = flow.of(piece.source.blocks(start, end))
            said = self._journey.send(track, start, end, blocks, digest)
            if not start < said <= end:
                raise Trouble(f"Of {start:,} to {end:,} the server has {said:,}.", answered=True)
            at = said
        finally:
            self._meter.settled(flow.sent, at - start)
        size.took(at - start, time.monotonic() - began)
        return at

    def _digest(self, piece: Piece, start: int, end: int) -> bytes | None:
        if self._manner.checksum is None:
            return None
        return sum_of(self._manner.checksum, piece.source, start, end)


class Flow:
    """Blocks on their way into one request: counted, at the speed that is allowed."""

    def __init__(self, meter: Meter, limit: RateLimit, halt: Halt) -> None:
        self._meter = meter
        self._limit = limit
        self._halt = halt
        self.sent = 0

    def of(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        for block in blocks:
            self._limit.take(len(block), self._halt)
            yield block
            self.sent += len(block)
            self._meter.sent(len(block))
