"""What requests to S3 and its answers are made of."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import IO, Any

from resumable.stores.objects.bucket import Data, Description

# So many are listed, or deleted, by one request.
PAGE = 1000


def body_of(data: Data | IO[bytes]) -> tuple[IO[bytes], int]:
    """aiohttp warns of large bytes; a BytesIO of them shares their memory.

    The length is said as well: whatever repeats a request must send all of it or fail.
    """
    file = io.BytesIO(data) if isinstance(data, bytes) else data
    length = file.seek(0, io.SEEK_END)
    file.seek(0)
    return file, length


def tag_of(answer: Mapping[str, Any]) -> str:
    return str(answer.get("ETag", "")).strip('"')


def described(description: Description | None) -> dict[str, Any]:
    if description is None:
        return {}
    told = {
        "ContentType": description.content_type,
        "Metadata": dict(description.metadata),
        "CacheControl": description.cache_control,
        "StorageClass": description.storage_class,
    }
    return {name: value for name, value in told.items() if value is not None}
