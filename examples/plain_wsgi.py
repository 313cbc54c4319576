"""Resumable uploads without a framework; try it with `PORT=8001 python examples/plain_wsgi.py`."""

import hashlib
import json
import os
from pathlib import Path

from resumable import Finished, ResumableUploads
from resumable.serve import run

digests: dict[str, str] = {}  # a real app has a table here; the upload's id is its key


def completed(finished: Finished) -> None:
    """The file is whole and safe. Told at least once per upload, so do it once per id."""
    if finished.id not in digests:
        with app.uploads.open(finished) as file:
            digests[finished.id] = hashlib.file_digest(file, "sha256").hexdigest()


def pages(environ, start_response):
    match environ["PATH_INFO"]:
        case "/":
            status, kind = "200 OK", "text/html; charset=utf-8"
            body = Path(__file__).with_name("page.html").read_bytes()
        case "/received":
            status, kind = "200 OK", "application/json"
            files = [entry(finished) for finished in environ["resumable.uploads"].list()]
            body = json.dumps({"files": files}).encode()
        case _:
            status, kind, body = "404 Not Found", "text/plain", b"Not Found"
    start_response(status, [("Content-Type", kind), ("Content-Length", str(len(body)))])
    return [body]


def entry(finished: Finished) -> dict[str, object]:
    return {
        "name": finished.filename,
        "size": finished.size,
        "url": f"/recordings/{finished.token}",
        "sha256": digests.get(finished.id),
    }


app = ResumableUploads(pages, os.environ.get("STORAGE", "./data"), completed=completed)

if __name__ == "__main__":
    # gunicorn where it is installed, werkzeug's development server else; sweeps by itself.
    run(lambda: (app, app.uploads), port=int(os.environ.get("PORT", "8000")))
