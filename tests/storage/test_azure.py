"""The Azure store on Microsoft's own emulator."""

from __future__ import annotations

from functools import partial

import pytest

from resumable.connect import connect
from resumable.interfaces import Store
from resumable.model import State
from resumable.testing.contract import StoreContract
from resumable.testing.contract.base import (
    MakeStore,
    an_upload,
    content,
    finish,
    loaded,
    place,
    some_bytes,
)
from tests.storage.server import StorageServer


def store_on(url: str, options: dict[str, object]) -> Store:
    """A new process's store."""
    return connect(url, options)


def maker(server: StorageServer) -> MakeStore:
    fresh = server.fresh()
    return partial(store_on, f"{fresh.url}/prefix", dict(fresh.options))


class TestOnAzurite(StoreContract):
    @pytest.fixture
    def make_store(self, azurite: StorageServer) -> MakeStore:
        return maker(azurite)


def test_blocks_of_an_earlier_birth_do_not_count(azurite: StorageServer) -> None:
    """Nobody can delete uncommitted blocks: a name that is used again has them still."""
    make_store = maker(azurite)
    upload = an_upload(part_size=1000)
    for seed in range(2):
        assert make_store().begin(upload)
        assert loaded(make_store(), upload).received == 0
        place(make_store(), upload, 0, some_bytes(3500, seed))
        assert loaded(make_store(), upload).offset == 3500
        if seed == 0:
            make_store().discard(upload)
            make_store().remove(upload)
    status = finish(make_store(), upload, 3500)
    assert status.state is State.COMPLETE
    assert content(make_store(), status.finished) == some_bytes(3500, 1)


def test_what_this_storage_does_not_do(azurite: StorageServer) -> None:
    assert maker(azurite)().check() == []
