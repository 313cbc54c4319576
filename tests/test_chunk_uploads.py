"""Whole uploads through the middleware: every order, every size, twice, late, again."""

from __future__ import annotations

import itertools
import random
import threading
import warnings
from pathlib import Path

import pytest

from resumable import ResumableUploads
from tests.calls import Answer, call, file
from tests.uploading import (
    DATA,
    check_stored,
    finalize,
    old_chunk,
    put,
    slices,
    status,
)

with warnings.catch_warnings():
    # WebOb imports the cgi module wherever Python still has one.
    warnings.simplefilter("ignore", DeprecationWarning)
    from webtest import TestApp as WebTestApp


@pytest.fixture
def app(tmp_path: Path) -> ResumableUploads:
    return ResumableUploads(None, tmp_path / "store", durability="process")


# ---------------------------------------------------------------- the three lines, twice over


def test_the_three_lines_of_the_manual(tmp_path: Path) -> None:
    """What curl sends for them (section 8), with WebTest's own checks of WSGI."""
    app = WebTestApp(ResumableUploads(None, tmp_path, durability="process"))
    for _ in range(2):
        direct = app.post("/process-video-chunks", upload_files=[("file", "test.webm", DATA)]).json
        assert direct["filename"] == "test.webm"
        chunk = app.post(
            "/upload-chunk", {"uploadId": "test123"}, upload_files=[("chunk", "chunk1", DATA)]
        ).json
        assert chunk["ok"] is chunk["received"] is True
        assert (chunk["uploadId"], chunk["chunkIndex"]) == ("test123", 0)
        finished = app.post(
            "/finalize-upload",
            '{"uploadId":"test123"}',
            content_type="application/x-www-form-urlencoded",
        ).json
        assert finished["uploadId"] == "test123"
        assert finished["filename"].startswith("recording_")
        for document in (direct, finished):
            assert document["size"] == len(DATA)
            assert app.get(document["path"]).body == DATA


def test_chunks_without_an_index_follow_each_other(app: ResumableUploads) -> None:
    for index, content in enumerate(slices(DATA, 5)):
        form = [file("chunk", content), ("uploadId", "test123")]
        assert call(app, "POST", "/upload-chunk", form=form).json["chunkIndex"] == index
    check_stored(app, finalize(app, "test123"), DATA)


# ---------------------------------------------------------------- orders and sizes


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_any_order(app: ResumableUploads, order: tuple[int, ...]) -> None:
    chunks = slices(DATA, 4)
    for count, index in enumerate(order):
        answer = old_chunk(app, "t1", index, 4, chunks[index])
        assert answer.status == 200
        assert answer.json["chunkIndex"] == index
        known = status(app, "t1")
        assert known["receivedChunks"] == sorted(order[: count + 1])
        prefix = next((n for n in range(4) if n not in order[: count + 1]), 4)
        assert known["completedChunks"] == answer.json["completedChunks"] == prefix
        assert known["offset"] == sum(map(len, chunks[:prefix]))
    assert status(app, "t1")["isComplete"] is True
    check_stored(app, finalize(app, "t1"), DATA)


