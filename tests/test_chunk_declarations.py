"""What clients declare, what is missing, and bodies that are cut."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from resumable import Finished, ResumableUploads
from tests.calls import BOUNDARY, Answer, call, file, multipart, snapshot
from tests.uploading import (
    DATA,
    check_stored,
    crc,
    finalize,
    old_chunk,
    put,
    sha256,
    slices,
    status,
)


@pytest.fixture
def app(tmp_path: Path) -> ResumableUploads:
    return ResumableUploads(None, tmp_path / "store", durability="process")


# ---------------------------------------------------------------- what is missing


def test_finalize_names_the_first_missing_chunk(app: ResumableUploads, tmp_path: Path) -> None:
    chunks = slices(DATA, 4)
    for index in (0, 3):
        old_chunk(app, "t1", index, 4, chunks[index])
    before = snapshot(tmp_path)
    for words in ({}, {"totalChunks": 4}, {"filename": "x"}):
        answer = finalize(app, "t1", **words)
        assert (answer.status, answer.json) == (
            400,
            {"error": "Missing chunk 1", "code": "missing-chunk"},
        )
    assert snapshot(tmp_path) == before
    for index in (1, 2):
        old_chunk(app, "t1", index, 4, chunks[index])
    check_stored(app, finalize(app, "t1"), DATA)


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ({"totalChunks": 3}, "Missing chunk 2"),
        ({"totalSize": len(DATA) + 1}, f"Missing bytes from offset {len(DATA)}"),
    ],
)
def test_finalize_may_bring_the_total(
    app: ResumableUploads, words: dict[str, int], error: str
) -> None:
    for index, chunk in enumerate(slices(DATA, 2)):
        old_chunk(app, "t1", index, None, chunk)
    assert finalize(app, "t1", **words).json["error"] == error
    check_stored(app, finalize(app, "t1", totalChunks=2, totalSize=len(DATA)), DATA)


def test_without_a_total_a_gap_is_still_one(app: ResumableUploads) -> None:
    old_chunk(app, "t1", 0, None, b"a")
    old_chunk(app, "t1", 2, None, b"c")
    assert finalize(app, "t1").json["error"] == "Missing chunk 1"
    old_chunk(app, "t1", 1, None, b"b")
    check_stored(app, finalize(app, "t1"), b"abc")


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_an_unknown_id(app: ResumableUploads, tmp_path: Path, method: str) -> None:
    answer = call(app, method, "/upload-status/upload_1700000000000_k3j9x0a2b")
    assert answer.status == 404
    if method != "HEAD":
        assert answer.json == {"error": "Upload not found", "code": "not-found"}
    assert finalize(app, "never").json == {"error": "Upload not found", "code": "not-found"}
    assert snapshot(tmp_path) == {}


# ---------------------------------------------------------------- what was declared


def test_totals_do_not_change(app: ResumableUploads) -> None:
    chunks = slices(DATA, 3)
    old_chunk(app, "t1", 0, 3, chunks[0], totalSize=str(len(DATA)), chunkSize="8000")
    before = status(app, "t1")
    for total, more in [
        (2, {}),
        (4, {}),
        (3, {"totalSize": str(len(DATA) - 1)}),
        (3, {"chunkSize": "8001"}),
    ]:
        answer = old_chunk(app, "t1", 1, total, chunks[1], **more)
        assert (answer.status, answer.json["code"]) == (409, "total-conflict")
    assert finalize(app, "t1", totalChunks=2).json["code"] == "total-conflict"
    assert status(app, "t1") == before
    old_chunk(app, "t1", 1, None, chunks[1])
    old_chunk(app, "t1", 2, 3, chunks[2])
    check_stored(app, finalize(app, "t1"), DATA)


@pytest.mark.parametrize(("index", "total"), [(3, 3), (4, 3), (1, 1)])
def test_an_index_is_below_the_total(app: ResumableUploads, index: int, total: int) -> None:
    answer = old_chunk(app, "t1", index, total, b"x")
    assert (answer.status, answer.json["code"]) == (400, "chunk-index")
    assert call(app, "GET", "/upload-status/t1").status == 404


def test_chunks_of_one_declared_size_stand_where_they_belong(app: ResumableUploads) -> None:
    chunks = slices(DATA, 4)
    for index in (3, 1):
        answer = put(
            app, "sized", chunks[index], X_Chunk_Index=str(index), X_Chunk_Size="6000",
            X_Total_Chunks="4", X_Total_Size="24000",
        )  # fmt: skip
        assert answer.status == 200
    known = status(app, "sized")
    assert known["missing"] == [[0, 6000], [12000, 18000]]
    assert known["receivedChunks"] == [1, 3]
    for index in (0, 2):
        put(app, "sized", chunks[index], X_Chunk_Index=str(index))
    check_stored(app, finalize(app, "sized"), DATA)


@pytest.mark.parametrize("length", [0, 5999, 6001])
def test_a_chunk_that_is_not_as_large_as_declared(app: ResumableUploads, length: int) -> None:
    answer = put(
        app, "sized", DATA[:length], X_Chunk_Index="1", X_Chunk_Size="6000", X_Total_Chunks="4"
    )
    assert (answer.status, answer.json["code"]) == (400, "chunk-length")
    assert call(app, "GET", "/upload-status/sized").status == 404


@pytest.mark.parametrize("digest_of", [sha256, crc])
@pytest.mark.parametrize("index", [0, 2])
def test_a_digest_is_checked_before_a_byte_counts(
    app: ResumableUploads, tmp_path: Path, index: int, digest_of: Callable[[bytes], str]
) -> None:
    chunks = slices(DATA, 3)
    good = digest_of(chunks[index])
    old_chunk(app, "t1", 1, 3, chunks[1])
    before = snapshot(tmp_path)
    damaged = bytes([chunks[index][0] ^ 1]) + chunks[index][1:]
    for answer in (
        old_chunk(app, "t1", index, 3, damaged, chunkDigest=good),
        put(app, "t1", damaged, X_Chunk_Index=str(index), X_Chunk_Digest=good),
    ):
        assert (answer.status, answer.json["code"]) == (422, "digest-mismatch")
    assert status(app, "t1")["receivedChunks"] == [1]
    assert snapshot(tmp_path).keys() == before.keys()
    assert old_chunk(app, "t1", index, 3, chunks[index], chunkDigest=good).status == 200
    old_chunk(app, "t1", 2 - index, 3, chunks[2 - index])
    check_stored(app, finalize(app, "t1"), DATA)


def test_a_first_chunk_with_a_wrong_digest_leaves_no_upload(
    app: ResumableUploads, tmp_path: Path
) -> None:
    assert put(app, "t1", b"x", X_Chunk_Index="0", X_Chunk_Digest=crc(b"y")).status == 422
    assert snapshot(tmp_path / "store") == {}


@pytest.mark.parametrize("digest_of", [sha256, crc])
def test_the_whole_file_has_a_digest(
    app: ResumableUploads, digest_of: Callable[[bytes], str]
) -> None:
    for index, chunk in enumerate(slices(DATA, 3)):
        old_chunk(app, "t1", index, 3, chunk)
    check_stored(app, finalize(app, "t1", digest=digest_of(DATA)), DATA)
    assert finalize(app, "t1", digest=digest_of(DATA)).status == 200


def test_a_wrong_crc32c_changes_nothing(app: ResumableUploads) -> None:
    old_chunk(app, "t1", 0, 1, DATA)
    answer = finalize(app, "t1", digest=crc(b"other"))
    assert (answer.status, answer.json["code"]) == (422, "digest-mismatch")
    assert app.uploads.list() == []
    check_stored(app, finalize(app, "t1", digest=crc(DATA)), DATA)


def test_a_wrong_sha256_removes_the_file(app: ResumableUploads, tmp_path: Path) -> None:
    heard: list[Finished] = []
    app = ResumableUploads(None, tmp_path / "s", durability="process", completed=heard.append)
    old_chunk(app, "t1", 0, 1, DATA)
    answer = finalize(app, "t1", digest=sha256(b"other"))
    assert (answer.status, answer.json["code"]) == (422, "digest-mismatch")
    assert (app.uploads.list(), heard) == ([], [])
    assert call(app, "GET", "/upload-status/t1").status == 404
    old_chunk(app, "t1", 0, 1, DATA)
    check_stored(app, finalize(app, "t1", digest=sha256(DATA)), DATA)
    assert len(heard) == 1


# ---------------------------------------------------------------- raw bodies and cuts


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_raw_bodies_by_range(app: ResumableUploads, method: str) -> None:
    for start, end in [(18_000, 24_000), (0, 10_000), (10_000, 18_000)]:
        headers = {"X-Upload-Id": "raw", "Content-Range": f"bytes {start}-{end - 1}/24000"}
        answer = call(app, method, "/upload-chunk", DATA[start:end], headers)
        assert answer.status == 200
        assert answer.json["chunkIndex"] is None
    check_stored(app, finalize(app, "raw"), DATA)


def cut(app: Any, id: str, content: bytes, announced: int, **headers: str) -> Answer:
    """A body that ends before its length."""
    return put(app, id, content, Content_Length=str(announced), **headers)


def test_a_cut_raw_body_keeps_what_came(app: ResumableUploads) -> None:
    whole = "bytes 0-23999/24000"
    answer = cut(app, "raw", DATA[:7001], 24_000, Content_Range=whole)
    assert (answer.status, answer.json["code"]) == (408, "interrupted")
    known = status(app, "raw")
    assert known["missing"] == [[7001, 24_000]]
    assert known["receivedChunks"] == []
    assert finalize(app, "raw").json["code"] == "missing-bytes"
    put(app, "raw", DATA[7001:], Content_Range="bytes 7001-23999/24000")
    check_stored(app, finalize(app, "raw"), DATA)


def test_a_cut_chunk_of_known_place_is_not_whole(app: ResumableUploads) -> None:
    words = {"X_Chunk_Index": "0", "X_Chunk_Size": "12000", "X_Total_Chunks": "2"}
    assert cut(app, "raw", DATA[:5000], 12_000, **words).status == 408
    known = status(app, "raw")
    assert (known["receivedChunks"], known["offset"]) == ([], 5000)
    for index in range(2):
        assert put(
            app,
            "raw",
            DATA[12_000 * index : 12_000 * (index + 1)],
            **{**words, "X_Chunk_Index": str(index)},
        ).status == 200  # fmt: skip
    check_stored(app, finalize(app, "raw"), DATA)


@pytest.mark.parametrize("index", [0, 1])
def test_a_cut_form_is_never_stored_as_complete(app: ResumableUploads, index: int) -> None:
    """Section 7, rule 8: at whatever byte."""
    fields = [("uploadId", "t1"), ("chunkIndex", str(index)), ("totalChunks", "2")]
    orders = [[file("chunk", DATA[:3000]), *fields], [*fields, file("chunk", DATA[:3000])]]
    for form in map(multipart, orders):
        for end in range(0, len(form) - 2, 211):
            answer = call(
                app,
                "POST",
                "/upload-chunk",
                form[:end],
                {
                    "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
                    "Content-Length": str(len(form)),
                },
            )
            assert (answer.status, answer.json["code"]) == (408, "interrupted")
            known = call(app, "GET", "/upload-status/t1")
            assert known.status == 404 or known.json["receivedChunks"] == []


def test_a_cut_direct_upload_leaves_nothing(app: ResumableUploads, tmp_path: Path) -> None:
    form = multipart([file("file", DATA, "x.webm")])
    for end in (0, 100, 5000, len(form) - 5):
        answer = call(
            app,
            "POST",
            "/process-video-chunks",
            form[:end],
            {
                "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
                "Content-Length": str(len(form)),
            },
        )
        assert answer.status == 408
    assert snapshot(tmp_path / "store") == {}


@pytest.mark.parametrize(
    ("content_range", "length", "status_code", "code"),
    [
        ("bytes 0-9/10", 9, 400, "range-length"),
        ("bytes 0-9/10", 11, 413, "too-large"),
        ("bytes 0-9/10", 0, 400, "range-length"),
        ("bytes 5-9/10", 5, 200, None),
    ],
)
@pytest.mark.parametrize("announced", [True, False])
def test_a_range_and_its_body(
    app: ResumableUploads,
    content_range: str,
    length: int,
    status_code: int,
    code: str | None,
    announced: bool,
) -> None:
    """Also where the body is chunked, on a server that knows where it ends."""
    environ: dict[str, Any] = {}
    if not announced:
        environ = {
            "CONTENT_LENGTH": None,
            "HTTP_TRANSFER_ENCODING": "chunked",
            "wsgi.input_terminated": True,
            "SERVER_SOFTWARE": "waitress",
        }
    answer = call(
        app,
        "PUT",
        "/upload-chunk",
        DATA[:length],
        {"X-Upload-Id": "r", "Content-Range": content_range},
        environ=environ,
    )
    assert (answer.status, answer.json.get("code")) == (status_code, code)
    if code is not None:
        assert call(app, "GET", "/upload-status/r").status == 404
