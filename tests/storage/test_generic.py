"""Any fsspec file system: the shipped contract on memory, and on a folder through fsspec."""

from __future__ import annotations

import secrets
from functools import partial
from pathlib import Path

import pytest

from resumable.connect import connect
from resumable.interfaces import Store
from resumable.model import Objects
from resumable.stores.cloud import generic_store
from resumable.testing.contract import StoreContract
from resumable.testing.contract.base import MakeStore


def folder_store(root: str) -> Store:
    """The local disk as a file system like any other."""
    return generic_store(f"file://{root}", {"auto_mkdir": True}, Objects())


class TestInMemory(StoreContract):
    @pytest.fixture
    def make_store(self) -> MakeStore:
        # A lambda cannot be handed to another process, and neither can this memory.
        url = f"memory://{secrets.token_hex(6)}/prefix"
        return lambda: connect(url)


class TestInAFolder(StoreContract):
    @pytest.fixture
    def make_store(self, tmp_path: Path) -> MakeStore:
        return partial(folder_store, str(tmp_path))
