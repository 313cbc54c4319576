"""A client of the sequential protocols without HTTP: it asks how far it is and goes on."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from resumable.engine import Engine
from resumable.errors import Interrupted
from resumable.model import Finished, Status
from resumable.operations import (
    Append,
    ById,
    Caller,
    Concatenate,
    Create,
    Inspect,
    Known,
    Operation,
)
from resumable.testing.chunk_client import Body


@dataclass
class TurnClient:
    """Sends one file in requests of the given sizes, one behind the other.

    With `partial` each size is an upload of its own, and the file is put together from them: asked
    for `early`, before they have their bytes, or last.
    """

    engine: Engine
    sizes: Sequence[int]
    partial: bool = False
    early: bool = False
    seed: int = 0
    finished: Finished | None = None
    ids: dict[int, str] = field(default_factory=dict)
    final: str | None = None
    acknowledged: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.data = random.Random(self.seed).randbytes(sum(self.sizes))
        ends = [0]
        for size in self.sizes:
            ends.append(ends[-1] + size)
        self.bounds = list(pairwise(ends)) if self.partial else [(0, len(self.data))]

    def ask(self, operation: Operation, body: Body | None = None) -> Status:
        outcome = self.engine.perform(operation, Caller(None), body or Body(b""))
        assert isinstance(outcome, Known)
        return outcome.status

    def send_all(self, *, cut: bool = False) -> None:
        """From whatever is known already to the finished file; each body is cut once with `cut`."""
        for number, (start, end) in enumerate(self.bounds):
            if number not in self.ids:
                create = Create(length=end - start, partial=self.partial, sequential=True)
                self.ids[number] = self.ask(create).upload.id
        if self.early:
            self._concatenate()
        for number, bounds in enumerate(self.bounds):
            self._send(self.ids[number], self.data[slice(*bounds)], cut)
        if self.partial:
            self._concatenate()

    def _concatenate(self) -> None:
        if self.final is None:
            partials = tuple(ById(self.ids[number]) for number in range(len(self.bounds)))
            self.final = self.ask(Concatenate(partials=partials)).upload.id

    def _send(self, id: str, data: bytes, cut: bool) -> None:
        offset = self._offset(id)
        size = max(1, self.sizes[0])
        while offset < len(data):
            piece = data[offset : offset + size]
            self._append(id, offset, Body(piece, cut=len(piece) // 2 if cut else None))
            offset = self._offset(id)
            cut = False if offset else cut

    def _append(self, id: str, offset: int, body: Body) -> None:
        try:
            status = self.ask(Append(reference=ById(id), offset=offset), body)
        except Interrupted:
            return
        self.acknowledged[id] = _offset(status)

    def _offset(self, id: str) -> int:
        """What the server says; all that was acknowledged must be in it."""
        offset = _offset(self.ask(Inspect(ById(id), sequential=True)))
        assert offset >= self.acknowledged.get(id, 0), "acknowledged bytes are lost"
        self.acknowledged[id] = offset
        return offset

    def finish(self) -> Finished:
        """What became of it: it finishes with its last byte, whoever looks."""
        id = self.final if self.partial else self.ids[0]
        assert id is not None
        finished = self.ask(Inspect(ById(id), sequential=True)).finished
        assert finished is not None
        assert self.finished is None or finished == self.finished
        self.finished = finished
        return finished

    def resume(self) -> Finished:
        """What every good client does after a fault."""
        self.send_all()
        return self.finish()


def _offset(status: Status) -> int:
    return status.offset if status.finished is None else status.finished.size
