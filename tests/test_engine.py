"""The engine's rules: limits, quotas, time, ids that are used again, ends, and who is told."""

from __future__ import annotations

import hashlib
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from resumable.digests import crc32c
from resumable.engine import wished_chunk_size
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
    TooMany,
    UploadError,
)
from resumable.extents import Extents
from resumable.model import DAY, MIB, Digest, Limits, State
from resumable.operations import (
    Browse,
    ByClientId,
    ById,
    Cancel,
    Configure,
    Create,
    Fetch,
    Finish,
    Found,
    Inspect,
    Known,
    Listing,
    Place,
)
from resumable.testing.chunk_client import Body
from resumable.testing.contract.base import some_bytes
from tests.engine_world import EngineWorld

ID = ByClientId("id")


class Endless(Body):
    """A body of unknown length that only ends when nobody reads on."""

    def __init__(self) -> None:
        super().__init__(b"")
        self.length = None
        self.given = 0

    def __iter__(self) -> Iterator[memoryview]:
        while self.given < 100 * MIB:
            self.given += 1000
            yield memoryview(bytes(1000))


# ---------------------------------------------------------------- sizes


def test_a_declared_size_over_the_limit_is_refused_before_a_byte() -> None:
    world = EngineWorld(max_size=100)
    for words in ({"length": 101}, {"start": 0, "size": 101}, {"start": 90, "size": 11}):
        with pytest.raises(TooLarge):
            world.place(b"", body=Endless(), number=0, **words)
    with pytest.raises(TooLarge):
        world.ask(Create(length=101))
    with pytest.raises(NotFound):
        world.status()
    assert world.storage.leftovers() == []


def test_bytes_are_counted_not_believed() -> None:
    world = EngineWorld(max_size=5000)
    endless = Endless()
    with pytest.raises(TooLarge):
        world.place(b"", body=endless, number=0)
    assert endless.given <= 7000
    with pytest.raises(TooLarge):
        world.place(b"", body=Endless(), number=3)


def test_the_waiting_chunks_count_too() -> None:
    world = EngineWorld(max_size=100)
    world.place(bytes(60), number=2)
    with pytest.raises(TooLarge):
        world.place(bytes(41), number=1)
    world.place(bytes(40), number=1)
    assert world.status().received == 100


def test_more_than_the_declared_length_is_refused() -> None:
    world = EngineWorld()
    world.place(bytes(50), number=0, start=0, length=100)
    with pytest.raises(TooLarge):
        world.place(bytes(51), number=1, start=50)
    with pytest.raises(TooLarge):
        world.place(b"", body=Endless(), number=1, start=50)
    world.place(bytes(50), number=1, start=50)
    assert world.finish().size == 100


def test_a_chunk_has_its_own_limit() -> None:
    world = EngineWorld(max_chunk_size=10)
    world.place(bytes(10), number=0)
    with pytest.raises(TooLarge):
        world.place(bytes(11), number=1)
    with pytest.raises(TooLarge):
        world.place(b"", body=Endless(), number=1)


def test_numbers_have_a_limit() -> None:
    world = EngineWorld(max_chunks=5)
    world.place(b"a", number=4)
    for words in ({"number": 5}, {"number": 0, "total_chunks": 6}):
        with pytest.raises(BadRequest) as refused:
            world.place(b"b", **words)
        assert refused.value.code == "too-many-chunks"


def test_a_tiny_chunk_size_costs_no_memory() -> None:
    """A status lists numbers; one byte a chunk would make millions of them."""
    world = EngineWorld(max_chunks=1000)
    tracemalloc.start()
    try:
        try:
            world.place(bytes(4 * MIB), number=0, start=0, chunk_size=1)
            numbers = world.status().numbers()
        except UploadError:
            numbers = []
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(numbers) <= 1000
    assert peak < 40 * MIB


def test_the_body_and_the_range_agree() -> None:
    world = EngineWorld()
    with pytest.raises(BadRequest) as refused:
        world.place(bytes(10), number=0, start=0, size=11)
    assert refused.value.code == "range-length"


@pytest.mark.parametrize(
    ("limits", "part_size", "expected"),
    [
        (Limits(), 8 * MIB, 8 * MIB),
        (Limits(chunk_size=10 * MIB), 4 * MIB, 8 * MIB),
        (Limits(chunk_size=1000), 8 * MIB, 1000),
        (Limits(max_chunk_size=5000), 1000, 5000),
        (Limits(chunk_size=20, max_chunk_size=9), 4, 8),
    ],
)
def test_the_wished_chunk_size(limits: Limits, part_size: int, expected: int) -> None:
    assert wished_chunk_size(limits, part_size) == expected


