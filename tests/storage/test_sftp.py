"""Any fsspec file system, over a network: an SFTP server, which is real if small."""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from resumable.connect import connect
from resumable.errors import Unavailable
from resumable.interfaces import Store
from resumable.stores.connections import _MOST_IDLE as KEPT
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
from tests.storage.sftp import Sftp, missing, run_sftp

pytestmark = pytest.mark.skipif(missing() is not None, reason=missing() or "")


@pytest.fixture(scope="module")
def sftp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sftp]:
    with run_sftp(tmp_path_factory.mktemp("sftp")) as server:
        yield server


_opened: list[Store] = []


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """Hundreds of connections, each with a thread of its own, would slow down the last tests."""
    yield
    while _opened:
        _opened.pop().close()  # type: ignore[attr-defined]


def store_on(url: str, options: dict[str, object]) -> Store:
    """A new process's store."""
    store = connect(url, options)
    _opened.append(store)
    return store


class TestOverSftp(StoreContract):
    @pytest.fixture
    def make_store(self, sftp: Sftp) -> MakeStore:
        return partial(store_on, f"{sftp.url}/{secrets.token_hex(6)}/prefix", sftp.options)


def test_a_server_that_comes_back_is_found(tmp_path: Path) -> None:
    """And what was stored before is still there; meanwhile it is told."""
    upload, data = an_upload(part_size=100_000), some_bytes(250_000)
    with run_sftp(tmp_path) as server:
        store = store_on(f"{server.url}/prefix", server.options)
        assert store.begin(upload)
        place(store, upload, 0, data)
    with pytest.raises(Unavailable, match="does not answer"):
        store.load(upload.id)
    with run_sftp(tmp_path, server.options["port"], server.options["password"]):
        assert loaded(store, upload).offset == len(data)
        assert content(store, finish(store, upload, len(data)).finished) == data


def test_nothing_stays_of_what_was_removed(sftp: Sftp) -> None:
    name = secrets.token_hex(6)
    store = store_on(f"{sftp.url}/{name}", sftp.options)
    for number in range(3):
        upload = an_upload(part_size=1000)
        assert store.begin(upload)
        place(store, upload, 0, some_bytes(3500))
        if number:
            finished = finish(store, upload, 3500).finished
            assert finished is not None
            store.delete(finished)
        else:
            store.discard(upload)
            store.remove(upload)
    left = [
        os.path.join(folder, one)
        for folder, _, files in os.walk(sftp.folder / name)
        for one in files
    ]
    assert left == []
    assert os.listdir(sftp.folder / name) == [".resumable"]
    assert os.listdir(sftp.folder / name / ".resumable/uploads") == []


def test_what_this_storage_does_not_do(sftp: Sftp) -> None:
    (sentence,) = store_on(f"{sftp.url}/{secrets.token_hex(6)}", sftp.options).check()  # type: ignore[attr-defined]
    assert "cannot create a file only if it is absent" in sentence


def test_a_wrong_password_is_the_operators_to_mend(sftp: Sftp) -> None:
    store = store_on(f"{sftp.url}/prefix", {**sftp.options, "password": "wrong"})
    with pytest.raises(Unavailable) as told:
        store.load("anything")
    assert told.value.code == "storage-misconfigured"


def test_no_connection_is_left_open(sftp: Sftp) -> None:
    """More than are kept for later, one that failed, and the rest when the store is closed."""
    store = store_on(f"{sftp.url}/{secrets.token_hex(6)}", sftp.options)
    before = threading.active_count()
    uploads = [an_upload() for _ in range(20)]
    with ThreadPoolExecutor(20) as pool:
        assert all(pool.map(store.begin, uploads))
    assert wait_for(lambda: threading.active_count() <= before + KEPT)
    store.close()  # type: ignore[attr-defined]
    assert wait_for(lambda: threading.active_count() <= before)


def wait_for(condition: Callable[[], bool]) -> bool:
    """A thread takes a moment to end."""
    end = time.monotonic() + 30
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()
