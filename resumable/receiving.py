"""The rules for bytes that come in: which positions, which sizes, which duplicates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, suppress

from resumable.digests import crc32c
from resumable.errors import (
    BadRequest,
    Conflict,
    DigestMismatch,
    Forbidden,
    Interrupted,
    TooLarge,
    Unavailable,
)
from resumable.herald import Herald
from resumable.interfaces import Payload, Placing
from resumable.model import GREATEST_LENGTH, Finished, State, Status, Upload
from resumable.operations import Caller, Known, Place, Reference
from resumable.positions import (
    check_facts,
    check_number,
    new_facts,
    range_in,
    start_of,
    whole_chunk,
)
from resumable.registry import Registry, Standing


class Receiver:
    """Performs `Place`."""

    def __init__(
        self,
        registry: Registry,
        herald: Herald,
        complete: Callable[[Status], Finished],
        chunk_size: int,
    ) -> None:
        self._registry = registry
        self._herald = herald
        self._complete = complete
        self._store = registry.store
        self._chunk_size = chunk_size

    def place(self, operation: Place, caller: Caller, payload: Payload) -> Known:
        """Bytes into their upload.

        Raises BadRequest, Conflict, TooLarge, DigestMismatch, NotFound, NoRoom, Unavailable, and
        Interrupted or IdleTimeout after keeping what a cut body brought.
        """
        self.check(operation, payload)
        if operation.reference is None:
            return self._place_in_new(operation, caller, payload, id=None)
        standing = self.standing(operation.reference, caller)
        if standing.current is None and standing.previous is not None:
            return self._place_after_finish(operation, caller, payload, standing)
        return self.place_at(standing, operation, caller, payload)

    def place_at(
        self, standing: Standing, operation: Place, caller: Caller, payload: Payload
    ) -> Known:
        """Into the open upload of this standing, or into the one that is next."""
        if standing.current is None:
            return self._place_in_new(operation, caller, payload, id=standing.id)
        self._registry.authorize(caller, "append", standing.current.upload)
        return self.place_in(operation, caller, payload, standing.current)

    # ------------------------------------------------------------ which upload

    def standing(self, reference: Reference, caller: Caller) -> Standing:
        """Where the reference leads, once what a crash left half finished is finished."""
        standing = self._registry.resolve(reference, caller)
        current = standing.current
        if current is None or current.state is State.RECEIVING:
            return standing
        with suppress(DigestMismatch):
            self._complete(current)
        return self._registry.resolve(reference, caller)

    def _place_in_new(
        self, operation: Place, caller: Caller, payload: Payload, *, id: str | None
    ) -> Known:
        upload = self._registry.admit(
            caller,
            id=id,
            reference=operation.reference,
            length=operation.length,
            filename=operation.filename,
            chunk_size=operation.chunk_size,
        )
        fresh = self._store.begin(upload)
        status = Status.newborn(upload) if fresh else self._loaded(upload)
        try:
            if id is not None:
                self._registry.authorize(caller, "append", status.upload)
            return self.place_in(operation, caller, payload, status, alone=id is None)
        except Exception:
            # Bad input leaves nothing behind, not even an upload without bytes. An upload whose id
            # nobody has been told cannot be continued either.
            if fresh:
                self.forget(upload, with_bytes=id is None)
            raise

    def _loaded(self, upload: Upload) -> Status:
        status = self._store.load(upload.id)
        if status is None:
            # Another request began it and took it back: this one may begin it anew.
            raise Unavailable("This upload has just been cancelled. Send the chunk again.")
        return status

    def forget(self, upload: Upload, *, with_bytes: bool) -> None:
        """Take a birth back, unless another request is at work on it.

        That one will then do so, or use it.
        """
        status = self._store.load(upload.id)
        if status is None or status.state is not State.RECEIVING:
            return
        empty = not (status.extents or status.chunks or status.facts)
        if (empty or with_bytes) and self._store.discard(upload, unless_busy=not with_bytes):
            self._store.remove(upload)

    def _place_after_finish(
        self, operation: Place, caller: Caller, payload: Payload, standing: Standing
    ) -> Known:
        """A chunk for an id that is done: a late duplicate, or the first of another upload."""
        previous = standing.previous
        size = operation.size if payload.length is None else payload.length
        known = range_in(previous, operation, size)
        if previous is None or known is None:
            return self._place_in_new(operation, caller, payload, id=standing.id)
        self._registry.authorize(caller, "append", previous.upload)
        with closing(self._store.spool(payload)) as spooled:
            if not spooled.whole:
                raise spooled.cut or Interrupted("The body ended early.")
            if self.same_bytes(previous, known, spooled):
                number = operation.number
                if number is not None and number not in self._store.echoed(previous.upload):
                    self._store.echo(previous.upload, number)
                return Known(previous, self._chunk_size, number=number, duplicate=True)
            return self._place_in_new(operation, caller, spooled, id=standing.id)

    def same_bytes(self, previous: Status, known: tuple[int, int], payload: Payload) -> bool:
        """Are these the bytes of this range of a finished object?"""
        start, end = known
        if previous.finished is None or payload.length != end - start:
            return False
        with closing(self._store.read(previous.finished, start, end)) as stored:
            return _crc_of(map(memoryview, stored)) == _crc_of(iter(payload))

    # ------------------------------------------------------------ into an open upload

    def place_in(
        self,
        operation: Place,
        caller: Caller,
        payload: Payload,
        status: Status,
        *,
        alone: bool = False,
    ) -> Known:
        """Bytes into an upload that is there and that the caller may add to.

        `alone`: nobody else knows of it.
        """
        check_takes_bytes(status)
        if status.state is not State.RECEIVING:
            raise Conflict("This upload is finished and takes no more bytes.", code="finished")
        facts = new_facts(operation, status)
        self._check_chunk_size(operation, status)
        start = start_of(operation, status)
        self._check_length(operation, payload, self._room(operation, status, start), status)
        quota = self._registry.check_bytes(caller, payload.length or operation.size or 0)
        with self._destination(operation, payload, status, start, alone=alone) as placing:
            received = self._write(operation, payload, status, start, placing, quota)
            number = whole_chunk(operation, status, start, received)
            placing.verify()
            if facts:
                check_facts(facts, self._store.note(status.upload, facts))
            placed = placing.commit(number)
        # Only now: of a first chunk that was refused nothing is left that anybody could hear of.
        self._herald.created(placed.status)
        number = operation.number if placed.number is None else placed.number
        return Known(placed.status, self._chunk_size, number, placed.duplicate)

    def _write(
        self,
        operation: Place,
        payload: Payload,
        status: Status,
        start: int | None,
        placing: Placing,
        quota: int | None,
    ) -> int:
        """All bytes of a whole body; their number. A cut one is kept as far as it came."""
        received, room = 0, self._room(operation, status, start)
        for view in payload:
            received += len(view)
            if received > room:
                raise TooLarge(self._too_large(status))
            if quota is not None and received > quota:
                raise self._registry.quota_reached()
            placing.write(view)
        unproven = payload.length is None and payload.cut is None
        if not payload.whole and not (operation.open_end and unproven):
            placing.keep()
            raise payload.cut or Interrupted("The body ended early.")
        _check_size(operation, received)
        return received

    def _destination(
        self,
        operation: Place,
        payload: Payload,
        status: Status,
        start: int | None,
        *,
        alone: bool,
    ) -> Placing:
        if start is None:
            return self._store.keeping(status.upload, operation.number, digest=operation.digest)
        return self._store.placing(
            status.upload, start, length=payload.length, digest=operation.digest, alone=alone
        )

    # ------------------------------------------------------------ sizes

    def check(self, operation: Place, payload: Payload) -> None:
        """Raise BadRequest or TooLarge for what no upload may have."""
        limits = self._registry.limits
        self._registry.check_size(operation.length)
        if operation.number is not None and operation.number >= limits.max_chunks:
            raise BadRequest(
                f"chunkIndex must be below {limits.max_chunks}; send larger chunks.",
                code="too-many-chunks",
            )
        if operation.total_chunks is not None and operation.total_chunks > limits.max_chunks:
            raise BadRequest(
                f"totalChunks must be at most {limits.max_chunks}; send larger chunks.",
                code="too-many-chunks",
            )
        check_number(operation, operation.total_chunks)
        self._registry.check_chunk(operation.size if payload.length is None else payload.length)

    def _check_chunk_size(self, operation: Place, status: Status) -> None:
        """Raise BadRequest where the known bytes are more chunks of this size than are allowed."""
        size, most = _chunk_size(operation, status), self._registry.limits.max_chunks
        if size is not None and status.extents.end > size * most:
            raise BadRequest(
                f"An upload may have at most {most} chunks; {size} bytes each are too few.",
                code="too-many-chunks",
            )

    def _room(self, operation: Place, status: Status, start: int | None) -> int:
        """Bytes that this request may still bring."""
        length = operation.length if operation.length is not None else status.length
        limit = self._registry.limits.max_size
        whole = length if length is not None else limit
        # Where its start is unknown, a chunk comes on top of all that is known.
        before = status.received if start is None else start
        room = GREATEST_LENGTH if whole is None else whole - before
        most = self._registry.limits.max_chunk_size
        room = room if most is None else min(room, most)
        chunk_size = _chunk_size(operation, status)
        if chunk_size is not None:
            room = min(room, chunk_size * self._registry.limits.max_chunks - before)
        return room if operation.size is None else min(room, operation.size)

    def _check_length(self, operation: Place, payload: Payload, room: int, status: Status) -> None:
        size = payload.length
        if room < (size or 0):
            raise TooLarge(self._too_large(status))
        if size is not None:
            _check_size(operation, size)

    def _too_large(self, status: Status) -> str:
        if status.length is not None:
            return f"This upload was declared to have {status.length} bytes; here are more."
        if "chunk_size" in status.facts:
            return "These are more bytes than all chunks of this size may have."
        return f"Uploads may have at most {self._registry.limits.max_size} bytes."


def check_takes_bytes(status: Status) -> None:
    """Raise Forbidden for an upload that is made of others."""
    if status.upload.partials:
        raise Forbidden(
            "This upload is made of others and takes no bytes itself.", code="concatenation"
        )


def _chunk_size(operation: Place, status: Status) -> int | None:
    return operation.chunk_size or status.facts.get("chunk_size")


def _check_size(operation: Place, size: int) -> None:
    if operation.size is not None and size != operation.size:
        raise BadRequest(
            f"The range names {operation.size} bytes and the body has {size}.",
            code="range-length",
        )


def _crc_of(views: Iterator[memoryview]) -> int:
    value = 0
    for view in views:
        value = crc32c(view, value)
    return value
