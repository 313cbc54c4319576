"""The budget of bytes on their way: what is taken is counted, and nothing more is given."""

from __future__ import annotations

import pytest

from resumable.errors import Unavailable
from resumable.stores.objects.memory import Memory


def test_a_second_buffer_is_given_while_there_is_room() -> None:
    memory = Memory(100)
    first = memory.take(40)
    second = memory.try_take(60)
    assert second is not None
    assert second.getbuffer().nbytes == 60
    assert memory.taken == 100
    assert memory.try_take(1) is None
    memory.give_back(first, 40)
    assert memory.taken == 60
    assert memory.try_take(41) is None
    assert memory.try_take(40) is not None
    assert memory.taken == 100


def test_a_first_buffer_is_waited_for_and_then_refused() -> None:
    memory = Memory(100, patience=0.01)
    memory.take(60)
    with pytest.raises(Unavailable, match="at once") as refused:
        memory.take(41)
    assert (refused.value.code, refused.value.retry_after) == ("busy", 5)
    assert memory.taken == 60


def test_what_a_buffer_is_filled_from_counts_with_it() -> None:
    memory = Memory(100, patience=0.01)
    buffer = memory.take(60, beside=30)
    assert memory.taken == 90
    memory.give_back(buffer, 60, beside=30)
    assert memory.taken == 0


def test_one_that_is_larger_than_the_budget_goes_alone() -> None:
    memory = Memory(100, patience=0.01)
    buffer = memory.take(150)
    assert buffer.getbuffer().nbytes == 150
    assert memory.taken == 100
    memory.give_back(buffer, 150)
    assert memory.taken == 0


def test_what_others_hold_is_counted_while_they_hold_it() -> None:
    memory = Memory(100, patience=0.01)
    with memory.reserved(60):
        assert memory.taken == 60
        with pytest.raises(Unavailable), memory.reserved(41):
            raise AssertionError("there was no room")
    assert memory.taken == 0
    with memory.reserved(150):
        assert memory.taken == 100
    assert memory.taken == 0
