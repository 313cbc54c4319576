"""Uploads that the host application begins, for its clients to go on with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from webtest import TestApp

from resumable import NotFound, ResumableUploads, Upload

DATA = b"0123456789" * 1000


def host(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"host"]


@pytest.fixture
def middleware(tmp_path: Path) -> ResumableUploads:
    return ResumableUploads(
        host,
        tmp_path,
        durability="process",
        owner=lambda environ: environ.get("HTTP_X_USER"),
        authorize=lambda caller, action, upload: bool(caller.environ["HTTP_X_USER"]),
    )


def _send(app: TestApp, id: str, start: int, data: bytes, user: str, **expected: Any) -> Any:
    headers = {
        "X-Upload-Id": id,
        "Content-Range": f"bytes {start}-{start + len(data) - 1}/{len(DATA)}",
        "X-User": user,
        "Content-Type": "application/octet-stream",
    }
    return app.put("/upload-chunk", data, headers=headers, **expected)


def test_a_client_goes_on_under_the_hosts_id(middleware: ResumableUploads) -> None:
    app = TestApp(middleware)
    made = middleware.uploads.create(owner="ann", filename="x.webm", metadata={"order": 7})
    answer = _send(app, made.id, 0, DATA[:6000], "ann")
    assert answer.json["uploadId"] == made.id
    assert middleware.uploads.get(made.id).offset == 6000
    _send(app, made.id, 6000, DATA[6000:], "ann")
    body = json.dumps({"uploadId": made.id})
    done = app.post("/finalize-upload", body, headers={"X-User": "ann"}).json
    assert (done["uploadId"], done["filename"], done["size"]) == (made.id, "x.webm", len(DATA))
    finished = middleware.uploads.get(made.id).finished
    assert finished is not None
    assert finished.metadata == {"order": 7}
    assert middleware.uploads.open(finished).read() == DATA
    assert middleware.uploads.url(finished, {"SCRIPT_NAME": "/app"}) == "/app" + done["path"]
    # A late duplicate is one; other bytes are refused, for the host's upload is the only one.
    assert _send(app, made.id, 0, DATA[:6000], "ann").json["duplicate"] is True
    assert _send(app, made.id, 0, b"x" * 100, "ann", status=409).json["code"] == "finished"


def test_another_users_id_is_unknown(middleware: ResumableUploads) -> None:
    app = TestApp(middleware)
    made = middleware.uploads.create(owner="ann")
    _send(app, made.id, 0, DATA, "bob")
    assert middleware.uploads.get(made.id).offset == 0


def test_its_owner_may_cancel_it(middleware: ResumableUploads) -> None:
    app = TestApp(middleware)
    made = middleware.uploads.create(owner="ann")
    app.delete(f"/upload-status/{made.id}", headers={"X-User": "bob"}, status=404)
    app.delete(f"/upload-status/{made.id}", headers={"X-User": "ann"}, status=204)
    with pytest.raises(NotFound):
        middleware.uploads.get(made.id)


def test_the_host_asks_nobody(middleware: ResumableUploads) -> None:
    """`authorize` above fails without a request; the host's own calls do not come to it."""
    made = middleware.uploads.create(owner="ann")
    middleware.uploads.cancel(made.id)


def test_cancelled_is_told_again_until_the_host_has_heard(tmp_path: Path) -> None:
    heard: list[str] = []

    def cancelled(upload: Upload) -> None:
        heard.append(upload.id)
        if len(heard) == 1:
            raise RuntimeError("the host is not there yet")

    middleware = ResumableUploads(None, tmp_path, durability="process", cancelled=cancelled)
    made = middleware.uploads.create()
    middleware.uploads.cancel(made.id)
    middleware.uploads.sweep()
    middleware.uploads.sweep()
    assert heard == [made.id, made.id]


def test_created_is_not_told_of_a_chunk_that_was_refused(tmp_path: Path) -> None:
    heard: list[str] = []
    app = TestApp(
        ResumableUploads(
            None, tmp_path, durability="process", created=lambda upload: heard.append(upload.id)
        )
    )
    headers = {"X-Upload-Id": "film", "X-Chunk-Index": "0", "X-Total-Chunks": "1"}
    wrong = {**headers, "X-Chunk-Digest": "crc32c:00000000"}
    app.put("/upload-chunk", DATA, headers=wrong, status=422)
    assert heard == []
    app.put("/upload-chunk", DATA, headers=headers)
    assert len(heard) == 1