# ---------------------------------------------------------------- quotas


def test_an_owner_has_so_many_uploads() -> None:
    world = EngineWorld(max_uploads=2)
    for name in ("one", "two"):
        world.place(b"x", reference=ByClientId(name), number=0, owner="ann")
    with pytest.raises(TooMany):
        world.place(b"x", reference=ByClientId("three"), number=0, owner="ann")
    world.place(b"x", reference=ByClientId("three"), number=0, owner="ben")
    world.place(b"y", reference=ByClientId("one"), number=1, owner="ann")
    world.finish(ByClientId("one"), owner="ann")
    world.place(b"x", reference=ByClientId("three"), number=0, owner="ann")
    world.cancel(ByClientId("two"), owner="ann")
    world.place(b"x", reference=ByClientId("four"), number=0, owner="ann")


def test_an_owner_has_so_many_bytes() -> None:
    world = EngineWorld(max_bytes=100)
    world.place(bytes(60), number=0, owner="ann")
    with pytest.raises(NoRoom) as refused:
        world.place(bytes(41), reference=ByClientId("other"), number=0, owner="ann")
    assert refused.value.code == "quota"
    with pytest.raises(NoRoom):
        world.place(bytes(41), number=1, owner="ann")
    world.place(bytes(100), reference=ByClientId("other"), number=0, owner="ben")
    world.place(bytes(40), number=1, owner="ann")
    world.finish(owner="ann")
    world.place(bytes(100), number=0, owner="ann", reference=ByClientId("next"))


# ---------------------------------------------------------------- time


def test_an_upload_expires_after_its_last_write() -> None:
    world = EngineWorld(expiry=100, grace=50)
    world.place(b"x", number=0)
    id = world.status().upload.id
    world.storage.advance(90)
    world.place(b"y", number=1)
    world.storage.advance(90)
    assert world.status(ById(id)).offset == 2
    world.storage.advance(20)
    with pytest.raises(Gone):
        world.status(ById(id))
    with pytest.raises(Gone):
        world.place(b"z", reference=ById(id), start=2)
    with pytest.raises(Gone):
        world.finish(ById(id))
    with pytest.raises(NotFound):
        world.status()


def test_looking_does_not_keep_an_upload_alive() -> None:
    world = EngineWorld(expiry=100)
    world.place(b"x", number=0)
    for _ in range(3):
        world.storage.advance(30)
        world.status()
        world.engine.sweep()
    world.storage.advance(20)
    with pytest.raises(NotFound):
        world.status()


def test_bytes_are_deleted_a_grace_after_the_expiry() -> None:
    world = EngineWorld(expiry=100, grace=50)
    world.place(b"x", number=0)
    world.storage.advance(149)
    assert world.engine.sweep().expired == 0
    assert world.storage.leftovers()
    world.storage.advance(2)
    assert world.engine.sweep().expired == 1
    assert world.storage.leftovers() == []
    assert world.ears.events() == ["created", "cancelled"]
    assert world.engine.sweep().expired == 0


def test_the_sweep_leaves_what_is_at_work() -> None:
    world = EngineWorld(expiry=100, grace=50)
    world.place(b"x", number=0)
    upload = world.status().upload
    with world.another().store.placing(upload, 1) as placing:
        world.storage.advance(1000 * DAY)
        assert world.engine.sweep().expired == 0
        placing.write(memoryview(b"y"))
        placing.commit(1)
    assert world.engine.sweep().expired == 0
    assert world.finish().size == 2


@pytest.mark.parametrize("jump", [-30 * DAY, 30 * DAY])
def test_a_clock_that_jumps_ends_no_request(jump: float) -> None:
    world = EngineWorld()
    world.place(b"x", number=0)
    upload = world.status().upload
    with world.another().store.placing(upload, 1) as placing:
        placing.write(memoryview(b"y"))
        world.storage.advance(jump)
        world.engine.sweep()
        placing.write(memoryview(b"z"))
        placing.commit(1)
    world.engine.sweep()
    assert world.status().offset == 3
    assert world.finish().size == 3


def test_a_clock_that_goes_back_expires_nothing() -> None:
    world = EngineWorld(expiry=100, grace=0)
    world.place(b"x", number=0)
    world.storage.advance(-30 * DAY)
    world.engine.sweep()
    world.place(b"y", number=1)
    assert world.finish().size == 2


