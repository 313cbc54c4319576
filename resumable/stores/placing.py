"""Bytes on their way into a local upload: at their position, or as a numbered chunk apart."""

from __future__ import annotations

import contextlib
import hmac
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

from resumable import digests
from resumable.digests import crc32c, join_crc32c
from resumable.errors import Conflict, DigestMismatch, NoRoom, Unavailable, UploadError
from resumable.interfaces import Placed
from resumable.model import MIB, Chunk, Digest, Extent, Extents
from resumable.stores import ledger
from resumable.stores.disk import translated
from resumable.stores.journal import Record
from resumable.stores.session import Session

# Moves kept chunks whose start has become known.
Gather = Callable[[Session], None]
# A killed process loses nothing that is older than a mark; a power cut nothing older than a sync.
_MARK = 8 * MIB
_SYNC = 64 * MIB
# Errors after which the bytes that came before are still good.
_KEEP_AFTER = (NoRoom, Unavailable)


class _Incoming:
    """Counts and digests one request's bytes, whatever becomes of them."""

    def __init__(self, digest: Digest | None) -> None:
        self.received = 0
        self.crc32c = 0
        self._digest = digest
        self._hasher = digests.hasher(digest.algorithm) if digest else None

    def count(self, view: memoryview, crc: int) -> None:
        self.crc32c = join_crc32c(self.crc32c, crc, len(view)) if self.received else crc
        self.received += len(view)
        if self._hasher is not None:
            self._hasher.update(view)

    def verify(self) -> None:
        """Raise DigestMismatch unless the bytes are those that the client meant."""
        if self._digest is None or self._hasher is None:
            return
        if not hmac.compare_digest(self._hasher.digest(), self._digest.value):
            raise DigestMismatch(
                f"The {self._digest.algorithm} digest of the bytes that arrived is another one. "
                "Nothing was kept; send them again."
            )


class LocalPlacing:
    """Writes at a position. Known bytes are compared, unknown ones written, then recorded.

    Two writers of the same bytes do no harm to each other. Two writers of different bytes cannot
    both win: each write holds its range against a commit, each commit reads its bytes again when
    somebody else announced the same range, and what is recorded is never written again.
    """

    def __init__(
        self,
        session: Session,
        start: int,
        *,
        length: int | None,
        digest: Digest | None,
        alone: bool = False,
        gather: Gather | None = None,
    ) -> None:
        self._session = session
        self._start = self._position = start
        self._length = length
        self._incoming = _Incoming(digest)
        self._digested = digest is not None
        self._writer = secrets.token_hex(6)
        self._alone = alone
        self._gather = gather
        self._announced = False
        self._run: Extent | None = None
        self._runs: list[Extent] = []
        self._placed: list[Extent] = []
        self._since_sync = 0
        self._wrote = 0
        self._committed = False

    def __enter__(self) -> LocalPlacing:
        with _closing_on_error(self._session):
            self._session.writable()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if not self._committed and error is not None and _leaves_good_bytes(error):
                with contextlib.suppress(UploadError):
                    self.keep()
            if not self._committed and self._announced:
                with contextlib.suppress(OSError):
                    self._session.append(self._withdrawal(), durable=False)
        finally:
            self._session.close()

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
            self._compare(part)
        else:
            next_known = extents.next_known(self._position)
            part = view if next_known is None else view[: next_known - self._position]
            if not self._put(part):
                return 0
        self._incoming.count(part, self._crc)
        self._position += len(part)
        return len(part)

    def _compare(self, part: memoryview) -> None:
        self._end_run()
        data = self._session.writable()
        with translated("reading back"):
            stored = self._session.disk.read_at(data, len(part), self._position)
        if stored != bytes(part):
            raise Conflict(
                f"Other bytes are already stored at offset {self._position}. "
                "An upload's bytes cannot be changed; begin a new upload.",
                code="other-bytes",
            )
        self._crc = crc32c(part)

    def _put(self, part: memoryview) -> bool:
        """Write unknown bytes; False when somebody made them known meanwhile."""
        session = self._session
        data = session.writable()
        self._announce()
        with (
            translated("writing"),
            session.disk.range_locked(data, self._position, len(part)),
        ):
            # Another thread may have learned the news for this process already: always look.
            session.refresh()
            session.writable()
            if _touches(session.ledger.extents, self._position, len(part)):
                return False
            session.disk.write_at(data, part, self._position)
        self._crc = crc32c(part)
        self._extend_run(len(part))
        return True

    def _announce(self) -> None:
        """Let a writer of the same range know that it must look again before it commits."""
        if not (self._announced or self._alone):
            end = None if self._length is None else self._start + self._length
            intent = {"kind": "intent", "writer": self._writer, "start": self._start, "end": end}
            with translated("announcing"):
                self._session.append(intent, durable=False)
            self._announced = True

    def _withdrawal(self) -> Record:
        return {"kind": "withdrawn", "writer": self._writer}

    def _extend_run(self, length: int) -> None:
        run = self._run
        if run is None:
            self._run = Extent(self._position, length, self._crc)
        else:
            joined = join_crc32c(run.crc32c, self._crc, length)
            self._run = Extent(run.start, run.length + length, joined)
        self._wrote += length
        if self._run is not None and self._run.length >= _MARK:
            self._mark()

    def _end_run(self) -> None:
        if self._run is not None:
            self._runs.append(self._run)
            self._run = None

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
        runs, self._runs = self._runs, []
        session, data = self._session, self._session.writable()
        with translated("recording"), contextlib.ExitStack() as ranges:
            for run in runs:
                ranges.enter_context(session.disk.range_locked(data, run.start, run.length))
            session.refresh()
            session.writable()
            for run in runs:
                self._check_contested(run)
            boot = session.ledger.boot
            records = [ledger.placed(run, boot) for run in runs]
            if records or more:
                session.append(*records, *more, durable=False)
        self._placed += runs

    def _check_contested(self, run: Extent) -> None:
        known = self._session.ledger
        contested = known.contested(run.start, run.end, self._writer)
        if not contested and not _touches(known.extents, run.start, run.length):
            return
        if self._session.crc32c_of(run.start, run.length) != run.crc32c:
            raise Conflict(
                f"Another request wrote other bytes at offset {run.start} at the same time.",
                code="other-bytes",
            )

    def _sync(self, *more: Record) -> None:
        with translated("syncing"):
            self._session.sync(self._placed, *more)
        self._placed, self._since_sync = [], 0

    def verify(self) -> None:
        self._incoming.verify()

    def commit(self, number: int | None = None) -> Placed:
        self.verify()
        made = None if number is None else self._checked_chunk(number)
        self._record(made)
        self._committed = True
        return self._placed_in(number, duplicate=self._wrote == 0)

    def _placed_in(self, number: int | None, *, duplicate: bool) -> Placed:
        """Kept chunks behind this one may have their place now."""
        if self._session.ledger.kept and self._gather is not None:
            with translated("placing a chunk"):
                self._gather(self._session)
        return Placed(number, duplicate, self._session.status())

    def keep(self) -> None:
        if self._digested:
            return
        self._record(None)
        self._committed = True

    def _checked_chunk(self, number: int) -> Chunk:
        made = Chunk(number, self._incoming.received, self._incoming.crc32c, self._start)
        check_same_chunk(self._session, made)
        return made

    def _record(self, made: Chunk | None) -> None:
        """Runs, then the chunk they make, in the order that durability asks for."""
        session = self._session
        self._end_run()
        last: list[Record] = []
        if made is not None and made.number not in session.ledger.chunks:
            last.append(ledger.chunk(made))
        if self._announced:
            last.append(self._withdrawal())
        if not session.full:
            self._record_runs(*last)
            return
        if self._runs:
            self._record_runs()
        if self._placed or last:
            self._sync(*last)
        if any(_overlap(extent, self._start, self._position) for extent in session.ledger.unsynced):
            with translated("syncing"):
                session.promote()


