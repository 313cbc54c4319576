"""Uploads that grow by turns: each request brings what comes next, the last one finishes."""

from __future__ import annotations

from resumable.ending import Ender
from resumable.errors import (
    BadRequest,
    Conflict,
    IdleTimeout,
    Interrupted,
    NotFound,
    TooLarge,
    UploadError,
)
from resumable.herald import Herald
from resumable.interfaces import Payload
from resumable.model import State, Status
from resumable.operations import Append, ById, Caller, Create, Known, Place
from resumable.receiving import Receiver, check_takes_bytes
from resumable.registry import Registry


class Appender:
    """Performs `Create` and `Append`.

    Nobody locks anything. Bytes have positions, so an older request that is still at work can only
    store what the newer one stores too, or be refused.
    """

    def __init__(
        self,
        registry: Registry,
        herald: Herald,
        receiver: Receiver,
        ender: Ender,
        chunk_size: int,
    ) -> None:
        self._registry = registry
        self._store = registry.store
        self._herald = herald
        self._receiver = receiver
        self._ender = ender
        self._chunk_size = chunk_size

    def create(self, operation: Create, caller: Caller, payload: Payload) -> Known:
        """A new upload, with the first bytes where the request has some.

        Raises Forbidden, TooLarge, TooMany, NoRoom, DigestMismatch: there is no upload then; and
        Interrupted or IdleTimeout, after which it has what came of a cut body.
        """
        upload = self._registry.admit(
            caller,
            length=operation.length,
            filename=operation.filename,
            content_type=operation.content_type,
            metadata=dict(operation.metadata),
            sequential=operation.sequential,
            partial=operation.partial,
            words=dict(operation.words),
        )
        self._store.begin(upload)
        status = Status.newborn(upload)
        if not operation.append:
            self._herald.created(status)
            return self._ended(status) if upload.sequential else self._known(status)
        place = Place(reference=ById(upload.id), start=0, digest=operation.digest, open_end=True)
        try:
            self._receiver.check(place, payload)
            known = self._receiver.place_in(place, caller, payload, status, alone=True)
        except (Interrupted, IdleTimeout):
            raise
        except UploadError:
            self._receiver.forget(upload, with_bytes=True)
            raise
        return self._ended(known.status)

    def append(self, operation: Append, caller: Caller, payload: Payload) -> Known:
        """The next bytes, and the finish with the last of them.

        Raises Conflict ("offset-conflict") where they do not begin at the upload's end, and all
        that `Receiver.place` does.
        """
        standing = self._receiver.standing(operation.reference, caller)
        status = standing.current or standing.previous
        if status is None:
            raise NotFound("Upload not found")
        self._registry.authorize(caller, "append", status.upload)
        try:
            return self._append(operation, caller, payload, status)
        except UploadError as error:
            error.known = status
            raise

    def _append(self, operation: Append, caller: Caller, payload: Payload, status: Status) -> Known:
        check_takes_bytes(status)
        _check_offset(operation, status)
        if status.state is State.COMPLETE:
            return self._append_nothing(operation, payload, status)
        place = Place(
            reference=operation.reference,
            start=operation.offset,
            length=operation.length,
            digest=operation.digest,
            open_end=True,
        )
        self._receiver.check(place, payload)
        known = self._receiver.place_in(place, caller, payload, status)
        return self._ended(known.status)

    def _append_nothing(self, operation: Append, payload: Payload, status: Status) -> Known:
        """An empty request at the end of a finished upload is a repetition."""
        length = status.length if status.finished is None else status.finished.size
        if operation.length not in (None, length):
            raise BadRequest(
                f"This upload is finished and has {length} bytes, not {operation.length}.",
                code="total-conflict",
            )
        if any(len(view) for view in payload):
            raise TooLarge("This upload is finished and takes no more bytes.", code="finished")
        return self._known(status)

    def _ended(self, status: Status) -> Known:
        return self._known(self._ender.finish_whole(status))

    def _known(self, status: Status) -> Known:
        return Known(status, self._chunk_size)


def _check_offset(operation: Append, status: Status) -> None:
    offset = status.offset if status.finished is None else status.finished.size
    if operation.offset != offset:
        raise Conflict(
            f"The upload has {offset} bytes; this request begins at {operation.offset}.",
            code="offset-conflict",
        )
