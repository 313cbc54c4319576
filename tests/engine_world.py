"""An engine with a clock and ears of its own, on a store in memory, for the tests of its rules."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any

from resumable.engine import Engine
from resumable.model import Finished, Limits, Status, Upload
from resumable.operations import (
    ByClientId,
    Caller,
    Cancel,
    Completed,
    Finish,
    Inspect,
    Known,
    Outcome,
    Place,
    Reference,
)
from resumable.testing.chunk_client import Body
from resumable.testing.faults import Faults
from tests.stores.local_storage import MemoryStorage


class Ears:
    """Hooks that write down what they hear; `deaf` events are not listened to."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []
        self.deaf: set[str] = set()
        self.failing: set[str] = set()
        self.refused: Callable[[Caller, str, Upload | Finished | None], bool] = (
            lambda caller, action, subject: False
        )
        self.asked: list[str] = []

    def listens(self, event: str) -> bool:
        return event not in self.deaf

    def authorize(self, caller: Caller, action: str, subject: Upload | Finished | None) -> bool:
        self.asked.append(action)
        return not self.refused(caller, action, subject)

    def created(self, upload: Upload) -> None:
        self._hear("created", upload.id)

    def completed(self, finished: Finished) -> None:
        self._hear("completed", finished.id)

    def cancelled(self, upload: Upload) -> None:
        self._hear("cancelled", upload.id)

    def _hear(self, event: str, id: str) -> None:
        if event in self.failing:
            raise RuntimeError("the host's own fault")
        self.heard.append((event, id))

    def events(self) -> list[str]:
        return [event for event, _ in self.heard]


class EngineWorld:
    """One engine and whoever asks it. `caller` is nobody in particular."""

    def __init__(self, **limits: Any) -> None:
        self.storage = MemoryStorage()
        self.ears = Ears()
        self.limits = Limits(free_space=0, **limits)
        self.engine = self.another()

    def another(self, **more: Any) -> Engine:
        """The engine of another process."""
        return Engine(
            self.storage.process(Faults()),
            self.ears,
            limits=self.limits,
            clock=self.storage.clock,
            **more,
        )

    def ask(self, operation: Any, body: Body | None = None, owner: str | None = None) -> Outcome:
        return self.engine.perform(operation, Caller(owner), body or Body(b""))

    def place(
        self,
        data: bytes,
        *,
        reference: Reference | None = ByClientId("id"),  # noqa: B008 - frozen
        owner: str | None = None,
        body: Body | None = None,
        **words: Any,
    ) -> Known:
        """One chunk."""
        operation = Place(reference=reference, **words)
        outcome = self.ask(operation, body or Body(data, piece=1000), owner)
        assert isinstance(outcome, Known)
        return outcome

    def status(
        self,
        reference: Reference = ByClientId("id"),  # noqa: B008 - frozen
        owner: str | None = None,
    ) -> Status:
        outcome = self.ask(Inspect(reference), owner=owner)
        assert isinstance(outcome, Known)
        return outcome.status

    def finish(
        self,
        reference: Reference = ByClientId("id"),  # noqa: B008 - frozen
        owner: str | None = None,
        **words: Any,
    ) -> Finished:
        outcome = self.ask(Finish(reference=reference, **words), owner=owner)
        assert isinstance(outcome, Completed)
        return outcome.finished

    def cancel(self, reference: Reference, owner: str | None = None) -> None:
        self.ask(Cancel(reference), owner=owner)

    def content(self, finished: Finished) -> bytes:
        found = self.engine.store.find(finished.token)
        assert found == finished
        with closing(self.engine.store.read(found, 0, found.size)) as stored:
            return b"".join(stored)
