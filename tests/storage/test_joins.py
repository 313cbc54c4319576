"""Large finished pieces become one object, by the storage's own copying where it can copy."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest

from resumable.connect import connect
from resumable.interfaces import Store
from resumable.model import MIB, Finished
from resumable.stores.objects.store import ObjectStore
from resumable.testing.contract.base import finish, loaded, some_bytes
from resumable.testing.contract.joins import a_partial, joined
from tests.storage.server import StorageServer

SIZES = (20 * MIB, 5 * MIB + 3, 17 * MIB, 1)


def store_on(server: StorageServer) -> ObjectStore:
    fresh = server.fresh()
    store = connect(f"{fresh.url}/prefix", dict(fresh.options))
    assert isinstance(store, ObjectStore)
    return store


@pytest.fixture(params=["ceph", "moto", "strict_r2", "rclone", "azurite", "gcs"])
def store(request: pytest.FixtureRequest) -> Iterator[ObjectStore]:
    store = store_on(request.getfixturevalue(request.param))
    yield store
    store.close()


def digest(store: Store, finished: Finished | None) -> str:
    assert finished is not None
    hasher = hashlib.sha256()
    for piece in store.read(finished, 0, finished.size):
        hasher.update(piece)
    return hasher.hexdigest()


def test_large_pieces_become_one_object(store: ObjectStore) -> None:
    pieces = [some_bytes(size, seed) for seed, size in enumerate(SIZES)]
    sources = [a_partial(store, piece) for piece in pieces]
    upload = joined(store, [*sources, sources[0]])
    data = b"".join([*pieces, pieces[0]])
    assert digest(store, loaded(store, upload).finished) == hashlib.sha256(data).hexdigest()
    assert digest(store, sources[0]) == hashlib.sha256(pieces[0]).hexdigest()


def test_only_what_crosses_a_border_passes_through_here(
    ceph: StorageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copied parts are of 16 MiB: of these 60 MiB the second and the fourth have two sources."""
    store = store_on(ceph)
    sources = [a_partial(store, some_bytes(20 * MIB, seed)) for seed in range(3)]
    read = 0
    get: Any = store.bucket.get

    def counting(key: str, start: int = 0, end: int | None = None) -> bytes:
        nonlocal read
        data: bytes = get(key, start, end)
        read += len(data)
        return data

    monkeypatch.setattr(store.bucket, "get", counting)
    upload = joined(store, sources)
    assert read <= 2 * 16 * MIB + MIB
    monkeypatch.undo()
    data = b"".join(some_bytes(20 * MIB, seed) for seed in range(3))
    assert digest(store, loaded(store, upload).finished) == hashlib.sha256(data).hexdigest()
    assert finish(store, upload, 0).finished == loaded(store, upload).finished
    store.close()


@pytest.mark.parametrize(("server", "copies"), [("ceph", True), ("rclone", False)])
def test_whether_a_server_copies_is_tried_once(
    request: pytest.FixtureRequest, server: str, copies: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """rclone takes a copy for a part without bytes: all has to pass through here."""
    store = store_on(request.getfixturevalue(server))
    copied: list[str] = []
    ask: Any = store.bucket._ask  # type: ignore[attr-defined]

    def counting(operation: str, **parameters: Any) -> Any:
        if operation == "upload_part_copy":
            copied.append(parameters["Key"])
        return ask(operation, **parameters)

    monkeypatch.setattr(store.bucket, "_ask", counting)
    sources = [a_partial(store, some_bytes(17 * MIB, seed)) for seed in range(2)]
    whole = hashlib.sha256(some_bytes(17 * MIB, 0) + some_bytes(17 * MIB, 1)).hexdigest()
    for _ in range(2):
        upload = joined(store, sources)
        assert digest(store, loaded(store, upload).finished) == whole
    assert len([key for key in copied if "/probe/" in key]) == 1
    assert len(copied) == (5 if copies else 1)
    left = store.bucket.listed(f"{store.root}/probe/")
    assert left == []
    store.close()
