"""Small files on a local disk: linked into place where they are the first, renamed otherwise."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Collection, Iterable
from pathlib import Path

from resumable.host_lock import one_at_a_time
from resumable.interfaces import SmallFile
from resumable.stores.disk import NO_HARD_LINKS, Disk, translated
from resumable.stores.rooms import Rooms


class LocalSmallFiles:
    """One directory a folder, beside those of the uploads."""

    exclusive = True

    def __init__(self, disk: Disk, rooms: Rooms, *, full: bool) -> None:
        self._disk = disk
        self._rooms = rooms
        self._full = full

    def create(self, folder: str, name: str, data: bytes) -> bool:
        room = self._made(folder)
        with translated("storing a small file"):
            nest = self._nest(data, durable=self._full)
            try:
                self._first(nest, room / name)
            except FileExistsError:
                return False
            finally:
                with contextlib.suppress(FileNotFoundError):
                    self._disk.unlink(nest)
            self._rooms.sync(room)
        return True

    def _first(self, nest: Path, target: Path) -> None:
        """Raises FileExistsError."""
        try:
            self._disk.link(nest, target)
        except OSError as error:
            if error.errno not in NO_HARD_LINKS:
                raise
            # Where there are no links, processes of one host can still exclude each other.
            with one_at_a_time(str(target)):
                if self._disk.exists(target):
                    raise FileExistsError(target) from None
                self._disk.rename(nest, target)

    def write(self, folder: str, name: str, data: bytes) -> None:
        room = self._made(folder)
        with translated("storing a small file"):
            nest = self._nest(data, durable=False)
            try:
                self._disk.rename(nest, room / name)
            except OSError:
                self._disk.unlink(nest)
                raise

    def _nest(self, data: bytes, *, durable: bool) -> Path:
        """A file that nobody looks for, with all of the data."""
        nest = self._rooms.new / secrets.token_hex(12)
        file = self._disk.create(nest)
        try:
            try:
                self._disk.write_at(file, memoryview(data), 0)
                if durable:
                    self._disk.sync_data(file)
            finally:
                self._disk.close(file)
        except OSError:
            self._disk.unlink(nest)
            raise
        return nest

    def read(self, folder: str, name: str) -> bytes | None:
        with translated("reading a small file"):
            try:
                file = self._disk.open_to_read(self._rooms.folder(folder) / name)
            except FileNotFoundError:
                return None
            try:
                return self._disk.read_at(file, self._disk.size(file), 0)
            finally:
                self._disk.close(file)

    def read_all(self, folder: str, names: Collection[str]) -> dict[str, bytes]:
        found = ((name, self.read(folder, name)) for name in names)
        return {name: data for name, data in found if data is not None}

    def listed(self, folder: str) -> list[SmallFile]:
        room = self._rooms.folder(folder)
        found = []
        for name in self._rooms.names(room):
            with translated("listing"), contextlib.suppress(FileNotFoundError):
                modified = self._disk.modified_of(room / name)
                inode = self._disk.identity_of(room / name)[1]
                found.append(SmallFile(name, f"{modified}-{inode}", modified))
        return found

    def remove(self, folder: str, names: Iterable[str]) -> None:
        with translated("removing a small file"):
            for name in names:
                with contextlib.suppress(FileNotFoundError):
                    self._disk.unlink(self._rooms.folder(folder) / name)

    def _made(self, folder: str) -> Path:
        self._rooms.prepare()
        return self._rooms.make_folder(folder)
