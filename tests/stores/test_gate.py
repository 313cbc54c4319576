"""One thread at a time while work is quick, and nobody held up where it is not."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest

from resumable.stores.gate import Gate


class Clock:
    """Seconds that pass only where a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def work(self, seconds: float) -> None:
        self.now += seconds


def test_one_at_a_time() -> None:
    gate, inside, most = Gate(lambda: 0.0), [0], [0]

    def work() -> None:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        threading.Event().wait(0.0005)
        inside[0] -= 1

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: gate.through(work), range(40)))
    assert most == [1]


def test_who_waits_for_long_goes_through() -> None:
    gate, hanging, done = Gate(), threading.Event(), threading.Event()

    def hang() -> None:
        hanging.set()
        assert done.wait(10)

    with ThreadPoolExecutor(1) as pool:
        stuck = pool.submit(gate.through, hang)
        assert hanging.wait(10)
        assert gate.through(lambda: "through") == "through"
        done.set()
        stuck.result(10)


def _blocks(gate: Gate) -> bool:
    """Whether the second of two at once has to wait for the first."""
    order = count()

    def first() -> tuple[int, int]:
        with ThreadPoolExecutor(1) as pool:
            second = pool.submit(gate.through, lambda: next(order))
            threading.Event().wait(0.01)
            mine = next(order)
            return mine, second.result(10)

    mine, other = gate.through(first)
    return mine < other


@pytest.mark.parametrize(
    ("seconds", "blocks"),
    [
        ([0.001] * 9, True),
        ([1.0, 1.0, 0.001, 1.0, 1.0], True),
        ([1.0, 1.0, 1.0], False),
    ],
)
def test_slow_work_goes_on_beside_others(seconds: list[float], blocks: bool) -> None:
    clock = Clock()
    gate = Gate(clock)
    for each in seconds:
        gate.through(lambda each=each: clock.work(each))  # type: ignore[misc]
    assert _blocks(gate) == blocks
    clock.work(1.5)
    assert _blocks(gate)


def test_what_is_raised_passes_and_the_gate_goes_on() -> None:
    gate = Gate()

    def fail() -> None:
        raise OSError("broken")

    with pytest.raises(OSError, match="broken"):
        gate.through(fail)
    assert gate.through(lambda: 1) == 1


def test_a_child_of_a_fork_finds_it_free() -> None:
    gate = Gate()

    def inside() -> int:
        gate.after_fork()
        return gate.through(lambda: 2)

    assert gate.through(inside) == 2
    assert gate.through(lambda: 3) == 3
