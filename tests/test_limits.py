"""What is refused, freed or forgotten: sizes, numbers, times, full disks."""

from __future__ import annotations

import io
import os
import time
from pathlib import Path
from typing import Any

import pytest

from resumable import Limits, ResumableUploads
from resumable.model import DAY
from tests.calls import BOUNDARY, call, file, snapshot
from tests.uploading import (
    DATA,
    SECRET,
    check_stored,
    finalize,
    old_chunk,
    put,
    status,
)


@pytest.fixture
def app(tmp_path: Path) -> ResumableUploads:
    return ResumableUploads(None, tmp_path / "store", durability="process")


# ---------------------------------------------------------------- deleting


def test_delete_frees_an_upload(app: ResumableUploads, tmp_path: Path) -> None:
    before = snapshot(tmp_path / "store")
    put(app, SECRET, b"x", X_Chunk_Index="0")
    assert call(app, "DELETE", f"/upload-status/{SECRET}").status == 204
    assert call(app, "GET", f"/upload-status/{SECRET}").status == 404
    assert call(app, "DELETE", f"/upload-status/{SECRET}").status == 404
    assert snapshot(tmp_path / "store") == before
    put(app, SECRET, b"y", X_Chunk_Index="0")
    check_stored(app, finalize(app, SECRET), b"y")
    answer = call(app, "DELETE", f"/upload-status/{SECRET}")
    assert (answer.status, answer.json["code"]) == (409, "finished")


def test_nobody_deletes_by_guess(app: ResumableUploads) -> None:
    put(app, "test123", b"x", X_Chunk_Index="0")
    answer = call(app, "DELETE", "/upload-status/test123")
    assert (answer.status, answer.json["error"]) == (404, "Upload not found")
    assert status(app, "test123")["receivedBytes"] == 1


# ---------------------------------------------------------------- limits and times


def limited(tmp_path: Path, **limits: Any) -> ResumableUploads:
    return ResumableUploads(
        None, tmp_path / "limited", durability="process", limits=Limits(**limits)
    )


@pytest.mark.parametrize("size", [0, 99, 100, 101, 5000])
def test_the_greatest_size_counts_on_every_way(tmp_path: Path, size: int) -> None:
    app = limited(tmp_path, max_size=100, memory=50)
    wanted = 200 if size <= 100 else 413
    content = DATA[:size]
    answers = [
        call(app, "POST", "/process-video-chunks", form=[file("file", content)]),
        old_chunk(app, "a", 0, 1, content),
        old_chunk(app, "b", 5, 6, content),
        put(app, "c", content, X_Chunk_Index="0"),
        put(app, "d", content, X_Byte_Offset="0"),
    ]
    assert [answer.status for answer in answers] == [wanted] * 5
    if wanted == 413:
        assert "100 bytes" in answers[0].json["error"]
        # The file part came first: it was refused while it came, not when all of it had been held.
        assert answers[2].json["error"] == "A file in a form may have at most 100 bytes."
        assert snapshot(tmp_path / "limited") == {}


def test_the_greatest_size_counts_over_chunks(tmp_path: Path) -> None:
    app = limited(tmp_path, max_size=100)
    assert put(app, "a", DATA[:60], X_Chunk_Index="0").status == 200
    assert put(app, "a", DATA[:60], X_Chunk_Index="1").status == 413
    assert put(app, "a", DATA[:60], X_Chunk_Index="7").status == 413
    assert put(app, "a", DATA[:10], X_Byte_Offset="95").status == 413
    assert put(app, "a", DATA[60:100], X_Chunk_Index="1").status == 200
    check_stored(app, finalize(app, "a"), DATA[:100])


def test_a_form_that_cannot_but_be_too_large_is_not_read(tmp_path: Path) -> None:
    app = limited(tmp_path, max_size=100)

    class Untouched(io.BytesIO):
        def read1(self, size: int | None = -1) -> bytes:
            raise AssertionError("nobody shall read this")

    answer = call(
        app,
        "POST",
        "/process-video-chunks",
        headers={
            "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
            "Content-Length": str(3 * 1024 * 1024),
            "Expect": "100-continue",
        },
        environ={"wsgi.input": Untouched(), "SERVER_SOFTWARE": "WSGIServer/0.2"},
    )
    assert answer.status == 413


def test_the_greatest_chunk(tmp_path: Path) -> None:
    app = limited(tmp_path, max_chunk_size=100)
    assert call(app, "GET", "/upload-config").json["maxChunkSize"] == 100
    assert put(app, "a", DATA[:101], X_Chunk_Index="0").status == 413
    assert old_chunk(app, "a", 0, 1, DATA[:101]).status == 413
    assert old_chunk(app, "a", 0, 2, DATA[:100]).status == 200
    assert old_chunk(app, "a", 1, 2, DATA[100:200]).status == 200
    check_stored(app, finalize(app, "a"), DATA[:200])


def test_too_many_chunks_and_uploads(tmp_path: Path) -> None:
    app = limited(tmp_path, max_chunks=3, max_uploads=2)
    assert put(app, "a", b"x", X_Chunk_Index="3").json["code"] == "too-many-chunks"
    assert put(app, "a", b"x", X_Chunk_Index="0", X_Total_Chunks="4").json["code"] == (
        "too-many-chunks"
    )
    for id in "ab":
        assert put(app, id, b"x", X_Chunk_Index="2").status == 200
    answer = put(app, "c", b"x", X_Chunk_Index="0")
    assert (answer.status, answer.json["code"]) == (429, "too-many")
    assert int(answer.headers["retry-after"]) > 0
    assert put(app, "a", b"y", X_Chunk_Index="0").status == 200


def test_an_expired_upload_is_gone_and_its_id_free(tmp_path: Path) -> None:
    app = limited(tmp_path)
    put(app, "a", b"x", X_Chunk_Index="0")
    long_ago = time.time() - 6 * DAY - 60
    for path in (tmp_path / "limited").rglob("*"):
        os.utime(path, (long_ago, long_ago))
    app = limited(tmp_path)
    assert call(app, "GET", "/upload-status/a").status == 404
    assert finalize(app, "a").status == 404
    assert put(app, "a", b"y", X_Chunk_Index="0").status == 200
    check_stored(app, finalize(app, "a"), b"y")


def test_a_full_disk_is_507(tmp_path: Path) -> None:
    app = limited(tmp_path, free_space=0)
    put(app, "a", b"x", X_Chunk_Index="0")
    app = limited(tmp_path, free_space=2**60)
    put(app, "b", b"x", X_Chunk_Index="0")
    for answer in (
        put(app, "a", b"y", X_Chunk_Index="1"),
        old_chunk(app, "a", 1, 2, b"y"),
        call(app, "POST", "/process-video-chunks", form=[file("file", b"x")]),
    ):
        assert (answer.status, answer.json["code"]) == (507, "no-room")
        assert int(answer.headers["retry-after"]) > 0
    check_stored(limited(tmp_path), finalize(limited(tmp_path), "a"), b"x")
