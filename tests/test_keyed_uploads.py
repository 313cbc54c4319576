"""A whole file under a key: sent again after a lost answer, by two at once, after a crash."""

from __future__ import annotations

import threading
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from resumable import ResumableUploads
from resumable.engine import Engine
from resumable.errors import BadRequest, Conflict, Interrupted, NotFound, TooLarge
from resumable.model import MIB, Finished, State
from resumable.operations import ByClientId, Caller, Completed, Deposit
from resumable.testing.bucket import Contents
from resumable.testing.chunk_client import Body
from resumable.testing.contract.base import some_bytes
from resumable.testing.faults import Crash, Faults
from tests.calls import Answer, Part, call, file
from tests.engine_world import EngineWorld
from tests.stores.test_objects import store_on

KEY = ByClientId("8e03978e-40d5-43e8-bc93-6894a57f9324")
WORDS = Deposit(reference=KEY, filename="a.bin", options={"frame": True})
DATA = b"all of it"


def deposit(
    world: EngineWorld, data: bytes, owner: str | None = None, engine: Engine | None = None
) -> Finished:
    outcome = (engine or world.engine).perform(WORDS, Caller(owner), Body(data))
    assert isinstance(outcome, Completed)
    return outcome.finished


def files(world: EngineWorld) -> list[Finished]:
    return list(world.engine.store.list_finished())


class OnABucket(EngineWorld):
    """The same rules over an object store."""

    def __init__(self, **limits: Any) -> None:
        self._contents = Contents()
        super().__init__(**limits)

    def another(self, **more: Any) -> Engine:
        store = store_on(self._contents)
        return Engine(store, self.ears, limits=self.limits, clock=self.storage.clock, **more)


@pytest.fixture(params=[EngineWorld, OnABucket])
def world(request: pytest.FixtureRequest) -> EngineWorld:
    made: EngineWorld = request.param()
    return made


@pytest.mark.parametrize("size", [0, 1, 70_000, MIB + 1])
def test_the_same_bytes_again_are_the_same_file(world: EngineWorld, size: int) -> None:
    data = some_bytes(size)
    first = deposit(world, data, "ann")
    assert world.content(first) == data
    assert (first.filename, first.options) == ("a.bin", {"frame": True})
    world.engine = world.another()
    assert deposit(world, data, "ann") == first
    assert files(world) == [first]
    assert world.ears.heard == [("created", first.id), ("completed", first.id)]


@pytest.mark.parametrize("other", [b"", b"all", b"all of it!", b"ALL OF IT"])
def test_other_bytes_are_refused(world: EngineWorld, other: bytes) -> None:
    first = deposit(world, DATA)
    with pytest.raises(Conflict) as caught:
        deposit(world, other)
    assert caught.value.code == "other-bytes"
    assert files(world) == [first]
    assert deposit(world, DATA) == first


def test_a_key_is_its_owners(world: EngineWorld) -> None:
    mine, theirs = deposit(world, DATA, "ann"), deposit(world, b"other", "ben")
    assert deposit(world, DATA) != mine
    assert (world.content(mine), world.content(theirs)) == (DATA, b"other")


def test_without_a_key_each_is_a_file(world: EngineWorld) -> None:
    for _ in range(2):
        world.ask(Deposit(), Body(DATA))
    assert len(files(world)) == 2


def test_a_file_that_was_deleted_frees_its_key(world: EngineWorld) -> None:
    first = deposit(world, DATA)
    world.engine.delete(first)
    assert world.content(deposit(world, b"other")) == b"other"


def test_a_cut_body_leaves_nothing() -> None:
    world = EngineWorld()
    with pytest.raises(Interrupted):
        world.ask(WORDS, Body(DATA, cut=3))
    assert world.storage.leftovers() == []
    assert world.content(deposit(world, b"other")) == b"other"


@pytest.mark.parametrize("limits", [{"max_size": 4}, {"max_chunk_size": 4}])
def test_limits(limits: dict[str, int]) -> None:
    world = EngineWorld(**limits)
    with pytest.raises(TooLarge):
        deposit(world, DATA)
    assert world.storage.leftovers() == []


