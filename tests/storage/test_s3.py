"""The S3 store on every S3 server that runs here: the same contract on all of them."""

from __future__ import annotations

from functools import partial

import pytest

from resumable.connect import connect
from resumable.interfaces import Store
from resumable.testing.contract import StoreContract
from resumable.testing.contract.base import MakeStore
from tests.storage.server import StorageServer


def store_on(url: str, options: dict[str, object]) -> Store:
    """A new process's store."""
    return connect(url, options)


def maker(server: StorageServer) -> MakeStore:
    fresh = server.fresh()
    return partial(store_on, f"{fresh.url}/prefix", dict(fresh.options))


class TestOnCeph(StoreContract):
    @pytest.fixture
    def make_store(self, ceph: StorageServer) -> MakeStore:
        return maker(ceph)


class TestOnMoto(StoreContract):
    @pytest.fixture
    def make_store(self, moto: StorageServer) -> MakeStore:
        return maker(moto)


class TestOnStrictR2(StoreContract):
    @pytest.fixture
    def make_store(self, strict_r2: StorageServer) -> MakeStore:
        return maker(strict_r2)


class TestOnAWeakServer(StoreContract):
    @pytest.fixture
    def make_store(self, weak: StorageServer) -> MakeStore:
        return maker(weak)
