"""A whole file in one request: begun, filled and finished, in one step where that is possible."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from resumable.ending import Ender
from resumable.errors import UploadError
from resumable.herald import Herald
from resumable.interfaces import Depository, Payload
from resumable.model import MIB
from resumable.operations import Caller, Cancel, Completed, Deposit, Finish, Operation, Place
from resumable.receiving import Receiver
from resumable.registry import Registry

# What is larger costs the same either way, and should not wait in memory.
_SMALL = MIB


class Depositor:
    """Performs `Deposit`."""

    def __init__(
        self, registry: Registry, herald: Herald, receiver: Receiver, ender: Ender
    ) -> None:
        self._registry = registry
        self._herald = herald
        self._receiver = receiver
        self._ender = ender
        store = registry.store
        self._depository = store if isinstance(store, Depository) else None

    def is_small(self, length: int | None) -> bool:
        """Can so many bytes (None: nobody knows how many) be stored in one step?"""
        return self._depository is not None and length is not None and length <= _SMALL

    def deposit(
        self,
        operation: Deposit,
        caller: Caller,
        payload: Payload,
        late: Callable[[], Operation] | None = None,
    ) -> Completed:
        """One finished object of all bytes; when this raises there is none.

        Raises what `Receiver.place` and `Ender.finish` do.
        """
        if self._depository is not None and self.is_small(payload.length):
            return self._in_one_step(self._depository, operation, caller, payload)
        return self._step_by_step(operation, caller, payload, late)

    def _in_one_step(
        self, depository: Depository, operation: Deposit, caller: Caller, payload: Payload
    ) -> Completed:
        self._registry.check_chunk(payload.length)
        upload = self._registry.admit(caller, length=payload.length)
        self._registry.authorize(caller, "finish", upload)
        facts = {"filename": operation.filename, "options": dict(operation.options)}
        status = depository.deposit(
            upload,
            payload,
            self._ender.describe(upload),
            facts={name: value for name, value in facts.items() if value},
        )
        return Completed(self._ender.complete(status))

    def _step_by_step(
        self,
        operation: Deposit,
        caller: Caller,
        payload: Payload,
        late: Callable[[], Operation] | None,
    ) -> Completed:
        known = self._receiver.place(Place(reference=None, start=0), caller, payload)
        try:
            said = late() if late is not None else operation
            assert isinstance(said, Deposit)
            finish = Finish(reference=known.reference, filename=said.filename, options=said.options)
            return self._ender.finish(finish, caller)
        except Exception:
            # Nobody has been told its id, so nobody can go on with it.
            with suppress(UploadError):
                self._ender.cancel(Cancel(known.reference), caller)
            raise
