"""More than one look: what a storage shows may be a moment behind what it has done."""

from __future__ import annotations

import time
from collections.abc import Iterator

from resumable.errors import NotFound
from resumable.stores.objects.bucket import Bucket, Missing

# About two seconds: longer than a server takes between two steps of one request.
PAUSES = (0.05, 0.1, 0.2, 0.4, 0.5, 0.75)


def looks() -> Iterator[None]:
    """One turn for each look before something counts as lost; they wait in between."""
    yield
    for pause in PAUSES:
        time.sleep(pause)
        yield


def create(bucket: Bucket, key: str, data: bytes) -> bytes:
    """Store under a key that is taken once; what is stored there now. Raises NotFound.

    A key may be refused while another's object is still on its way there, or fails on it.
    """
    for _ in looks():
        if bucket.put(key, data, if_absent=True):
            return data
        try:
            return bucket.get(key)
        except Missing:
            continue
    raise NotFound("Upload not found")