def test_ended_uploads_are_remembered_for_a_week() -> None:
    world = EngineWorld()
    world.place(b"x", number=0)
    finished = world.finish()
    id = finished.id
    world.storage.advance(6 * DAY)
    world.engine.sweep()
    assert world.status(ById(id)).state is State.COMPLETE
    assert world.finish() == finished
    world.storage.advance(2 * DAY)
    assert world.engine.sweep().forgotten == 1
    with pytest.raises(NotFound):
        world.status(ById(id))
    assert world.content(finished) == b"x"
    assert world.storage.leftovers() == []


# ---------------------------------------------------------------- ids that are used again


def test_owners_do_not_share_ids() -> None:
    world = EngineWorld()
    for owner in ("ann", "ben", None, "", "+ann"):
        world.place(repr(owner).encode(), number=0, owner=owner)
    for owner in ("ann", "ben", None, "", "+ann"):
        assert world.content(world.finish(owner=owner)) == repr(owner).encode()


def test_an_id_is_used_again_after_its_end() -> None:
    world = EngineWorld()
    for number in range(4):
        data = b"file %d" % number
        assert not world.place(data, number=0).duplicate
        finished = world.finish()
        assert world.content(finished) == data
        assert world.finish() == finished
        assert world.status().finished == finished
    assert len(list(world.engine.store.list_finished())) == 4


def test_a_cancelled_id_is_used_again() -> None:
    world = EngineWorld()
    secret = ByClientId("secret", guessable=False)
    world.place(b"wrong", reference=secret, number=0)
    world.cancel(secret)
    with pytest.raises(NotFound):
        world.status(secret)
    world.place(b"right", reference=secret, number=0)
    assert world.content(world.finish(secret)) == b"right"


def test_a_late_duplicate_changes_nothing() -> None:
    world = EngineWorld()
    world.place(b"one ", number=0)
    world.place(b"two", number=1)
    finished = world.finish()
    late = world.place(b"one ", number=0)
    assert (late.duplicate, late.status.state) == (True, State.COMPLETE)
    assert world.status().finished == finished


def test_another_file_under_the_same_id_may_begin_the_same() -> None:
    """Its first chunks look like late duplicates; they are owed all the same."""
    world = EngineWorld()
    for number, data in enumerate((b"same", b"old", b"same")):
        world.place(data, number=number)
    old = world.finish()
    assert world.place(b"same", number=0, total_chunks=4).duplicate
    assert world.place(b"same", number=2, total_chunks=4).duplicate is True
    assert not world.place(b"new", number=1, total_chunks=4).duplicate
    world.place(b"end", number=3, total_chunks=4)
    new = world.finish()
    assert world.content(new) == b"samenewsameend"
    assert world.content(old) == b"sameoldsame"


@pytest.mark.parametrize("told", [{"total_chunks": 2}, {}])
def test_a_late_duplicate_does_not_reach_into_a_shorter_upload(told: dict[str, int]) -> None:
    world = EngineWorld()
    for number in range(5):
        world.place(b"first%d" % number, number=number)
    world.finish(ID)
    assert world.place(b"first4", number=4).duplicate
    for number in range(2):
        assert not world.place(b"second%d" % number, number=number, **told).duplicate
    assert world.content(world.finish(ID, **told)) == b"second0second1"


def test_a_late_duplicate_beyond_a_declared_total_is_not_filled_in() -> None:
    """The total comes with the finish only, and some of the owed bytes are within it."""
    world = EngineWorld()
    for number, data in enumerate((b"same", b"other", b"same", b"beyond")):
        world.place(data, number=number)
    world.finish(ID)
    assert world.place(b"beyond", number=3).duplicate
    assert world.place(b"same", number=0).duplicate
    assert not world.place(b"new", number=1).duplicate
    assert world.content(world.finish(ID, total_chunks=2)) == b"samenew"


def test_an_expired_upload_makes_way_for_another() -> None:
    world = EngineWorld(expiry=100, grace=50)
    world.place(b"abandoned", number=0)
    world.storage.advance(120)
    world.place(b"first ", number=0)
    world.storage.advance(40)
    world.engine.sweep()
    assert world.status().offset == 6, "the sweep has hidden an upload that is being sent"
    world.place(b"second", number=1)
    assert world.content(world.finish()) == b"first second"


