"""One request's open files of one local upload: what is known of it, and what is made durable."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType

from resumable.digests import crc32c
from resumable.errors import Conflict, NotFound
from resumable.model import Chunk, Extent, State, Status
from resumable.stores import journal, records
from resumable.stores.disk import Disk
from resumable.stores.history import Histories
from resumable.stores.journal import Record
from resumable.stores.ledger import Ledger

_READ = 1 << 20
_IDLE_SESSIONS = 32
_IDLE_SECONDS = 5.0
# Behind every byte that a file can have.
_FACTS_LOCK = 2**62
DATA = ".data"


class Idle:
    """Sessions between two operations of one request, so that files are opened once.

    An idle session holds no lock. Few are kept, none for long without a use, none over a fork.
    """

    def __init__(self) -> None:
        self._sessions: OrderedDict[str, tuple[Session, float]] = OrderedDict()
        self._lock = threading.Lock()
        self._pid = os.getpid()

    def take(self, id: str) -> Session | None:
        """The idle session of this upload, if its name still means the same one."""
        self._start_anew_after_fork()
        with self._lock:
            session, _ = self._sessions.pop(id, (None, 0.0))
            dropped = self._old()
        _close_all(dropped)
        if session is not None and not session.wake():
            session.discard()
            return None
        return session

    def keep(self, session: Session) -> None:
        self._start_anew_after_fork()
        with self._lock:
            former, _ = self._sessions.pop(session.id, (None, 0.0))
            self._sessions[session.id] = session, time.monotonic()
            dropped = self._old()
        _close_all([former, *dropped] if former else dropped)

    def _old(self) -> list[Session]:
        oldest_use = time.monotonic() - _IDLE_SECONDS
        dropped = []
        while self._sessions:
            id, (session, used) = next(iter(self._sessions.items()))
            if used > oldest_use and len(self._sessions) <= _IDLE_SESSIONS:
                break
            del self._sessions[id]
            dropped.append(session)
        return dropped

    def _start_anew_after_fork(self) -> None:
        # The parent's other threads may have held the lock; the open files are shared with it.
        if self._pid != os.getpid():
            self._pid, self._lock = os.getpid(), threading.Lock()
            self.close()

    def close(self) -> None:
        with self._lock:
            sessions = [session for session, _ in self._sessions.values()]
            self._sessions.clear()
        _close_all(sessions)

    def __del__(self) -> None:
        self.close()


def _close_all(sessions: Iterable[Session]) -> None:
    for session in sessions:
        session.discard()


class Session:
    """The open files of one upload; a context manager that lets go of them.

    Raises FileNotFoundError when there is no such upload, unless its journal may be made.
    """

    def __init__(
        self,
        disk: Disk,
        room: Path,
        id: str,
        histories: Histories,
        idle: Idle,
        *,
        full: bool,
        create: bool = False,
    ) -> None:
        self.disk = disk
        self.room = room
        self.id = id
        self.full = full
        self._histories = histories
        self._idle = idle
        self._open = contextlib.ExitStack()
        try:
            self.journal = self._opened(disk.open(self.path(), append=True, create=create))
            self.data: int | None = None
            self.find_data()
            self.identity = disk.identity(self.journal)
            self._history = histories.of(disk, self.journal)
            self._catch_up()
        except BaseException:
            self.discard()
            raise

    # ------------------------------------------------------------ files

    def path(self, suffix: str = "") -> Path:
        """The journal, or with a suffix another file of this upload."""
        return self.room / (self.id + suffix)

    def find_data(self) -> None:
        """Open the data file, if it is there."""
        if self.data is None:
            with contextlib.suppress(FileNotFoundError):
                self.data = self._opened(self.disk.open(self.path(DATA)))
                self._mark()

    def _catch_up(self) -> None:
        self.refresh()
        if self.data is None and self.ledger.state is State.RECEIVING:
            # Opened while the upload was being born.
            self.find_data()
            self.refresh()

    def _opened(self, descriptor: int) -> int:
        self._open.callback(self.disk.close, descriptor)
        return descriptor

    def make_data(self) -> None:
        """A new, empty data file; what a dead beginner left under its name is no upload's."""
        with contextlib.suppress(FileNotFoundError):
            self.disk.unlink(self.path(DATA))
        self.data = self._opened(self.disk.create(self.path(DATA)))
        self._mark()

    def _mark(self) -> None:
        """Tell the sweeper that a request is at work."""
        if self.data is not None:
            self.disk.mark_live(self.data)

    def is_current(self) -> bool:
        """Does the upload's name still mean these files?"""
        try:
            return self.disk.identity_of(self.path()) == self.identity
        except FileNotFoundError:
            return False

    def wake(self) -> bool:
        """Be at work again; False when the upload has gone or another has its name."""
        try:
            if not self.is_current():
                return False
            self._mark()
            self._catch_up()
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Let go: an upload that still takes bytes is likely to be wanted again at once."""
        if self.ledger.upload is None or self.ledger.state is not State.RECEIVING:
            self.discard()
            return
        try:
            if self.data is not None:
                self.disk.unmark(self.data)
        except BaseException:
            self.discard()
            raise
        self._idle.keep(self)

    def discard(self) -> None:
        """Close the files."""
        self._open.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None or isinstance(error, Exception):
            self.close()
        else:
            self.discard()

    # ------------------------------------------------------------ locks

    def claim(self) -> bool:
        """Keep every other request out until this session closes; False when one is at work."""
        return self.data is None or self.disk.try_claim(self.data)

    @contextlib.contextmanager
    def range_locked(self, start: int, length: int) -> Iterator[None]:
        """No other writer, committer or finisher in this range of the data; 0: to the end.

        The numbers are those of the data, the lock is on the journal, so that the data file has
        one kind of lock only: some network file systems make one kind of the two.
        """
        with self.disk.range_locked(self.journal, start, length):
            yield

    @contextlib.contextmanager
    def all_locked(self) -> Iterator[None]:
        """Nobody else writes a byte or decides anything."""
        with self.range_locked(0, 0):
            self.refresh()
            yield

    @contextlib.contextmanager
    def facts_locked(self) -> Iterator[None]:
        """Nobody else decides what is written once."""
        with self.disk.range_locked(self.journal, _FACTS_LOCK, 1):
            self.refresh()
            yield

    # ------------------------------------------------------------ what is known

    @property
    def ledger(self) -> Ledger:
        return self._history.ledger

    def refresh(self) -> None:
        """Learn what others have recorded."""
        self._history.refresh(self.disk, self.journal)

    def forget(self) -> None:
        self._histories.forget(self.identity)

    def chunk(self, number: int) -> Chunk | None:
        """A chunk that arrived whole."""
        with self._history.lock:
            return self.ledger.chunk(number)

    def next_number(self) -> int:
        """The smallest number that no chunk has."""
        with self._history.lock:
            return self.ledger.next_number()

    def ready(self) -> list[records.Kept]:
        """Kept chunks that can be placed now, one behind the other."""
        with self._history.lock:
            known, run = self.ledger, []
            number = min(known.ready, default=-1)
            while number in known.kept:
                run.append(known.kept[number])
                number += 1
            return run

    def writable(self) -> int:
        """The data file, for an upload that still takes bytes."""
        state = self.ledger.state
        if state is State.CANCELLED or self.ledger.upload is None:
            raise NotFound("Upload not found")
        if state is not State.RECEIVING or self.data is None:
            raise Conflict("This upload is finished and takes no more bytes.", code="finished")
        return self.data

    def crc32c_of(self, start: int, length: int) -> int:
        """CRC32C of stored bytes, read again; -1 where there are fewer."""
        if self.data is None:
            raise Conflict("This upload is finished and takes no more bytes.", code="finished")
        crc, end = 0, start + length
        while start < end:
            piece = self.disk.read_at(self.data, min(_READ, end - start), start)
            if not piece:
                return -1
            crc, start = crc32c(piece, crc), start + len(piece)
        return crc

    def status(self) -> Status:
        """A snapshot of what survives: with full durability a power cut, else this boot.

        Raises NotFound where no upload was born.
        """
        while True:
            self.assure()
            with self._history.lock:
                # Another thread may have read more lines just now.
                if self._is_sure():
                    return self._snapshot(self.ledger)

    def _snapshot(self, known: Ledger) -> Status:
        if known.upload is None:
            raise NotFound("Upload not found")
        return Status(
            upload=known.upload,
            state=known.state,
            extents=known.durable if self.full else known.extents,
            chunks=known.durable_chunks() if self.full else known.all_chunks(),
            facts=dict(known.facts),
            touched=self.disk.modified(self.journal),
            told=known.told,
            finished=known.finished,
        )

    # ------------------------------------------------------------ what is made durable

    def append(self, *news: Record, durable: bool = True) -> None:
        """Record, and with `durable` (and full durability) survive a power cut."""
        lines = journal.encode(*news)
        self.disk.append(self.journal, lines)
        if durable and self.full:
            news, lines = self._synced(news, lines)
        self._history.recorded(self.disk, self.journal, news, len(lines))

    def _synced(self, news: tuple[Record, ...], lines: bytes) -> tuple[tuple[Record, ...], bytes]:
        """Sync the journal and tell the other processes, who need not sync it again then."""
        told = records.sure(self._sync_journal(), self.ledger.boot)
        line = journal.encode(told)
        try:
            self.disk.append(self.journal, line)
        except OSError:
            return news, lines
        return (*news, told), lines + line

    def _sync_journal(self) -> int:
        size = self.disk.size(self.journal)
        if not self._history.sure:
            self.disk.sync_directory(self.room)
        try:
            self.disk.sync_data(self.journal)
        except OSError:
            self._write_again(size)
            raise
        self._history.synced_to = max(self._history.synced_to, size)
        return size

    def _write_again(self, size: int) -> None:
        """After a failed sync the next one may succeed without the lines: append them anew.

        Every line means the same when it is read twice.
        """
        sure = self._history.sure
        with contextlib.suppress(OSError):
            lines = self.disk.read_at(self.journal, size - sure, sure)
            self.disk.append(self.journal, b"\n" + lines + b"\n")

    def assure(self) -> None:
        """What the ledger says survives a power cut, whoever wrote it, before it is repeated.

        Another request may have written its lines and not synced them yet, or have died then.
        """
        if not self._is_sure():
            self._sync_journal()

    def _is_sure(self) -> bool:
        return not self.full or self._history.sure >= self._history.position

    def promote(self) -> None:
        """Make what is placed survive a power cut, before anybody is told of it.

        Bytes of a writer that died are read again: what does not pass its CRC is void.
        """
        unsynced = tuple(self.ledger.unsynced)
        if not (self.full and unsynced) or self.data is None:
            return
        good = [
            extent
            for extent in unsynced
            if self.crc32c_of(extent.start, extent.length) == extent.crc32c
        ]
        self.sync(good, void=len(good) < len(unsynced))

    def sync(self, extents: Iterable[Extent], *more: Record, void: bool = False) -> None:
        """Sync the data, then record that these extents are synced, then sync the record.

        A failed sync may have dropped bytes for good while the next one succeeds, so everything
        placed before it becomes void.
        """
        try:
            if self.full and self.data is not None:
                self.disk.sync_data(self.data)
        except OSError:
            self._void()
            raise
        news = [records.synced(extent) for extent in extents]
        self.append(*([records.void()] if void else []), *news, *more)

    def _void(self) -> None:
        try:
            self.append(records.void(), durable=False)
        except OSError:
            # At least this process must not believe it.
            with self._history.lock:
                self.ledger.fold(records.void())
