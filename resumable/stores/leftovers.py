"""What may go: ended uploads with all their files, and files that belong to nobody."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from resumable.errors import NotFound
from resumable.model import State
from resumable.stores.disk import Disk
from resumable.stores.keeping import KEPT
from resumable.stores.rooms import Rooms
from resumable.stores.session import Session


class Leftovers:
    """Removes, each file under the lock of the journal that it belongs to."""

    def __init__(self, disk: Disk, rooms: Rooms, open_session: Callable[[str], Session]) -> None:
        self._disk = disk
        self._rooms = rooms
        self._open_session = open_session

    def ids(self) -> list[str]:
        """Every upload that has a journal: names with a point are its other files."""
        return [name for name in self._rooms.names(self._rooms.uploads) if "." not in name]

    def empty(self, session: Session) -> None:
        """Free the bytes of a cancelled upload, even while other requests have its files open."""
        if session.data is not None and session.ledger.state is State.CANCELLED:
            self._disk.truncate(session.data, 0)
        self._unlink(session.data_path)
        for kept in tuple(session.ledger.kept.values()):
            self._unlink(session.room / kept.name)

    def remove(self, session: Session) -> None:
        """All files of an upload, its journal last: until then nobody can begin another."""
        with session.all_locked():
            if not session.is_current():
                return
            self.empty(session)
            self._unlink(session.journal_path)
        # Without a sync: an ended upload that comes back is still an ended one.
        session.forget()

    def tidy(self, older_than: float) -> int:
        """Remove what is older (seconds since the epoch) and belongs to nobody; its number."""
        removed = 0
        for room in (self._rooms.new, self._rooms.spool):
            for name in self._rooms.names(room):
                removed += self._is_old(room / name, older_than) and self._unlink(room / name)
        for name in self._rooms.names(self._rooms.uploads):
            if self._is_old(self._rooms.uploads / name, older_than):
                removed += self._tidy_upload(name, older_than)
        return removed

    def _is_old(self, path: Path, older_than: float) -> bool:
        with contextlib.suppress(FileNotFoundError):
            return self._disk.modified_of(path) < older_than
        return False

    def _tidy_upload(self, name: str, older_than: float) -> bool:
        """One file in the room of uploads, if no upload needs it."""
        id, point, _ = name.partition(".")
        try:
            session = self._open_session(id)
        except NotFound:
            return bool(point) and self._unlink(self._rooms.uploads / name)
        with session:
            if KEPT in name:
                known = {kept.name for kept in tuple(session.ledger.kept.values())}
                return name not in known and self._unlink(self._rooms.uploads / name)
            return not point and self.remove_unborn(session)

    def remove_unborn(self, session: Session) -> bool:
        """What a dead beginner left, unless somebody begins it anew just now."""
        with session.all_locked():
            if not session.is_current() or not _was_never_born(session):
                return False
            self._unlink(session.data_path)
            self._unlink(session.journal_path)
        return True

    def _unlink(self, path: Path) -> bool:
        with contextlib.suppress(FileNotFoundError):
            self._disk.unlink(path)
            return True
        return False


def _was_never_born(session: Session) -> bool:
    known = session.ledger
    session.find_data()
    missing = session.data is None and known.state is State.RECEIVING
    return known.upload is None or missing