def test_a_forgotten_upload_does_not_hide_the_next() -> None:
    world = EngineWorld()
    world.place(b"last week", number=0)
    world.finish()
    world.storage.advance(6.9 * DAY)
    world.place(b"first ", number=0)
    world.storage.advance(0.2 * DAY)
    world.engine.sweep()
    assert world.status().offset == 6, "the sweep has hidden an upload that is being sent"
    world.place(b"second", number=1)
    assert world.content(world.finish()) == b"first second"


def test_a_cancelled_upload_that_nobody_heard_of_does_not_hide_the_next() -> None:
    world = EngineWorld()
    secret = ByClientId("secret", guessable=False)
    world.ears.failing = {"cancelled"}
    world.place(b"wrong", reference=secret, number=0)
    world.cancel(secret)
    world.place(b"right ", reference=secret, number=0)
    world.ears.failing = set()
    world.engine.sweep()
    assert world.status(secret).offset == 6, "the sweep has hidden an upload that is being sent"
    world.place(b"end", reference=secret, number=1)
    assert world.content(world.finish(secret)) == b"right end"
    assert world.ears.events().count("cancelled") == 1


# ---------------------------------------------------------------- what was said


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"total_chunks": 3}, {"total_chunks": 4}),
        ({"length": 30}, {"length": 31}),
        ({"chunk_size": 10}, {"chunk_size": 11}),
        ({"number": 5}, {"total_chunks": 5}),
        ({}, {"length": 9}),
    ],
)
def test_what_was_said_first_counts(first: dict[str, Any], second: dict[str, Any]) -> None:
    world = EngineWorld()
    world.place(bytes(10), **{"number": 0, "start": 0, **first})
    before = world.status()
    with pytest.raises((Conflict, BadRequest, TooLarge)):
        world.place(bytes(10), **{"number": 1, "start": 10, **second})
    after = world.status()
    assert (after.facts, after.extents) == (before.facts, before.extents)


def test_a_finish_that_says_otherwise_changes_nothing() -> None:
    world = EngineWorld()
    world.place(b"abc", number=0, total_chunks=1, length=3)
    for words in ({"total_chunks": 2}, {"length": 4}):
        with pytest.raises(Conflict) as refused:
            world.finish(**words)
        assert refused.value.code == "total-conflict"
    assert world.status().state is State.RECEIVING
    assert world.content(world.finish(total_chunks=1, length=3)) == b"abc"


def test_a_finish_names_what_is_missing() -> None:
    world = EngineWorld()
    world.place(b"a", number=0, total_chunks=3)
    world.place(b"c", number=2)
    with pytest.raises(BadRequest, match="Missing chunk 1"):
        world.finish()
    world.place(b"b", number=1)
    assert world.content(world.finish()) == b"abc"
    world.place(bytes(10), reference=ByClientId("positions"), start=5, length=20)
    with pytest.raises(BadRequest, match="Missing bytes from offset 0"):
        world.finish(ByClientId("positions"))


def test_bad_input_leaves_nothing_behind() -> None:
    world = EngineWorld()
    wrong = Digest("sha256", bytes(32))
    with pytest.raises(DigestMismatch):
        world.place(b"abc", number=0, digest=wrong)
    with pytest.raises(BadRequest):
        world.place(b"abc", number=0, chunk_size=2, total_chunks=5)
    with pytest.raises(Interrupted):
        world.place(b"", number=0, body=Body(b"abc", cut=0))
    assert world.storage.leftovers() == []


def test_a_direct_upload_that_is_cut_leaves_nothing() -> None:
    world = EngineWorld()
    with pytest.raises(Interrupted):
        world.place(b"", reference=None, start=0, body=Body(b"abcdef", cut=3))
    assert world.storage.leftovers() == []


# ---------------------------------------------------------------- digests of the whole file


def test_a_sha256_is_compared_before_anybody_hears() -> None:
    world = EngineWorld()
    data = some_bytes(100_000)
    world.place(data, number=0)
    digest = Digest("sha256", hashlib.sha256(data).digest())
    finished = world.finish(digest=digest)
    assert finished.digest == str(digest)
    assert world.content(finished) == data
    assert world.finish(digest=digest) == finished
    assert world.ears.events() == ["created", "completed"]


