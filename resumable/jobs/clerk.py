"""What callers may ask of jobs: how far one is, to call it off, to do it again."""

from __future__ import annotations

from resumable.errors import Conflict, NotFound
from resumable.identity import checked_id
from resumable.job import JobStatus
from resumable.jobs.desk import Desk
from resumable.model import Finished
from resumable.operations import Caller, CallOff, Cancelled, Process, Watch, Working
from resumable.registry import Registry


class Clerk:
    """Performs `Watch`, `CallOff` and `Process`. Without a desk there are no jobs."""

    def __init__(self, registry: Registry, desk: Desk | None) -> None:
        self._registry = registry
        self._desk = desk

    def perform(self, operation: Watch | CallOff | Process, caller: Caller) -> Working | Cancelled:
        """Raises NotFound, also for what is somebody else's, Conflict and BadRequest."""
        if self._desk is None:
            raise NotFound("Job not found")
        match operation:
            case Watch():
                return self._watch(self._desk, operation, caller)
            case CallOff():
                return self._call_off(self._desk, operation, caller)
            case Process():
                return self._process(self._desk, operation, caller)

    def _watch(self, desk: Desk, operation: Watch, caller: Caller) -> Working:
        status, original = self._known(desk, operation.job, caller, "inspect")
        return Working(desk.waited(status, operation.wait), original)

    def _call_off(self, desk: Desk, operation: CallOff, caller: Caller) -> Cancelled:
        status, _ = self._known(desk, operation.job, caller, "cancel")
        if status.state.ended or not desk.cancel(status.job.id):
            raise Conflict("This job has ended and cannot be called off.", code="ended")
        return Cancelled()

    def _process(self, desk: Desk, operation: Process, caller: Caller) -> Working:
        finished = self._registry.store.find(checked_id(operation.token, "Recording"))
        if finished is None or not finished.listed or not may_read(finished.owner, caller):
            raise NotFound("Recording not found")
        self._registry.authorize(caller, "process", finished, "Recording")
        return Working(desk.again(finished, operation.options), finished, begun=True)

    def _known(
        self, desk: Desk, id: str, caller: Caller, action: str
    ) -> tuple[JobStatus, Finished | None]:
        status = desk.jobs.status(checked_id(id, "Job"))
        if status is None or not may_read(status.job.owner, caller):
            raise NotFound("Job not found")
        original = self._registry.store.find(status.job.original)
        self._registry.authorize(caller, action, original, "Job")
        return status, original


def may_read(owner: str | None, caller: Caller) -> bool:
    """Whoever has the unguessable path may read what nobody owns; the rest only their own."""
    return owner is None or owner == caller.owner or caller.trusted
