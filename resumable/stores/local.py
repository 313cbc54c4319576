"""Uploads on a local disk: one data file written at positions, one journal, a finish by link.

root/<token>                               a finished object, mode 0600, no extension
root/.resumable/uploads/<id>               the journal: what is known (see `records`)
root/.resumable/uploads/<id>.data          the bytes, until they are linked to their final name
root/.resumable/uploads/<id>.kept-<nonce>  a numbered chunk whose start is not known yet
root/.resumable/finished/<token>           the journal's second name, for as long as the object
root/.resumable/partials/<token>           a finished object that is only a piece of a file
root/.resumable/new, spool                 on the way to the shelf, and of no upload yet
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from resumable.errors import Conflict, NoRoom, NotFound, Unavailable, UploadError
from resumable.interfaces import Capabilities, Describe, Payload
from resumable.model import MIB, Digest, Finished, State, Status, Upload
from resumable.stores import records, small_placing
from resumable.stores.depositing import Deposits
from resumable.stores.disk import SUPPORTED, Disk, boot_id, translated
from resumable.stores.gate import Gate, Result
from resumable.stores.history import Histories
from resumable.stores.idle import Idle
from resumable.stores.joining import join
from resumable.stores.keeping import LocalKeeping, gather, try_to_gather
from resumable.stores.leftovers import Leftovers
from resumable.stores.placing import LocalPlacing
from resumable.stores.publishing import Publisher, seal
from resumable.stores.rooms import Rooms, absolute
from resumable.stores.session import Session
from resumable.stores.shelf import Reading, Shelf
from resumable.stores.small_files import LocalSmallFiles
from resumable.stores.small_placing import SmallPlacing
from resumable.stores.spool import SpooledFile

DURABILITIES = ("full", "process")
_log = logging.getLogger("resumable")


class LocalStore:
    """Uploads under one directory of this machine.

    `durability` "full" survives a power cut with everything that was acknowledged; "process" only
    the death of processes, at half the cost. `free_space` (bytes) is kept free on the disk.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        durability: str = "full",
        part_size: int = 8 * MIB,
        free_space: int = 256 * MIB,
        disk: Disk | None = None,
        boot: str | None = None,
    ) -> None:
        if not SUPPORTED:
            raise RuntimeError(
                "Storage on local disk needs file locks that this system does not have (Windows). "
                "Use an object store URL such as s3://bucket/prefix instead."
            )
        if durability not in DURABILITIES:
            raise ValueError(f"durability must be one of {', '.join(DURABILITIES)}.")
        self.root = absolute(root)
        self.capabilities = Capabilities(part_size=part_size)
        self._full = durability == "full"
        self._disk = disk or Disk()
        boot = boot or boot_id()
        self._histories = Histories(boot)
        self._idle: Idle[Session] = Idle()
        self._gate = Gate()
        self._rooms = Rooms(self.root, self._disk, full=self._full, floor=free_space)
        self._publisher = Publisher(self._disk, self._rooms)
        self._deposits = Deposits(
            self._disk, self._rooms, self._publisher, boot, self._quickly, full=self._full
        )
        self.small_files = LocalSmallFiles(self._disk, self._rooms, full=self._full)
        self._shelf = Shelf(self._disk, self._rooms)
        self._leftovers = Leftovers(self._disk, self._rooms, self._opened)

    def __repr__(self) -> str:
        return f"LocalStore({str(self.root)!r})"

    # ------------------------------------------------------------ birth and knowledge

    def begin(self, upload: Upload) -> bool:
        self._rooms.check_room(upload.length or 0)
        return self._quickly(partial(self._begin, upload))

    def _quickly(self, work: Callable[[], Result]) -> Result:
        """With syncs it is never quick."""
        return work() if self._full else self._gate.through(work)

    def _begin(self, upload: Upload) -> bool:
        while True:
            self._rooms.prepare()
            with self._opened(upload.id, create=True) as session, translated("beginning"):
                born = self._born(session, upload)
            if born is not None:
                return born

    def _born(self, session: Session, upload: Upload) -> bool | None:
        """None when the journal was removed between its opening and its lock."""
        with session.all_locked():
            if not session.is_current():
                return None
            if _is_upload(session):
                return False
            if self._disk.size(session.journal):
                # A birth that a crash interrupted: nothing in it may count for this one.
                self._disk.unlink(session.journal_path)
                return None
            session.make_data()
            # The birth is the last step: an upload that is known has all its files.
            session.append(records.birth(upload))
        return True

    def load(self, id: str) -> Status | None:
        return self._quickly(partial(self._load, id))

    def _load(self, id: str) -> Status | None:
        try:
            session = self._opened(id)
        except NotFound:
            return None
        with session, translated("reading what is known"):
            if not _is_upload(session):
                return None
            with contextlib.suppress(NoRoom), translated("recording"):
                # What cannot be recorded now is not reported now.
                session.promote()
            try_to_gather(session)
            return session.status()

    def deposit(
        self,
        upload: Upload,
        payload: Payload,
        describe: Describe,
        *,
        facts: Mapping[str, Any] | None = None,
    ) -> Status:
        self._rooms.check_room(payload.length or 0)
        self._rooms.prepare_once()
        with self._depositing(upload):
            return self._deposits.deposit(upload, payload, describe, facts or {})

    def adopt(self, upload: Upload, path: Path, describe: Describe) -> Status | None:
        self._rooms.prepare_once()
        with self._depositing(upload):
            return self._deposits.adopt(upload, path, describe)

    @contextlib.contextmanager
    def _depositing(self, upload: Upload) -> Iterator[None]:
        with translated("storing a file"):
            try:
                yield
            except BaseException:
                with contextlib.suppress(OSError, NotFound), self._opened(upload.id) as session:
                    self._leftovers.remove_unborn(session)
                raise

    # ------------------------------------------------------------ bytes

    def placing(
        self,
        upload: Upload,
        start: int,
        *,
        length: int | None = None,
        digest: Digest | None = None,
        alone: bool = False,
    ) -> LocalPlacing:
        self._rooms.check_room(length or 0)
        named: dict[str, Any] = {"length": length, "digest": digest, "alone": alone}
        open_session = partial(self._session, upload)
        if length is not None and length <= small_placing.MOST:
            return SmallPlacing(
                open_session, start, gather=try_to_gather, quickly=self._quickly, **named
            )
        return LocalPlacing(open_session, start, gather=try_to_gather, **named)

    def keeping(
        self, upload: Upload, number: int | None, *, digest: Digest | None = None
    ) -> LocalKeeping:
        self._rooms.check_room(0)
        return LocalKeeping(partial(self._session, upload), number, digest=digest)

    def gather(self, upload: Upload) -> None:
        """Move kept chunks whose start has become known into their place."""
        with self._session(upload) as session, translated("placing a chunk"):
            gather(session)

    def spool(self, payload: Payload) -> SpooledFile:
        self._rooms.prepare()
        self._rooms.check_room(payload.length or 0)
        return SpooledFile(self._disk, self._rooms.spool / secrets.token_hex(12), payload)

    # ------------------------------------------------------------ facts

    def note(self, upload: Upload, facts: Mapping[str, Any]) -> Mapping[str, Any]:
        with self._session(upload) as session, translated("recording facts"):
            with session.facts_locked():
                known = session.ledger.facts
                news = {name: value for name, value in facts.items() if name not in known}
                if news:
                    session.append(records.facts(news))
            return session.status().facts

    def tell(self, upload: Upload, event: str) -> None:
        with self._session(upload) as session, translated("recording"):
            # Without a sync: what a power cut forgets is told once more.
            session.append(records.told(event), durable=False)

    def echo(self, upload: Upload, number: int) -> None:
        with self._session(upload) as session, translated("recording"):
            session.append(records.echo(number))

    def echoed(self, upload: Upload) -> frozenset[int]:
        with self._session(upload) as session:
            return session.ledger.echoed

    # ------------------------------------------------------------ the end

    def finish(
        self,
        upload: Upload,
        length: int,
        describe: Describe,
        *,
        facts: Mapping[str, Any] | None = None,
        crc32c: int | None = None,
        sources: Sequence[Finished] = (),
    ) -> Status:
        work = partial(self._finish, upload, length, describe, facts, crc32c, sources)
        return work() if sources else self._quickly(work)

    def _finish(
        self,
        upload: Upload,
        length: int,
        describe: Describe,
        facts: Mapping[str, Any] | None,
        crc32c: int | None,
        sources: Sequence[Finished],
    ) -> Status:
        with self._session(upload) as session, translated("finishing"):
            if sources and session.ledger.state is State.RECEIVING:
                join(session, sources, self.path)
            while session.ledger.state is State.RECEIVING:
                session.writable()
                session.promote()
                gather(session)
                seal(session, length, crc32c, facts or {})
            if session.ledger.state is State.CANCELLED:
                raise NotFound("Upload not found")
            self._rooms.prepare()
            self._publisher.publish(session, describe)
            return session.status()

    def verdict(self, upload: Upload, accepted: bool) -> Status:
        with self._session(upload) as session, translated("recording the digest's verdict"):
            session.append(records.verdict(accepted))
            finished, agreed = session.ledger.finished, session.ledger.accepted
            if finished is not None:
                self._publisher.note_on_shelf(session, finished, records.verdict(bool(agreed)))
            if finished is not None and session.ledger.state is State.REJECTED:
                self._publisher.take_back(finished)
            return session.status()

    def discard(self, upload: Upload, *, unless_busy: bool = False) -> bool:
        with self._session(upload) as session, translated("discarding"):
            if unless_busy and not session.claim():
                return False
            with session.all_locked():
                if session.ledger.state is not State.CANCELLED:
                    session.writable()
                    session.append(records.discarded())
                if session.is_current():
                    self._leftovers.empty(session)
        return True

    def remove(self, upload: Upload) -> None:
        with (
            contextlib.suppress(NotFound),
            self._session(upload) as session,
            translated("removing"),
        ):
            if not session.status().ended:
                raise Conflict("Only an upload that has ended can be removed.", code="not-ended")
            finished = session.ledger.finished
            if finished is not None and session.ledger.state is State.REJECTED:
                self._publisher.take_back(finished)
            self._leftovers.remove(session)

    # ------------------------------------------------------------ the sweeper's view

    def each(self) -> Iterator[Status]:
        for name in self._leftovers.ids():
            try:
                status = self.load(name)
            except UploadError:
                _log.exception("upload %s cannot be read; the next sweep tries again", name[:6])
                continue
            if status is not None:
                yield status

    def tidy(self, older_than: float) -> int:
        with translated("tidying"):
            return self._leftovers.tidy(older_than) + self._shelf.tidy(older_than)

    # ------------------------------------------------------------ finished objects

    def find(self, token: str) -> Finished | None:
        return self._shelf.find(token)

    def list_finished(self) -> Iterator[Finished]:
        return self._shelf.all()

    def read(self, finished: Finished, start: int, end: int) -> Reading:
        return self._shelf.read(finished, start, end)

    def path(self, finished: Finished) -> Path:
        """Where the finished object's bytes are on this disk."""
        return self._shelf.path(finished)

    def url(self, finished: Finished, expires: int, disposition: str) -> None:
        """A disk has no URLs of its own."""

    def check(self) -> list[str]:
        path = self._rooms.spool / secrets.token_hex(12)
        self._rooms.prepare()
        self._rooms.check_room(0)
        with translated("writing to the storage"):
            self._disk.close(self._disk.create(path))
            self._disk.unlink(path)
        return []

    def delete(self, finished: Finished) -> None:
        with translated("deleting"):
            self._publisher.take_back(finished)

    # ------------------------------------------------------------ files

    def _session(self, upload: Upload) -> Session:
        """Raises NotFound when there is no such upload, or another one under its id."""
        session = self._opened(upload.id)
        born = session.ledger.upload
        if born is not None and born.token != upload.token:
            session.close()
            raise NotFound("Upload not found")
        return session

    def _opened(self, id: str, *, create: bool = False) -> Session:
        """Raises NotFound where no such upload is, unless its journal may be made."""
        try:
            with translated("opening an upload"):
                return self._idle.take(id) or Session(
                    self._disk,
                    self._rooms.uploads,
                    id,
                    self._histories,
                    self._idle,
                    full=self._full,
                    create=create,
                )
        except Unavailable as error:
            if isinstance(error.__cause__, FileNotFoundError) and not create:
                raise NotFound("Upload not found") from None
            raise

    def close(self) -> None:
        """Close the files that are held open for the next request; the store stays usable."""
        self._idle.close()


def _is_upload(session: Session) -> bool:
    """Was it born with all its files? A power cut in the middle of a birth may leave a part."""
    known = session.ledger
    if known.state is State.RECEIVING:
        session.find_data()
        if session.data is None:
            # A finish seals before it takes that name away: it may have done both just now.
            session.refresh()
    if known.upload is None:
        return False
    return session.data is not None or known.state is not State.RECEIVING