@pytest.mark.parametrize("with_total", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_odd_sizes_in_any_order(app: ResumableUploads, seed: int, with_total: bool) -> None:
    """Each slice of a recorder has another size, and some have none."""
    dice = random.Random(seed)
    bounds = sorted(dice.choices(range(len(DATA)), k=11))
    chunks = [DATA[a:b] for a, b in itertools.pairwise([0, *bounds, len(DATA)])]
    order = list(range(12))
    dice.shuffle(order)
    for index in order:
        total = 12 if with_total else None
        assert old_chunk(app, "odd", index, total, chunks[index]).status == 200
    check_stored(app, finalize(app, "odd"), DATA)


def test_the_last_one_first(app: ResumableUploads) -> None:
    chunks = slices(DATA[:-1], 3)
    for index in (2, 1, 0):
        assert old_chunk(app, "t1", index, 3, chunks[index]).status == 200
    check_stored(app, finalize(app, "t1"), DATA[:-1])


@pytest.mark.parametrize("content", [b"", b"x", DATA])
def test_one_chunk(app: ResumableUploads, content: bytes) -> None:
    assert old_chunk(app, "one", 0, 1, content).status == 200
    assert status(app, "one")["isComplete"] is True
    check_stored(app, finalize(app, "one"), content)


@pytest.mark.parametrize("content", [b"", b"x", DATA])
def test_one_direct_upload(app: ResumableUploads, content: bytes) -> None:
    answer = call(app, "POST", "/process-video-chunks", form=[file("file", content)])
    document = check_stored(app, answer, content)
    assert document["filename"].startswith("recording_")
    assert document["processed"] is False
    assert "uploadId" not in document


def check_many(app: ResumableUploads, count: int) -> None:
    content = random.Random(2).randbytes(count * 3)
    order = list(range(count))
    random.Random(3).shuffle(order)
    for index in order:
        answer = put(
            app,
            "many",
            content[3 * index : 3 * index + 3],
            X_Chunk_Index=str(index),
            X_Total_Chunks=str(count),
            X_Chunk_Size="3",
        )
        assert answer.status == 200
    assert status(app, "many")["completedChunks"] == count
    check_stored(app, finalize(app, "many"), content)


def test_two_thousand_chunks(app: ResumableUploads) -> None:
    check_many(app, 2_000)


@pytest.mark.chaos
def test_ten_thousand_chunks(app: ResumableUploads) -> None:
    check_many(app, 10_000)


# ---------------------------------------------------------------- twice, late, again


def test_the_same_chunk_twice_is_one(app: ResumableUploads) -> None:
    chunks = slices(DATA, 3)
    assert old_chunk(app, "t1", 0, 3, chunks[0]).json["duplicate"] is False
    assert old_chunk(app, "t1", 2, 3, chunks[2]).json["duplicate"] is False
    for index in (0, 2, 0):
        again = old_chunk(app, "t1", index, 3, chunks[index])
        assert (again.status, again.json["duplicate"]) == (200, True)
    old_chunk(app, "t1", 1, 3, chunks[1])
    check_stored(app, finalize(app, "t1"), DATA)


@pytest.mark.parametrize("index", [0, 2])
@pytest.mark.parametrize("other", [b"", b"other", DATA[:8000]])
def test_other_bytes_for_a_known_chunk_are_a_conflict(
    app: ResumableUploads, index: int, other: bytes
) -> None:
    chunks = slices(DATA[::-1], 3)
    old_chunk(app, "t1", index, 3, chunks[index])
    answer = old_chunk(app, "t1", index, 3, other)
    assert (answer.status, answer.json["code"]) == (409, "other-bytes")
    for missing in range(3):
        old_chunk(app, "t1", missing, 3, chunks[missing])
    check_stored(app, finalize(app, "t1"), DATA[::-1])


def test_a_late_duplicate_changes_nothing(app: ResumableUploads) -> None:
    chunks = slices(DATA, 3)
    for index in range(3):
        old_chunk(app, "t1", index, 3, chunks[index])
    first = finalize(app, "t1").json
    late = old_chunk(app, "t1", 1, 3, chunks[1])
    assert (late.status, late.json["duplicate"]) == (200, True)
    assert status(app, "t1")["path"] == first["path"]
    assert finalize(app, "t1").json == first


def test_the_id_again_for_another_file(app: ResumableUploads) -> None:
    """The first result stays where it is (section 7, rule 11)."""
    contents = [DATA, DATA[::-1], DATA[: len(DATA) // 2] + b"x", b""]
    paths = []
    for content in contents:
        for index, chunk in enumerate(slices(content, 3)):
            assert old_chunk(app, "again", index, 3, chunk).status == 200
        paths.append(check_stored(app, finalize(app, "again"), content)["path"])
    assert len(set(paths)) == len(contents)
    for content, path in zip(contents, paths, strict=True):
        assert call(app, "GET", path).body == content


def test_finalize_again_gives_the_same_answer(app: ResumableUploads) -> None:
    old_chunk(app, "t1", 0, 1, DATA)
    first = finalize(app, "t1", filename="one.webm")
    for words in ({}, {"filename": "two.webm"}, {"options": {"frame": True}}):
        again = finalize(app, "t1", **words)
        assert again.json == first.json
    assert len(app.uploads.list()) == 1


def test_finalize_many_times_at_once(app: ResumableUploads) -> None:
    for index, chunk in enumerate(slices(DATA, 3)):
        old_chunk(app, "t1", index, 3, chunk)
    answers: list[Answer] = []
    threads = [
        threading.Thread(target=lambda n=n: answers.append(finalize(app, "t1", filename=f"{n}.x")))
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status for answer in answers] == [200] * 8
    assert len({answer.body for answer in answers}) == 1
    assert len(app.uploads.list()) == 1


def test_status_goes_on_after_the_finalize(app: ResumableUploads) -> None:
    old_chunk(app, "t1", 0, 1, DATA)
    before = status(app, "t1")
    finished = finalize(app, "t1").json
    after = status(app, "t1")
    assert (before["isComplete"], after["isComplete"]) == (True, True)
    assert "path" not in before
    assert after["path"] == finished["path"]
    assert after["receivedChunks"] == [0]
    assert after["missing"] == []
