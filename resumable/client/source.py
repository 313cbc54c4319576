"""Where bytes come from: a file that is read at any place, or a stream that is read once."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from resumable.client.errors import Changed, ClientError
from resumable.client.model import KIB

BLOCK = 128 * KIB
_END = 64 * KIB


@dataclass(frozen=True, slots=True)
class Identity:
    """By what a file is known again: `ends` is the SHA-256 of its first and last 64 KiB."""

    path: str
    size: int
    modified: int
    ends: str


class Source(Protocol):
    """Bytes at any place, as often as they are needed."""

    size: int

    def blocks(self, start: int, end: int) -> Iterator[bytes]:
        """The bytes of `[start, end)`, in blocks of at most `BLOCK`."""
        ...

    def check(self) -> None:
        """Raise `Changed` where the bytes are no longer those of the beginning."""
        ...

    def close(self) -> None: ...


class FileSource:
    """A regular file; any number of threads may read it at once."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        with _readable(self.path):
            self._file = open(self.path, "rb")  # noqa: SIM115 (closed by close)
        known = os.fstat(self._file.fileno())
        self.size = known.st_size
        self._seen = _seen(known)
        self.identity = Identity(
            os.path.realpath(self.path), known.st_size, known.st_mtime_ns, self._ends()
        )

    def blocks(self, start: int, end: int) -> Iterator[bytes]:
        while start < end:
            with _readable(self.path):
                block = os.pread(self._file.fileno(), min(BLOCK, end - start), start)
            if not block:
                raise Changed(f"{self.path} became shorter while it was sent.")
            start += len(block)
            yield block

    def check(self) -> None:
        if _seen(os.fstat(self._file.fileno())) != self._seen:
            raise Changed(f"{self.path} was written to while it was sent.")

    def close(self) -> None:
        self._file.close()

    def _ends(self) -> str:
        digest = hashlib.sha256()
        head = min(_END, self.size)
        for start, end in ((0, head), (max(head, self.size - _END), self.size)):
            for block in self.blocks(start, end):
                digest.update(block)
        return digest.hexdigest()


class SeekableSource:
    """A file object that can seek, from where it stands; threads take turns."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._begin = file.tell()
        self.size = file.seek(0, os.SEEK_END) - self._begin
        self._turn = threading.Lock()

    def blocks(self, start: int, end: int) -> Iterator[bytes]:
        while start < end:
            with self._turn:
                self._file.seek(self._begin + start)
                block = self._file.read(min(BLOCK, end - start))
            if not block:
                raise Changed("The file object became shorter while it was sent.")
            start += len(block)
            yield block

    def check(self) -> None:
        with self._turn:
            if self._file.seek(0, os.SEEK_END) - self._begin != self.size:
                raise Changed("The file object was written to while it was sent.")

    def close(self) -> None:
        """Leaves the file object open: it is the caller's."""


class Buffered:
    """Some bytes of a stream, which nobody could read a second time."""

    def __init__(self, start: int, data: bytes) -> None:
        self._start = start
        self._data = memoryview(data)
        self.size = len(data)

    def blocks(self, start: int, end: int) -> Iterator[bytes]:
        for at in range(start, end, BLOCK):
            yield bytes(self._data[at - self._start : min(at + BLOCK, end) - self._start])

    def check(self) -> None:
        """Memory does not change."""

    def close(self) -> None:
        """Nothing is open."""


class Stream:
    """What can be read once and in order, to an unknown end."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int) -> bytes:
        """`size` bytes, less only at the end."""
        gathered = bytearray()
        while len(gathered) < size:
            block = self._file.read(min(BLOCK, size - len(gathered)))
            if not block:
                break
            gathered += block
        return bytes(gathered)


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[FileSource | Stream]:
    """A regular file, or the stream behind a pipe's or a device's name."""
    with _readable(path):
        regular = stat.S_ISREG(os.stat(path).st_mode)
    if regular:
        with closing(FileSource(path)) as source:
            yield source
        return
    with _readable(path):
        file = open(path, "rb")  # noqa: SIM115 (closed below)
    with file:
        yield Stream(file)


@contextmanager
def _readable(path: str | os.PathLike[str]) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ClientError(f"Cannot read {os.fspath(path)}: {reason}.") from None


def source_of(file: BinaryIO) -> SeekableSource | Stream:
    """A file object by what it can do. Raises TypeError for one of text."""
    if isinstance(file, io.TextIOBase):
        raise TypeError("The file must be opened in binary mode.")
    with suppress(OSError, AttributeError):
        if file.seekable():
            return SeekableSource(file)
    return Stream(file)


def _seen(known: os.stat_result) -> tuple[int, int]:
    return known.st_size, known.st_mtime_ns
