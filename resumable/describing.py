"""What shall be remembered of a finished object."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from resumable.media import default_name, safe_name, sniff
from resumable.model import Finished, Upload


def describe(
    upload: Upload,
    clock: Callable[[], float],
    facts: Mapping[str, Any],
    head: bytes,
    crc32c: int | None,
    size: int,
) -> Finished:
    """With the first two arguments bound it is an `interfaces.Describe`."""
    # What was made here is what its maker says, all else what its bytes show.
    believed = upload.content_type if upload.original is not None else None
    media_type = believed or sniff(head)
    named = safe_name(facts.get("filename") or upload.filename or "")
    return Finished(
        id=upload.id,
        token=upload.token,
        size=size,
        crc32c=crc32c,
        content_type=media_type,
        filename=named or default_name(media_type, upload.created),
        finished=clock(),
        owner=upload.owner,
        client_id=upload.client_id,
        options=facts.get("options", {}),
        metadata={**upload.metadata, **facts.get("metadata", {})},
        digest=facts.get("digest"),
        partial=upload.partial,
        original=upload.original,
        role=upload.role,
        beside=dict(upload.beside),
    )
