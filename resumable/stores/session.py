"""What one request knows of a local upload, and what it makes durable."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable

from resumable.digests import crc32c, join_crc32c
from resumable.errors import Conflict, NotFound
from resumable.extents import Extent
from resumable.model import Chunk, State, Status
from resumable.stores import journal, records
from resumable.stores.disk import translated
from resumable.stores.files import OpenUpload
from resumable.stores.journal import Record
from resumable.stores.ledger import Ledger

_READ = 1 << 20


class Session(OpenUpload):
    """One upload at work."""

    # ------------------------------------------------------------ what is known

    def chunk(self, number: int) -> Chunk | None:
        """A chunk that arrived whole."""
        with self._history.lock:
            return self.ledger.chunk(number)

    def next_number(self) -> int:
        """The smallest number that no chunk has."""
        with self._history.lock:
            return self.ledger.next_number()

    def ready(self) -> list[records.Kept]:
        """Kept chunks that can be placed now, one behind the other."""
        with self._history.lock:
            known, run = self.ledger, []
            number = min(known.ready, default=-1)
            while number in known.kept:
                run.append(known.kept[number])
                number += 1
            return run

    def writable(self) -> int:
        """The data file, for an upload that still takes bytes."""
        if self.data is None:
            with translated("opening an upload"):
                self.find_data()
                self.refresh()
        state = self.ledger.state
        if self.ledger.upload is None or state is State.CANCELLED:
            raise NotFound("Upload not found")
        if state is not State.RECEIVING:
            raise Conflict("This upload is finished and takes no more bytes.", code="finished")
        if self.data is None:
            raise NotFound("Upload not found")
        return self.data

    def crc32c_of(self, start: int, length: int) -> int:
        """CRC32C of stored bytes, read again; -1 where there are fewer."""
        if self.data is None:
            raise Conflict("This upload is finished and takes no more bytes.", code="finished")
        crc, end = 0, start + length
        while start < end:
            piece = self.disk.read_at(self.data, min(_READ, end - start), start)
            if not piece:
                return -1
            crc, start = crc32c(piece, crc), start + len(piece)
        return crc

    def status(self) -> Status:
        """A snapshot of what survives: with full durability a power cut, else this boot.

        Raises NotFound where no upload was born.
        """
        while True:
            self.assure()
            with self._history.lock:
                # Another thread may have read more lines just now.
                if self._is_sure():
                    return self._snapshot(self.ledger)

    def _snapshot(self, known: Ledger) -> Status:
        if known.upload is None:
            raise NotFound("Upload not found")
        return Status(
            upload=known.upload,
            state=known.state,
            extents=known.durable if self.full else known.extents,
            chunks=known.durable_chunks() if self.full else known.all_chunks(),
            facts=dict(known.facts),
            touched=self.disk.modified(self.journal),
            told=known.told,
            finished=known.finished,
        )

    # ------------------------------------------------------------ what is made durable

    def append(self, *news: Record, durable: bool = True) -> None:
        """Record, and with `durable` (and full durability) survive a power cut."""
        end = self._append(*news)
        if durable and self.full:
            self._sync_journal(end)
            # So the other processes need not sync it again before they repeat it.
            with contextlib.suppress(OSError):
                self._append(records.sure(end))

    def _append(self, *news: Record) -> int:
        lines = journal.encode(*news)
        end = self.disk.append(self.journal, lines)
        self._history.recorded(self.disk, self.journal, news, end - len(lines), end)
        return end

    def _sync_journal(self, end: int) -> None:
        """All lines before `end` survive a power cut when this returns."""
        if not self._history.sure:
            self.sync_names()
        try:
            self.disk.sync_data(self.journal)
        except OSError:
            self._write_again(end)
            raise
        self._history.synced_to = max(self._history.synced_to, end)

    def sync_names(self) -> None:
        """The names of journal and data survive a power cut when this returns."""
        if not self._history.named:
            self.disk.sync_directory(self.room)
            self._history.named = True

    def _write_again(self, end: int) -> None:
        """After a failed sync the next one may succeed without the lines: append them anew.

        Every line means the same when it is read twice.
        """
        sure = self._history.sure
        with contextlib.suppress(OSError):
            lines = self.disk.read_at(self.journal, end - sure, sure)
            self.disk.append(self.journal, b"\n" + lines + b"\n")

    def assure(self) -> None:
        """What the ledger says survives a power cut, whoever wrote it, before it is repeated.

        Another request may have written its lines and not synced them yet, or have died then.
        """
        if not self._is_sure():
            self._sync_journal(self._history.position)

    def _is_sure(self) -> bool:
        return not self.full or self._history.sure >= self._history.position

    def promote(self) -> None:
        """Make what is placed survive a power cut, before anybody is told of it.

        Bytes of a writer that died are read again: what does not pass its CRC is void.
        """
        if not self.full:
            return
        self.refresh()
        voids, unsynced = self.ledger.voids, tuple(self.ledger.unsynced)
        if not unsynced or self.data is None:
            return
        good = [
            extent
            for extent in unsynced
            if self.crc32c_of(extent.start, extent.length) == extent.crc32c
        ]
        self.sync(_joined(good), voids=voids, void=len(good) < len(unsynced))

    def sync(
        self, extents: Iterable[Extent], *more: Record, voids: int, void: bool = False
    ) -> None:
        """Sync the data, then record that these extents are synced, then sync the record.

        A failed sync may have dropped bytes for good while the next one succeeds, so everything
        placed before it becomes void; `voids` says how often that had happened when these bytes
        were written or checked.
        """
        self._check_voids(voids)
        try:
            if self.full and self.data is not None:
                self.disk.sync_data(self.data)
        except OSError:
            self._void()
            raise
        self._check_voids(voids)
        news = [records.synced(extent) for extent in extents]
        self.append(*news, *([records.void()] if void else []), *more)

    def _check_voids(self, voids: int) -> None:
        """Raise OSError when the failed sync of another request may have dropped these bytes."""
        self.refresh()
        if self.ledger.voids != voids:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def _void(self) -> None:
        try:
            self.append(records.void(), durable=False)
        except OSError:
            # At least this process must not believe it.
            with self._history.lock:
                self.ledger.fold(records.void())


def _joined(extents: Iterable[Extent]) -> list[Extent]:
    """Neighbours as one."""
    joined: list[Extent] = []
    for extent in sorted(extents, key=lambda extent: extent.start):
        if joined and joined[-1].end == extent.start:
            last = joined.pop()
            crc = join_crc32c(last.crc32c, extent.crc32c, extent.length)
            extent = Extent(last.start, last.length + extent.length, crc)
        joined.append(extent)
    return joined
