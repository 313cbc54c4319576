"""The files for browsers that the package ships, by name."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources

from werkzeug.http import parse_etags

from resumable.http import Request, Response

_TYPES = {
    "js": "text/javascript; charset=utf-8",
    "ts": "text/plain; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "svg": "image/svg+xml",
    "json": "application/json",
}


def serve(request: Request, name: str) -> Response | None:
    """One shipped file, or None; a browser asks again each time and mostly hears 304."""
    if name not in _names():
        return None
    content, etag = _asset(name)
    headers = (
        ("ETag", f'"{etag}"'),
        ("Cache-Control", "no-cache"),
        ("X-Content-Type-Options", "nosniff"),
        ("Access-Control-Allow-Origin", "*"),
    )
    # A proxy that compresses makes the tag a weak one.
    if parse_etags(request.headers.get("if-none-match")).contains_weak(etag):
        return Response(304, headers)
    content_type = ("Content-Type", _TYPES[name.rpartition(".")[2]])
    return Response(200, (content_type, *headers), content)


@cache
def _names() -> frozenset[str]:
    """Known by listing, so that no name can lead out of the folder."""
    listed = (file.name for file in resources.files("resumable.static").iterdir())
    return frozenset(name for name in listed if name.rpartition(".")[2] in _TYPES)


@cache
def _asset(name: str) -> tuple[bytes, str]:
    content = (resources.files("resumable.static") / name).read_bytes()
    return content, hashlib.sha256(content).hexdigest()[:32]
