"""Resumable uploads in a Bottle app; try it with `PORT=8001 python examples/bottle_app.py`."""

import hashlib
import os
from pathlib import Path

from bottle import Bottle, request, static_file
from werkzeug.serving import run_simple

from resumable import Finished, ResumableUploads

bottle = Bottle()
digests: dict[str, str] = {}  # a real app has a table here; the upload's id is its key


def completed(finished: Finished) -> None:
    """The file is whole and safe. Told at least once per upload, so do it once per id."""
    if finished.id not in digests:
        with app.uploads.open(finished) as file:
            digests[finished.id] = hashlib.file_digest(file, "sha256").hexdigest()


@bottle.get("/")
def page():
    return static_file("page.html", root=Path(__file__).parent)


@bottle.get("/received")
def received():
    return {"files": [entry(finished) for finished in request.environ["resumable.uploads"].list()]}


def entry(finished: Finished) -> dict[str, object]:
    return {
        "name": finished.filename,
        "size": finished.size,
        "url": f"/recordings/{finished.token}",
        "sha256": digests.get(finished.id),
    }


app = ResumableUploads(bottle, os.environ.get("STORAGE", "./data"), completed=completed)

if __name__ == "__main__":
    # Bottle's own default server answers one request at a time.
    run_simple("127.0.0.1", int(os.environ.get("PORT", "8000")), app, threaded=True)
