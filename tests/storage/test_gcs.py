"""The GCS store on a double that keeps Google's rules, for want of anything real that runs here.

The double holds generations, preconditions and the limit of 32 sources. It cannot show Google's own
latency, quotas (one write a second to one object), IAM, signed URLs or soft delete.
"""

from __future__ import annotations

from functools import partial

import pytest

from resumable.connect import connect
from resumable.interfaces import Store
from resumable.testing.contract import StoreContract
from resumable.testing.contract.base import (
    MakeStore,
    an_upload,
    content,
    finish,
    place,
    some_bytes,
)
from tests.storage.server import StorageServer
from tests.storage.weather import Weather


def store_on(url: str, options: dict[str, object]) -> Store:
    """A new process's store."""
    return connect(url, options)


class TestOnTheDouble(StoreContract):
    @pytest.fixture
    def make_store(self, gcs: StorageServer) -> MakeStore:
        fresh = gcs.fresh()
        return partial(store_on, f"{fresh.url}/prefix", dict(fresh.options))


@pytest.mark.parametrize(("count", "composed"), [(2, 1), (32, 1), (33, 3), (100, 5)])
def test_a_finish_is_a_tree_of_compositions(gcs: StorageServer, count: int, composed: int) -> None:
    with Weather(gcs.fresh()) as line:
        store = store_on(f"{line.server.url}/prefix", dict(line.server.options))
        upload = an_upload(part_size=1000, filename="film.webm")
        assert store.begin(upload)
        data = some_bytes(1000 * count - 7)
        place(store, upload, 0, data)
        line.take()
        status = finish(store, upload, len(data))
        calls = line.take()
        assert calls["compose"] == composed
        assert content(store, status.finished) == data
        assert status.finished is not None
        store.remove(upload)
        left = store.bucket.listed(f"{line.server.bucket}/prefix/")  # type: ignore[attr-defined]
        assert len([one for one in left if "/j." in one.key or "/b." in one.key]) == 0
        assert store.check() == []
