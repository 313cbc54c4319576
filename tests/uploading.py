"""Uploads step by step, as clients of the chunk protocol send them."""

from __future__ import annotations

import hashlib
import random
from typing import Any

from resumable.digests import crc32c
from tests.calls import Answer, call, file

DATA = random.Random(1).randbytes(24_000)
SECRET = "upload_" + "A1-_" * 6


def sha256(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def crc(content: bytes) -> str:
    return f"crc32c:{crc32c(content):08x}"


def old_chunk(
    app: Any, id: str, index: int, total: int | None, content: bytes, **more: str
) -> Answer:
    """As the old client sends it: the file part first."""
    fields = {"uploadId": id, "chunkIndex": str(index)}
    if total is not None:
        fields["totalChunks"] = str(total)
    form = [file("chunk", content), *fields.items(), *more.items()]
    return call(app, "POST", "/upload-chunk", form=form)


def put(app: Any, id: str, content: bytes, **headers: str) -> Answer:
    """A raw chunk."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return call(app, "PUT", "/upload-chunk", content, {"X-Upload-Id": id, **named})


def finalize(app: Any, id: str, **words: Any) -> Answer:
    return call(app, "POST", "/finalize-upload", json={"uploadId": id, **words})


def status(app: Any, id: str) -> Any:
    return call(app, "GET", f"/upload-status/{id}").json


def slices(content: bytes, count: int) -> list[bytes]:
    size = -(-len(content) // count) or 1
    return [content[index * size : (index + 1) * size] for index in range(count)]


def check_stored(app: Any, answer: Answer, content: bytes) -> dict[str, Any]:
    """The finalize was a success and its path gives the bytes at once (section 6, row 1)."""
    assert answer.status == 200, answer
    document: dict[str, Any] = answer.json
    assert document["ok"] is True
    assert document["size"] == len(content)
    download = call(app, "GET", document["path"])
    assert download.status == 200
    assert download.body == content
    return document
