"""The texts of Google's JSON API: how `gcs_double` reads bodies and words its answers."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from email.parser import BytesHeaderParser
from typing import Any

from werkzeug.http import parse_options_header
from werkzeug.wrappers import Response

from tests.storage.gcs_listing import page_of
from tests.storage.gcs_objects import Bucket, Refused, Stored


def answered(content: Mapping[str, Any], status: int = 200) -> Response:
    return Response(json.dumps(content), status, content_type="application/json")


def refused(refusal: Refused) -> Response:
    error = {"domain": "global", "reason": refusal.reason, "message": refusal.message}
    content = {"code": refusal.status, "message": refusal.message, "errors": [error]}
    return answered({"error": content}, refusal.status)


def listed(bucket: Bucket, query: Mapping[str, str]) -> Response:
    page = page_of(bucket, query, base64.b64decode(query.get("pageToken", "")).decode())
    answer: dict[str, Any] = {"kind": "storage#objects"}
    if page.items:
        answer["items"] = [resource(bucket, each) for each in page.items]
    if page.prefixes:
        answer["prefixes"] = list(page.prefixes)
    if page.next_name is not None:
        answer["nextPageToken"] = base64.b64encode(page.next_name.encode()).decode()
    return answered(answer)


def two_parts(content_type: str, body: bytes) -> tuple[dict[str, Any], bytes]:
    """Metadata and content of a multipart/related body; gcsfs ends its lines with a bare LF.

    As in any such body, content that has the boundary inside ends there.
    """
    boundary = parse_options_header(content_type)[1]["boundary"].encode()
    end = b"\r\n" if body.startswith(b"--" + boundary + b"\r\n") else b"\n"
    _, first, second = body.split(b"--" + boundary + end, 2)
    content_head, content = second.split(end + end, 1)
    facts = json.loads(first.split(end + end, 1)[1])
    media = BytesHeaderParser().parsebytes(content_head + end + end).get("Content-Type")
    return {"contentType": media, **facts}, content[: content.index(end + b"--" + boundary)]


def described(bucket: Bucket, stored: Stored) -> Response:
    return answered(resource(bucket, stored))


def resource(bucket: Bucket, stored: Stored) -> dict[str, Any]:
    fields = {
        "kind": "storage#object",
        "id": f"{bucket.name}/{stored.name}/{stored.generation}",
        "name": stored.name,
        "bucket": bucket.name,
        "generation": str(stored.generation),
        "metageneration": str(stored.metageneration),
        "size": str(len(stored.content)),
        "crc32c": stored.crc32c,
        "md5Hash": stored.md5,
        "componentCount": stored.components,
        "etag": f"{stored.generation}/{stored.metageneration}",
        "storageClass": "STANDARD",
        "timeCreated": stored.created,
        "updated": stored.created,
        **stored.facts,
    }
    return {name: value for name, value in fields.items() if value is not None}
