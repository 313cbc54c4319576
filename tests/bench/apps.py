"""The applications under test: ours, and the bare ones that mark the ceiling."""

from __future__ import annotations

import itertools
import json
import os
from typing import Any

from resumable import Limits
from resumable.serve import application

ROOT = os.environ.get("BENCH_ROOT", "")
DURABILITY = os.environ.get("BENCH_DURABILITY", "process")
READ_SIZE = 1024 * 1024
_numbers = itertools.count()


def bare(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Read the body and `pwrite` it at the offset of the query; sync it if the run asks for that.

    The least that any upload server could do with a request, under the same server and with the
    same read size. An offset of 0 opens a new file.
    """
    left = int(environ["CONTENT_LENGTH"])
    name, offset = environ["QUERY_STRING"].split(",")
    position = int(offset)
    path = os.path.join(ROOT, name or f"{os.getpid()}-{next(_numbers)}")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        while left:
            piece = environ["wsgi.input"].read(min(READ_SIZE, left))
            if not piece:
                break
            os.pwrite(descriptor, piece, position)
            position, left = position + len(piece), left - len(piece)
        if DURABILITY == "full":
            os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
    start_response("200 OK", [("Content-Length", "2")])
    return [b"{}"]


def ours(environ: dict[str, Any], start_response: Any) -> Any:
    """The middleware on local disk."""
    return _middleware(environ, start_response)


_middleware = (
    application(
        ROOT,
        storage_options=json.loads(os.environ.get("BENCH_OPTIONS", "{}")),
        durability=DURABILITY,
        limits=Limits(max_size=None),
    )
    if ROOT
    else bare
)
