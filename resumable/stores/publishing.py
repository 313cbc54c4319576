"""The end of a local upload: sealed, given its final name, and only then let go of the first."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from resumable.errors import Broken, Conflict, DigestMismatch
from resumable.extents import Extent
from resumable.interfaces import Describe
from resumable.model import Finished, State
from resumable.stores import journal, records
from resumable.stores.disk import NO_HARD_LINKS, Disk
from resumable.stores.ledger import Ledger
from resumable.stores.rooms import Rooms
from resumable.stores.session import Session

HEAD = 64 * 1024


def seal(session: Session, length: int, wanted: int | None, facts: Mapping[str, Any]) -> None:
    """From now on no writer adds a byte, because each looks for the seal before it writes.

    Returns without it when something must be made durable first.
    """
    with session.all_locked():
        known = session.ledger
        if known.state is not State.RECEIVING or (session.full and known.unsynced):
            return
        crc = _whole_crc32c(session, known, length)
        if wanted is not None and wanted != crc:
            raise DigestMismatch(
                f"The whole file has CRC32C {crc:08x}, not {wanted:08x}. "
                "Nothing was finished; cancel this upload and send the file again."
            )
        session.append(records.sealed(Extent(0, length, crc), facts))


def _whole_crc32c(session: Session, known: Ledger, length: int) -> int:
    if not known.extents.covers(0, length):
        raise Conflict("Bytes are missing.", code="missing-bytes")
    if known.extents.end > length or known.kept:
        raise Conflict("Bytes are known beyond the stated end.", code="length-conflict")
    crc = known.crc32c(length)
    return session.crc32c_of(0, length) if crc is None else crc


class Publisher:
    """Gives sealed uploads their final names."""

    def __init__(self, disk: Disk, rooms: Rooms) -> None:
        self._disk = disk
        self._rooms = rooms

    def publish(self, session: Session, describe: Describe) -> None:
        """Name, record, sync, and only then let go of the first name."""
        if session.ledger.finished is None:
            self._publish(session, describe)
        self.let_go(session.data_path)

    def _publish(self, session: Session, describe: Describe) -> None:
        known = session.ledger
        seal, upload = known.sealed, known.upload
        assert seal is not None
        assert upload is not None
        session.promote()
        with self._data(session, self._rooms.home(upload.partial) / upload.token) as data:
            size = self._disk.size(data)
            if size < seal.length:
                raise Broken("Bytes of this upload have gone from the storage.")
            if size > seal.length:
                self._disk.truncate(data, seal.length)
                if session.full:
                    self._disk.sync_data(data)
            head = self._disk.read_at(data, min(HEAD, seal.length), 0)
            finished = describe(dict(known.facts), head, seal.crc32c, seal.length)
            self.name(finished, (session.data_path, data), (session.journal_path, session.journal))
        session.append(records.finished(finished))

    def name(self, finished: Finished, data: tuple[Path, int], journal: tuple[Path, int]) -> None:
        """Link and sync the data, then the journal; each is a path and the file open there."""
        home = self._rooms.home(finished.partial)
        self._name(data, home / finished.token, self._disk.rename)
        self._rooms.sync(home)
        self._name(journal, self._rooms.finished / finished.token, self._copied(finished))
        self._rooms.sync(self._rooms.finished)

    def move(self, finished: Finished, data: Path, journal: tuple[Path, int]) -> None:
        """The same where no power cut counts: a rename, of which a disk may forget one half.

        It would take the place of a file of that name, so the token must be new. A sweeper that
        finds the seal may be here too: then both names are of one file, or the first has gone.
        """
        target = self._rooms.home(finished.partial) / finished.token
        try:
            self._disk.rename(data, target)
        except FileNotFoundError:
            if not self._disk.exists(target):
                raise
        self._name(journal, self._rooms.finished / finished.token, self._copied(finished))

    def let_go(self, data_path: Path) -> None:
        """The first name of the data, which has its final one."""
        with contextlib.suppress(FileNotFoundError):
            self._disk.unlink(data_path)

    @contextlib.contextmanager
    def _data(self, session: Session, target: Path) -> Iterator[int]:
        """The bytes under their first name, or under the final one if a crash came between."""
        if session.data is not None:
            yield session.data
            return
        try:
            found = self._disk.open(target)
        except FileNotFoundError:
            raise Broken("Bytes of this upload have gone from the storage.") from None
        try:
            yield found
        finally:
            self._disk.close(found)

    def _name(
        self, mine: tuple[Path, int], target: Path, unlinkable: Callable[[Path, Path], None]
    ) -> None:
        """A second name, unless an earlier or a racing finish gave it."""
        source, file = mine
        try:
            self._link(source, target, unlinkable)
        except FileExistsError:
            if self._disk.identity_of(target) != self._disk.identity(file):
                raise Conflict(f"Another file has the name {target.name}.") from None
        except FileNotFoundError:
            # A racing finish has let go of the first name, so the second is there.
            if not self._disk.exists(target):
                raise

    def _link(self, source: Path, target: Path, unlinkable: Callable[[Path, Path], None]) -> None:
        try:
            self._disk.link(source, target)
        except OSError as error:
            if error.errno not in NO_HARD_LINKS:
                raise
            if not self._disk.exists(target):
                unlinkable(source, target)

    def _copied(self, finished: Finished) -> Callable[[Path, Path], None]:
        """Where there are no hard links the shelf gets what it is read for, in one step."""

        def copy(source: Path, target: Path) -> None:
            nest = self._rooms.new / secrets.token_hex(12)
            file = self._disk.create(nest)
            try:
                line = journal.encode(records.finished(finished))
                self._disk.write_at(file, memoryview(line), 0)
                self._disk.sync_data(file)
            finally:
                self._disk.close(file)
            self._disk.rename(nest, target)

        return copy

    def note_on_shelf(self, session: Session, finished: Finished, record: journal.Record) -> None:
        """Where the shelf has a copy, it must hear what the journal hears after the finish."""
        shelf = self._rooms.finished / finished.token
        with contextlib.suppress(FileNotFoundError):
            if self._disk.identity_of(shelf) == session.identity:
                return
            file = self._disk.open(shelf, append=True)
            try:
                self._disk.append(file, journal.encode(record))
                self._disk.sync_data(file)
            finally:
                self._disk.close(file)

    def take_back(self, finished: Finished) -> None:
        """Remove a finished object, its name on the shelf last."""
        home = self._rooms.home(finished.partial)
        for path in (home / finished.token, self._rooms.finished / finished.token):
            with contextlib.suppress(FileNotFoundError):
                self._disk.unlink(path)
        self._rooms.sync(home)
