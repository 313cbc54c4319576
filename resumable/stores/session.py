"""One request's open files of one local upload, and the ledger that the process shares of it."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType

from resumable.digests import crc32c
from resumable.errors import Conflict, NotFound
from resumable.model import Extent, State, Status
from resumable.stores import journal, ledger
from resumable.stores.disk import Disk
from resumable.stores.journal import Record
from resumable.stores.ledger import Ledger

_READ = 1 << 20
_REMEMBERED = 512
_IDLE_SESSIONS = 32
_IDLE_SECONDS = 5.0


class History:
    """A ledger and how far its journal has been read; shared by the threads of a process."""

    def __init__(self, boot: str) -> None:
        self.ledger = Ledger(boot)
        self.position = 0
        self.lock = threading.Lock()

    def refresh(self, disk: Disk, descriptor: int) -> bool:
        """Fold what was added since the last time; False when that was nothing."""
        if disk.size(descriptor) == self.position:
            return False
        with self.lock:
            added = disk.read_at(descriptor, disk.size(descriptor) - self.position, self.position)
            # The last line may still be on its way.
            whole = added.rfind(b"\n") + 1
            for record in journal.decode(added[:whole]):
                self.ledger.fold(record)
            self.position += whole
        return True

    def recorded(self, disk: Disk, descriptor: int, records: Sequence[Record], size: int) -> None:
        """Fold what this process has just appended, without reading it again if nobody else did."""
        with self.lock:
            if disk.size(descriptor) == self.position + size:
                for record in records:
                    self.ledger.fold(record)
                self.position += size
                return
        self.refresh(disk, descriptor)


class Histories:
    """The latest histories of this process. A journal only grows, so remembering is safe."""

    def __init__(self, boot: str) -> None:
        self._boot = boot
        self._known: OrderedDict[tuple[int, int], History] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, device: int, inode: int) -> History:
        with self._lock:
            history = self._known.pop((device, inode), None) or History(self._boot)
            self._known[device, inode] = history
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
            return history

    def forget(self, device: int, inode: int) -> None:
        """A freed inode number may name another journal next."""
        with self._lock:
            self._known.pop((device, inode), None)


class Idle:
    """Sessions between two operations of one request, so that files are opened once.

    An idle session holds no lock. Few are kept, none for long without a use, none over a fork.
    """

    def __init__(self) -> None:
        self._sessions: OrderedDict[Path, tuple[Session, float]] = OrderedDict()
        self._lock = threading.Lock()
        self._pid = os.getpid()

    def take(self, directory: Path) -> Session | None:
        """The idle session of this directory, if the directory still is the same one."""
        with self._lock:
            self._drop_old()
            session, _ = self._sessions.pop(directory, (None, 0.0))
        if session is not None and not session.wake():
            session.discard()
            return None
        return session

    def keep(self, session: Session) -> None:
        with self._lock:
            self._sessions[session.directory] = (session, time.monotonic())
            self._drop_old()

    def _drop_old(self) -> None:
        oldest_use = time.monotonic() - _IDLE_SECONDS
        forked = self._pid != os.getpid()
        self._pid = os.getpid()
        while self._sessions:
            directory, (session, used) = next(iter(self._sessions.items()))
            if not forked and used > oldest_use and len(self._sessions) <= _IDLE_SESSIONS:
                return
            del self._sessions[directory]
            session.discard()


class Session:
    """The open files of one upload; a context manager that lets go of them.

    Raises FileNotFoundError when there is no such upload.
    """

    def __init__(
        self, disk: Disk, directory: Path, histories: Histories, idle: Idle, *, full: bool
    ) -> None:
        self.disk = disk
        self.directory = directory
        self.full = full
        self._histories = histories
        self._idle = idle
        self._open: list[int] = []
        try:
            # The mark on the directory tells the sweeper that a request is at work.
            self._directory = self._opened(disk.open_to_read(directory))
            disk.mark_live(self._directory)
            self.journal = self._opened(disk.open(directory / "journal", append=True))
            self.data = self._open_data()
        except BaseException:
            self.discard()
            raise
        self.identity = disk.identity(self.journal)
        self._history = histories.of(*self.identity)
        self.refresh()

    def _open_data(self) -> int | None:
        try:
            return self._opened(self.disk.open(self.directory / "data"))
        except FileNotFoundError:
            return None

    def _opened(self, descriptor: int) -> int:
        self._open.append(descriptor)
        return descriptor

    def wake(self) -> bool:
        """Be at work again; False when the upload has gone or another has its name."""
        try:
            if self.disk.identity_of(self.directory) != self.disk.identity(self._directory):
                return False
            self.disk.mark_live(self._directory)
            self.refresh()
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Let go: an upload that still takes bytes is likely to be wanted again at once."""
        if self._open and self.ledger.state is State.RECEIVING and self.data is not None:
            self.disk.unmark(self._directory)
            self._idle.keep(self)
        else:
            self.discard()

    def discard(self) -> None:
        """Close the files."""
        while self._open:
            self.disk.close(self._open.pop())

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def ledger(self) -> Ledger:
        return self._history.ledger

    def refresh(self) -> bool:
        """Learn what others have recorded; False when that was nothing."""
        return self._history.refresh(self.disk, self.journal)

    def claim(self) -> bool:
        """Keep every other request out until this session closes; False when one is at work."""
        return self.disk.try_claim(self._directory)

    def forget(self) -> None:
        self._histories.forget(*self.identity)

    def append(self, *records: Record, durable: bool = True) -> None:
        """Record, and with `durable` (and full durability) survive a power cut."""
        line = journal.encode(*records)
        self.disk.append(self.journal, line)
        if durable and self.full:
            self.disk.sync_data(self.journal)
        self._history.recorded(self.disk, self.journal, records, len(line))

    def writable(self) -> int:
        """The data file, for an upload that still takes bytes."""
        state = self.ledger.state
        if state is State.CANCELLED or self.ledger.upload is None:
            raise NotFound("Upload not found")
        if state is not State.RECEIVING or self.data is None:
            raise Conflict("This upload is finished and takes no more bytes.", code="finished")
        return self.data

    def crc32c_of(self, start: int, length: int) -> int:
        """CRC32C of stored bytes, read again."""
        if self.data is None:
            raise Conflict("This upload is finished and takes no more bytes.", code="finished")
        crc, end = 0, start + length
        while start < end:
            piece = self.disk.read_at(self.data, min(_READ, end - start), start)
            if not piece:
                return -1
            crc, start = crc32c(piece, crc), start + len(piece)
        return crc

    def promote(self) -> None:
        """Make what is placed survive a power cut, before anybody is told of it.

        Bytes of a writer that died are read again: what does not pass its CRC is void.
        """
        unsynced = self.ledger.unsynced
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
            self.append({"kind": "void"}, durable=False)
            raise
        records = [ledger.synced(extent) for extent in extents]
        self.append(*([{"kind": "void"}] if void else []), *records, *more)

    def status(self) -> Status:
        """A snapshot of the ledger."""
        with self._history.lock:
            known = self._history.ledger
            if known.upload is None:
                raise NotFound("Upload not found")
            return Status(
                upload=known.upload,
                state=known.state,
                extents=known.extents,
                chunks=known.all_chunks(),
                facts=dict(known.facts),
                touched=self.disk.modified(self.journal),
                told=known.told,
                finished=known.finished,
            )
