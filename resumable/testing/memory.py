"""The local store's disk in memory: as strict as a real one, a hundred times as fast."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from resumable.stores.disk import Disk
from resumable.testing.faults import Faults
from resumable.testing.volume import ROOT, Node, Volume

_T = TypeVar("_T")
_PATIENCE = 20.0


@dataclass(eq=False)
class _Open:
    """An open file: the holder of its locks."""

    node: Node
    append: bool
    writable: bool
    faults_seen: int = 0


@dataclass(eq=False)
class _Lock:
    holder: _Open
    start: int
    end: float


class Locks:
    """The locks of all processes on one volume.

    `pause` lets somebody else run while a lock is not free; without it a thread waits.
    """

    def __init__(self, pause: Callable[[], None] | None = None) -> None:
        self.ranges: list[_Lock] = []
        self.live: list[tuple[_Open, bool]] = []
        self._pause = pause
        self._changed = threading.Condition()

    def wait_until(self, free: Callable[[], bool], take: Callable[[], None]) -> None:
        """`take` as soon as it is `free`."""
        if self._pause is not None:
            while not free():
                self._pause()
            take()
            return
        with self._changed:
            if not self._changed.wait_for(free, _PATIENCE):
                raise AssertionError("A lock was not given back.")
            take()

    def take_if(self, free: Callable[[], bool], take: Callable[[], None]) -> bool:
        with self._changed:
            if free():
                take()
                return True
            return False

    def give_back(self, holder: _Open, start: int | None = None) -> None:
        """The range lock that begins at `start`; None: all locks of this open file."""
        with self._changed:
            self.ranges = [
                lock
                for lock in self.ranges
                if lock.holder is not holder or start not in (None, lock.start)
            ]
            if start is None:
                self.unmark(holder)
            self._changed.notify_all()

    def unmark(self, holder: _Open) -> None:
        with self._changed:
            self.live = [(other, alone) for other, alone in self.live if other is not holder]
            self._changed.notify_all()


class MemoryDisk(Disk):
    """One process's view of a volume: its open files, and what goes wrong with its calls.

    `clock` gives the moment of writes (seconds since the epoch), `room` the bytes that all files
    may have together; without `hard_links` a link fails as it does on such a file system.
    """

    def __init__(
        self,
        volume: Volume,
        *,
        faults: Faults | None = None,
        locks: Locks | None = None,
        clock: Callable[[], float] = time.time,
        room: int | None = None,
        hard_links: bool = True,
        pace: Callable[[], None] = lambda: None,
    ) -> None:
        self.volume = volume
        self.faults = faults or Faults()
        self.locks = locks or Locks()
        self.clock = clock
        self.room = room
        self.hard_links = hard_links
        self.open_files: dict[int, _Open] = {}
        self._pace = pace
        self._descriptors = itertools.count(3)

    # ------------------------------------------------------------ names

    def _node(self, path: Path) -> Node:
        node = self.volume.nodes[ROOT]
        for name in path.parts[1:]:
            if node.entries is None:
                raise _error(errno.ENOTDIR, path)
            number = node.entries.get(name)
            if number is None:
                raise _error(errno.ENOENT, path)
            node = self.volume.nodes[number]
        return node

    def _directory(self, path: Path) -> Node:
        node = self._node(path)
        if node.entries is None:
            raise _error(errno.ENOTDIR, path)
        return node

    def _new_name(self, path: Path) -> Node:
        """The directory that a new name goes into; raises FileExistsError."""
        directory = self._directory(path.parent)
        assert directory.entries is not None
        if path.name in directory.entries:
            raise _error(errno.EEXIST, path)
        return directory

    def make_directory(self, path: Path, *, private: bool = True) -> None:
        def perform() -> None:
            self.volume.make(self._new_name(path), path.name, is_directory=True)

        self._change(perform)

    def exists(self, path: Path) -> bool:
        try:
            self._node(path)
        except OSError:
            return False
        return True

    def names(self, path: Path) -> list[str]:
        entries = self._directory(path).entries
        assert entries is not None
        return list(entries)

    def identity_of(self, path: Path) -> tuple[int, int]:
        return 1, self._node(path).number

    def modified_of(self, path: Path) -> float:
        return self._node(path).modified

    def rename(self, source: Path, target: Path) -> None:
        def perform() -> None:
            node = self._node(source)
            new = self._directory(target.parent)
            if (new.entries or {}).get(target.name) == node.number:
                return  # POSIX: two names of one file both stay.
            self.volume.begin_call()
            self.volume.add(new, target.name, node)
            self.volume.drop(self._directory(source.parent), source.name)

        self._change(perform)

    def link(self, source: Path, target: Path) -> None:
        def perform() -> None:
            node = self._node(source)
            if not self.hard_links:
                raise _error(errno.EPERM, target)
            new = self._new_name(target)
            self.volume.begin_call()
            self.volume.add(new, target.name, node)

        self._change(perform)

    def unlink(self, path: Path) -> None:
        def perform() -> None:
            if self._node(path).is_directory:
                raise _error(errno.EISDIR, path)
            self.volume.begin_call()
            self.volume.drop(self._directory(path.parent), path.name)

        self._change(perform)

    def sync_directory(self, path: Path) -> None:
        node = self._directory(path)
        self._change(lambda: self.volume.sync(node))

    def free(self, path: Path) -> int:
        self._node(path)
        return 1 << 50 if self.room is None else self._left()

    def _left(self) -> int:
        assert self.room is not None
        return self.room - sum(len(node.data) for node in self.volume.nodes.values())

    # ------------------------------------------------------------ files

    def create(self, path: Path, *, append: bool = False) -> int:
        def perform() -> int:
            return self._opened(self.volume.make(self._new_name(path), path.name), append=append)

        return self._change(perform)

    def open(self, path: Path, *, append: bool = False, create: bool = False) -> int:
        if create and not self.exists(path):
            self._change(lambda: self._make_if_missing(path))
        node = self._node(path)
        if node.is_directory:
            raise _error(errno.EISDIR, path)
        return self._opened(node, append=append)

    def _make_if_missing(self, path: Path) -> None:
        with contextlib.suppress(FileExistsError):
            self.volume.make(self._new_name(path), path.name)

    def open_to_read(self, path: Path) -> int:
        return self._opened(self._node(path), append=False, writable=False)

    def _opened(self, node: Node, *, append: bool, writable: bool = True) -> int:
        descriptor = next(self._descriptors)
        self.open_files[descriptor] = _Open(node, append, writable, node.faults)
        return descriptor

    def close(self, descriptor: int) -> None:
        self.locks.give_back(self._file(descriptor))
        del self.open_files[descriptor]

    def _file(self, descriptor: int) -> _Open:
        file = self.open_files.get(descriptor)
        if file is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return file

    def size(self, descriptor: int) -> int:
        self._pace()
        return len(self._file(descriptor).node.data)

    def modified(self, descriptor: int) -> float:
        return self._file(descriptor).node.modified

    def identity(self, descriptor: int) -> tuple[int, int]:
        return 1, self._file(descriptor).node.number

    def read_at(self, descriptor: int, length: int, position: int) -> bytes:
        self._pace()
        if length < 0 or position < 0:
            raise ValueError("negative length or position")
        return bytes(self._file(descriptor).node.data[position : position + length])

    def write_at(self, descriptor: int, data: memoryview, position: int) -> None:
        node = self._file(descriptor).node
        self._write(descriptor, bytes(data), lambda: (node, position))

    def add(self, descriptor: int, data: bytes) -> None:
        self.append(descriptor, data)

    def append(self, descriptor: int, data: bytes) -> int:
        assert self._file(descriptor).append
        node = self._file(descriptor).node
        return self._write(descriptor, data, lambda: (node, len(node.data)))

    def _write(self, descriptor: int, data: bytes, place: Callable[[], tuple[Node, int]]) -> int:
        if not self._file(descriptor).writable:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))

        def perform(part: bytes = data) -> int:
            node, position = place()
            fits = part
            if self.room is not None:
                more = max(0, position + len(part) - len(node.data))
                fits = part[: len(part) - max(0, more - max(0, self._left()))]
            self.volume.write(node, fits, position)
            node.modified = self.clock()
            if len(fits) < len(part):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return position + len(part)

        return self._change(perform, lambda: perform(data[: len(data) // 2]))

    def copy_at(self, source: int, start: int, descriptor: int, length: int, position: int) -> None:
        data = self.read_at(source, length, start)
        if len(data) < length:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self.write_at(descriptor, memoryview(data), position)

    def truncate(self, descriptor: int, length: int) -> None:
        node = self._file(descriptor).node
        self._change(lambda: self.volume.truncate(node, length))

    def sync_data(self, descriptor: int) -> None:
        """Each open file hears of a failed sync once, as Linux has it since 4.13 (errseq)."""
        file = self._file(descriptor)

        def perform() -> None:
            if file.faults_seen < file.node.faults:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            self.volume.sync(file.node)

        try:
            self._change(perform)
        except OSError:
            if file.faults_seen == file.node.faults:
                # The kernel has forgotten that these pages are not on the disk.
                file.node.faults += 1
                self.volume.sync(file.node, failed=True)
            file.faults_seen = file.node.faults
            raise

    def _change(self, perform: Callable[..., _T], tear: Callable[[], object] | None = None) -> _T:
        self._pace()
        return self.faults.around(perform, tear)

    # ------------------------------------------------------------ locks

    @contextlib.contextmanager
    def range_locked(self, descriptor: int, start: int, length: int) -> Iterator[None]:
        self._pace()
        file, locks = self._file(descriptor), self.locks
        end = start + length if length else float("inf")

        def is_free() -> bool:
            return not any(
                lock.holder.node is file.node
                and lock.holder is not file
                and lock.start < end
                and lock.end > start
                for lock in locks.ranges
            )

        locks.wait_until(is_free, lambda: locks.ranges.append(_Lock(file, start, end)))
        try:
            yield
        finally:
            locks.give_back(file, start)

    def mark_live(self, descriptor: int) -> None:
        self._pace()
        file = self._file(descriptor)

        def is_free() -> bool:
            return not any(
                alone and other.node is file.node and other is not file
                for other, alone in self.locks.live
            )

        self.locks.wait_until(is_free, lambda: self.locks.live.append((file, False)))

    def unmark(self, descriptor: int) -> None:
        self.locks.unmark(self._file(descriptor))

    def try_claim(self, descriptor: int) -> bool:
        file = self._file(descriptor)

        def is_free() -> bool:
            return not any(
                other.node is file.node and other is not file for other, _ in self.locks.live
            )

        return self.locks.take_if(is_free, lambda: self.locks.live.append((file, True)))


def _error(number: int, path: Path) -> OSError:
    return OSError(number, os.strerror(number), str(path))
