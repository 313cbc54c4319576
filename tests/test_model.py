"""What an upload is: unions of ranges against sets of numbers, chunks by number and by size."""

from __future__ import annotations

import dataclasses
import pickle
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resumable.extents import Extent, Extents
from resumable.model import (
    GREATEST_LENGTH,
    TRANSITIONS,
    Chunk,
    Digest,
    Finished,
    State,
    Status,
    Upload,
)

MOST = 40
ranges = st.lists(st.tuples(st.integers(0, MOST), st.integers(0, MOST)), max_size=12)
positions = st.integers(0, MOST + 3)


def as_set(given_ranges: list[tuple[int, int]]) -> set[int]:
    return {at for start, end in given_ranges for at in range(start, end)}


@given(ranges)
def test_extents_are_the_set_of_their_bytes(given_ranges: list[tuple[int, int]]) -> None:
    extents, known = Extents(given_ranges), as_set(given_ranges)
    assert as_set(list(extents)) == known
    assert extents.size == len(known)
    assert extents.end == max(known, default=-1) + 1
    assert extents.offset == next(at for at in range(MOST + 2) if at not in known)
    assert bool(extents) == bool(known)


@given(ranges)
def test_extents_are_sorted_disjoint_and_merged(given_ranges: list[tuple[int, int]]) -> None:
    merged = list(Extents(given_ranges))
    assert all(start < end for start, end in merged)
    assert all(before[1] < after[0] for before, after in pairwise(merged))
    assert len(Extents(given_ranges)) == len(merged)


@given(ranges, st.randoms())
def test_the_order_of_adding_does_not_matter(
    given_ranges: list[tuple[int, int]], chance: Any
) -> None:
    shuffled = list(given_ranges)
    chance.shuffle(shuffled)
    one, other = Extents(given_ranges), Extents(shuffled)
    assert one == other
    assert hash(one) == hash(other)
    assert repr(one) == repr(other)


@given(ranges, positions, positions)
def test_adding_makes_a_new_union(
    given_ranges: list[tuple[int, int]], start: int, end: int
) -> None:
    before = Extents(given_ranges)
    known = as_set(given_ranges)
    after = before.adding(start, end)
    assert as_set(list(after)) == known | set(range(start, end))
    assert as_set(list(before)) == known
    assert after.covers(start, end)


@given(ranges, positions, positions)
def test_covers(given_ranges: list[tuple[int, int]], start: int, end: int) -> None:
    covered = set(range(start, end)) <= as_set(given_ranges)
    assert Extents(given_ranges).covers(start, end) == covered


@given(ranges, positions)
def test_where_the_known_ends_and_begins(given_ranges: list[tuple[int, int]], at: int) -> None:
    extents, known = Extents(given_ranges), as_set(given_ranges)
    assert extents.known_at(at) == next(p for p in range(at, MOST + 9) if p not in known)
    starts = [start for start, _ in extents if start >= at]
    assert extents.next_known(at) == min(starts, default=None)


@given(ranges, st.integers(0, MOST + 9))
def test_what_is_missing(given_ranges: list[tuple[int, int]], length: int) -> None:
    extents, known = Extents(given_ranges), as_set(given_ranges)
    gaps = [(start, MOST + 9 if end is None else end) for start, end in extents.missing(None)]
    assert as_set(gaps) == set(range(MOST + 9)) - known
    assert extents.missing(None)[-1] == (extents.end, None)
    if length >= extents.end:
        closed = extents.missing(length)
        assert as_set([(s, e) for s, e in closed if e is not None]) == set(range(length)) - known


def test_extents_are_not_equal_to_other_things() -> None:
    assert Extents([(0, 1)]) != [(0, 1)]
    assert Extents([(0, 0), (5, 3)]) == Extents()
    assert Extents([(0, 5), (5, 9)]) == Extents([(0, 9)])


def test_the_largest_positions() -> None:
    extents = Extents([(0, 1), (GREATEST_LENGTH - 1, GREATEST_LENGTH)])
    assert extents.end == GREATEST_LENGTH
    assert extents.missing(GREATEST_LENGTH) == [(1, GREATEST_LENGTH - 1)]


# ---------------------------------------------------------------- status


def status(
    extents: list[tuple[int, int]] = [],  # noqa: B006 - only read
    chunks: list[Chunk] = [],  # noqa: B006 - only read
    *,
    length: int | None = None,
    **facts: Any,
) -> Status:
    upload = Upload(id="i", token="t", part_size=1, created=0.0, length=length)
    numbered = {chunk.number: chunk for chunk in chunks}
    return Status(upload, State.RECEIVING, Extents(extents), numbered, facts, 0.0)


