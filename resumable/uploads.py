"""The host application's handle: what its own code may ask of the uploads."""

from __future__ import annotations

import builtins
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from resumable.body import empty_body
from resumable.downloads import content_disposition
from resumable.engine import Engine
from resumable.errors import NotFound
from resumable.interfaces import Store
from resumable.job import JobStatus
from resumable.jobs.polling import Workplace
from resumable.model import Finished, Status, Upload
from resumable.operations import (
    ByClientId,
    ById,
    Caller,
    Cancel,
    Create,
    Inspect,
    Known,
    Process,
    Watch,
    Working,
)
from resumable.stores.local import LocalStore
from resumable.sweeping import Swept


class Uploads:
    """Uploads of one storage, for the application's own code.

    In a request it is `environ["resumable.uploads"]`. All methods raise `UploadError`s.
    """

    def __init__(self, engine: Engine, prefix: str = "") -> None:
        self._engine = engine
        self._prefix = prefix

    def create(
        self,
        *,
        owner: str | None = None,
        length: int | None = None,
        filename: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Upload:
        """Begin an upload and hand its `id` to a client. `length` in bytes, if known.

        A client of the chunk protocol sends it as its `uploadId`; a tus client goes on with it
        under `/files/{id}`. Raises TooLarge, TooMany, NoRoom.
        """
        operation = Create(length=length, filename=filename, metadata=metadata or {})
        outcome = self._engine.perform(operation, _host(owner), empty_body())
        assert isinstance(outcome, Known)
        return outcome.status.upload

    def get(self, id: str, *, owner: str | None = None) -> Status:
        """What is known of an upload; `.finished` once it is one object. Raises NotFound.

        `id` is an upload's own id, or the id that a client of the chunk protocol chose.
        """
        for reference in (ById(id), ByClientId(id)):
            try:
                outcome = self._engine.perform(Inspect(reference), _host(owner), empty_body())
            except NotFound:
                continue
            assert isinstance(outcome, Known)
            return outcome.status
        raise NotFound("Upload not found")

    def find(self, token: str) -> Finished:
        """A finished object by the token of its path. Raises NotFound."""
        finished = self._engine.store.find(token)
        if finished is None or finished.partial:
            raise NotFound("Recording not found")
        return finished

    def open(self, finished: Finished) -> io.BufferedReader:
        """A finished object as a binary file, seekable, never all in memory."""
        return io.BufferedReader(_Stored(self._engine.store, finished), 256 * 1024)

    def path(self, finished: Finished) -> Path | None:
        """Where a finished object is on this machine's disk; None in any other storage."""
        store = self._engine.store
        return store.path(finished) if isinstance(store, LocalStore) else None

    def url(
        self,
        finished: Finished,
        environ: Mapping[str, Any] | None = None,
        *,
        expires: int | None = None,
    ) -> str:
        """The path under which a finished object is downloaded.

        With the request's `environ` it is right below the mount point of the application too. With
        `expires` it is the object storage's own URL, signed for that many seconds, where the
        storage can sign; whoever has it needs no other permission.
        """
        if expires is not None:
            disposition = content_disposition("attachment", finished.filename)
            signed = self._engine.store.url(finished, expires, disposition)
            if signed is not None:
                return signed
        root = "" if environ is None else quote(environ.get("SCRIPT_NAME", ""), safe="/~")
        return root + self._prefix + finished.path

    def list(self, *, owner: str | None = None) -> list[Finished]:
        """Finished objects, newest first: everybody's, or those of one owner."""
        found = [
            finished
            for finished in self._engine.store.list_finished()
            if owner is None or finished.owner == owner
        ]
        return sorted(found, key=lambda one: -one.finished)

    def cancel(self, id: str, *, owner: str | None = None) -> None:
        """Free an unfinished upload. Raises NotFound, Conflict when it is finished."""
        status = self.get(id, owner=owner)
        self._engine.perform(Cancel(ById(status.upload.id)), _host(owner), empty_body())

    def delete(self, finished: Finished) -> None:
        """Remove a finished object."""
        self._engine.delete(finished)

    def process(self, finished: Finished, options: Mapping[str, Any]) -> JobStatus:
        """Make something of a finished object, once more if need be.

        Raises BadRequest for options that make no sense or wish for nothing, NotFound without
        `processing`.
        """
        operation = Process(token=finished.token, options=options)
        outcome = self._engine.perform(operation, _host(finished.owner), empty_body())
        assert isinstance(outcome, Working)
        return outcome.job

    def job(self, id: str, *, wait: float = 0.0) -> JobStatus:
        """How far a job is, at its end or after `wait` seconds (60 at most). Raises NotFound."""
        outcome = self._engine.perform(Watch(id, wait), _host(None), empty_body())
        assert isinstance(outcome, Working)
        return outcome.job

    def work(self, id: str) -> bool:
        """Do a job here and now, unless somebody else does; whether an attempt was made.

        For the tasks of a queue such as Celery's or RQ's. Raises NotFound without `processing`.
        """
        return self.workplace().work(id)

    def workplace(self) -> Workplace:
        """Where any number of threads of this process can do jobs as they come, as
        `resumable worker` does. Raises NotFound without `processing`.
        """
        if self._engine.desk is None:
            raise NotFound("This app has no processing.")
        return self._engine.desk.workplace()

    def jobs(self, finished: Finished) -> builtins.list[JobStatus]:
        """The jobs of a finished object, the first one first."""
        return self._engine.jobs_of(finished)

    def check(self) -> builtins.list[str]:
        """Write to the storage and forget it again; sentences on what it does not do.

        Raises UploadError where that fails.
        """
        return self._engine.store.check()

    def sweep(self) -> Swept:
        """Expire, complete and tidy; run it now and then, anywhere, even several at once."""
        return self._engine.sweep()


def _host(owner: str | None) -> Caller:
    """The host itself, acting for an owner: it needs nobody's leave."""
    return Caller(owner, trusted=True)


class _Stored(io.RawIOBase):
    """A finished object read by ranges."""

    def __init__(self, store: Store, finished: Finished) -> None:
        super().__init__()
        self._store = store
        self._finished = finished
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origins = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._finished.size}
        if whence not in origins or origins[whence] + offset < 0:
            raise ValueError(f"There is no position {offset} (whence {whence}) in this file.")
        self._position = origins[whence] + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        end = min(self._finished.size, self._position + len(view))
        count = 0
        if self._position < end:
            reading = self._store.read(self._finished, self._position, end)
            try:
                for piece in reading:
                    view[count : count + len(piece)] = piece
                    count += len(piece)
            finally:
                reading.close()
        self._position += count
        return count
