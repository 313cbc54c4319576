"""A whole file in one step on local disk: what failed calls leave, and what the step costs."""

from __future__ import annotations

import contextlib
import errno
from functools import partial
from itertools import product

import pytest

from resumable.errors import UploadError
from resumable.model import DAY, State
from resumable.testing.contract.base import (
    GivenPayload,
    an_upload,
    content,
    describing,
    finish,
)
from resumable.testing.faults import Faults
from tests.stores.local_storage import MemoryStorage


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize("durability", ["full", "process"])
def test_a_deposit_that_fails_leaves_nothing_or_is_completed(durability: str, number: int) -> None:
    found = set()
    for at, how in product(range(1, 40), ("before", "after")):
        storage = MemoryStorage(durability=durability)
        assert storage.process(Faults()).begin(an_upload())
        faults = Faults(at, how, partial(OSError, number, "broken"))
        upload, store = an_upload(), storage.process(faults)
        with contextlib.suppress(UploadError):
            store.deposit(upload, GivenPayload([b"who", b"le"]), describing(upload))
        if not faults.fired:
            break
        other = storage.process(Faults())
        status = other.load(upload.id)
        found.add(status and status.state)
        if status is None:
            storage.advance(2 * DAY)
            other.tidy(storage.now - DAY)
            assert not [name for name in storage.leftovers() if upload.id in name]
            assert upload.token not in storage.leftovers()
        else:
            assert content(other, finish(other, upload, 0).finished) == b"whole"
    assert found == {None, State.FINISHING, State.COMPLETE}


@pytest.mark.parametrize(("durability", "most"), [("process", 7), ("full", 16)])
def test_a_deposit_changes_the_disk_few_times(durability: str, most: int) -> None:
    """Two files, the bytes, two appends and two names; with syncs and one name more and less."""
    storage = MemoryStorage(durability=durability)
    faults = Faults()
    store = storage.process(faults)
    assert store.begin(an_upload())
    before, upload = faults.calls, an_upload()
    store.deposit(upload, GivenPayload([b"whole"]), describing(upload))
    assert faults.calls - before <= most
