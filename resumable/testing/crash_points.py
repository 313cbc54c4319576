"""A process dies at each of its writes in turn, or one of them fails; the client goes on.

Random tests missed what these loops always find.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from resumable.engine import Engine
from resumable.interfaces import Store
from resumable.model import DAY, Finished, Limits, Upload
from resumable.operations import Caller
from resumable.testing.chunk_client import ChunkClient, retrying
from resumable.testing.faults import Crash, Faults
from resumable.testing.turn_client import TurnClient

Script = Callable[[ChunkClient], None]
TurnScript = Callable[[TurnClient], None]
Client = ChunkClient | TurnClient
_MOST_CALLS = 10_000


class Storage(Protocol):
    """Storage that outlives the processes on it."""

    def process(self, faults: Faults) -> Store:
        """The store as a new process opens it; each of its writes goes through `faults`."""

    def clock(self) -> float:
        """The storage's own time, in seconds since the epoch."""

    def advance(self, seconds: float) -> None:
        """Let time pass."""

    def leftovers(self) -> Collection[str]:
        """The names of all that is stored, but for finished objects and what is known of them."""


@dataclass
class Host:
    """An application's hooks: they hear, and their process may die before or after it."""

    faults: Faults
    heard: dict[str, list[str]] = field(default_factory=dict)

    def listens(self, event: str) -> bool:
        return True

    def authorize(self, caller: Caller, action: str, upload: Upload | Finished | None) -> bool:
        return True

    def created(self, upload: Upload) -> None:
        self._hear("created", upload.id)

    def completed(self, finished: Finished) -> None:
        self._hear("completed", finished.id)

    def cancelled(self, upload: Upload) -> None:
        self._hear("cancelled", upload.id)

    def _hear(self, event: str, id: str) -> None:
        self.faults.around(lambda: self.heard.setdefault(event, []).append(id))


class World:
    """One storage, one client, and the processes that serve it one after the other."""

    def __init__(self, storage: Storage, make_client: Callable[[Engine], Client]) -> None:
        self.storage = storage
        self.heard: dict[str, list[str]] = {}
        self.client = make_client(self.engine(Faults()))

    def engine(self, faults: Faults) -> Engine:
        """A new process."""
        return Engine(
            self.storage.process(faults),
            Host(faults, self.heard),
            limits=Limits(free_space=0),
            clock=self.storage.clock,
        )

    def restart(self, faults: Faults | None = None) -> None:
        self.client.engine = self.engine(faults or Faults())


def crash_points(
    make_storage: Callable[[], Storage],
    script: Script | TurnScript,
    sizes: Sequence[int],
    *,
    positions: bool = False,
    points: Callable[[int], bool] = lambda at: True,
) -> int:
    """Let a process die before, in and after each write of `script`; how many times it did.

    Afterwards the client resumes: its bytes are one object, nothing that was acknowledged is lost,
    the host has heard, and once all is old nothing is left over. `points` picks the writes.
    """
    died = 0
    for how in ("before", "torn", "after"):
        for at in itertools.count(1):
            assert at < _MOST_CALLS
            if not points(at):
                continue
            faults = Faults(at, how)
            act, world = _begun(make_storage(), script, sizes, positions)
            world.restart(faults)
            try:
                act()
            except Crash:
                died += 1
                world.restart()
            faults.disarm()
            _check_end(world, f"died {how} write {at}")
            if not faults.fired:
                break
    return died


def failing_calls(
    make_storage: Callable[[], Storage],
    script: Script | TurnScript,
    sizes: Sequence[int],
    *,
    errors: Sequence[Callable[[], Exception]],
    positions: bool = False,
    points: Callable[[int], bool] = lambda at: True,
) -> int:
    """Let each write of `script` fail in turn, in a process that lives on; how many did.

    The client is told of a fault of the storage or of nothing, and can go on.
    """
    failed = 0
    for error, how in itertools.product(errors, ("before", "after")):
        for at in itertools.count(1):
            assert at < _MOST_CALLS
            if not points(at):
                continue
            faults = Faults(at, how, error)
            act, world = _begun(make_storage(), script, sizes, positions)
            world.restart(faults)
            retrying(world.client, act)
            failed += faults.fired
            faults.disarm()
            _check_end(world, f"{error()} {how} write {at}")
            if not faults.fired:
                break
    return failed


def _begun(
    storage: Storage, script: Script | TurnScript, sizes: Sequence[int], positions: bool
) -> tuple[Callable[[], None], World]:
    """What the client is to do, and the world it does it in."""
    make: Callable[[Engine], Client] = partial(ChunkClient, sizes=sizes, positions=positions)
    if script.__name__ in _TURNS:
        partials, early = _TURNS[script.__name__]
        make = partial(TurnClient, sizes=sizes, partial=partials, early=early)
    world = World(storage, make)
    return partial(script, world.client), world  # type: ignore[arg-type]


