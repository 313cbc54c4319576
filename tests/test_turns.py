"""The engine's rules for uploads that grow by turns, and for those made of others."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from resumable.engine import Engine
from resumable.errors import (
    BadRequest,
    Conflict,
    DigestMismatch,
    Forbidden,
    Gone,
    Interrupted,
    NoRoom,
    NotFound,
    TooLarge,
    Unavailable,
    UploadError,
)
from resumable.interfaces import Store
from resumable.model import DAY, Digest, Limits, State, Status
from resumable.operations import (
    Append,
    ByClientId,
    ById,
    Caller,
    Cancel,
    Cancelled,
    Concatenate,
    Create,
    Fetch,
    Found,
    Inspect,
    Known,
    Retrieve,
)
from resumable.stores.local import LocalStore
from resumable.testing.bucket import Contents
from resumable.testing.chunk_client import Body
from tests.engine_world import Ears, EngineWorld
from tests.stores.test_objects import store_on

ANOTHER = Digest("sha1", hashlib.sha1(b"another").digest())


class Unproven(Body):
    """A body of unknown length whose server says nothing of cuts."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.length = None

    def __iter__(self) -> Iterator[memoryview]:
        yield from super().__iter__()
        self.whole = False


def create(world: EngineWorld, data: bytes = b"", owner: str | None = None, **words: Any) -> Status:
    operation = Create(sequential=True, append=bool(data), **words)
    outcome = world.ask(operation, Body(data), owner)
    assert isinstance(outcome, Known)
    return outcome.status


def append(
    world: EngineWorld, id: str, offset: int, body: Body, owner: str | None = None, **words: Any
) -> Status:
    outcome = world.ask(Append(reference=ById(id), offset=offset, **words), body, owner)
    assert isinstance(outcome, Known)
    return outcome.status


def partial(world: EngineWorld, data: bytes, *, now: int | None = None, **words: Any) -> str:
    """A partial upload with its first `now` bytes, all by default."""
    id = create(world, length=len(data), partial=True, **words).upload.id
    append(world, id, 0, Body(data[:now]), words.get("owner"))
    return id


def concatenate(world: EngineWorld, *ids: str, owner: str | None = None) -> Status:
    outcome = world.ask(Concatenate(partials=tuple(map(ById, ids))), owner=owner)
    assert isinstance(outcome, Known)
    return outcome.status


def content(world: EngineWorld, id: str) -> bytes:
    found = world.ask(Retrieve(ById(id)))
    assert isinstance(found, Found)
    return b"".join(world.engine.store.read(found.finished, 0, found.finished.size))


# ---------------------------------------------------------------- turns


def test_the_last_byte_finishes_and_the_host_hears_once() -> None:
    world = EngineWorld()
    id = create(world, length=5, filename="a.txt").upload.id
    assert append(world, id, 0, Body(b"he")).finished is None
    done = append(world, id, 2, Body(b"llo"))
    assert done.state is State.COMPLETE
    assert done.finished is not None
    assert (done.finished.filename, world.content(done.finished)) == ("a.txt", b"hello")
    assert append(world, id, 5, Body(b"")).finished == done.finished
    assert world.ears.heard == [("created", id), ("completed", id)]


@pytest.mark.parametrize("offset", [0, 1, 3, 10**12])
def test_bytes_must_begin_at_the_end(offset: int) -> None:
    world = EngineWorld()
    id = create(world, b"he", length=5).upload.id
    with pytest.raises(Conflict) as caught:
        append(world, id, offset, Body(b"xxx"))
    assert caught.value.code == "offset-conflict"
    assert isinstance(caught.value.known, Status)
    assert caught.value.known.offset == 2
    assert append(world, id, 2, Body(b"llo")).finished is not None
    assert content(world, id) == b"hello"


def test_a_finished_upload_takes_nothing() -> None:
    world = EngineWorld()
    id = create(world, b"hello", length=5).upload.id
    for offset, body, error in (
        (5, Body(b"x"), TooLarge),
        (5, Unproven(b"x"), TooLarge),
        (4, Body(b""), Conflict),
        (0, Body(b"hello"), Conflict),
    ):
        with pytest.raises(error):
            append(world, id, offset, body)
    with pytest.raises(BadRequest):
        append(world, id, 5, Body(b""), length=6)
    assert append(world, id, 5, Unproven(b""), length=5).finished is not None


