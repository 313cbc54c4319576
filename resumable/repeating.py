"""A whole file under a key that its client chose: however often it is sent, it is one file."""

from __future__ import annotations

from contextlib import closing

from resumable.ending import Ender
from resumable.errors import BadRequest, Conflict, Interrupted, Unavailable
from resumable.interfaces import Payload
from resumable.model import Status
from resumable.operations import ById, Caller, Completed, Deposit, Finish, Place
from resumable.receiving import Receiver
from resumable.registry import Registry, Standing

_TRIES = 10
# Somebody else ended the upload, or wrote to it, while its end was near.
_OVERTAKEN = ("finished", "missing-bytes", "length-conflict")


class Repeater:
    """Performs a `Deposit` with a reference, which stands for the first generation of an upload.

    The key's upload is filled and finished like any other, so that a crash or a rival in between
    is what it is there: the same bytes again go on from it.
    """

    def __init__(self, registry: Registry, receiver: Receiver, ender: Ender) -> None:
        self._registry = registry
        self._receiver = receiver
        self._ender = ender

    def deposit(self, operation: Deposit, caller: Caller, payload: Payload) -> Completed:
        """The one finished object of this key.

        Raises Conflict where it has other bytes, and what `Receiver.place` and `Ender.finish` do.
        """
        if payload.whole:
            return self._deposit(operation, caller, payload)
        # Only what is whole can be compared, and a cut request leaves nothing.
        with closing(self._registry.store.spool(payload)) as held:
            if not held.whole:
                raise held.cut or Interrupted("The body ended early.")
            return self._deposit(operation, caller, held)

    def _deposit(self, operation: Deposit, caller: Caller, payload: Payload) -> Completed:
        assert operation.reference is not None
        for _ in range(_TRIES):
            standing = self._receiver.standing(operation.reference, caller)
            if standing.previous is not None:
                return self._again(standing.previous, caller, payload)
            try:
                return self._first(operation, caller, payload, standing)
            except Conflict as error:
                if error.code not in _OVERTAKEN:
                    raise
        raise Unavailable("Other requests use this key all the time. Try again.")

    def _again(self, status: Status, caller: Caller, payload: Payload) -> Completed:
        """The same answer for the same bytes."""
        self._registry.authorize(caller, "finish", status.upload)
        finished = status.finished
        whole = (0, finished.size if finished else 0)
        if not self._receiver.same_bytes(status, whole, payload):
            raise _other_bytes()
        return Completed(self._ender.complete(status))

    def _first(
        self, operation: Deposit, caller: Caller, payload: Payload, standing: Standing
    ) -> Completed:
        place = Place(reference=operation.reference, start=0)
        known = self._receiver.place_at(standing, place, caller, payload)
        finish = Finish(
            reference=ById(known.status.upload.id),
            filename=operation.filename,
            options=operation.options,
            length=payload.length,
        )
        try:
            completed = self._ender.finish(finish, caller)
        except BadRequest:
            # There is more than these bytes, or its chunks say that there will be.
            raise _other_bytes() from None
        # Somebody else may have finished it with more.
        if completed.finished.size != payload.length:
            raise _other_bytes()
        return completed


def _other_bytes() -> Conflict:
    return Conflict(
        "Another file was sent under this key. Use a new key for a new file.", code="other-bytes"
    )
