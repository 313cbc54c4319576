"""The directories of a local store: where each kind of file is, made on the first write."""

from __future__ import annotations

import contextlib
import math
import os
import time
from pathlib import Path

from resumable.errors import NoRoom
from resumable.model import GIB
from resumable.stores.disk import Disk, translated

_NAMES = ("uploads", "finished", "new", "spool", "partials")
# So much more than the floor is free that no second of writing uses it up.
_PLENTY = 16 * GIB
_SECONDS_OF_PLENTY = 1.0


class Rooms:
    """The directories under `root`. `full`: they survive a power cut. `floor` bytes stay free."""

    def __init__(self, root: Path, disk: Disk, *, full: bool, floor: int) -> None:
        self.root = root
        self.uploads, self.finished, self.new, self.spool, self.partials = (
            root / ".resumable" / name for name in _NAMES
        )
        self._disk = disk
        self._full = full
        self._floor = floor
        self._prepared = False
        self._plenty = 0.0, -math.inf

    def home(self, partial: bool) -> Path:
        """Where finished objects are: files before everybody's eyes, pieces of files not."""
        return self.partials if partial else self.root

    def prepare(self) -> None:
        """Make the rooms, once per process and again when they have gone; never at import."""
        with translated(f"making {self.root}"):
            if self._prepared and self._disk.exists(self.uploads):
                return
            self._prepare()

    def prepare_once(self) -> None:
        """The same without a look at whether they have gone: a caller who finds that prepares."""
        if not self._prepared:
            self.prepare()

    def _prepare(self) -> None:
        for room in (self.uploads, self.finished, self.new, self.spool, self.partials):
            self._make(room)
        # Another process may have made any of them just now and not synced it yet.
        for directory in self.uploads.parents:
            with contextlib.suppress(PermissionError):
                self.sync(directory)
        self._prepared = True

    def _make(self, path: Path) -> None:
        """A directory and those above it."""
        if self._disk.exists(path):
            return
        self._make(path.parent)
        with contextlib.suppress(FileExistsError):
            self._disk.make_directory(path, private=self.root in path.parents)

    def folder(self, name: str) -> Path:
        """Where small files of one kind are."""
        return self.uploads.parent / name

    def make_folder(self, name: str) -> Path:
        """The same, made where it is not."""
        folder = self.folder(name)
        with translated(f"making {folder}"):
            if not self._disk.exists(folder):
                self._make(folder)
                self.sync(folder.parent)
        return folder

    def check_room(self, length: int) -> None:
        """Refuse what would leave less free space than the floor, before a byte is written."""
        if self._floor and length > self._free() - self._floor:
            raise NoRoom("The storage is full. Try again when there is room.", retry_after=60)

    def _free(self) -> float:
        """Bytes that may be written; where there is plenty, as it was up to a second ago."""
        now = time.monotonic()
        free, since = self._plenty
        if now - since < _SECONDS_OF_PLENTY:
            return free
        with translated("asking for free space"):
            try:
                free = self._disk.free(self.root)
            except FileNotFoundError:
                return math.inf
        if free - self._floor > _PLENTY:
            self._plenty = free, now
        return free

    def names(self, room: Path) -> list[str]:
        """What is in a room, in no order."""
        with translated("listing"):
            try:
                return self._disk.names(room)
            except FileNotFoundError:
                return []

    def sync(self, directory: Path) -> None:
        if self._full:
            self._disk.sync_directory(directory)


def absolute(root: str | os.PathLike[str]) -> Path:
    """The directory itself, behind symbolic links, wherever the process goes later."""
    return Path(os.path.realpath(root))