@pytest.mark.parametrize("body", [Body(b"too long"), Unproven(b"too long")])
def test_not_a_byte_too_many(body: Body) -> None:
    world = EngineWorld()
    id = create(world, length=5).upload.id
    with pytest.raises(TooLarge):
        append(world, id, 0, body)
    offset = world.status(ById(id)).offset
    assert offset in (0, 5)
    append(world, id, offset, Body(b"too l"[offset:]))
    assert content(world, id) == b"too l"


def test_a_length_may_come_late_and_only_once() -> None:
    world = EngineWorld(max_size=100)
    id = create(world, b"he").upload.id
    assert append(world, id, 2, Body(b"l")).length is None
    for length in (2, 101):
        with pytest.raises(UploadError):
            append(world, id, 3, Body(b""), length=length)
    with pytest.raises(DigestMismatch):
        append(world, id, 3, Body(b"l"), length=9, digest=ANOTHER)
    assert world.status(ById(id)).length is None
    assert append(world, id, 3, Body(b"l"), length=5).length == 5
    with pytest.raises(Conflict) as caught:
        append(world, id, 4, Body(b"o"), length=6)
    assert caught.value.code == "total-conflict"
    assert append(world, id, 4, Body(b"o"), length=5).finished is not None


def test_a_late_length_that_is_reached_already_finishes() -> None:
    world = EngineWorld()
    id = create(world, b"hello").upload.id
    assert append(world, id, 5, Body(b""), length=5).finished is not None


def test_the_greatest_size_holds_while_the_length_is_unknown() -> None:
    world = EngineWorld(max_size=10)
    id = create(world, b"12345678").upload.id
    with pytest.raises(TooLarge):
        append(world, id, 8, Unproven(b"9ABC"))
    assert world.status(ById(id)).offset <= 10


def test_an_owners_room_ends_in_the_middle_of_a_body_without_a_length() -> None:
    world = EngineWorld(max_bytes=100)
    world.place(bytes(30), number=0)
    id = create(world).upload.id
    body = Body(bytes(200), piece=20)
    body.length = None
    with pytest.raises(NoRoom) as refused:
        append(world, id, 0, body)
    assert refused.value.code == "quota"
    known = world.ask(Inspect(ById(id), sequential=True))
    assert isinstance(known, Known)
    assert known.status.offset == 60
    append(world, id, 60, Body(bytes(10)))


def test_a_cut_body_leaves_its_beginning_and_a_cut_one_with_a_digest_nothing() -> None:
    world = EngineWorld()
    id = create(world, length=9).upload.id
    with pytest.raises(Interrupted):
        append(world, id, 0, Body(b"hello", cut=3))
    assert world.status(ById(id)).offset == 3
    with pytest.raises(Interrupted):
        append(world, id, 3, Body(b"lo", cut=1), digest=ANOTHER)
    assert world.status(ById(id)).offset == 3


def test_where_no_end_can_be_proved_none_is_needed() -> None:
    world = EngineWorld()
    id = create(world, length=5).upload.id
    assert append(world, id, 0, Unproven(b"he")).offset == 2
    with pytest.raises(DigestMismatch):
        append(world, id, 2, Unproven(b"llo"), digest=ANOTHER)
    assert append(world, id, 2, Unproven(b"llo")).finished is not None


@pytest.mark.parametrize(
    ("body", "words", "error"),
    [
        (Body(b"123456"), {"length": 5}, TooLarge),
        (Body(b"1"), {"length": 101}, TooLarge),
        (Body(b"1"), {"length": 5, "digest": ANOTHER}, DigestMismatch),
    ],
)
def test_a_refused_birth_leaves_nothing(
    body: Body, words: dict[str, Any], error: type[UploadError]
) -> None:
    world = EngineWorld(max_size=100)
    with pytest.raises(error):
        world.ask(Create(sequential=True, append=True, **words), body)
    assert world.storage.leftovers() == []
    assert world.ears.heard == []