def test_another_sha256_removes_the_object() -> None:
    world = EngineWorld()
    world.place(b"not what was meant", number=0)
    digest = Digest("sha256", hashlib.sha256(b"meant").digest())
    with pytest.raises(DigestMismatch):
        world.finish(digest=digest)
    assert list(world.engine.store.list_finished()) == []
    assert world.ears.events() == ["created"]
    assert not world.place(b"meant", number=0).duplicate
    assert world.content(world.finish(digest=digest)) == b"meant"
    world.storage.advance(8 * DAY)
    world.engine.sweep()
    world.storage.advance(8 * DAY)
    world.engine.sweep()
    assert world.storage.leftovers() == []


def test_a_verification_that_a_crash_cut_short_is_made_good() -> None:
    world = EngineWorld()
    world.place(b"meant", number=0)
    upload = world.status().upload
    digest = Digest("sha256", hashlib.sha256(b"meant").digest())
    status = world.engine.store.finish(
        upload, 5, world.engine._ender.describe(upload), facts={"digest": str(digest)}
    )
    assert status.state is State.VERIFYING
    assert world.engine.sweep().finished == 1
    assert world.status().state is State.COMPLETE
    assert world.ears.events() == ["created", "completed"]


def test_another_crc32c_changes_nothing() -> None:
    world = EngineWorld()
    world.place(b"abc", number=0)
    wrong = Digest("crc32c", (crc32c(b"abc") ^ 1).to_bytes(4, "big"))
    with pytest.raises(DigestMismatch):
        world.finish(digest=wrong, filename="wrong")
    assert world.status().state is State.RECEIVING
    assert "filename" not in world.status().facts
    right = Digest("crc32c", crc32c(b"abc").to_bytes(4, "big"))
    assert world.content(world.finish(digest=right)) == b"abc"


# ---------------------------------------------------------------- cancelling


def test_only_the_owner_of_a_guessable_id_cancels() -> None:
    world = EngineWorld()
    world.place(b"x", number=0)
    with pytest.raises(NotFound):
        world.cancel(ID)
    assert world.status().offset == 1
    world.place(b"x", number=0, owner="ann")
    world.cancel(ID, owner="ann")
    with pytest.raises(NotFound):
        world.status(owner="ann")
    assert world.status().offset == 1


def test_what_is_finished_is_not_cancelled() -> None:
    world = EngineWorld()
    world.place(b"x", number=0, owner="ann")
    finished = world.finish(owner="ann")
    with pytest.raises(Conflict):
        world.cancel(ID, owner="ann")
    with pytest.raises(Conflict):
        world.cancel(ById(finished.id), owner="ann")
    assert world.content(finished) == b"x"


def test_a_cancelled_upload_frees_everything() -> None:
    world = EngineWorld()
    secret = ByClientId("secret", guessable=False)
    world.place(b"x", reference=secret, number=0)
    world.place(b"x", reference=secret, number=5)
    id = world.status(secret).upload.id
    world.cancel(secret)
    assert world.storage.leftovers() == []
    for again in (secret, ById(id)):
        with pytest.raises(NotFound):
            world.cancel(again)
    assert world.ears.heard == [("created", id), ("cancelled", id)]


# ---------------------------------------------------------------- who is told


def test_each_event_is_told_once() -> None:
    world = EngineWorld()
    world.place(b"x", number=0)
    world.place(b"y", number=1)
    world.status()
    finished = world.finish()
    world.finish()
    world.status()
    world.engine.sweep()
    assert world.ears.heard == [("created", finished.id), ("completed", finished.id)]


@pytest.mark.parametrize("look", ["finish", "status", "sweep"])
def test_what_the_host_could_not_hear_is_told_again(look: str) -> None:
    world = EngineWorld()
    world.ears.failing = {"created", "completed"}
    world.place(b"x", number=0)
    finished = world.finish()
    assert world.content(finished) == b"x"
    assert world.ears.heard == []
    world.ears.failing = set()
    world.engine = world.another()
    if look == "sweep":
        assert world.engine.sweep().told == 1
    else:
        getattr(world, look)()
    assert world.ears.events() == ["created", "completed"]
    world.engine.sweep()
    assert world.ears.events() == ["created", "completed"]


def test_a_birth_that_was_not_heard_is_told_with_the_next_chunk() -> None:
    world = EngineWorld()
    world.ears.failing = {"created"}
    world.place(b"x", number=0)
    world.ears.failing = set()
    world.place(b"y", number=1)
    assert world.ears.events() == ["created"]


def test_a_host_that_does_not_listen_costs_nothing() -> None:
    world = EngineWorld()
    world.ears.deaf = {"created", "completed", "cancelled"}
    world.place(b"x", number=0)
    world.finish()
    assert world.status().told == frozenset()
    assert world.ears.heard == []


