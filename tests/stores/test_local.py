"""The local store passes the contract, in each of its ways to be durable on each kind of disk."""

from __future__ import annotations

import errno
import os
from functools import partial
from pathlib import Path

import pytest

from resumable.stores.disk import Disk
from resumable.stores.local import LocalStore
from resumable.testing.contract import StoreContract
from resumable.testing.contract.base import MakeStore
from resumable.testing.memory import Locks, MemoryDisk
from resumable.testing.volume import Volume


class TestFull(StoreContract):
    @pytest.fixture
    def make_store(self, tmp_path: Path) -> MakeStore:
        return partial(LocalStore, tmp_path / "storage", free_space=0)


@pytest.mark.usefixtures("the_long_way")
class TestTheLongWay(TestFull):
    """Bodies of a few bytes, placed as large ones are."""


class TestProcess(StoreContract):
    @pytest.fixture
    def make_store(self, tmp_path: Path) -> MakeStore:
        return partial(LocalStore, tmp_path / "storage", durability="process", free_space=0)


class DiskWithoutLinks(Disk):
    """As exFAT and some network file systems are."""

    def link(self, source: Path, target: Path) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))


class TestWithoutHardLinks(StoreContract):
    @pytest.fixture
    def make_store(self, tmp_path: Path) -> MakeStore:
        return partial(LocalStore, tmp_path / "storage", free_space=0, disk=DiskWithoutLinks())


class TestInMemory(StoreContract):
    @pytest.fixture
    def make_store(self) -> MakeStore:
        volume, locks = Volume(), Locks()
        return lambda: LocalStore("/storage", free_space=0, disk=MemoryDisk(volume, locks=locks))
