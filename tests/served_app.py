"""The application that real servers serve in the tests: a host page beside the uploads."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from resumable import ResumableUploads


def page(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "4")])
    return [b"" if environ["REQUEST_METHOD"] == "HEAD" else b"page"]


app = ResumableUploads(page, os.environ["SERVED_ROOT"], durability="process", listing=True)