# ---------------------------------------------------------------- who may


def test_the_host_is_asked_for_every_action() -> None:
    world = EngineWorld()
    world.engine = world.another(listing=True)
    world.place(b"x", number=0, owner="ann")
    world.status(owner="ann")
    finished = world.finish(owner="ann")
    assert isinstance(world.ask(Fetch(finished.token), owner="ann"), Found)
    listing = world.ask(Browse(), owner="ann")
    assert listing == Listing((finished,))
    world.place(b"y", number=0, owner="ann", reference=ByClientId("other"))
    world.cancel(ByClientId("other"), owner="ann")
    assert set(world.ears.asked) == {
        "create", "append", "inspect", "finish", "download", "list", "cancel",
    }  # fmt: skip


@pytest.mark.parametrize("action", ["append", "inspect", "finish", "cancel", "download"])
def test_a_refusal_looks_like_absence(action: str) -> None:
    world = EngineWorld()
    world.place(b"x", number=0, owner="ann")
    world.place(b"x", number=0, owner="ann", reference=ByClientId("done"))
    token = world.finish(ByClientId("done"), owner="ann").token
    world.ears.refused = lambda caller, asked, subject: asked == action
    acts = {
        "append": lambda: world.place(b"y", number=1, owner="ann"),
        "inspect": lambda: world.status(owner="ann"),
        "finish": lambda: world.finish(owner="ann"),
        "cancel": lambda: world.cancel(ID, owner="ann"),
        "download": lambda: world.ask(Fetch(token), owner="ann"),
    }
    with pytest.raises(NotFound):
        acts[action]()
    world.ears.refused = lambda *_: False
    status = world.status(owner="ann")
    assert (status.state, status.offset) == (State.RECEIVING, 1)


@pytest.mark.parametrize("action", ["create", "list"])
def test_some_refusals_are_said(action: str) -> None:
    world = EngineWorld()
    world.engine = world.another(listing=True)
    world.ears.refused = lambda caller, asked, subject: asked == action
    operations = {"create": Place(reference=ID, number=0), "list": Browse()}
    with pytest.raises(Forbidden):
        world.ask(operations[action], Body(b"x"))
    assert world.storage.leftovers() == []


def test_a_foreign_upload_is_unknown() -> None:
    world = EngineWorld()
    world.engine = world.another(listing=True)
    world.place(b"x", number=0, owner="ann")
    id = world.status(owner="ann").upload.id
    token = world.finish(owner="ann").token
    for owner in ("ben", None):
        for operation in (
            Inspect(ById(id)),
            Finish(reference=ById(id)),
            Cancel(ById(id)),
            Fetch(token),
        ):
            with pytest.raises(NotFound):
                world.ask(operation, owner=owner)
        assert world.ask(Browse(), owner=owner) == Listing(())


def test_listing_is_off() -> None:
    with pytest.raises(Forbidden):
        EngineWorld().ask(Browse())


@pytest.mark.parametrize(
    "id", ["", "../../etc/passwd", "a" * 21, "a" * 65, "a" * 21 + "/", "ä" * 22]
)
def test_ids_that_are_none_are_unknown(id: str) -> None:
    world = EngineWorld()
    for operation in (Inspect(ById(id)), Finish(reference=ById(id)), Cancel(ById(id)), Fetch(id)):
        with pytest.raises(NotFound):
            world.ask(operation)
    with pytest.raises(NotFound):
        world.place(b"x", reference=ById(id), start=0)
    assert world.storage.leftovers() == []


def test_an_upload_that_is_created_first() -> None:
    world = EngineWorld()
    outcome = world.ask(Create(length=3, filename="a.txt", metadata={"k": "v"}), owner="ann")
    assert isinstance(outcome, Known)
    reference = outcome.reference
    assert outcome.status.extents == Extents()
    world.place(b"abc", reference=reference, start=0, owner="ann")
    finished = world.finish(reference, owner="ann")
    assert (finished.filename, finished.size, dict(finished.metadata)) == ("a.txt", 3, {"k": "v"})
    assert world.ears.events() == ["created", "completed"]


def test_the_configuration_tells_the_limits() -> None:
    world = EngineWorld(max_size=5)
    configuration: Any = world.ask(Configure())
    assert configuration.limits.max_size == 5
    assert configuration.chunk_size == configuration.part_size == 8 * MIB
