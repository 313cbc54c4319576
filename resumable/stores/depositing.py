"""A whole file into files of its own, of which nobody knows yet: written, recorded and named."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from resumable.digests import crc32c
from resumable.errors import Interrupted
from resumable.extents import Extent, Extents
from resumable.interfaces import Describe, Payload
from resumable.model import MIB, Finished, State, Status, Upload
from resumable.pieces import kept
from resumable.stores import journal, records
from resumable.stores.disk import Disk
from resumable.stores.files import DATA
from resumable.stores.gate import Quickly
from resumable.stores.journal import Record
from resumable.stores.publishing import HEAD, Publisher
from resumable.stores.rooms import Rooms

_PIECE = MIB


class Deposits:
    """Does at once what an upload's session does bit by bit, with the same files in the end.

    `boot` names this run of the system; with `full` what is recorded survives a power cut.
    """

    def __init__(
        self,
        disk: Disk,
        rooms: Rooms,
        publisher: Publisher,
        boot: str,
        quickly: Quickly,
        *,
        full: bool,
    ) -> None:
        self._disk = disk
        self._rooms = rooms
        self._publisher = publisher
        self._boot = boot
        self._quickly = quickly
        self._full = full

    def deposit(
        self, upload: Upload, payload: Payload, describe: Describe, facts: Mapping[str, Any]
    ) -> Status:
        """The upload when it has ended.

        Everything up to the seal is one append behind the bytes: whoever finds it from then on
        takes it to its end, as after any other seal.
        """
        written = partial(self._written, _content(payload))
        return self._quickly(
            partial(self._deposited, upload, self._disk.create, written, describe, facts)
        )

    def adopt(self, upload: Upload, path: Path, describe: Describe) -> Status | None:
        """The same of a file that lies on this disk, by another name for it; else None."""
        nest = self._rooms.new / secrets.token_hex(12)
        try:
            self._disk.link(path, nest)
        except OSError:
            return None
        try:
            return self._deposited(upload, partial(self._moved, nest), self._found, describe, {})
        finally:
            with contextlib.suppress(FileNotFoundError):
                self._disk.unlink(nest)

    def _deposited(
        self,
        upload: Upload,
        make: Callable[[Path], int],
        fill: Callable[[int], tuple[bytes, Extent]],
        describe: Describe,
        facts: Mapping[str, Any],
    ) -> Status:
        path = self._rooms.uploads / upload.id
        data_path = path.with_name(upload.id + DATA)
        file = self._journal(path)
        try:
            data = make(data_path)
            try:
                head, whole = fill(data)
                self._record(
                    file, records.birth(upload), *self._made(whole), records.sealed(whole, facts)
                )
                finished = describe(facts, head, whole.crc32c, whole.length)
                self._name(finished, (data_path, data), (path, file))
            finally:
                self._disk.close(data)
            self._record(file, records.finished(finished))
        finally:
            self._disk.close(file)
        if self._full:
            self._publisher.let_go(data_path)
        extents = Extents().adding(0, whole.length)
        return Status(
            upload, State.COMPLETE, extents, {}, facts, finished.finished, finished=finished
        )

    def _name(self, finished: Finished, data: tuple[Path, int], journal: tuple[Path, int]) -> None:
        if self._full:
            self._publisher.name(finished, data, journal)
        else:
            self._publisher.move(finished, data[0], journal)

    def _journal(self, path: Path) -> int:
        try:
            return self._disk.create(path, append=True)
        except FileNotFoundError:
            self._rooms.prepare()
            return self._disk.create(path, append=True)

    def _moved(self, nest: Path, data_path: Path) -> int:
        self._disk.rename(nest, data_path)
        return self._disk.open(data_path)

    def _found(self, data: int) -> tuple[bytes, Extent]:
        """What the bytes are that are there already: they are read while the disk takes them."""
        with ThreadPoolExecutor(1, "resumable-reading") as aside:
            whole = aside.submit(self._read, data)
            self._sync(data)
        return self._disk.read_at(data, HEAD, 0), whole.result()

    def _read(self, data: int) -> Extent:
        length, position, crc = self._disk.size(data), 0, 0
        while position < length:
            piece = self._disk.read_at(data, _PIECE, position)
            if not piece:
                raise Interrupted("The file became shorter.")
            crc, position = crc32c(piece, crc), position + len(piece)
        return Extent(0, length, crc)

    def _written(self, content: bytes, data: int) -> tuple[bytes, Extent]:
        """All bytes to their place: their head, and what they are."""
        if content:
            self._disk.write_at(data, memoryview(content), 0)
        self._sync(data if content else None)
        return content[:HEAD], Extent(0, len(content), crc32c(content))

    def _sync(self, data: int | None) -> None:
        """What is sealed must have its bytes, whichever name a power cut takes."""
        if not self._full:
            return
        if data is not None:
            self._disk.sync_data(data)
        self._rooms.sync(self._rooms.uploads)

    def _made(self, whole: Extent) -> list[Record]:
        """The record of bytes that survive what this store's records promise."""
        if not whole.length:
            return []
        return [records.synced(whole) if self._full else records.placed(whole, self._boot)]

    def _record(self, file: int, *news: Record) -> None:
        lines = journal.encode(*news)
        if not self._full:
            self._disk.add(file, lines)
            return
        end = self._disk.append(file, lines)
        try:
            self._disk.sync_data(file)
        except OSError:
            # The next sync may succeed without the lines: see `Session`.
            with contextlib.suppress(OSError):
                self._disk.add(file, lines)
            raise
        with contextlib.suppress(OSError):
            self._disk.add(file, journal.encode(records.sure(end)))


def _content(payload: Payload) -> bytes:
    """All bytes, before there is a file for them. Raises what cut them."""
    content = b"".join(map(kept, payload))
    if not payload.whole:
        raise payload.cut or Interrupted("The body ended early.")
    return content
