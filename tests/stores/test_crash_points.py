"""A process dies at every write in turn, or the write fails; the client goes on."""

from __future__ import annotations

import errno
import os
from functools import partial

import pytest

from resumable.testing.crash_points import (
    SCRIPTS,
    TURN_SCRIPTS,
    Script,
    TurnScript,
    crash_points,
    every,
    failing_calls,
)
from tests.stores.local_storage import MemoryStorage

pytestmark = pytest.mark.usefixtures("either_way")
SIZES = (20, 9, 31, 16)
STORAGES = {
    "full": MemoryStorage,
    "process": partial(MemoryStorage, durability="process"),
    "no hard links": partial(MemoryStorage, hard_links=False),
}
ERRORS = tuple(
    partial(OSError, number, os.strerror(number)) for number in (errno.EIO, errno.ENOSPC)
)


@pytest.mark.parametrize("positions", [False, True])
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_process_dies_at_any_write(script: Script, positions: bool) -> None:
    died = crash_points(MemoryStorage, script, SIZES, positions=positions)
    assert died > 60


@pytest.mark.parametrize("storage", ["process", "no hard links"])
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_process_dies_on_other_storage(script: Script, storage: str) -> None:
    assert crash_points(STORAGES[storage], script, SIZES, points=every(3, 1)) > 10


@pytest.mark.parametrize("script", SCRIPTS)
def test_any_write_fails(script: Script) -> None:
    assert failing_calls(MemoryStorage, script, SIZES, errors=ERRORS, points=every(2, 1)) > 60


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("script", TURN_SCRIPTS)
def test_uploads_by_turns_die_or_fail_at_any_write(script: TurnScript, storage: str) -> None:
    make = STORAGES[storage]
    assert crash_points(make, script, SIZES, points=every(3, 1)) > 20
    assert failing_calls(make, script, SIZES, errors=ERRORS, points=every(7, 1)) > 10


@pytest.mark.chaos
@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("script", TURN_SCRIPTS)
def test_uploads_by_turns_in_full(script: TurnScript, storage: str) -> None:
    died = crash_points(STORAGES[storage], script, SIZES)
    failed = failing_calls(STORAGES[storage], script, SIZES, errors=ERRORS)
    print(f"\n{script.__name__}, {storage}: {died} died, {failed} failed")


@pytest.mark.chaos
@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("positions", [False, True])
@pytest.mark.parametrize("script", SCRIPTS)
def test_any_write_dies_or_fails_in_full(script: Script, positions: bool, storage: str) -> None:
    make = STORAGES[storage]
    died = crash_points(make, script, SIZES, positions=positions)
    failed = failing_calls(make, script, SIZES, errors=ERRORS, positions=positions)
    print(f"\n{script.__name__}, positions {positions}, {storage}: {died} died, {failed} failed")