def test_who_may_not_finish_is_told_nothing(world: EngineWorld) -> None:
    deposit(world, DATA)
    world.ears.refused = lambda caller, action, subject: action == "finish"
    with pytest.raises(NotFound):
        deposit(world, DATA)


# ---------------------------------------------------------------- chunks under the same name


def test_chunks_under_the_key_are_the_beginning_of_the_file(world: EngineWorld) -> None:
    world.place(DATA[:4], reference=KEY, number=0)
    assert world.content(deposit(world, DATA)) == DATA
    assert world.status(KEY).state is State.COMPLETE


@pytest.mark.parametrize(
    ("chunk", "words"),
    [
        (b"ALL", {"number": 0}),
        (DATA + b"!", {"number": 0}),
        (b"!", {"number": 0, "start": 20}),
        (DATA, {"number": 0, "total_chunks": 2}),
        (b"x", {"number": 1}),
        (DATA, {"number": 0, "length": 20}),
    ],
)
def test_chunks_of_another_file_are_left_alone(
    world: EngineWorld, chunk: bytes, words: dict[str, Any]
) -> None:
    world.place(chunk, reference=KEY, **words)
    with pytest.raises(Conflict):
        deposit(world, DATA)
    assert files(world) == []
    assert world.status(KEY).state is State.RECEIVING


def test_chunks_may_follow_under_the_same_name(world: EngineWorld) -> None:
    """They begin the next upload, as after any other; the key stays with its file."""
    first = deposit(world, DATA)
    world.place(b"other", reference=KEY, number=0)
    assert deposit(world, DATA) == first
    with pytest.raises(Conflict):
        deposit(world, b"other")


# ---------------------------------------------------------------- two at once

RIVALS = [DATA, b"all", b"all of it and more", b"ALL OF IT"]


@pytest.mark.parametrize("rival", RIVALS)
@pytest.mark.parametrize("when", ["create", "append", "finish"])
def test_a_rival_in_the_middle(world: EngineWorld, when: str, rival: bytes) -> None:
    """However the two meet, there is one file, and nobody is told another one's bytes."""
    acknowledged: list[tuple[bytes, Finished]] = []
    refused: list[bytes] = []

    def ask(engine: Engine, data: bytes) -> None:
        try:
            acknowledged.append((data, deposit(world, data, engine=engine)))
        except Conflict as error:
            refused.append(data if error.code == "other-bytes" else error.code.encode())

    def meddle(caller: Caller, action: str, subject: object) -> bool:
        if action == when:
            world.ears.refused = lambda caller, action, subject: False
            ask(world.another(), rival)
        return False

    world.ears.refused = meddle
    ask(world.engine, DATA)
    assert len(acknowledged) + len(refused) == 2
    assert set(refused) <= {DATA, rival}
    [stored] = files(world)
    assert all(told == stored for _, told in acknowledged)
    assert {world.content(stored)} == {data for data, _ in acknowledged}
    assert not refused if rival == DATA else len(refused) == 1


def test_a_rival_that_writes_in_the_last_moment(world: EngineWorld) -> None:
    """Behind all looks: the store itself says that there are more bytes now."""
    store: Any = world.engine.store
    finish = store.finish

    def late(*asked: Any, **more: Any) -> Any:
        store.finish = finish
        world.engine = world.another()
        world.place(DATA + b"!", reference=KEY, number=0)
        return finish(*asked, **more)

    store.finish = late
    with pytest.raises(Conflict) as caught:
        deposit(world, DATA)
    assert caught.value.code == "other-bytes"
    assert world.content(deposit(world, DATA + b"!")) == DATA + b"!"


