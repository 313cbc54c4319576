"""The one place where the rules hold: operations go in, outcomes or UploadErrors come out."""

from __future__ import annotations

import time
from collections.abc import Callable

from resumable.appending import Appender
from resumable.concatenating import Concatenator
from resumable.depositing import Depositor
from resumable.ending import Ender
from resumable.errors import Forbidden, NotFound
from resumable.herald import Herald
from resumable.identity import checked_id
from resumable.interfaces import Hooks, Payload, Store
from resumable.job import JobStatus
from resumable.jobs.clerk import Clerk, may_read
from resumable.jobs.desk import Desk
from resumable.jobs.forgetting import forget_jobs
from resumable.jobs.queue import Jobs
from resumable.jobs.settings import Processing
from resumable.model import Finished, Limits, State, Status
from resumable.operations import (
    Append,
    Browse,
    Caller,
    CallOff,
    Cancel,
    Cancelled,
    Completed,
    Concatenate,
    Configuration,
    Configure,
    Create,
    Deposit,
    Fetch,
    Finish,
    Found,
    Inspect,
    Known,
    Listing,
    Operation,
    Outcome,
    Place,
    Process,
    Remove,
    Retrieve,
    Watch,
)
from resumable.receiving import Receiver
from resumable.registry import Registry
from resumable.repeating import Repeater
from resumable.sweeping import Sweeper, Swept


