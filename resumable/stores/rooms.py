"""The directories of a local store: where each kind of file is, made on the first write."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from resumable.errors import NoRoom
from resumable.stores.disk import Disk, translated

_NAMES = ("uploads", "finished", "new", "spool", "partials")


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

    def home(self, partial: bool) -> Path:
        """Where finished objects are: files before everybody's eyes, pieces of files not."""
        return self.partials if partial else self.root

    def prepare(self) -> None:
        """Make the rooms, once per process and again when they have gone; never at import."""
        with translated(f"making {self.root}"):
            if self._prepared and self._disk.exists(self.uploads):
                return
            self._prepare()

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

    def check_room(self, length: int) -> None:
        """Refuse what would leave less free space than the floor, before a byte is written."""
        if self._floor == 0:
            return
        with translated("asking for free space"):
            try:
                free = self._disk.free(self.root)
            except FileNotFoundError:
                return
        if free - length < self._floor:
            raise NoRoom("The storage is full. Try again when there is room.", retry_after=60)

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
