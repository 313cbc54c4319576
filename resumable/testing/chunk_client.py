"""A client of the chunk protocol without HTTP: it resumes, and remembers what it was told."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Protocol

from resumable.engine import Engine
from resumable.errors import Interrupted, NotFound, UploadError
from resumable.model import Finished, State, Status
from resumable.operations import (
    ByClientId,
    Caller,
    Cancel,
    Completed,
    Deposit,
    Finish,
    Inspect,
    Known,
    Operation,
    Outcome,
    Place,
)


class Body:
    """A request's bytes in pieces; with `cut` that many arrive and then the body ends."""

    def __init__(self, data: bytes, *, piece: int = 7, cut: int | None = None) -> None:
        self._data = data if cut is None else data[:cut]
        self._piece = piece
        self.length: int | None = len(data)
        self.whole = False
        self.cut = None if cut is None else Interrupted("cut")

    def __iter__(self) -> Iterator[memoryview]:
        for at in range(0, len(self._data), self._piece):
            yield memoryview(self._data)[at : at + self._piece]
        self.whole = self.cut is None


@dataclass
class ChunkClient:
    """Sends one file in numbered chunks of the given sizes.

    `positions` says that it declares where each chunk begins. `engine` is the server that it talks
    to now; after a crash it is another one.
    """

    engine: Engine
    sizes: Sequence[int]
    id: str = "test123"
    owner: str | None = None
    positions: bool = False
    seed: int = 0
    acknowledged: set[int] = field(default_factory=set)
    finished: Finished | None = None
    cancelling: bool = False
    depositing: bool = False

    def __post_init__(self) -> None:
        self.data = random.Random(self.seed).randbytes(sum(self.sizes))
        ends = [0]
        for size in self.sizes:
            ends.append(ends[-1] + size)
        self.bounds = list(pairwise(ends))

    @property
    def caller(self) -> Caller:
        return Caller(self.owner)

    @property
    def reference(self) -> ByClientId:
        return ByClientId(self.id, guessable=False)

    def ask(self, operation: Operation, body: Body | None = None) -> Outcome:
        return self.engine.perform(operation, self.caller, body or Body(b""))

    def send(self, number: int, *, cut: int | None = None) -> Known | None:
        """One chunk; None when its body was cut."""
        start, end = self.bounds[number]
        operation = Place(
            reference=self.reference,
            number=number,
            start=start if self.positions else None,
            size=end - start,
            total_chunks=len(self.sizes),
        )
        try:
            outcome = self.ask(operation, Body(self.data[start:end], cut=cut))
        except Interrupted:
            return None
        assert isinstance(outcome, Known)
        assert outcome.number == number
        assert number in outcome.status.numbers()
        self.acknowledged.add(number)
        return outcome

    def status(self) -> Status | None:
        """What the server says; all that was acknowledged must be in it."""
        try:
            outcome = self.ask(Inspect(self.reference))
        except NotFound:
            assert self.cancelling or not self.acknowledged, "an acknowledged upload is unknown"
            return None
        assert isinstance(outcome, Known)
        status = outcome.status
        if status.state is State.RECEIVING and not self.cancelling:
            lost = self.acknowledged - set(status.numbers())
            assert not lost, f"acknowledged chunks are lost: {sorted(lost)}"
            self.acknowledged |= set(status.numbers())
        return status

    def finish(self) -> Finished:
        outcome = self.ask(Finish(reference=self.reference, filename="clip.bin"))
        assert isinstance(outcome, Completed)
        assert self.finished is None or outcome.finished == self.finished
        self.finished = outcome.finished
        return outcome.finished

    def deposit(self, *, cut: int | None = None) -> Finished | None:
        """The whole file in one request, as an upload of its own; None when its body was cut."""
        self.depositing = True
        try:
            outcome = self.ask(Deposit(filename="clip.bin"), Body(self.data, cut=cut))
        except Interrupted:
            return None
        assert isinstance(outcome, Completed)
        self.finished = outcome.finished
        return outcome.finished

    def cancel(self) -> None:
        again, self.cancelling = self.cancelling, True
        try:
            self.ask(Cancel(self.reference))
        except NotFound:
            # The first try may have done it without being able to say so.
            if not again:
                raise

    def resume(self) -> Finished:
        """Ask, send what is missing, finish: what every good client does after a fault."""
        status = self.status()
        if status is None or status.state is State.RECEIVING:
            known = set() if status is None else set(status.numbers())
            for number in range(len(self.sizes)):
                if number not in known:
                    self.send(number)
        return self.finish()


class Resuming(Protocol):
    """A client that can go on after a fault."""

    def resume(self) -> Finished: ...


def retrying(client: Resuming, act: Callable[[], object], attempts: int = 4) -> None:
    """Act, and go on from what the server knows where it says that it failed."""
    for _ in range(attempts):
        try:
            act()
            return
        except UploadError as error:
            if error.status < 500:
                error.add_note("a fault of the storage was told as the client's")
                raise
            act = _next_act(client)
    raise AssertionError("the client is refused for good")


def _next_act(client: Resuming) -> Callable[[], object]:
    """What a client does that was refused."""
    if isinstance(client, ChunkClient) and client.depositing:
        return client.deposit
    if isinstance(client, ChunkClient) and client.cancelling:
        return client.cancel
    return client.resume
