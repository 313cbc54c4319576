"""Uploads on a local disk: one data file written at positions, one journal, a finish by link.

root/<token>                               a finished object, mode 0600, no extension
root/.resumable/uploads/<id>/journal       what is known (see `ledger`)
root/.resumable/uploads/<id>/data          the bytes, until they are linked to their final name
root/.resumable/uploads/<id>/kept-<nonce>  a numbered chunk whose start is not known yet
root/.resumable/finished/<token>           the journal's second name, for as long as the object
root/.resumable/new, trash, spool          on the way in, on the way out, of no upload yet
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from resumable.errors import Conflict, DigestMismatch, NoRoom, NotFound, Unavailable
from resumable.interfaces import Capabilities, Describe, Payload
from resumable.model import MIB, Digest, Extent, Finished, State, Status, Upload
from resumable.stores import journal, ledger
from resumable.stores.disk import SUPPORTED, Disk, boot_id, translated
from resumable.stores.placing import LocalKeeping, LocalPlacing
from resumable.stores.session import Histories, Idle, Session

_HEAD = 64 * 1024
_PIECE = 256 * 1024
_ROOMS = ("uploads", "finished", "new", "trash", "spool")
DURABILITIES = ("full", "process")


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
        self.root = Path(os.path.abspath(root))
        self.capabilities = Capabilities(part_size=part_size)
        self._full = durability == "full"
        self._free_space = free_space
        self._disk = disk or Disk()
        self._boot = boot or boot_id()
        self._histories = Histories(self._boot)
        self._idle = Idle()
        self._rooms = {name: self.root / ".resumable" / name for name in _ROOMS}
        self._prepared = False
        self._preparing = threading.Lock()

    def __repr__(self) -> str:
        return f"LocalStore({str(self.root)!r})"

    # ------------------------------------------------------------ birth and knowledge

    def begin(self, upload: Upload) -> bool:
        self._prepare()
        self._check_room(upload.length or 0)
        nest = self._room("new") / secrets.token_hex(12)
        with translated("beginning an upload"):
            self._build(nest, upload)
            try:
                self._disk.rename(nest, self._home(upload.id))
            except OSError as error:
                self._remove_tree(nest)
                if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
                    return False
                raise
            self._sync_directory(self._room("uploads"))
        return True

    def _build(self, nest: Path, upload: Upload) -> None:
        """The whole upload in a private directory, so that it appears in one step."""
        self._disk.make_directory(nest)
        descriptor = self._disk.create(nest / "journal", append=True)
        try:
            self._disk.append(descriptor, journal.encode(ledger.birth(upload)))
            if self._full:
                self._disk.sync_data(descriptor)
        finally:
            self._disk.close(descriptor)
        self._disk.close(self._disk.create(nest / "data"))
        self._sync_directory(nest)

    def load(self, id: str) -> Status | None:
        try:
            session = self._session(id)
        except NotFound:
            return None
        with session, translated("reading what is known"):
            if session.ledger.upload is None:
                return None
            session.promote()
            self._gather(session)
            return session.status()

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
        self._check_room(length or 0)
        return LocalPlacing(
            self._session(upload.id),
            start,
            length=length,
            digest=digest,
            alone=alone,
            gather=self._gather,
        )

    def keeping(
        self, upload: Upload, number: int | None, *, digest: Digest | None = None
    ) -> LocalKeeping:
        self._check_room(0)
        return LocalKeeping(self._session(upload.id), number, digest, self._gather)

    def gather(self, upload: Upload) -> None:
        """Move kept chunks whose start has become known into their place."""
        with self._session(upload.id) as session, translated("placing a chunk"):
            self._gather(session)

    def _gather(self, session: Session) -> None:
        known = session.ledger
        while known.kept and known.state is State.RECEIVING:
            ready = next((n for n in sorted(known.kept) if known.start_of(n) is not None), None)
            if ready is None:
                return
            self._move(session, known.kept[ready], known.start_of(ready) or 0)
            session.refresh()

    def _move(self, session: Session, kept: ledger.Kept, start: int) -> None:
        """One kept chunk into its place; what two movers do is the same."""
        assert session.ledger.upload is not None
        path = session.directory / kept.name
        try:
            source = self._disk.open_to_read(path)
        except FileNotFoundError:
            session.refresh()
            if session.ledger.kept.get(kept.number) == kept:
                session.append({"kind": "lost", "number": kept.number})
            return
        try:
            placing = LocalPlacing(
                self._session(session.ledger.upload.id), start, length=kept.length, digest=None
            )
            with placing:
                for piece in self._pieces(source, 0, kept.length):
                    placing.write(memoryview(piece))
                placing.commit(kept.number)
        except Conflict:
            # Not what was recorded, or contradicted by a position: the client must send it again.
            session.append({"kind": "lost", "number": kept.number})
        finally:
            self._disk.close(source)
        with contextlib.suppress(FileNotFoundError):
            self._disk.unlink(path)

    def spool(self, payload: Payload) -> SpooledFile:
        self._prepare()
        self._check_room(payload.length or 0)
        path = self._room("spool") / secrets.token_hex(12)
        with translated("holding a form's file"):
            descriptor = self._disk.create(path)
            # Without a name the bytes go away with the process.
            self._disk.unlink(path)
        return SpooledFile(self._disk, descriptor, payload)

    # ------------------------------------------------------------ facts

    def note(self, upload: Upload, facts: Mapping[str, Any]) -> Mapping[str, Any]:
        with self._session(upload.id) as session, translated("recording facts"):
            with session.disk.locked(session.journal):
                session.refresh()
                news = {
                    name: value for name, value in facts.items() if name not in session.ledger.facts
                }
                if news:
                    session.append({"kind": "facts", "facts": news})
            return dict(session.ledger.facts)

    def tell(self, upload: Upload, event: str) -> None:
        with self._session(upload.id) as session, translated("recording"):
            # Without a sync: what a power cut forgets is told once more.
            session.append({"kind": "told", "event": event}, durable=False)

    def echo(self, upload: Upload, number: int) -> None:
        with self._session(upload.id) as session, translated("recording"):
            session.append({"kind": "echo", "number": number})

    def echoed(self, upload: Upload) -> frozenset[int]:
        with self._session(upload.id) as session:
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
    ) -> Status:
        with self._session(upload.id) as session, translated("finishing"):
            while session.ledger.state is State.RECEIVING:
                session.promote()
                self._gather(session)
                self._seal(session, length, crc32c, facts or {})
            if session.ledger.state is State.CANCELLED:
                raise NotFound("Upload not found")
            if session.ledger.finished is None:
                self._publish(session, describe)
            return session.status()

    def _seal(
        self, session: Session, length: int, wanted: int | None, facts: Mapping[str, Any]
    ) -> None:
        """From now on no writer adds a byte, because each looks for the seal before it writes."""
        data, known = session.writable(), session.ledger
        with session.disk.range_locked(data, 0, 0):
            session.refresh()
            if known.state is not State.RECEIVING or (session.full and known.unsynced):
                return
            if not known.extents.covers(0, length):
                raise Conflict("Bytes are missing.", code="missing-bytes")
            if known.extents.end > length or known.kept:
                raise Conflict("Bytes are known beyond the stated end.", code="length-conflict")
            crc = known.crc32c(length)
            if crc is None:
                crc = session.crc32c_of(0, length)
            if wanted is not None and wanted != crc:
                raise DigestMismatch(
                    f"The whole file has CRC32C {crc:08x}, not {wanted:08x}. "
                    "Nothing was finished; cancel this upload and send the file again."
                )
            news = [{"kind": "facts", "facts": facts}] if facts else []
            session.append(*news, ledger.sealed(Extent(0, length, crc)))

    def _publish(self, session: Session, describe: Describe) -> None:
        """Link, sync, record, sync, and only then let go of the first name."""
        disk, seal = session.disk, session.ledger.sealed
        data = session.data
        if data is None or seal is None:
            raise Unavailable("The upload is just being finished. Try again.")
        if disk.size(data) > seal.length:
            disk.truncate(data, seal.length)
            self._sync_data(data)
        finished = describe(
            dict(session.ledger.facts),
            disk.read_at(data, min(_HEAD, seal.length), 0),
            seal.crc32c,
            seal.length,
        )
        self._link(session, "data", self.root / finished.token)
        self._sync_directory(self.root)
        self._link(session, "journal", self._room("finished") / finished.token)
        self._sync_directory(self._room("finished"))
        session.append(ledger.finished(finished))
        with contextlib.suppress(FileNotFoundError):
            disk.unlink(session.directory / "data")

    def _link(self, session: Session, name: str, target: Path) -> None:
        """A second name, unless an earlier or a racing finish gave it."""
        try:
            session.disk.link(session.directory / name, target)
        except FileExistsError:
            mine = session.data if name == "data" else session.journal
            assert mine is not None
            found = session.disk.open_to_read(target)
            try:
                if session.disk.identity(found) != session.disk.identity(mine):
                    raise Conflict(f"Another file has the name {target.name}.") from None
            finally:
                session.disk.close(found)
        except FileNotFoundError:
            session.refresh()
            if session.ledger.finished is None:
                raise

    def verdict(self, upload: Upload, accepted: bool) -> Status:
        with self._session(upload.id) as session, translated("recording the digest's verdict"):
            session.append({"kind": "verdict", "accepted": accepted})
            finished = session.ledger.finished
            if session.ledger.state is State.REJECTED and finished is not None:
                self._unlink_finished(finished.token)
            return session.status()

    def discard(self, upload: Upload, *, unless_busy: bool = False) -> bool:
        with self._session(upload.id) as session, translated("discarding"):
            if unless_busy and not session.claim():
                return False
            if session.ledger.state is State.CANCELLED:
                return True
            data = session.writable()
            with session.disk.range_locked(data, 0, 0):
                session.refresh()
                session.writable()
                session.append({"kind": "discarded"})
        return True

    def remove(self, upload: Upload) -> None:
        with contextlib.suppress(NotFound), self._session(upload.id) as session:
            session.forget()
        trash = self._room("trash") / secrets.token_hex(12)
        with translated("removing"):
            # Renamed first: a half-emptied upload must never be found under its name.
            try:
                self._disk.rename(self._home(upload.id), trash)
            except FileNotFoundError:
                return
            self._sync_directory(self._room("uploads"))
            self._empty(trash / "data")
            self._remove_tree(trash)

    def _empty(self, path: Path) -> None:
        """Free the bytes at once, even while another request still has the file open."""
        with contextlib.suppress(FileNotFoundError):
            descriptor = self._disk.open(path)
            try:
                self._disk.truncate(descriptor, 0)
            finally:
                self._disk.close(descriptor)

    # ------------------------------------------------------------ the sweeper's view

    def each(self) -> Iterator[Status]:
        for name in self._names("uploads"):
            status = self.load(name)
            if status is not None:
                yield status

    def tidy(self, older_than: float) -> int:
        removed = 0
        for room in ("new", "trash", "spool"):
            for name in self._names(room):
                path = self._room(room) / name
                with contextlib.suppress(FileNotFoundError):
                    if os.lstat(path).st_mtime < older_than:
                        self._remove_tree(path)
                        removed += 1
        for name in self._names("finished"):
            if not (self.root / name).exists() and not self._is_finishing(name, older_than):
                with contextlib.suppress(FileNotFoundError):
                    self._disk.unlink(self._room("finished") / name)
                    removed += 1
        return removed

    def _is_finishing(self, name: str, older_than: float) -> bool:
        with contextlib.suppress(FileNotFoundError):
            return os.lstat(self._room("finished") / name).st_mtime >= older_than
        return True

    # ------------------------------------------------------------ finished objects

    def find(self, token: str) -> Finished | None:
        try:
            descriptor = self._disk.open_to_read(self._room("finished") / token)
        except FileNotFoundError:
            return None
        with translated("reading a finished object"):
            try:
                finished = self._described(descriptor)
            finally:
                self._disk.close(descriptor)
        known = finished is not None and finished.token == token
        return finished if known and (self.root / token).exists() else None

    def _described(self, descriptor: int) -> Finished | None:
        """What the journal says of its object; the end of it is enough nearly always."""
        size = self._disk.size(descriptor)
        for length in (min(size, _HEAD), size):
            known = ledger.Ledger(self._boot)
            for record in journal.decode(self._disk.read_at(descriptor, length, size - length)):
                known.fold(record)
            if known.finished is not None:
                accepted = known.finished.digest is None or known.accepted
                return known.finished if accepted else None
        return None

    def list_finished(self) -> Iterator[Finished]:
        for name in self._names("finished"):
            finished = self.find(name)
            if finished is not None:
                yield finished

    def read(self, finished: Finished, start: int, end: int) -> Reading:
        try:
            descriptor = self._disk.open_to_read(self.root / finished.token)
        except FileNotFoundError:
            raise NotFound("Recording not found") from None
        return Reading(self._disk, descriptor, start, end)

    def path(self, finished: Finished) -> Path:
        """Where the finished object's bytes are on this disk."""
        return self.root / finished.token

    def delete(self, finished: Finished) -> None:
        with translated("deleting"):
            self._unlink_finished(finished.token)

    def _unlink_finished(self, token: str) -> None:
        for path in (self.root / token, self._room("finished") / token):
            with contextlib.suppress(FileNotFoundError):
                self._disk.unlink(path)
        self._sync_directory(self.root)

    # ------------------------------------------------------------ files

    def _home(self, id: str) -> Path:
        return self._room("uploads") / id

    def _room(self, name: str) -> Path:
        return self._rooms[name]

    def _session(self, id: str) -> Session:
        try:
            with translated("opening an upload"):
                home = self._home(id)
                return self._idle.take(home) or Session(
                    self._disk, home, self._histories, self._idle, full=self._full
                )
        except Unavailable as error:
            if isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
                raise NotFound("Upload not found") from None
            raise

    def _names(self, room: str) -> list[str]:
        try:
            return os.listdir(self._room(room))
        except FileNotFoundError:
            return []

    def _prepare(self) -> None:
        """Make the rooms, once per process, on the first write: never at import."""
        if self._prepared:
            return
        with self._preparing, translated(f"making {self.root}"):
            self.root.mkdir(parents=True, exist_ok=True)
            for name in _ROOMS:
                room = self._room(name)
                room.mkdir(parents=True, exist_ok=True, mode=0o700)
            for directory in (self.root / ".resumable", self.root, self.root.parent):
                self._sync_directory(directory)
            self._prepared = True

    def _check_room(self, length: int) -> None:
        """Refuse what would leave less free space than the floor, before a byte is written."""
        if self._prepared and self._disk.free(self.root) - length < self._free_space:
            raise NoRoom("The storage is full. Try again when there is room.", retry_after=60)

    def _sync_directory(self, path: Path) -> None:
        if self._full:
            self._disk.sync_directory(path)

    def _sync_data(self, descriptor: int) -> None:
        if self._full:
            self._disk.sync_data(descriptor)

    def _remove_tree(self, path: Path) -> None:
        try:
            for name in os.listdir(path):
                self._disk.unlink(path / name)
            self._disk.remove_directory(path)
        except NotADirectoryError:
            self._disk.unlink(path)
        except FileNotFoundError:
            return

    def _pieces(self, descriptor: int, start: int, end: int) -> Iterator[bytes]:
        while start < end:
            piece = self._disk.read_at(descriptor, min(MIB, end - start), start)
            if not piece:
                return
            yield piece
            start += len(piece)


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


class SpooledFile:
    """A payload read to its end into a nameless file, to be read again."""

    def __init__(self, disk: Disk, descriptor: int, payload: Payload) -> None:
        self._disk = disk
        self._descriptor: int | None = descriptor
        self._size = 0
        try:
            with translated("holding a form's file"):
                for view in payload:
                    disk.write_at(descriptor, view, self._size)
                    self._size += len(view)
        except BaseException:
            self.close()
            raise
        self.whole = payload.whole
        self.cut = payload.cut

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
