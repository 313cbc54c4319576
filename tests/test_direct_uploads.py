"""A whole file in one form, and what the host hears and sees of uploads."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from resumable import Finished, ResumableUploads, Upload
from tests.calls import call, file, snapshot
from tests.uploading import (
    SECRET,
    check_stored,
    finalize,
    put,
)


@pytest.fixture
def app(tmp_path: Path) -> ResumableUploads:
    return ResumableUploads(None, tmp_path / "store", durability="process")


# ---------------------------------------------------------------- direct uploads


@pytest.mark.parametrize(
    ("parts", "filename"),
    [
        ([file("file", b"x", "test.webm")], "test.webm"),
        ([file("file", b"x", "test.webm"), ("filename", "d.webm")], "d.webm"),
        ([("filename", "d.webm"), file("file", b"x", "test.webm")], "d.webm"),
        ([file("file", b"x", "../../evil/test.webm")], "test.webm"),
        ([file("file", b"x", "ü😀.webm")], "ü😀.webm"),
        ([file("file", b"x", "blob")], None),
        ([file("file", b"x", "")], None),
        ([file("file", b"x", None)], None),
        ([file("file", b"x", "test.webm"), ("filename", "")], None),
        ([file("file", b"x", ".."), ("options", "{}")], None),
    ],
)
def test_names_of_direct_uploads(app: ResumableUploads, parts: Any, filename: str | None) -> None:
    answer = call(app, "POST", "/process-video-chunks", form=parts)
    name = check_stored(app, answer, b"x")["filename"]
    assert name == filename or (filename is None and name.startswith("recording_"))


def test_options_are_kept_for_the_host(tmp_path: Path) -> None:
    heard: list[Finished] = []
    app = ResumableUploads(None, tmp_path, durability="process", completed=heard.append)
    sent = {"convertToMp4": True, "frameSize": "20", "resumable": True, "maxConcurrent": 3}
    form = [file("file", b"x"), ("options", json.dumps(sent))]
    call(app, "POST", "/process-video-chunks", form=form)
    put(app, "a", b"y", X_Chunk_Index="0")
    finalize(app, "a", options=sent)
    assert [finished.options for finished in heard] == [{"convertToMp4": True, "frameSize": 20}] * 2


LARGE = random.Random(5).randbytes(9 * 1024 * 1024)


@pytest.mark.parametrize("content", [b"x", LARGE], ids=["small", "larger than a part"])
@pytest.mark.parametrize(
    "field",
    [("options", '{"frame":"yes"}'), ("filename", "x" * 1025), ("filename", "ok")],
    ids=["options", "filename", "twice"],
)
def test_a_refused_direct_upload_leaves_nothing(
    app: ResumableUploads, tmp_path: Path, content: bytes, field: tuple[str, str]
) -> None:
    for form in (
        [field, file("file", content), ("filename", "ok")],
        [file("file", content), field, ("filename", "ok")],
    ):
        if field[0] == "options":
            form = form[:2]
        answer = call(app, "POST", "/process-video-chunks", form=form)
        assert answer.status == 400, answer
        assert snapshot(tmp_path / "store") == {}


def test_a_direct_upload_that_may_not_finish_is_taken_back(tmp_path: Path) -> None:
    app = ResumableUploads(
        None,
        tmp_path,
        durability="process",
        authorize=lambda caller, action, upload: action != "finish",
    )
    assert call(app, "POST", "/process-video-chunks", form=[file("file", b"x")]).status == 404
    assert snapshot(tmp_path) == {}


# ---------------------------------------------------------------- the host


def test_the_host_hears_of_everything(tmp_path: Path) -> None:
    heard: list[tuple[str, Any]] = []

    def hear(event: str) -> Callable[[Any], None]:
        return lambda subject: heard.append((event, subject))

    app = ResumableUploads(
        None,
        tmp_path,
        durability="process",
        created=hear("created"),
        completed=hear("completed"),
        cancelled=hear("cancelled"),
    )
    put(app, SECRET, b"x", X_Chunk_Index="0")
    put(app, SECRET, b"y", X_Chunk_Index="1")
    call(app, "DELETE", f"/upload-status/{SECRET}")
    put(app, SECRET, b"z", X_Chunk_Index="0")
    finalize(app, SECRET)
    finalize(app, SECRET)
    assert [event for event, _ in heard] == ["created", "cancelled", "created", "completed"]
    created, cancelled, _, completed = (subject for _, subject in heard)
    assert isinstance(created, Upload)
    assert created == cancelled
    assert created.client_id == SECRET
    assert (completed.size, completed.client_id) == (1, SECRET)


def test_a_hook_that_fails_harms_no_client(tmp_path: Path) -> None:
    heard: list[Finished] = []

    def completed(finished: Finished) -> None:
        heard.append(finished)
        if len(heard) == 1:
            raise RuntimeError("not today")

    app = ResumableUploads(None, tmp_path, durability="process", completed=completed)
    put(app, "a", b"x", X_Chunk_Index="0")
    first = finalize(app, "a")
    assert first.status == 200
    assert finalize(app, "a").json == first.json
    assert len(heard) == 2
    assert heard[0] == heard[1]


def test_the_hosts_own_view(app: ResumableUploads) -> None:
    put(app, "a", b"x" * 10, X_Chunk_Index="0")
    known = app.uploads.get("a")
    assert (known.offset, known.finished) == (10, None)
    assert app.uploads.get(known.upload.id) == known
    document = finalize(app, "a", filename="a.txt").json
    [finished] = app.uploads.list()
    assert document["path"].split("/")[2] == finished.token
    assert app.uploads.find(finished.token) == finished == app.uploads.get("a").finished
    with app.uploads.open(finished) as stored:
        assert stored.seek(-3, 2) == 7
        assert stored.read() == b"xxx"
        assert stored.seek(0) == stored.tell() == 0
        assert len(stored.read()) == 10
        with pytest.raises(ValueError, match="no position"):
            stored.seek(-1)
    path = app.uploads.path(finished)
    assert path is not None
    assert path.read_bytes() == b"x" * 10
    app.uploads.delete(finished)
    assert call(app, "GET", document["path"]).status == 404
    assert app.uploads.list() == []
