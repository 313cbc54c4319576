"""Numbered chunks whose start is unknown: into files of their own, from there to their place."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from types import TracebackType

from resumable.digests import crc32c
from resumable.errors import Conflict, UploadError
from resumable.interfaces import Placed
from resumable.model import MIB, Chunk, Digest, State
from resumable.stores import records
from resumable.stores.disk import translated
from resumable.stores.incoming import Incoming, check_same_chunk
from resumable.stores.placing import LocalPlacing, OpenSession
from resumable.stores.records import Kept
from resumable.stores.session import Session

KEPT = ".kept-"
# So much is moved with one sync.
_BATCH_BYTES = 64 * MIB
_BATCH_CHUNKS = 1000
_SLACK = 4096


class LocalKeeping:
    """Writes a numbered chunk into a file of its own; `number` None is the next free one."""

    def __init__(
        self, open_session: OpenSession, number: int | None, *, digest: Digest | None = None
    ) -> None:
        self._open_session = open_session
        self._number = number
        self._incoming = Incoming(digest)
        self._committed = False

    def __enter__(self) -> LocalKeeping:
        with contextlib.ExitStack() as files, translated("keeping a chunk"):
            self._session = files.enter_context(self._open_session())
            self._session.writable()
            self._path = self._session.path(KEPT + secrets.token_hex(12))
            self._file = self._session.disk.create(self._path)
            files.callback(self._session.disk.close, self._file)
            self._files = files.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._files:
            if not self._committed:
                with contextlib.suppress(OSError):
                    self._session.disk.unlink(self._path)

    def write(self, view: memoryview) -> None:
        with translated("keeping a chunk"):
            self._session.disk.write_at(self._file, view, self._incoming.received)
        self._incoming.count(view, crc32c(view))

    def keep(self) -> None:
        """A part of a chunk whose start is unknown is of no use to anybody."""

    def verify(self) -> None:
        self._incoming.verify()

    def commit(self, number: int | None = None) -> Placed:
        self.verify()
        session = self._session
        with translated("keeping a chunk"):
            if session.full:
                session.disk.sync_data(self._file)
                session.disk.sync_directory(session.room)
            with session.facts_locked():
                made, duplicate = self._settle()
            try_to_gather(session)
            return Placed(made, duplicate, session.status())

    def _settle(self) -> tuple[int, bool]:
        session = self._session
        session.writable()
        number = session.next_number() if self._number is None else self._number
        made = Chunk(number, self._incoming.received, self._incoming.crc32c, None)
        if check_same_chunk(session, made):
            return number, True
        kept = Kept(number, made.length, made.crc32c, self._path.name)
        # Even if this fails the line may be there, and then somebody looks for the file.
        self._committed = True
        session.append(records.kept(kept, session.ledger.boot, durable=session.full))
        return number, False


def try_to_gather(session: Session) -> None:
    """Kept chunks are safe where they are: who cannot move them now leaves it to the next."""
    with contextlib.suppress(UploadError, OSError):
        gather(session)


def gather(session: Session) -> None:
    """Move kept chunks whose start has become known into their place; two movers do the same.

    What is not what was recorded, or contradicted by a position, the client must send again.
    """
    while session.ledger.state is State.RECEIVING and (ready := session.ready()):
        intact = _intact(session, ready)
        if intact:
            _try_to_move(session, intact)


def _intact(session: Session, ready: list[Kept]) -> list[Kept]:
    """The first of them, one batch at most, up to one that is broken; that one is lost."""
    batch: list[Kept] = []
    size = 0
    for kept in ready[:_BATCH_CHUNKS]:
        if size and size + kept.length > _BATCH_BYTES:
            break
        if not _is_intact(session, kept):
            _lose(session, kept)
            break
        batch.append(kept)
        size += kept.length
    return batch


def _is_intact(session: Session, kept: Kept) -> bool:
    crc, length = 0, 0
    try:
        for piece in _pieces(session, kept):
            crc, length = crc32c(piece, crc), length + len(piece)
    except FileNotFoundError:
        return False
    return (length, crc) == (kept.length, kept.crc32c)


def _lose(session: Session, kept: Kept) -> None:
    """Unless another mover has just placed it and removed its file."""
    session.refresh()
    if session.ledger.kept.get(kept.number) == kept:
        session.append(records.lost(kept))
        _remove(session, [kept])


def _try_to_move(session: Session, batch: list[Kept]) -> None:
    start = session.ledger.start_of(batch[0].number)
    if start is None:
        return
    try:
        _move(session, batch, start)
    except Conflict:
        if len(batch) > 1:
            _try_to_move(session, batch[:1])
        else:
            _lose(session, batch[0])
    except FileNotFoundError:
        session.refresh()


def _move(session: Session, batch: list[Kept], start: int) -> None:
    length = sum(kept.length for kept in batch)
    if session.disk.free(session.room) < length + _SLACK:
        # Bytes that cannot all be moved would only fill the disk.
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    open_session = lambda: contextlib.nullcontext(session)  # noqa: E731 - the session stays open
    with LocalPlacing(open_session, start, length=length) as placing:
        for kept in batch:
            for piece in _pieces(session, kept):
                placing.write(memoryview(piece))
            placing.end_chunk(kept.number)
        placing.commit()
    _remove(session, batch)


def _remove(session: Session, batch: list[Kept]) -> None:
    for kept in batch:
        with contextlib.suppress(FileNotFoundError):
            session.disk.unlink(session.room / kept.name)


def _pieces(session: Session, kept: Kept) -> Iterator[bytes]:
    disk = session.disk
    file = disk.open_to_read(session.room / kept.name)
    try:
        position = 0
        while piece := disk.read_at(file, MIB, position):
            yield piece
            position += len(piece)
    finally:
        disk.close(file)
