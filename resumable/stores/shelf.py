"""Finished objects on a local disk: found by token, listed, read by ranges, deleted, tidied."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from resumable.errors import NotFound
from resumable.model import Finished
from resumable.stores import journal, ledger
from resumable.stores.disk import Disk, translated
from resumable.stores.rooms import Rooms

_TAIL = 64 * 1024
_PIECE = 256 * 1024


class Shelf:
    """The objects in `root`, each with what is known of it in `.resumable/finished`."""

    def __init__(self, disk: Disk, rooms: Rooms) -> None:
        self._disk = disk
        self._rooms = rooms

    def path(self, finished: Finished) -> Path:
        """Where the object's bytes are."""
        return self._rooms.home(finished.partial) / finished.token

    def find(self, token: str) -> Finished | None:
        with translated("reading a finished object"):
            try:
                descriptor = self._disk.open_to_read(self._rooms.finished / token)
            except FileNotFoundError:
                return None
            try:
                finished = self._described(descriptor)
            finally:
                self._disk.close(descriptor)
            if finished is None or finished.token != token:
                return None
            return finished if self._disk.exists(self.path(finished)) else None

    def _described(self, descriptor: int) -> Finished | None:
        """What the journal says of its object; the end of it is enough nearly always."""
        size = self._disk.size(descriptor)
        for length in (min(size, _TAIL), size):
            known = ledger.Ledger("")
            for _, _, record in journal.decode(
                self._disk.read_at(descriptor, length, size - length)
            ):
                known.fold(record)
            if known.finished is not None:
                accepted = known.finished.digest is None or known.accepted
                return known.finished if accepted else None
        return None

    def all(self) -> Iterator[Finished]:
        """Every finished file, in no order."""
        for name in self._rooms.names(self._rooms.finished):
            finished = self.find(name)
            if finished is not None and finished.listed:
                yield finished

    def read(self, finished: Finished, start: int, end: int) -> Reading:
        """The bytes `[start, end)`; raises NotFound."""
        with translated("reading a finished object"):
            try:
                descriptor = self._disk.open_to_read(self.path(finished))
            except FileNotFoundError:
                raise NotFound("Recording not found") from None
        return Reading(self._disk, descriptor, start, end)

    def tidy(self, older_than: float) -> int:
        """Forget what is known of objects that somebody has removed; their number."""
        removed = 0
        for name in self._rooms.names(self._rooms.finished):
            path = self._rooms.finished / name
            if any(self._disk.exists(self._rooms.home(kind) / name) for kind in (False, True)):
                continue
            with contextlib.suppress(FileNotFoundError):
                if self._disk.modified_of(path) < older_than:
                    self._disk.unlink(path)
                    removed += 1
        return removed


class Reading:
    """A bounded range of one file on its way out."""

    def __init__(self, disk: Disk, descriptor: int, start: int, end: int) -> None:
        self._disk = disk
        self._descriptor: int | None = descriptor
        self._position = start
        self._end = end

    def __iter__(self) -> Iterator[bytes]:
        try:
            while self._descriptor is not None and self._position < self._end:
                wanted = min(_PIECE, self._end - self._position)
                with translated("reading a finished object"):
                    piece = self._disk.read_at(self._descriptor, wanted, self._position)
                if not piece:
                    return
                self._position += len(piece)
                yield piece
        finally:
            self.close()

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            self._disk.close(descriptor)

    def __del__(self) -> None:
        self.close()
