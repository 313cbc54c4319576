"""Bytes that belong to no upload yet, out of memory: a file without a name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from resumable.errors import UploadError
from resumable.interfaces import Payload
from resumable.model import MIB
from resumable.stores.disk import Disk, translated


class SpooledFile:
    """A payload read to its end, to be read again until it is closed."""

    def __init__(self, disk: Disk, path: Path, payload: Payload) -> None:
        self._disk = disk
        self._size = 0
        self.whole = False
        self.cut: UploadError | None = None
        with translated("holding a form's file"):
            self._descriptor: int | None = disk.create(path)
        try:
            self._fill(path, payload)
        except BaseException:
            self.close()
            raise

    def _fill(self, path: Path, payload: Payload) -> None:
        assert self._descriptor is not None
        with translated("holding a form's file"):
            # Without a name the bytes go away with the process.
            self._disk.unlink(path)
            for view in payload:
                self._disk.write_at(self._descriptor, view, self._size)
                self._size += len(view)
        self.whole, self.cut = payload.whole, payload.cut

    @property
    def length(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[memoryview]:
        position = 0
        while self._descriptor is not None and position < self._size:
            piece = self._disk.read_at(self._descriptor, MIB, position)
            position += len(piece)
            yield memoryview(piece)

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            self._disk.close(descriptor)