def test_a_newborn_knows_nothing() -> None:
    upload = Upload(id="i", token="t", part_size=1, created=5.0)
    newborn = Status.newborn(upload)
    assert (newborn.offset, newborn.received, newborn.numbers()) == (0, 0, [])
    assert (newborn.completed_chunks, newborn.length, newborn.ended) == (0, None, False)
    assert newborn.missing() == [(0, None)]
    assert newborn.touched == 5.0


def test_the_length_is_a_fact_or_fixed_at_birth() -> None:
    assert status(length=7).length == 7
    assert status(length=0).length == 0
    assert status(length=None, **{}).length is None
    late = Status(status().upload, State.RECEIVING, Extents(), {}, {"length": 9}, 0.0)
    assert late.length == 9
    assert late.missing() == [(0, 9)]


def test_waiting_chunks_count_as_received() -> None:
    known = status([(0, 10), (30, 35)], [Chunk(0, 10, 1, 0), Chunk(4, 7, 2, None)])
    assert known.received == 22
    assert known.offset == 10
    assert known.chunks[4].end is None
    assert known.chunks[0].end == 10


def test_the_start_of_a_chunk() -> None:
    known = status(chunks=[Chunk(0, 10, 1, 0), Chunk(1, 5, 1, 10), Chunk(3, 5, 1, None)])
    assert [known.start_of(number) for number in range(6)] == [0, 10, 15, None, None, None]


def test_chunks_by_their_own_lengths() -> None:
    known = status([(0, 15)], [Chunk(0, 10, 1, 0), Chunk(1, 5, 1, 10), Chunk(3, 9, 1, None)])
    assert known.numbers() == [0, 1, 3]
    assert known.completed_chunks == 2
    assert [known.chunk(number) for number in range(4)] == [(0, 10), (10, 15), None, None]


def test_chunks_of_one_size() -> None:
    known = status([(0, 25), (30, 40), (45, 52)], chunk_size=10)
    assert known.numbers() == [0, 1, 3]
    assert known.completed_chunks == 2
    assert known.chunk(3) == (30, 40)
    assert known.chunk(2) is None
    assert known.chunk(4) is None


def test_the_last_chunk_of_one_size_may_be_shorter() -> None:
    whole = status([(20, 25)], chunk_size=10, length=25)
    late = Status(whole.upload, whole.state, whole.extents, {}, dict(whole.facts), 0.0)
    assert late.numbers() == [2]
    assert late.chunk(2) == (20, 25)
    assert status([(21, 25)], chunk_size=10, length=25).numbers() == []
    assert status([(20, 25)], chunk_size=10).numbers() == []
    assert status([(0, 20)], chunk_size=10, length=20).numbers() == [0, 1]


@given(ranges, st.integers(1, 9), st.none() | st.integers(0, MOST))
def test_chunks_of_one_size_are_those_whose_bytes_are_known(
    given_ranges: list[tuple[int, int]], size: int, length: int | None
) -> None:
    known = as_set(given_ranges)
    if length is not None and max(known, default=0) >= length:
        return
    one = status(given_ranges, length=length, chunk_size=size)
    numbers = one.numbers()
    for number in range(MOST + 1):
        start, end = number * size, (number + 1) * size
        if length is not None:
            end = min(end, length)
        whole = start < end and set(range(start, end)) <= known
        assert (number in numbers) == whole
        assert one.chunk(number) == ((start, end) if whole else None)


@pytest.mark.parametrize("state", State)
def test_every_state_has_its_steps(state: State) -> None:
    assert state in TRANSITIONS
    ended = dataclasses.replace(status(), state=state).ended
    assert ended == (not TRANSITIONS[state])


def test_values_are_frozen() -> None:
    finished = Finished("i", "t", 1, 0xAB, "text/plain", "n", 0.0)
    for value in (status(), finished, Extent(0, 1, 2), Chunk(0, 1, 2, 3), Digest("md5", b"")):
        name = dataclasses.fields(value)[0].name
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, name, None)
    assert finished.etag == "t-000000ab"
    assert pickle.loads(pickle.dumps(finished)) == finished
    assert str(Digest("md5", b"\x01\xff")) == "md5:01ff"
    assert Extent(3, 4, 0).end == 7