def test_a_birth_with_a_cut_body_keeps_what_came() -> None:
    world = EngineWorld(expiry=10, grace=10)
    with pytest.raises(Interrupted):
        world.ask(Create(sequential=True, append=True, length=5), Body(b"hello", cut=2))
    (status,) = world.engine.store.each()
    assert status.offset == 2
    world.storage.advance(21)
    world.engine.sweep()
    assert world.storage.leftovers() == []


def test_nothing_is_a_whole_file_too() -> None:
    world = EngineWorld()
    status = create(world, length=0)
    assert status.finished is not None
    assert world.ears.events() == ["created", "completed"]


def test_who_looks_finishes_what_a_crash_left_whole() -> None:
    """The last byte is safe and the finish never began: nobody will ask for it."""
    world = EngineWorld()
    id = create(world, length=5).upload.id
    world.place(b"hello", reference=ById(id), start=0)
    outcome = world.ask(Inspect(ById(id)))
    assert isinstance(outcome, Known)
    assert outcome.status.finished is not None
    assert world.ears.events() == ["created", "completed"]


def test_the_sweep_finishes_it_as_well() -> None:
    world = EngineWorld(expiry=10, grace=10)
    id = create(world, length=5).upload.id
    world.place(b"hello", reference=ById(id), start=0)
    world.storage.advance(1000)
    assert world.engine.sweep().finished == 1
    assert world.ears.heard[-1] == ("completed", id)


def test_a_chunked_upload_waits_for_its_finalize_unless_a_sequential_client_looks() -> None:
    world = EngineWorld()
    world.place(b"hello", start=0, length=5)
    id = world.status().upload.id
    assert world.status(ById(id)).finished is None
    outcome = world.ask(Inspect(ById(id), sequential=True))
    assert isinstance(outcome, Known)
    assert outcome.status.finished is not None
    assert world.status(ByClientId("id")).finished == outcome.status.finished


def test_a_file_with_a_gap_is_as_long_as_its_beginning() -> None:
    world = EngineWorld()
    world.place(b"lo", start=3, length=5)
    id = world.status().upload.id
    assert append(world, id, 0, Body(b"h")).offset == 1
    assert append(world, id, 1, Body(b"el")).finished is not None
    assert content(world, id) == b"hello"


def test_whoever_may_not_append_is_told_of_nothing() -> None:
    world = EngineWorld()
    id = create(world, b"he", owner="ann", length=5).upload.id
    for operation in (
        Append(reference=ById(id), offset=2),
        Inspect(ById(id), sequential=True),
        Cancel(ById(id), finished=True),
        Retrieve(ById(id)),
    ):
        with pytest.raises(NotFound):
            world.ask(operation, Body(b"llo"), "bob")
    world.ears.refused = lambda caller, action, subject: action == "append"
    with pytest.raises(NotFound):
        append(world, id, 2, Body(b"llo"), "ann")


# ---------------------------------------------------------------- ends


def test_a_finished_upload_can_be_deleted() -> None:
    world = EngineWorld()
    done = create(world, b"hello", length=5)
    assert done.finished is not None
    with pytest.raises(Conflict):
        world.cancel(ById(done.upload.id))
    assert world.ask(Cancel(ById(done.upload.id), finished=True)) == Cancelled()
    assert world.ears.asked[-1] == "delete"
    assert world.storage.leftovers() == []
    assert world.engine.store.find(done.finished.token) is None
    with pytest.raises(NotFound):
        world.status(ById(done.upload.id))


def test_only_a_finished_upload_can_be_read() -> None:
    world = EngineWorld()
    id = create(world, b"he", length=5).upload.id
    with pytest.raises(NotFound) as caught:
        world.ask(Retrieve(ById(id)))
    assert caught.value.code == "not-finished"
    append(world, id, 2, Body(b"llo"))
    world.ears.refused = lambda caller, action, subject: action == "download"
    with pytest.raises(NotFound):
        world.ask(Retrieve(ById(id)))


# ---------------------------------------------------------------- made of others