class Engine:
    """Performs operations on one store. Keeps no state of its own: any process may do any of it.

    `listing` lets callers list their finished objects, `deleting` delete them. `processing` says
    what is made of them. `clock` gives seconds since the epoch.
    """

    def __init__(
        self,
        store: Store,
        hooks: Hooks,
        *,
        limits: Limits | None = None,
        listing: bool = False,
        deleting: bool = False,
        processing: Processing | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.store = store
        self.limits = limits or Limits()
        self._listing = listing
        self._deleting = deleting
        self.desk = None if processing is None else Desk(store, processing, clock)
        self._jobs = Jobs(store.small_files, clock=clock)
        self._hooks = hooks
        self.chunk_size = wished_chunk_size(self.limits, store.capabilities.part_size)
        self._registry = Registry(store, self.limits, hooks, clock)
        self._herald = Herald(store, hooks, self.desk)
        self._ender = Ender(self._registry, self._herald)
        self._receiver = Receiver(
            self._registry, self._herald, self._ender.complete, self.chunk_size
        )
        self._depositor = Depositor(self._registry, self._herald, self._receiver, self._ender)
        self._repeater = Repeater(self._registry, self._receiver, self._ender)
        self._appender = Appender(
            self._registry, self._herald, self._receiver, self._ender, self.chunk_size
        )
        self._concatenator = Concatenator(
            self._registry, self._herald, self._ender, self.chunk_size
        )
        self._clerk = Clerk(self._registry, self.desk)
        self._sweeper = Sweeper(self._registry, self._herald, self._ender)

    def prefers_held(self, operation: Operation, length: int | None) -> bool:
        """Is it less work with all bytes of the payload at hand? `length` bounds them, if known."""
        if not isinstance(operation, Deposit):
            return False
        return operation.reference is not None or self._depositor.is_small(length)

    def perform(
        self,
        operation: Operation,
        caller: Caller,
        payload: Payload,
        late: Callable[[], Operation] | None = None,
    ) -> Outcome:
        """Do it. Raises UploadError; then nothing has changed but what the error says was kept.

        `late` gives the operation as all of the request says it, once the payload is read.
        """
        match operation:
            case Place():
                return self._receiver.place(operation, caller, payload)
            case Deposit():
                completed = self._deposit(operation, caller, payload, late)
                return self._with_job(completed, operation.wait)
            case Finish():
                return self._finish(operation, caller)
            case Inspect():
                return self._inspect(operation, caller)
            case Create():
                return self._released(self._appender.create(operation, caller, payload))
            case Append():
                return self._released(self._appender.append(operation, caller, payload))
            case Concatenate():
                return self._concatenator.concatenate(operation, caller)
            case Cancel():
                return self._ender.cancel(operation, caller)
            case Fetch():
                return self._fetch(operation, caller)
            case Retrieve():
                return self._retrieve(operation, caller)
            case Browse():
                return self._browse(caller)
            case Configure():
                return self._configure()
            case Remove():
                return self._remove(operation, caller)
            case Process() | Watch() | CallOff():
                return self._clerk.perform(operation, caller)

    def sweep(self) -> Swept:
        """See `Sweeper.sweep`."""
        if self.desk is not None:
            self.desk.sweep()
        return self._sweeper.sweep()

    def delete(self, finished: Finished) -> None:
        """Remove a finished object and all that was made of it; see `Ender.delete`."""
        forget_jobs(self.store, self._jobs, finished)
        self._ender.delete(finished)

    def jobs_of(self, finished: Finished) -> list[JobStatus]:
        """What was asked to be made of a finished object, the first job first."""
        return list(self._jobs.of(finished))

    def _deposit(
        self,
        operation: Deposit,
        caller: Caller,
        payload: Payload,
        late: Callable[[], Operation] | None,
    ) -> Completed:
        if operation.reference is not None:
            return self._repeater.deposit(operation, caller, payload)
        return self._depositor.deposit(operation, caller, payload, late)

    def _finish(self, operation: Finish, caller: Caller) -> Completed:
        completed = self._ender.finish(operation, caller)
        self._concatenator.release(completed.finished)
        return self._with_job(completed, operation.wait)

    def _with_job(self, completed: Completed, wait: float) -> Completed:
        finished = completed.finished
        if self.desk is None or not self.desk.wants(finished):
            return completed
        return Completed(finished, self.desk.first(finished, wait))

    def _released(self, known: Known) -> Known:
        self._concatenator.release(known.status.finished)
        return known

    def _inspect(self, operation: Inspect, caller: Caller) -> Known:
        standing = self._registry.resolve(operation.reference, caller)
        status = standing.current or standing.previous
        if status is None:
            raise NotFound("Upload not found")
        self._registry.authorize(caller, "inspect", status.upload)
        status = self._completed(status)
        if operation.sequential or status.upload.sequential:
            status = self._concatenator.looked_at(status)
        return self._released(Known(status, self.chunk_size))

    def _completed(self, status: Status) -> Status:
        """What a crash left half finished is finished by whoever looks at it next."""
        self._herald.created(status)
        unheard = status.state is State.COMPLETE and self._herald.owes_news(status)
        if status.state in (State.FINISHING, State.VERIFYING) or unheard:
            self._ender.complete(status)
            return self.store.load(status.upload.id) or status
        return status

    def _fetch(self, operation: Fetch, caller: Caller) -> Found:
        finished = self._readable(operation.token, caller)
        beside = finished.beside.get(operation.beside or "")
        if beside is not None:
            finished = self._readable(beside, caller)
        self._registry.authorize(caller, "download", finished)
        return Found(finished)

    def _readable(self, token: str, caller: Caller) -> Finished:
        finished = self.store.find(checked_id(token, "Recording"))
        if finished is None or finished.partial or not may_read(finished.owner, caller):
            raise NotFound("Recording not found")
        return finished

    def _remove(self, operation: Remove, caller: Caller) -> Cancelled:
        if not self._deleting:
            raise Forbidden("Deleting is switched off.")
        finished = self._readable(operation.token, caller)
        self._registry.authorize(caller, "delete", finished, "Recording")
        self.delete(finished)
        return Cancelled()

    def _retrieve(self, operation: Retrieve, caller: Caller) -> Found:
        standing = self._registry.resolve(operation.reference, caller)
        status = standing.current or standing.previous
        if status is None:
            raise NotFound("Upload not found")
        status = self._ender.finish_whole(self._completed(status))
        if status.finished is None:
            raise NotFound("This upload is not finished yet.", code="not-finished")
        self._registry.authorize(caller, "download", status.finished)
        return Found(status.finished)

    def _browse(self, caller: Caller) -> Listing:
        if not self._listing:
            raise Forbidden("Listing is switched off.")
        self._registry.authorize(caller, "list", None)
        mine = [
            finished for finished in self.store.list_finished() if finished.owner == caller.owner
        ]
        newest = tuple(sorted(mine, key=lambda finished: -finished.finished))
        return Listing(newest, {} if self.desk is None else self.desk.latest(newest))

    def _configure(self) -> Configuration:
        return Configuration(
            limits=self.limits,
            chunk_size=self.chunk_size,
            part_size=self.store.capabilities.part_size,
            listing=self._listing,
            processing=self.desk is not None,
        )


def wished_chunk_size(limits: Limits, part_size: int) -> int:
    """What clients are asked to send per request: whole parts, within the limits (bytes)."""
    most = limits.max_chunk_size or limits.chunk_size
    wished = min(limits.chunk_size, most)
    return wished - wished % part_size if wished >= part_size else wished