@pytest.mark.parametrize("rival", RIVALS)
def test_two_threads(tmp_path: Path, rival: bytes) -> None:
    for number in range(8):
        apps = [ResumableUploads(None, tmp_path, durability="process") for _ in range(2)]
        start = threading.Barrier(2)
        answers: list[tuple[bytes, Answer]] = []

        def send(
            app: Any,
            data: bytes,
            key: str = f"key-{number}",
            start: threading.Barrier = start,
            answers: list[tuple[bytes, Answer]] = answers,
        ) -> None:
            start.wait()
            answers.append((data, post(app, data, key)))

        threads = [
            threading.Thread(target=send, args=one) for one in zip(apps, (DATA, rival), strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        good = [(data, answer.json["path"]) for data, answer in answers if answer.status == 200]
        assert len({path for _, path in good}) == 1
        assert all(call(apps[0], "GET", path).body == data for data, path in good)
        assert [a.status for _, a in answers if a.status != 200] == ([409] * (2 - len(good)))
        assert len(good) == (2 if rival == DATA else 1)
        assert len(apps[0].uploads.list()) == number + 1


# ---------------------------------------------------------------- a crash between


def crashed(world: EngineWorld, at: int, how: str) -> bool:
    """A process that dies at its `at`-th step; whether it came so far."""
    store = world.storage.process(Faults(at, how))
    engine = Engine(store, world.ears, limits=world.limits, clock=world.storage.clock)
    try:
        deposit(world, DATA, engine=engine)
    except Crash:
        return True
    return False


@pytest.mark.parametrize("how", ["before", "torn", "after"])
def test_a_crash_at_every_step(how: str) -> None:
    for at in count(1):
        world = EngineWorld()
        if not crashed(world, at, how):
            break
        first = deposit(world, DATA, engine=world.another())
        assert world.content(first) == DATA
        assert deposit(world, DATA) == first
        assert files(world) == [first]
        assert {id for event, id in world.ears.heard if event == "completed"} == {first.id}
    assert at > 10


def test_a_crash_then_other_bytes() -> None:
    """What was begun and never acknowledged holds the key; nothing of it is mixed."""
    for at in count(1):
        world = EngineWorld()
        if not crashed(world, at, "after"):
            break
        try:
            stored, sent = deposit(world, b"ALL OF IT!"), b"ALL OF IT!"
        except Conflict:
            stored, sent = deposit(world, DATA), DATA
        assert world.content(stored) == sent
        assert files(world) == [stored]


# ---------------------------------------------------------------- over HTTP


def post(app: Any, data: bytes, key: str | None, *more: tuple[str, str]) -> Answer:
    headers = {} if key is None else {"Idempotency-Key": key}
    form: list[Part] = [file("file", data, "a.bin"), *more]
    return call(app, "POST", "/process-video-chunks", headers=headers, form=form)


@pytest.fixture
def app(tmp_path: Path) -> ResumableUploads:
    return ResumableUploads(None, tmp_path / "store", durability="process")


@pytest.mark.parametrize("size", [9, 9 * MIB])
def test_the_answer_comes_again(app: ResumableUploads, size: int) -> None:
    data = some_bytes(size)
    first = post(app, data, "k")
    assert first.status == 200
    again = post(app, data, '"k"', ("filename", "another.bin"))
    assert again.json == first.json
    assert call(app, "GET", "/upload-status/k").json["path"] == first.json["path"]
    refused = post(app, data[:-1] + b"!", "k")
    assert (refused.status, refused.json["code"]) == (409, "other-bytes")
    assert len(app.uploads.list()) == 1


@pytest.mark.parametrize("key", ["", '""', "x" * 257, "a\x7f"])
def test_bad_keys(app: ResumableUploads, key: str) -> None:
    answer = post(app, DATA, key)
    assert (answer.status, answer.json["code"]) == (400, "bad-id")
    assert app.uploads.list() == []


def test_bad_words_behind_the_file_leave_nothing(app: ResumableUploads) -> None:
    assert post(app, DATA, "k", ("options", '{"frame":"yes"}')).status == BadRequest.status
    assert call(app, "GET", "/upload-status/k").status == 404


@pytest.mark.parametrize("size", [9, 9 * MIB])
def test_a_name_behind_the_file_counts(app: ResumableUploads, size: int) -> None:
    assert post(app, some_bytes(size), "k", ("filename", "b.bin")).json["filename"] == "b.bin"


def test_a_form_without_a_key_is_answered_as_ever(app: ResumableUploads) -> None:
    answers = [post(app, DATA, None).json for _ in range(2)]
    assert answers[0]["path"] != answers[1]["path"]
    assert all("uploadId" not in answer for answer in answers)
