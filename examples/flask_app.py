"""Resumable uploads in a Flask app; try it with `PORT=8001 python examples/flask_app.py`."""

import hashlib
import os
from pathlib import Path

from flask import Flask, request, send_file

from resumable import Finished, ResumableUploads

app = Flask(__name__)
digests: dict[str, str] = {}  # a real app has a table here; the upload's id is its key


def completed(finished: Finished) -> None:
    """The file is whole and safe. Told at least once per upload, so do it once per id."""
    if finished.id not in digests:
        with uploads.open(finished) as file:
            digests[finished.id] = hashlib.file_digest(file, "sha256").hexdigest()


app.wsgi_app = ResumableUploads(  # type: ignore[method-assign]
    app.wsgi_app, os.environ.get("STORAGE", "./data"), completed=completed
)
uploads = app.wsgi_app.uploads


@app.get("/")
def page():
    return send_file(Path(__file__).with_name("page.html"))


@app.get("/received")
def received():
    return {"files": [entry(finished) for finished in request.environ["resumable.uploads"].list()]}


def entry(finished: Finished) -> dict[str, object]:
    return {
        "name": finished.filename,
        "size": finished.size,
        "url": f"/recordings/{finished.token}",
        "sha256": digests.get(finished.id),
    }


if __name__ == "__main__":
    app.run(port=int(os.environ.get("PORT", "8000")))
