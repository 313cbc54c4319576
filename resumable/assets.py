"""The files for browsers that the package ships, by name."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources

from resumable.errors import NotFound
from resumable.http import Request, Response

_TYPES = {
    "js": "text/javascript; charset=utf-8",
    "ts": "text/plain; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "svg": "image/svg+xml",
    "json": "application/json",
}


def serve(request: Request, name: str) -> Response:
    """One shipped file; a browser asks again each time and mostly hears 304.

    Raises NotFound.
    """
    content, etag = _asset(name)
    headers = (
        ("Content-Type", _TYPES[name.rpartition(".")[2]]),
        ("ETag", etag),
        ("Cache-Control", "no-cache"),
        ("X-Content-Type-Options", "nosniff"),
        ("Access-Control-Allow-Origin", "*"),
    )
    if request.headers.get("if-none-match") == etag:
        return Response(304, headers)
    return Response(200, headers, content)


@cache
def _asset(name: str) -> tuple[bytes, str]:
    # Asked for by listing, so that no name can lead out of the folder.
    for file in resources.files("resumable.static").iterdir():
        if file.name == name and name.rpartition(".")[2] in _TYPES and file.is_file():
            content = file.read_bytes()
            return content, f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    raise NotFound(f"There is no file {name[:80]!r} here.")