def test_a_final_upload_is_its_pieces_in_their_order() -> None:
    world = EngineWorld()
    first, second = partial(world, b"hello "), partial(world, b"world")
    final = concatenate(world, first, second, first)
    assert final.finished is not None
    assert (final.length, final.finished.size) == (17, 17)
    assert content(world, final.upload.id) == b"hello worldhello "
    assert world.ears.heard == [("created", final.upload.id), ("completed", final.upload.id)]
    with pytest.raises(Forbidden):
        append(world, final.upload.id, 17, Body(b"x"))


def test_a_final_upload_waits_for_its_last_piece() -> None:
    world = EngineWorld()
    first, second = partial(world, b"hello ", now=2), partial(world, b"world", now=0)
    final = concatenate(world, first, second)
    assert (final.finished, final.length) == (None, 11)
    with pytest.raises(Forbidden):
        append(world, final.upload.id, 0, Body(b"x"))
    append(world, second, 0, Body(b"world"))
    assert world.engine.store.load(final.upload.id).finished is None  # type: ignore[union-attr]
    append(world, first, 2, Body(b"llo "))
    # Without anybody looking at it.
    assert world.ears.heard[-1] == ("completed", final.upload.id)
    assert content(world, final.upload.id) == b"hello world"


def test_the_sweep_puts_together_what_nobody_did() -> None:
    world = EngineWorld()
    piece = create(world, length=5, partial=True).upload.id
    final = concatenate(world, piece)
    # The process dies behind the last byte.
    world.place(b"hello", reference=ById(piece), start=0)
    world.engine.sweep()
    world.engine.sweep()
    assert world.ears.heard[-1] == ("completed", final.upload.id)


def test_pieces_are_nobodys_files() -> None:
    world = EngineWorld()
    id = partial(world, b"hello")
    finished = world.status(ById(id)).finished
    assert finished is not None
    assert world.ears.heard == []
    with pytest.raises(NotFound):
        world.ask(Fetch(finished.token))
    assert list(world.engine.store.list_finished()) == []


def test_pieces_expire_and_the_whole_stays() -> None:
    world = EngineWorld(expiry=100, grace=50)
    id = partial(world, b"hello")
    final = concatenate(world, id)
    world.storage.advance(101)
    with pytest.raises(Gone):
        world.status(ById(id))
    with pytest.raises(Gone):
        concatenate(world, id)
    world.storage.advance(50)
    assert world.engine.sweep().expired == 1
    assert content(world, final.upload.id) == b"hello"
    world.storage.advance(30 * DAY)
    world.engine.sweep()
    assert world.storage.leftovers() == []


def test_a_final_upload_that_has_expired_does_not_come_back() -> None:
    world = EngineWorld(expiry=100)
    piece = partial(world, b"hello", now=0)
    final = concatenate(world, piece).upload.id
    world.storage.advance(60)
    append(world, piece, 0, Body(b"he"))
    world.storage.advance(60)
    with pytest.raises(Gone):
        world.status(ById(final))
    assert append(world, piece, 2, Body(b"llo")).state is State.COMPLETE
    assert ("completed", final) not in world.ears.heard
    with pytest.raises(Gone):
        world.status(ById(final))


def test_a_piece_may_go_before_the_whole_is_made() -> None:
    world = EngineWorld()
    first, second = partial(world, b"hello "), partial(world, b"world", now=0)
    final = concatenate(world, first, second)
    world.ask(Cancel(ById(first), finished=True))
    append(world, second, 0, Body(b"world"))
    assert world.status(ById(final.upload.id)).finished is None


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("unknown", NotFound),
        ("foreign", NotFound),
        ("cancelled", NotFound),
        ("ordinary", BadRequest),
        ("finished", BadRequest),
        ("final", BadRequest),
    ],
)
def test_only_own_pieces_are_put_together(kind: str, error: type[UploadError]) -> None:
    world = EngineWorld()
    good = partial(world, b"hello")
    if kind == "unknown":
        bad = "x" * 22
    elif kind == "foreign":
        bad = create(world, length=5, partial=True, owner="ann").upload.id
    elif kind == "cancelled":
        bad = create(world, length=5, partial=True).upload.id
        world.cancel(ById(bad))
    elif kind == "final":
        bad = concatenate(world, good).upload.id
    else:
        data = b"hello" if kind == "finished" else b"he"
        bad = create(world, data, length=5).upload.id
    count = len(list(world.engine.store.each()))
    with pytest.raises(error):
        concatenate(world, good, bad)
    assert len(list(world.engine.store.each())) == count


