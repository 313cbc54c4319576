"""One upload, two protocols: begun by chunks and ended by PATCH, and the other way round."""

from __future__ import annotations

import random
import time
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest

from resumable import Limits, ResumableUploads
from resumable.engine import Engine
from resumable.model import Finished
from tests.calls import Answer, call
from tests.clients.world import KIB, World

DATA = random.Random(5).randbytes(300 * KIB)
HALF = 128 * KIB
BYTES = {"Content-Type": "application/offset+octet-stream"}


def tus(app: Any, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return call(app, method, path, body, {"Tus-Resumable": "1.0.0", **named})


def patch(app: Any, path: str, offset: int, body: bytes, **more: str) -> Answer:
    told = {"Content_Type": BYTES["Content-Type"], "Upload_Offset": str(offset), **more}
    return tus(app, "PATCH", path, body, **told)


def put(app: Any, id: str, start: int, body: bytes) -> Answer:
    """A chunk with its place."""
    return call(app, "PUT", "/upload-chunk", body, {"X-Upload-Id": id, "X-Byte-Offset": str(start)})


@pytest.fixture
def heard() -> list[Finished]:
    return []


@pytest.fixture
def app(tmp_path: Path, heard: list[Finished]) -> ResumableUploads:
    return ResumableUploads(
        None, tmp_path / "data", durability="process", completed=heard.append, listing=True
    )


def create(app: Any, **headers: str) -> str:
    answer = tus(app, "POST", "/files/", **headers)
    assert answer.status == 201, answer
    return "/files/" + answer.headers["location"]


# ---------------------------------------------------------------- begun here, ended there


def test_begun_by_chunks_and_ended_by_patch(app: ResumableUploads, heard: list[Finished]) -> None:
    assert put(app, "recording", HALF, DATA[HALF : 2 * HALF]).status == 200
    path = "/files/" + app.uploads.get("recording").upload.id
    # Behind a gap nothing counts for tus.
    head = tus(app, "HEAD", path)
    assert (head.headers["upload-offset"], head.headers["upload-defer-length"]) == ("0", "1")
    assert put(app, "recording", 0, DATA[:HALF]).status == 200
    assert tus(app, "HEAD", path).headers["upload-offset"] == str(2 * HALF)
    last = patch(app, path, 2 * HALF, DATA[2 * HALF :], Upload_Length=str(len(DATA)))
    assert (last.status, last.headers["upload-offset"]) == (204, str(len(DATA)))
    assert tus(app, "GET", path).body == DATA
    status = call(app, "GET", "/upload-status/recording").json
    assert status["offset"] == len(DATA)
    done = call(app, "POST", "/finalize-upload", json={"uploadId": "recording"})
    assert done.status == 200, done
    assert call(app, "GET", done.json["path"]).body == DATA
    assert len(heard) == 1


def test_a_patch_fills_a_gap_up_to_bytes_that_are_there(app: ResumableUploads) -> None:
    """It brings known bytes once more, which is no harm where they are the same."""
    for start, end in ((0, 10), (20, 30)):
        assert put(app, "gap", start, DATA[start:end]).status == 200
    path = "/files/" + app.uploads.get("gap").upload.id
    assert tus(app, "HEAD", path).headers["upload-offset"] == "10"
    filled = patch(app, path, 10, DATA[10:25], Upload_Length="40")
    assert (filled.status, filled.headers["upload-offset"]) == (204, "30")
    assert patch(app, path, 30, DATA[30:40]).status == 204
    assert tus(app, "GET", path).body == DATA[:40]


def test_a_patch_cannot_change_bytes_behind_a_gap(app: ResumableUploads) -> None:
    for start, end in ((0, 10), (20, 30)):
        assert put(app, "gap", start, DATA[start:end]).status == 200
    path = "/files/" + app.uploads.get("gap").upload.id
    other = patch(app, path, 10, bytes(15))
    assert (other.status, other.json["code"]) == (409, "other-bytes")
    assert patch(app, path, 10, DATA[10:20], Upload_Length="30").status == 204
    assert tus(app, "GET", path).body == DATA[:30]


def test_begun_by_tus_and_ended_by_chunks(app: ResumableUploads, heard: list[Finished]) -> None:
    path = create(app, Upload_Length=str(len(DATA)), Upload_Metadata="filename YS5iaW4=")
    id = path.rpartition("/")[2]
    assert patch(app, path, 0, DATA[:1000]).status == 204
    status = call(app, "GET", f"/upload-status/{id}").json
    assert (status["offset"], status["receivedBytes"]) == (1000, 1000)
    assert put(app, id, HALF, DATA[HALF:]).status == 200
    assert tus(app, "HEAD", path).headers["upload-offset"] == "1000"
    assert put(app, id, 1000, DATA[1000:HALF]).status == 200
    done = call(app, "POST", "/finalize-upload", json={"uploadId": id})
    assert done.status == 200, done
    assert done.json["filename"] == "a.bin"
    assert call(app, "GET", done.json["path"]).body == DATA
    assert tus(app, "GET", path).body == DATA
    head = tus(app, "HEAD", path).headers
    assert head["upload-offset"] == head["upload-length"] == str(len(DATA))
    assert [one.id for one in heard] == [id]


def test_a_head_finishes_what_chunks_have_filled(
    app: ResumableUploads, heard: list[Finished]
) -> None:
    path = create(app, Upload_Length="10")
    assert put(app, path.rpartition("/")[2], 0, DATA[:10]).status == 200
    assert heard == []
    assert tus(app, "HEAD", path).headers["upload-offset"] == "10"
    assert len(heard) == 1
    assert tus(app, "GET", path).body == DATA[:10]


def test_both_over_a_real_server(world: World) -> None:
    begun = world.ask("POST", world.endpoint, headers={"Upload-Length": str(len(DATA))})
    url = urljoin(world.endpoint, begun.headers["location"])
    told = {"X-Upload-Id": url.rpartition("/")[2], "X-Byte-Offset": "0"}
    assert world.ask("PUT", "/upload-chunk", DATA[:HALF], told).status == 200
    assert world.head(url)["upload-offset"] == str(HALF)
    told = {"Upload-Offset": str(HALF), **BYTES}
    assert world.ask("PATCH", url, DATA[HALF:], told).status == 204
    world.check(url, DATA)


# ---------------------------------------------------------------- pieces and wholes


@pytest.fixture(params=["Upload_Length", "Upload_Defer_Length"])
def waiting(app: ResumableUploads, request: pytest.FixtureRequest) -> tuple[str, str]:
    """A final upload, and its one partial, which has no bytes yet, and perhaps no length."""
    length = {"Upload_Length": "20"}.get(request.param, "1")
    piece = create(app, Upload_Concat="partial", **{request.param: length})
    return create(app, Upload_Concat=f"final;{piece}"), piece


def test_no_chunk_gets_into_an_upload_that_is_made_of_others(
    app: ResumableUploads, waiting: tuple[str, str]
) -> None:
    final, piece = waiting
    refused = put(app, final.rpartition("/")[2], 0, DATA[:20])
    assert (refused.status, refused.json["code"]) == (403, "concatenation")
    assert "upload-offset" not in tus(app, "HEAD", final).headers
    assert patch(app, piece, 0, DATA[20:40], Upload_Length="20").status == 204
    assert tus(app, "GET", final).body == DATA[20:40]


def test_an_upload_that_waits_for_its_pieces_cannot_be_finalized(
    app: ResumableUploads, waiting: tuple[str, str], heard: list[Finished]
) -> None:
    final, piece = waiting
    early = {"uploadId": final.rpartition("/")[2]}
    refused = call(app, "POST", "/finalize-upload", json=early)
    assert (refused.status, refused.json["code"]) == (400, "missing-bytes")
    assert heard == []
    assert patch(app, piece, 0, DATA[:20], Upload_Length="20").status == 204
    done = call(app, "POST", "/finalize-upload", json=early)
    assert (done.status, done.json["size"]) == (200, 20)
    assert len(heard) == 1


def test_the_last_piece_ended_by_chunks_ends_the_whole(
    app: ResumableUploads, waiting: tuple[str, str], heard: list[Finished]
) -> None:
    final, piece = waiting
    id = piece.rpartition("/")[2]
    assert put(app, id, 0, DATA[:20]).status == 200
    assert call(app, "POST", "/finalize-upload", json={"uploadId": id}).status == 200
    assert [one.id for one in heard] == [final.rpartition("/")[2]]
    assert tus(app, "GET", final).body == DATA[:20]


def test_a_sweep_puts_together_what_nobody_asks_for(
    app: ResumableUploads,
    waiting: tuple[str, str],
    heard: list[Finished],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The process died between the last byte of the last piece and the whole."""
    final, piece = waiting
    with monkeypatch.context() as patched:
        patched.setattr("resumable.concatenating.Concatenator.release", lambda *_: None)
        assert patch(app, piece, 0, DATA[:20], Upload_Length="20").status == 204
    assert heard == []
    app.uploads.sweep()
    assert [one.id for one in heard] == [final.rpartition("/")[2]]


def test_the_length_of_a_whole_is_told_as_soon_as_its_pieces_have_one(
    app: ResumableUploads,
) -> None:
    """HEAD "MUST" have it where it can be calculated at the time of the request."""
    piece = create(app, Upload_Defer_Length="1", Upload_Concat="partial")
    other = create(app, Upload_Length="7", Upload_Concat="partial")
    final = create(app, Upload_Concat=f"final;{piece} {other}")
    head = tus(app, "HEAD", final).headers
    assert not {"upload-length", "upload-defer-length", "upload-offset"} & head.keys()
    assert patch(app, piece, 0, DATA[:5], Upload_Length="20").status == 204
    head = tus(app, "HEAD", final).headers
    assert head["upload-length"] == "27"
    assert "upload-offset" not in head


def test_a_whole_that_turns_out_too_large_expires(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused where somebody asks, and no sweep stumbles over it."""
    later = [0.0]
    engine = partial(Engine, clock=lambda: time.time() + later[0])
    monkeypatch.setattr("resumable.wsgi.Engine", engine)
    limits = Limits(max_size=30, expiry=100, grace=10)
    app = ResumableUploads(None, tmp_path / "data", durability="process", limits=limits)
    piece = create(app, Upload_Defer_Length="1", Upload_Concat="partial")
    final = create(app, Upload_Concat=f"final;{piece} {piece}")
    assert patch(app, piece, 0, DATA[:20], Upload_Length="20").status == 204
    assert tus(app, "HEAD", final).status == 413
    assert app.uploads.sweep().expired == 0
    later[0] = 200
    assert app.uploads.sweep().expired == 2
    assert tus(app, "HEAD", final).status == 404
