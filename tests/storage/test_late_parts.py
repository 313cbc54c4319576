"""Parts that arrive when a finish has been decided, on real S3 servers.

Ceph RGW joins all parts that it has, or nothing, and lets only the last one be small; AWS drops
those that are not named. `tests/stores/test_object_late_parts.py` goes through all crashes.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from resumable.connect import connect
from resumable.model import MIB, State
from resumable.stores.objects.store import ObjectStore
from resumable.testing.contract.base import an_upload, content, finish, place, some_bytes
from tests.storage.server import StorageServer

PART = 5 * MIB


def store_on(server: StorageServer) -> ObjectStore:
    """A new process."""
    store = connect(f"{server.url}/prefix", dict(server.options))
    assert isinstance(store, ObjectStore)
    return store


@pytest.fixture(params=["ceph", "moto", "strict_r2"])
def server(request: pytest.FixtureRequest) -> StorageServer:
    given: StorageServer = request.getfixturevalue(request.param)
    return given.fresh()


@pytest.mark.parametrize("windows", [(3,), (3, 5)], ids=["one late part", "two late parts"])
@pytest.mark.parametrize(
    "length", [2 * PART + 777, 2 * PART, 777], ids=["a short end", "a whole end", "one short part"]
)
def test_late_parts(server: StorageServer, length: int, windows: Sequence[int]) -> None:
    """The file has its bytes and no others, and can be finished."""
    store, other = store_on(server), store_on(server)
    upload, data = an_upload(part_size=PART), some_bytes(length)
    assert store.begin(upload)
    place(store, upload, 0, data)
    if length < PART:
        # A writer that has gone has begun the object.
        known = other._room.again(upload)
        other._room.native(known)
    create = store._room.create

    def late(known: object, name: str, data: bytes = b"") -> bytes:
        stored = create(known, name, data)  # type: ignore[arg-type]
        if name == "d.1":
            seen = other._room.again(upload)
            for window in windows:
                other._room.send(seen, window, bytes(PART)).result()
        return stored

    store._room.create = late  # type: ignore[method-assign]
    status = finish(store, upload, length)
    assert status.state is State.COMPLETE
    assert content(store_on(server), status.finished) == data
    assert status.finished is not None
    found = store_on(server).bucket.head(status.finished.location or "")
    assert found is not None
    assert found.size == length
    assert found.metadata["resumable-id"] == upload.id
    client = server.client()
    assert not client.list_multipart_uploads(Bucket=server.bucket).get("Uploads")
