"""A whole file in one request: the rules of every other upload hold, in one step or in many."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from resumable.engine import Engine
from resumable.errors import (
    BadRequest,
    Forbidden,
    Interrupted,
    NoRoom,
    NotFound,
    TooLarge,
    TooMany,
    UploadError,
)
from resumable.interfaces import Depository
from resumable.model import MIB, Finished, State
from resumable.operations import Caller, Completed, Deposit
from resumable.testing.chunk_client import Body
from resumable.testing.contract.base import some_bytes
from tests.engine_world import EngineWorld

WORDS = Deposit(filename="a.bin", options={"frame": True})


class StepByStep:
    """A store that has no way to take a whole file at once."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        if name == "deposit":
            raise AttributeError(name)
        return getattr(self._store, name)


def take_away_deposits(world: EngineWorld) -> None:
    """From now on the world's store is one that takes files step by step."""
    store: Any = StepByStep(world.engine.store)
    assert not isinstance(store, Depository)
    world.engine = Engine(store, world.ears, limits=world.limits, clock=world.storage.clock)


@pytest.fixture(params=["in one step", "step by step", "of unknown length"])
def deposit(request: pytest.FixtureRequest) -> Callable[..., Finished]:
    def ask(world: EngineWorld, data: bytes, *, owner: str | None = None, **how: Any) -> Finished:
        body = Body(data, **how)
        if request.param == "step by step":
            take_away_deposits(world)
        if request.param == "of unknown length":
            body.length = None
        outcome = world.ask(WORDS, body, owner)
        assert isinstance(outcome, Completed)
        return outcome.finished

    return ask


Ask = Callable[..., Finished]


@pytest.mark.parametrize("size", [0, 1, 70_000, MIB + 1])
def test_one_finished_object(deposit: Ask, size: int) -> None:
    world, data = EngineWorld(), some_bytes(size)
    finished = deposit(world, data, owner="ann", piece=30_000)
    assert world.content(finished) == data
    assert (finished.size, finished.owner) == (size, "ann")
    assert (finished.filename, finished.options) == ("a.bin", {"frame": True})
    assert world.ears.heard == [("created", finished.id), ("completed", finished.id)]
    assert [status.state for status in world.engine.store.each()] == [State.COMPLETE]


def test_a_cut_body_leaves_nothing(deposit: Ask) -> None:
    world = EngineWorld()
    with pytest.raises(Interrupted):
        deposit(world, b"whole", cut=3)
    assert world.storage.leftovers() == []
    assert list(world.engine.store.list_finished()) == []
    assert "completed" not in world.ears.events()


@pytest.mark.parametrize(
    ("limits", "error"),
    [({"max_size": 4}, TooLarge), ({"max_chunk_size": 4}, TooLarge), ({"max_uploads": 0}, TooMany)],
)
def test_limits(deposit: Ask, limits: dict[str, int], error: type[UploadError]) -> None:
    world = EngineWorld(**limits)
    with pytest.raises(error):
        deposit(world, b"whole")
    assert world.storage.leftovers() == []


@pytest.mark.parametrize("one_step", [True, False])
def test_unfinished_uploads_leave_no_room_for_more(one_step: bool) -> None:
    world = EngineWorld(max_bytes=8)
    world.place(b"four", number=0)
    if not one_step:
        take_away_deposits(world)
    before = world.storage.leftovers()
    with pytest.raises(NoRoom):
        world.ask(WORDS, Body(b"whole"))
    assert world.storage.leftovers() == before
    world.ask(WORDS, Body(b"four"))


@pytest.mark.parametrize(("refused", "error"), [("create", Forbidden), ("finish", NotFound)])
def test_the_host_may_refuse(deposit: Ask, refused: str, error: type[UploadError]) -> None:
    world = EngineWorld()
    world.ears.refused = lambda caller, action, subject: action == refused
    with pytest.raises(error):
        deposit(world, b"whole")
    assert world.storage.leftovers() == []
    assert world.ears.events() in ([], ["created", "cancelled"])
    assert refused in world.ears.asked


def test_a_host_that_could_not_hear_is_told_by_the_sweep(deposit: Ask) -> None:
    world = EngineWorld()
    world.ears.failing = {"created", "completed"}
    finished = deposit(world, b"whole")
    assert world.ears.heard == []
    world.ears.failing = set()
    world.engine = world.another()
    assert world.engine.sweep().told == 1
    assert world.ears.heard == [("created", finished.id), ("completed", finished.id)]
    assert world.engine.sweep().told == 0


def test_a_host_that_listens_to_births_only_is_told_by_the_sweep(deposit: Ask) -> None:
    world = EngineWorld()
    world.ears.deaf = {"completed"}
    world.ears.failing = {"created"}
    finished = deposit(world, b"whole")
    world.ears.failing = set()
    world.engine = world.another()
    assert world.engine.sweep().told == 1
    assert world.ears.heard == [("created", finished.id)]


def test_words_behind_the_file_are_the_last_ones() -> None:
    world = EngineWorld()
    body = Body(b"whole")
    body.length = None
    late = Deposit(filename="late.bin")
    assert late == WORDS
    outcome = world.engine.perform(WORDS, Caller(), body, lambda: late)
    assert isinstance(outcome, Completed)
    assert outcome.finished.filename == "late.bin"


def test_bad_words_behind_the_file_take_it_back() -> None:
    world = EngineWorld()
    body = Body(b"whole")
    body.length = None

    def late() -> Deposit:
        raise BadRequest("no")

    with pytest.raises(BadRequest):
        world.engine.perform(WORDS, Caller(), body, late)
    assert world.storage.leftovers() == []
