"""Uploads that are made of others, which may still be on their way when the whole is asked for."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from resumable.ending import Ender
from resumable.errors import BadRequest, UploadError
from resumable.herald import Herald
from resumable.model import Finished, Status
from resumable.operations import Caller, Concatenate, Known
from resumable.registry import Registry

# A partial upload remembers who waits for it.
_AWAITED = "final-"


class Concatenator:
    """Performs `Concatenate`, and finishes what had to wait for the last of its pieces."""

    def __init__(self, registry: Registry, herald: Herald, ender: Ender, chunk_size: int) -> None:
        self._registry = registry
        self._store = registry.store
        self._herald = herald
        self._ender = ender
        self._chunk_size = chunk_size

    def concatenate(self, operation: Concatenate, caller: Caller) -> Known:
        """A new upload of the partial ones; finished at once where they are.

        Raises NotFound, BadRequest for what is no partial upload, TooLarge, Forbidden.
        """
        found = {id: self._piece(id, caller) for id in {one.id for one in operation.partials}}
        pieces = [found[reference.id] for reference in operation.partials]
        lengths = [piece.length for piece in pieces]
        known = sum(length for length in lengths if length is not None)
        upload = self._registry.admit(
            caller,
            length=None if None in lengths else known,
            filename=operation.filename,
            content_type=operation.content_type,
            metadata=dict(operation.metadata),
            sequential=True,
            partials=tuple(piece.upload.id for piece in pieces),
            words=dict(operation.words),
        )
        self._store.begin(upload)
        status = Status.newborn(upload)
        self._herald.created(status)
        waiting = [piece for piece in found.values() if piece.finished is None]
        for piece in waiting:
            self._store.note(piece.upload, {_AWAITED + upload.id: True})
        # Whoever finished the last of them before the note was there did not see it.
        status = self._ender.finish_whole(status, None if waiting else found)
        return Known(status, self._chunk_size)

    def _piece(self, id: str, caller: Caller) -> Status:
        status = self._registry.find(id, caller)
        if not status.upload.partial:
            raise BadRequest(
                "Only partial uploads can be put together; one of these is none.",
                code="not-partial",
            )
        self._registry.authorize(caller, "append", status.upload)
        return self._ender.finish_whole(status)

    def looked_at(self, status: Status) -> Status:
        """Finished, if all of it is there; else with its length, once all its pieces have one."""
        pieces = self._ender.pieces(status)
        status = self._ender.finish_whole(status, pieces)
        if status.finished is not None or not pieces or status.length is not None:
            return status
        lengths = [pieces[id].length if id in pieces else None for id in status.upload.partials]
        if None in lengths:
            return status
        total = sum(length for length in lengths if length is not None)
        return replace(status, facts={**status.facts, "length": total})

    def release(self, finished: Finished | None) -> None:
        """A partial upload is finished: so may be those that waited for it."""
        if finished is None or not finished.partial:
            return
        # Notes that came while it was being finished are in no earlier look.
        current = self._store.load(finished.id)
        for name in () if current is None else current.facts:
            if name.startswith(_AWAITED):
                self._release(name.removeprefix(_AWAITED))

    def _release(self, id: str) -> None:
        """Whoever looks at it next, or a sweep, tries again what fails now."""
        with suppress(UploadError):
            waiting = self._store.load(id)
            if waiting is not None and not self._registry.expired(waiting):
                self._ender.finish_whole(waiting)
