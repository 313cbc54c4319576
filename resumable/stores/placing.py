"""Bytes on their way to their position in a local upload: compared or written, then recorded."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType

from resumable.digests import crc32c, join_crc32c
from resumable.errors import Conflict, NoRoom, Unavailable, UploadError
from resumable.extents import Extent
from resumable.interfaces import Placed
from resumable.model import MIB, Chunk, Digest, Status
from resumable.stores import records
from resumable.stores.disk import translated
from resumable.stores.incoming import Incoming, check_same_chunk
from resumable.stores.journal import Record
from resumable.stores.ledger import touches
from resumable.stores.session import Session

OpenSession = Callable[[], AbstractContextManager[Session]]
# Moves kept chunks whose start has become known.
Gather = Callable[[Session], None]
# A killed process loses nothing that is older than a mark; a power cut nothing older than a sync.
_MARK = 8 * MIB
_SYNC = 64 * MIB
# Errors after which the bytes that came before are still good.
_KEEP_AFTER = (NoRoom, Unavailable)


class LocalPlacing:
    """Writes at a position. Known bytes are compared, unknown ones written, then recorded.

    Two writers of the same bytes do no harm to each other. Two writers of different bytes cannot
    both win: each write holds its range against a commit, each commit reads its bytes again when
    somebody else could have written into the same range, and what is recorded is never written
    again.
    """

    def __init__(
        self,
        open_session: OpenSession,
        start: int,
        *,
        length: int | None,
        digest: Digest | None = None,
        alone: bool = False,
        gather: Gather | None = None,
    ) -> None:
        self._open_session = open_session
        self._start = self._position = start
        self._length = length
        self._incoming = Incoming(digest)
        self._digested = digest is not None
        self._writer = secrets.token_hex(6)
        self._alone = alone
        self._gather = gather
        self._announced = False
        self._run: Extent | None = None
        self._runs: list[Extent] = []
        self._placed: list[Extent] = []
        self._chunks: list[Chunk] = []
        self._since_sync = 0
        self._wrote = 0
        self._committed = False

    def __enter__(self) -> LocalPlacing:
        with contextlib.ExitStack() as files:
            self._session = files.enter_context(self._open_session())
            self._session.writable()
            self._voids = self._session.ledger.voids
            self._files = files.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._files:
            if not self._committed and error is not None and _leaves_good_bytes(error):
                with contextlib.suppress(UploadError):
                    self.keep()
            if not self._committed and self._announced:
                with contextlib.suppress(OSError, UploadError):
                    self._take_back()
                with contextlib.suppress(OSError):
                    self._session.append(records.withdrawn(self._writer), durable=False)

    # ------------------------------------------------------------ bytes

    def write(self, view: memoryview) -> None:
        while view:
            taken = self._take(view)
            view = view[taken:]

    def _take(self, view: memoryview) -> int:
        """Deal with the head of `view` that is wholly known or wholly unknown; its length."""
        extents = self._session.ledger.extents
        known_end = extents.known_at(self._position)
        if known_end > self._position:
            part = view[: known_end - self._position]
            crc = self._compare(part)
        else:
            next_known = extents.next_known(self._position)
            part = view if next_known is None else view[: next_known - self._position]
            crc = crc32c(part)
            if not self._put(part):
                return 0
            self._extend_run(len(part), crc)
        self._incoming.count(part, crc)
        self._position += len(part)
        if self._run is not None and self._run.length >= _MARK:
            self._mark()
        return len(part)

    def _compare(self, part: memoryview) -> int:
        """The CRC32C of known bytes that are the same."""
        self._end_run()
        data = self._session.writable()
        with translated("reading back"):
            stored = self._session.disk.read_at(data, len(part), self._position)
        if stored != part:
            with translated("reading back"):
                # Unless the upload has ended and its bytes have gone.
                self._session.refresh()
            self._session.writable()
            raise Conflict(
                f"Other bytes are already stored at offset {self._position}. "
                "An upload's bytes cannot be changed; begin a new upload.",
                code="other-bytes",
            )
        return crc32c(stored)

    def _put(self, part: memoryview) -> bool:
        """Write unknown bytes; False when somebody made them known meanwhile."""
        session = self._session
        self._announce()
        with translated("writing"), session.range_locked(self._position, len(part)):
            # Another thread may have learned the news for this process already: always look.
            session.refresh()
            data = session.writable()
            if touches(session.ledger.extents, self._position, self._position + len(part)):
                return False
            session.disk.write_at(data, part, self._position)
        return True

    def _announce(self) -> None:
        """Let a writer of the same range know that it must look again before it commits."""
        if not (self._announced or self._alone):
            end = None if self._length is None else self._start + self._length
            with translated("announcing"):
                intent = records.intent(self._writer, self._start, end)
                self._session.append(intent, durable=False)
            self._announced = True

    def _extend_run(self, length: int, crc: int) -> None:
        run = self._run
        if run is None:
            self._run = Extent(self._position, length, crc)
        else:
            joined = join_crc32c(run.crc32c, crc, length)
            self._run = Extent(run.start, run.length + length, joined)
        self._wrote += length

    def _end_run(self) -> None:
        if self._run is not None:
            self._runs.append(self._run)
            self._run = None

    # ------------------------------------------------------------ marks

    def _mark(self) -> None:
        """Save what a long request has brought so far; not with a digest that may refuse it."""
        if self._digested:
            return
        self._end_run()
        self._since_sync += sum(run.length for run in self._runs)
        self._record_runs()
        if self._session.full and self._since_sync >= _SYNC:
            self._sync()

    def _record_runs(self, *more: Record) -> None:
        """Record the runs as placed, each while its range is held against every writer."""
        session = self._session
        with translated("recording"), contextlib.ExitStack() as ranges:
            for run in self._runs:
                ranges.enter_context(session.range_locked(run.start, run.length))
            session.refresh()
            session.writable()
            for run in self._runs:
                self._check_contested(run)
            boot = session.ledger.boot
            news = [records.placed(run, boot) for run in self._runs]
            if news or more:
                session.append(*news, *more, durable=False)
        self._placed += self._runs
        self._runs = []

    def _check_contested(self, run: Extent) -> None:
        known = self._session.ledger
        contested = known.contested(run.start, run.end, self._writer)
        # A small body is not announced, and a failed sync takes back that it is known.
        contested = contested or known.voids != self._voids
        if not contested and not touches(known.extents, run.start, run.end):
            return
        if self._session.crc32c_of(run.start, run.length) != run.crc32c:
            raise Conflict(
                f"Another request wrote other bytes at offset {run.start} at the same time.",
                code="other-bytes",
            )

    def _sync(self, *more: Record) -> None:
        session = self._session
        with translated("syncing"):
            # A chunk's line counts only behind the lines of all its bytes, other writers' too.
            if self._rests_on_others():
                session.promote()
            session.sync(self._placed, *more, voids=self._voids)
        self._placed, self._since_sync = [], 0

    def _rests_on_others(self) -> bool:
        """Are some of these bytes those of a writer that has not synced them yet?"""
        unsynced = set(self._session.ledger.unsynced).difference(self._placed)
        return any(_overlap(extent, self._start, self._position) for extent in unsynced)

    def _take_back(self) -> None:
        """Free what a refused digest leaves at the end of the file: no quota counts it."""
        session = self._session
        if not (self._digested and self._wrote):
            return
        with session.range_locked(self._start, 0):
            session.refresh()
            data = session.writable()
            if session.ledger.ends_before(self._start, self._writer):
                session.disk.truncate(data, self._start)

    # ------------------------------------------------------------ ends

    def verify(self) -> None:
        self._incoming.verify()

    def commit(self, number: int | None = None) -> Placed:
        self.verify()
        if number is not None:
            self.end_chunk(number)
        superseded = [self._session.ledger.kept.get(chunk.number) for chunk in self._chunks]
        self._record()
        self._committed = True
        for kept in superseded:
            if kept is not None:
                with contextlib.suppress(OSError):
                    self._session.disk.unlink(self._session.room / kept.name)
        return Placed(number, self._wrote == 0, self._acknowledged())

    def end_chunk(self, number: int) -> None:
        """The bytes since the last end are one whole chunk, recorded with the commit."""
        length, crc = self._incoming.received, self._incoming.crc32c
        made = Chunk(number, length, crc, self._position - length)
        check_same_chunk(self._session, made)
        self._chunks.append(made)
        self._incoming = Incoming(None)

    def keep(self) -> None:
        if self._digested:
            return
        self._chunks = []
        self._record()
        self._committed = True

    def _record(self) -> None:
        """Runs, then the chunks they make, in the order that durability asks for."""
        session = self._session
        self._end_run()
        last = self._new_chunks()
        if self._announced:
            last.append(records.withdrawn(self._writer))
        if not session.full:
            self._record_runs(*last)
            return
        if self._runs:
            self._record_runs()
        if self._placed or last or self._rests_on_others():
            self._sync(*last)

    def _new_chunks(self) -> list[Record]:
        known = self._session.ledger.chunks
        return [records.chunk(made) for made in self._chunks if made.number not in known]

    def _acknowledged(self) -> Status:
        """What is known now; raises Unavailable unless all of these bytes are."""
        session = self._session
        with translated("reading what is known"):
            # No bytes, no line of one's own: others' have not been read yet.
            session.refresh()
            if session.ledger.ready and self._gather is not None:
                self._gather(session)
            status = session.status()
        numbers = all(made.number in status.chunks for made in self._chunks)
        if not numbers or not status.extents.covers(self._start, self._position):
            raise _failed()
        return status


def _failed() -> Unavailable:
    return Unavailable("The storage failed while these bytes were saved. Send them again.")


def _leaves_good_bytes(error: BaseException) -> bool:
    return not isinstance(error, UploadError) or isinstance(error, _KEEP_AFTER)


def _overlap(extent: Extent, start: int, end: int) -> bool:
    return extent.start < end and extent.end > start
