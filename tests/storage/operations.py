"""Names the storage operation that a request is, from its method and target alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from urllib.parse import parse_qs, urlsplit

Namer = Callable[[str, str, Mapping[str, str]], str]
"""From the method, the path with its query and the header fields (names in lower case)."""

S3_WRITES = {
    "create_multipart_upload",
    "upload_part",
    "upload_part_copy",
    "complete_multipart_upload",
    "abort_multipart_upload",
    "put_object",
    "copy_object",
    "delete_object",
    "delete_objects",
}


def s3_operation(method: str, target: str, fields: Mapping[str, str]) -> str:
    """The name that boto gives it; path style only."""
    path, query = _split(target)
    on_object = "/" in path.strip("/")
    if method == "PUT" and on_object:
        name = "upload_part" if "partNumber" in query else "put_object"
        if "x-amz-copy-source" in fields:
            return {"upload_part": "upload_part_copy", "put_object": "copy_object"}[name]
        return name
    if on_object:
        return _S3_OBJECT[method](query) if method in _S3_OBJECT else method.lower()
    return _S3_BUCKET[method](path, query) if method in _S3_BUCKET else method.lower()


_S3_OBJECT: dict[str, Callable[[Mapping[str, object]], str]] = {
    "GET": lambda query: "list_parts" if "uploadId" in query else "get_object",
    "HEAD": lambda query: "head_object",
    "POST": lambda query: (
        "create_multipart_upload" if "uploads" in query else "complete_multipart_upload"
    ),
    "DELETE": lambda query: "abort_multipart_upload" if "uploadId" in query else "delete_object",
}


def _bucket_reading(path: str, query: Mapping[str, object]) -> str:
    if path == "/":
        return "list_buckets"
    return "list_multipart_uploads" if "uploads" in query else "list_objects"


_S3_BUCKET: dict[str, Callable[[str, Mapping[str, object]], str]] = {
    "GET": _bucket_reading,
    "HEAD": lambda path, query: "head_bucket",
    "PUT": lambda path, query: "create_bucket",
    "POST": lambda path, query: "delete_objects" if "delete" in query else "post_object",
    "DELETE": lambda path, query: "delete_bucket",
}


def gcs_operation(method: str, target: str, fields: Mapping[str, str]) -> str:
    """insert, compose, rewrite, copy, move, list, get, read, patch, delete, batch, bucket…

    A resumable upload is one insert and then any number of insert_piece.
    """
    path, query = _split(target)
    if path.startswith(("/upload/", "/resumable/upload/")):
        return "insert_piece" if "upload_id" in query else "insert"
    if path.startswith("/batch/"):
        return "batch"
    verb = re.search(r"/o/.+/(compose|rewriteTo|copyTo|moveTo)(/|$)", path)
    if method == "POST" and verb:
        return verb[1].removesuffix("To")
    if "/o/" in path:
        read = "read" if query.get("alt") == ["media"] else "get"
        known = {"GET": read, "PATCH": "patch", "PUT": "patch", "DELETE": "delete"}
        return known.get(method, method.lower())
    return "list" if path.endswith("/o") else "bucket"


def azure_operation(method: str, target: str, fields: Mapping[str, str]) -> str:
    """put_block, put_block_list, get_block_list, list_blobs, put_blob, copy_blob, get_blob…"""
    _, query = _split(target)
    kind = query.get("comp", [""])[0]
    if kind == "blocklist":
        return "put_block_list" if method == "PUT" else "get_block_list"
    if kind:
        return {"block": "put_block", "list": "list_blobs"}.get(kind, kind)
    if query.get("restype") == ["container"]:
        return f"{method.lower()}_container"
    if method == "PUT" and "x-ms-copy-source" in fields:
        return "copy_blob"
    return f"{method.lower()}_blob"


def _split(target: str) -> tuple[str, dict[str, list[str]]]:
    parts = urlsplit(target)
    return parts.path, parse_qs(parts.query, keep_blank_values=True)


NAMERS: dict[str, Namer] = {"s3": s3_operation, "gs": gcs_operation, "abfs": azure_operation}
"""By a storage server's scheme."""