def _check_end(world: World, where: str) -> None:
    try:
        check = _check_of(world.client)
        check(world)
        world.restart()
        check(world)
        _check_nothing_left(world)
    except Exception as error:
        error.add_note(where)
        raise


def _check_of(client: Client) -> Callable[[World], None]:
    if isinstance(client, TurnClient):
        return _check_by_turns
    if client.depositing:
        return _check_deposited
    return _check_cancelled if client.cancelling else _check_finished


def _check_by_turns(world: World) -> None:
    """One object, or one more where the answer to its birth got lost: all of it right."""
    world.client.engine.sweep()
    finished = world.client.resume()
    stored = list(world.client.engine.store.list_finished())
    assert finished in stored
    for one in stored:
        assert _stored(world.client.engine.store, one) == world.client.data
        assert one.id in world.heard.get("completed", ())
        assert one.id in world.heard.get("created", ())


def _check_deposited(world: World) -> None:
    """All or nothing, also of a request that got no answer and may have come to its end."""
    client = world.client
    assert isinstance(client, ChunkClient)
    client.engine.sweep()
    if client.finished is None:
        client.deposit()
    stored = list(client.engine.store.list_finished())
    assert client.finished in stored
    for finished in stored:
        assert _stored(client.engine.store, finished) == client.data
        assert finished.id in world.heard.get("completed", ())
        assert finished.id in world.heard.get("created", ())


def _check_finished(world: World) -> None:
    client = world.client
    finished = client.resume()
    assert client.finish() == finished
    assert _stored(client.engine.store, finished) == client.data
    assert [one.token for one in client.engine.store.list_finished()] == [finished.token]
    assert finished.id in world.heard.get("completed", ())
    assert finished.id in world.heard.get("created", ())


def _check_cancelled(world: World) -> None:
    client = world.client
    assert isinstance(client, ChunkClient)
    if client.status() is not None:
        client.cancel()
    assert client.status() is None
    assert list(client.engine.store.list_finished()) == []


def _check_nothing_left(world: World) -> None:
    """Old uploads are swept to the last file, and the finished object stays whole."""
    engine, client = world.client.engine, world.client
    # Expire or finish, hear of the end, forget; and one more where a finish was not decided yet.
    for _ in range(4):
        engine.sweep()
        world.storage.advance(8 * DAY)
    assert list(world.storage.leftovers()) == []
    if client.finished is not None:
        assert _stored(engine.store, client.finished) == client.data
    elif world.heard.get("created"):
        assert world.heard["cancelled"]


def _stored(store: Store, finished: Finished) -> bytes:
    found = store.find(finished.token)
    assert found == finished
    with closing(store.read(finished, 0, finished.size)) as stored:
        return b"".join(stored)


# ---------------------------------------------------------------- what clients do


def in_order(client: ChunkClient) -> None:
    """One chunk after the other."""
    for number in range(len(client.sizes)):
        client.send(number)
    client.finish()


def last_first(client: ChunkClient) -> None:
    """Chunks from the end: without positions each waits for those before it."""
    for number in reversed(range(len(client.sizes))):
        client.send(number)
    client.finish()


def cut_and_again(client: ChunkClient) -> None:
    """Bodies that are cut and sent again, and a duplicate."""
    for number, size in enumerate(client.sizes):
        client.send(number, cut=size // 2)
        client.send(number)
        client.send(number)
    client.finish()


def finished_twice(client: ChunkClient) -> None:
    """A finish whose answer got lost, with looks before and after."""
    in_order(client)
    client.status()
    client.finish()


def deposited(client: ChunkClient) -> None:
    """The whole file in one request, once cut."""
    client.deposit(cut=len(client.data) // 2)
    client.deposit()


def cancelled(client: ChunkClient) -> None:
    """A client that changes its mind."""
    client.send(0)
    client.send(len(client.sizes) - 1)
    client.cancel()


def every(steps: int, offset: int = 0) -> Callable[[int], bool]:
    """Picks every `steps`-th write: for the quick run."""
    return lambda at: at % steps == offset


SCRIPTS: tuple[Script, ...] = (
    in_order,
    last_first,
    cut_and_again,
    finished_twice,
    deposited,
    cancelled,
)


def appended(client: TurnClient) -> None:
    """By turns, each body cut once; the last byte finishes."""
    client.send_all(cut=True)
    client.finish()


def concatenated(client: TurnClient) -> None:
    """Partial uploads first, then the final one."""
    client.send_all()
    client.finish()


def concatenated_early(client: TurnClient) -> None:
    """The final upload waits for the last of its pieces."""
    client.send_all()
    client.finish()


# Of partial uploads? Asked for before they have their bytes?
_TURNS = {
    "appended": (False, False),
    "concatenated": (True, False),
    "concatenated_early": (True, True),
}
TURN_SCRIPTS: tuple[TurnScript, ...] = (appended, concatenated, concatenated_early)