class LocalKeeping:
    """Writes a numbered chunk whose start is unknown into a file of its own."""

    def __init__(
        self, session: Session, number: int | None, digest: Digest | None, gather: Gather
    ) -> None:
        self._session = session
        self._gather = gather
        self._number = number
        self._incoming = _Incoming(digest)
        self._path: Path = session.directory / f"kept-{secrets.token_hex(12)}"
        self._committed = False

    def __enter__(self) -> LocalKeeping:
        with _closing_on_error(self._session), translated("keeping a chunk"):
            self._session.writable()
            self._file = self._session.disk.create(self._path)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._session.disk.close(self._file)
            if not self._committed:
                with contextlib.suppress(OSError):
                    self._session.disk.unlink(self._path)
        finally:
            self._session.close()

    def write(self, view: memoryview) -> None:
        with translated("keeping a chunk"):
            self._session.disk.write_at(self._file, view, self._incoming.received)
        self._incoming.count(view, crc32c(view))

    def keep(self) -> None:
        """A part of a chunk whose start is unknown is of no use to anybody."""

    def verify(self) -> None:
        self._incoming.verify()

    def commit(self, number: int | None = None) -> Placed:
        self.verify()
        session = self._session
        with translated("keeping a chunk"):
            if session.full:
                session.disk.sync_data(self._file)
                session.disk.sync_directory(session.directory)
            with session.disk.locked(session.journal):
                made, duplicate = self._settle()
            self._gather(session)
            return Placed(made, duplicate, session.status())

    def _settle(self) -> tuple[int, bool]:
        session = self._session
        session.refresh()
        session.writable()
        number = self._number if self._number is not None else self._next_number()
        made = Chunk(number, self._incoming.received, self._incoming.crc32c, None)
        if check_same_chunk(session, made):
            return number, True
        entry = ledger.Kept(number, made.length, made.crc32c, self._path.name)
        session.append(ledger.kept(entry, session.ledger.boot, durable=session.full))
        self._committed = True
        return number, False

    def _next_number(self) -> int:
        taken = self._session.ledger.all_chunks()
        return next(number for number in range(len(taken) + 1) if number not in taken)


def check_same_chunk(session: Session, made: Chunk) -> bool:
    """Is this chunk known already? Raises Conflict when the known one has other bytes."""
    known = session.ledger.all_chunks().get(made.number)
    if known is None:
        return False
    same = (known.length, known.crc32c) == (made.length, made.crc32c)
    if None not in (known.start, made.start):
        same = same and known.start == made.start
    if not same:
        raise Conflict(
            f"Chunk {made.number} is already stored with other bytes. "
            "An upload's bytes cannot be changed; begin a new upload.",
            code="other-bytes",
        )
    return True


@contextlib.contextmanager
def _closing_on_error(session: Session) -> Iterator[None]:
    try:
        yield
    except BaseException:
        session.close()
        raise


def _leaves_good_bytes(error: BaseException) -> bool:
    return not isinstance(error, UploadError) or isinstance(error, _KEEP_AFTER)


def _touches(extents: Extents, start: int, length: int) -> bool:
    following = extents.next_known(start)
    return extents.known_at(start) > start or (following is not None and following < start + length)


def _overlap(extent: Extent, start: int, end: int) -> bool:
    return extent.start < end and extent.end > start