def test_the_whole_may_not_be_too_large() -> None:
    world = EngineWorld(max_size=8)
    id = partial(world, b"hello")
    with pytest.raises(TooLarge):
        concatenate(world, id, id)


def test_a_storage_that_fails_at_the_join_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    world = EngineWorld()
    piece = partial(world, b"hello", now=0)
    final = concatenate(world, piece)
    finish = world.engine.store.finish

    def failing(*given: Any, sources: Any = (), **named: Any) -> Status:
        if sources:
            raise Unavailable("The storage does not answer.")
        return finish(*given, **named)

    monkeypatch.setattr(world.engine.store, "finish", failing)
    # The piece is safe, whatever becomes of those that wait for it.
    assert append(world, piece, 0, Body(b"hello")).finished is not None
    monkeypatch.undo()
    assert world.status(ById(final.upload.id)).finished is not None


# ---------------------------------------------------------------- races


def on_disk(folder: Path) -> Callable[[], Store]:
    return lambda: LocalStore(folder, durability="process", free_space=0)


def in_bucket(folder: Path) -> Callable[[], Store]:
    contents = Contents()
    return lambda: store_on(contents, part_size=16)


@pytest.mark.parametrize("storage", [on_disk, in_bucket])
def test_the_last_request_twice_at_once(
    storage: Callable[[Path], Callable[[], Store]], tmp_path: Path
) -> None:
    """One object, whoever was first; each is told of it, or to look again."""
    make_store, ears = storage(tmp_path), Ears()
    engines = [Engine(make_store(), ears, limits=Limits(free_space=0)) for _ in range(2)]
    for _ in range(15):
        create = Create(length=40, sequential=True, append=True)
        born = engines[0].perform(create, Caller(None), Body(b"0" * 25))
        assert isinstance(born, Known)
        id = born.status.upload.id
        barrier = Barrier(2)

        def last(engine: Engine, id: str = id, barrier: Barrier = barrier) -> int:
            barrier.wait(10)
            try:
                append = Append(reference=ById(id), offset=25)
                outcome = engine.perform(append, Caller(None), Body(b"1" * 15))
            except UploadError as error:
                return error.status
            assert isinstance(outcome, Known)
            return 200 if outcome.status.finished is not None else 0

        with ThreadPoolExecutor(2) as pool:
            answers = sorted(pool.map(last, engines))
        assert answers[0] == 200, answers
        assert answers[1] in (200, 409, 413, 503), answers
        store = make_store()
        (found,) = [one for one in store.list_finished() if one.id == id]
        assert b"".join(store.read(found, 0, 40)) == b"0" * 25 + b"1" * 15
        assert ("completed", id) in ears.heard


@pytest.mark.parametrize("finished", [True, False])
def test_each_piece_is_looked_at_once(finished: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a bucket each look is a request or two, and a final upload may have hundreds of pieces."""
    world = EngineWorld()
    ids = [partial(world, b"piece", now=None if finished else 2) for _ in range(5)]
    looks: list[str] = []
    load = world.engine.store.load

    def looked(id: str) -> Status | None:
        looks.extend({id} & set(ids))
        return load(id)

    monkeypatch.setattr(world.engine.store, "load", looked)
    final = concatenate(world, *ids, ids[0])
    assert (final.finished is not None) == finished
    # A second time where it has to be certain that the last of them did not end meanwhile.
    assert sorted(looks) == sorted(ids if finished else ids * 2)
    looks.clear()
    world.ask(Inspect(ById(final.upload.id), sequential=True))
    assert sorted(looks) == sorted([] if finished else ids)


def test_the_host_is_asked_once_for_each_turn() -> None:
    world = EngineWorld()
    id = create(world, length=5).upload.id
    world.ears.asked.clear()
    append(world, id, 0, Body(b"hello"))
    assert world.ears.asked == ["append"]
