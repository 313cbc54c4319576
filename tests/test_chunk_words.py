"""The grammar of the chunk protocol, as tables."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resumable.dialects import chunk_words as words
from resumable.dialects.chunk_words import ChunkWords, Position
from resumable.errors import BadRequest
from resumable.http import Headers, Request
from resumable.model import Digest

GREATEST = 2**63 - 1
SHA = hashlib.sha256(b"abc").hexdigest()


def said(query: dict[str, str] | None = None, **headers: str) -> ChunkWords:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ChunkWords(Request("PUT", "/upload-chunk", query=query or {}, headers=Headers(named)))


# ---------------------------------------------------------------- Content-Range


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("bytes 0-0/1", Position(0, 1, 1)),
        ("bytes 0-99/*", Position(0, 100, None)),
        ("bytes 100-199/250000", Position(100, 100, 250000)),
        (" bytes 0-9/10 ", Position(0, 10, 10)),
        (f"bytes 0-{GREATEST - 1}/{GREATEST}", Position(0, GREATEST, GREATEST)),
        ("bytes 007-008/0010", Position(7, 2, 10)),
    ],
)
def test_content_range(text: str, position: Position) -> None:
    assert words.parse_content_range(text) == position


@pytest.mark.parametrize(
    "text",
    [
        "",
        "bytes",
        "bytes 0-9",
        "bytes */10",
        "bytes 9-0/10",
        "bytes 0-10/10",
        "bytes 0-9/0",
        "bytes -5-9/10",
        "bytes 0--9/10",
        "bytes 0-9/10, 20-29/30",
        "bytes=0-9/10",
        "bytes 0 - 9/10",
        "bytes +0-9/10",
        "bytes 0-9/1e3",
        "bytes ٠-٩/10",
        "items 0-9/10",
        "Bytes 0-9/10",
        f"bytes 0-{GREATEST}/*",
        f"bytes 0-9/{2**63}",
        "bytes 0-" + "9" * 20 + "/*",
        "bytes 0-9/10\nX: y",
    ],
)
def test_no_content_range(text: str) -> None:
    with pytest.raises(BadRequest, match="Content-Range"):
        words.parse_content_range(text)


@given(st.text(max_size=60) | st.from_regex(r"bytes [0-9]{1,20}-[0-9]{1,20}/([0-9]{1,20}|\*)"))
def test_a_content_range_is_sound_or_refused(text: str) -> None:
    try:
        position = words.parse_content_range(text)
    except BadRequest:
        return
    assert position.start is not None
    assert position.size is not None
    assert position.size > 0
    assert position.start + position.size <= (position.length or GREATEST + 1)


@pytest.mark.parametrize(
    ("query", "headers", "position"),
    [
        ({}, {}, Position()),
        ({"byteOffset": "5"}, {}, Position(5, None, None)),
        ({"totalSize": "10"}, {}, Position(None, None, 10)),
        ({}, {"X_Byte_Offset": "5", "X_Total_Size": "10"}, Position(5, None, 10)),
        ({"byteOffset": "5"}, {"Content_Range": "bytes 5-6/10"}, Position(5, 2, 10)),
        ({"totalSize": "10"}, {"Content_Range": "bytes 5-6/*"}, Position(5, 2, 10)),
        ({"totalSize": "10"}, {"Content_Range": "bytes 5-6/10"}, Position(5, 2, 10)),
    ],
)
def test_a_position_in_parts(
    query: dict[str, str], headers: dict[str, str], position: Position
) -> None:
    assert said(query, **headers).range() == position


@pytest.mark.parametrize(
    ("query", "named"),
    [({"byteOffset": "4"}, "byteOffset"), ({"totalSize": "11"}, "totalSize")],
)
def test_a_position_that_contradicts_itself(query: dict[str, str], named: str) -> None:
    with pytest.raises(BadRequest, match=named) as caught:
        said(query, Content_Range="bytes 5-6/10").range()
    assert caught.value.code == "contradiction"


# ---------------------------------------------------------------- fields, query, headers


def test_a_word_may_stand_in_three_places() -> None:
    for request in (
        Request("POST", "/upload-chunk", fields={"chunkIndex": "3"}),
        Request("POST", "/upload-chunk", query={"chunkIndex": "3"}),
        Request("POST", "/upload-chunk", headers=Headers({"x-chunk-index": "3"})),
    ):
        assert ChunkWords(request).number("chunkIndex", "X-Chunk-Index") == 3


def test_but_must_be_the_same_in_all() -> None:
    assert said({"uploadId": "a"}, X_Upload_Id="a").upload_id == "a"
    with pytest.raises(BadRequest, match="not alike"):
        said({"uploadId": "a"}, X_Upload_Id="b")


@pytest.mark.parametrize("text", ["0", "-1", "x", "1.5", ""])
def test_a_count_is_at_least_one(text: str) -> None:
    with pytest.raises(BadRequest, match="totalChunks must be"):
        said({"totalChunks": text}).number("totalChunks", "X-Total-Chunks", least=1)


# ---------------------------------------------------------------- digests


@pytest.mark.parametrize(
    ("text", "digest"),
    [
        (f"sha256:{SHA}", Digest("sha256", bytes.fromhex(SHA))),
        (f"SHA256:{SHA.upper()}", Digest("sha256", bytes.fromhex(SHA))),
        ("crc32c:364b3fb7", Digest("crc32c", bytes.fromhex("364b3fb7"))),
    ],
)
def test_digests_of_a_chunk(text: str, digest: Digest) -> None:
    assert said(X_Chunk_Digest=text).digest() == digest
    assert said({"chunkDigest": text}).digest() == digest
    assert words.json_digest(text) == digest


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        SHA,
        "sha256:",
        f"sha256:{SHA[:-1]}",
        f"sha256:{SHA}00",
        f"sha256:{'g' * 64}",
        f"sha256: {SHA[1:]}",
        f"sha512:{SHA}{SHA}",
        "crc32c:364b3fb",
        "crc32:364b3fb7",
        f"sha256={SHA}",
        f"sha256:{SHA},crc32c:364b3fb7",
    ],
)
def test_no_digest(text: str) -> None:
    with pytest.raises(BadRequest, match="digest"):
        said(X_Chunk_Digest=text).digest()
    with pytest.raises(BadRequest, match="digest"):
        words.json_digest(text)


def test_weak_digests_are_for_whole_files_only() -> None:
    text = "md5:900150983cd24fb0d6963f7d28e17f72"
    assert words.json_digest(text) == Digest("md5", bytes.fromhex(text[4:]))
    with pytest.raises(BadRequest):
        said(X_Chunk_Digest=text).digest()


@pytest.mark.parametrize("value", [1, True, [], {}, 1.5])
def test_a_digest_in_json_is_a_text(value: Any) -> None:
    assert words.json_digest(None) is None
    with pytest.raises(BadRequest):
        words.json_digest(value)


# ---------------------------------------------------------------- JSON values


@pytest.mark.parametrize(
    ("value", "number"), [(None, None), (0, 0), (7, 7), ("7", 7), (GREATEST, GREATEST)]
)
def test_numbers_in_json(value: Any, number: int | None) -> None:
    assert words.json_number({"n": value}, "n") == number
    assert words.json_number({}, "n") is None


@pytest.mark.parametrize(
    "value", [True, False, -1, 1.0, 1.5, "x", "-1", "", [], {}, 2**63, 10**30, float("nan")]
)
def test_no_numbers_in_json(value: Any) -> None:
    with pytest.raises(BadRequest, match="n must"):
        words.json_number({"n": value}, "n")


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (None, None),
        ("", None),
        ("film.webm", "film.webm"),
        ("../../film.webm", "film.webm"),
        ("a\r\nb", "ab"),
        ("..", None),
        ("x" * 1024, "x" * 200),
    ],
)
def test_file_names(value: Any, name: str | None) -> None:
    assert words.filename(value) == name


@pytest.mark.parametrize("value", [1, True, [], {}, "x" * 1025])
def test_no_file_names(value: Any) -> None:
    with pytest.raises(BadRequest, match="filename must"):
        words.filename(value)


# ---------------------------------------------------------------- options (section 4)


@pytest.mark.parametrize(
    ("given_options", "kept"),
    [
        (None, {}),
        ({}, {}),
        ({"resumable": True, "maxConcurrent": 3, "chunkThreshold": 5242880}, {}),
        ({"__proto__": {}, "constructor": 1}, {}),
        ({"convertToMp4": True, "frame": False}, {"convertToMp4": True, "frame": False}),
        ({"convertToMp4": None}, {}),
        ({"frameSize": 20}, {"frameSize": 20}),
        ({"frameSize": "20"}, {"frameSize": 20}),
        ({"frameSize": "wide"}, {"frameSize": 30}),
        ({"frameSize": -3}, {"frameSize": 30}),
        ({"frameSize": 12.5}, {"frameSize": 30}),
        ({"frameSize": True}, {"frameSize": 30}),
        (
            {"frameColorStart": "#4F46E5", "frameColorEnd": "#9333ea"},
            {"frameColorStart": "#4f46e5", "frameColorEnd": "#9333ea"},
        ),
        ({"label": True, "labelText": "a\0b\u202ec"}, {"label": True, "labelText": "abc"}),
        ({"icon": True, "iconOpacity": "60"}, {"icon": True, "iconOpacity": 60}),
        ({"iconOpacity": 0}, {"iconOpacity": 0}),
        ({"iconOpacity": 100}, {"iconOpacity": 100}),
    ],
)
def test_options(given_options: Any, kept: dict[str, Any]) -> None:
    assert words.options(given_options) == kept


@pytest.mark.parametrize(
    "given_options",
    [
        [],
        "convertToMp4",
        1,
        True,
        {"convertToMp4": 1},
        {"convertToMp4": "true"},
        {"frame": []},
        {"frameSize": 201},
        {"frameSize": "99999"},
        {"frameColorStart": "red"},
        {"frameColorStart": "#4f46e"},
        {"frameColorStart": "#4f46e5;drawtext"},
        {"frameColorEnd": 5},
        {"label": "yes"},
        {"labelText": 5},
        {"labelText": "x" * 201},
        {"icon": 0},
        {"iconOpacity": 101},
        {"iconOpacity": "much"},
        {"iconOpacity": -1},
    ],
)
def test_no_options(given_options: Any) -> None:
    with pytest.raises(BadRequest) as caught:
        words.options(given_options)
    assert caught.value.code == "bad-options"


@pytest.mark.parametrize("text", [None, "", "{}", "no json", "[1]", "5", "null", "[" * 100_000])
def test_a_form_may_carry_what_is_no_options(text: str | None) -> None:
    assert words.options_in_form(text) == {}


def test_a_form_carries_options_as_json() -> None:
    assert words.options_in_form('{"convertToMp4": true, "maxConcurrent": 3}') == {
        "convertToMp4": True
    }
    with pytest.raises(BadRequest):
        words.options_in_form('{"convertToMp4": "yes"}')
