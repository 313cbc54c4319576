"""Finished files over HTTP: ranges, conditions, and headers under which no upload can do harm."""

from __future__ import annotations

import os
import random
import re
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resumable import Finished, ResumableUploads
from resumable.downloads import content_disposition, serve
from resumable.http import Request
from resumable.media import safe_name
from tests.calls import Answer, call, file

DATA = random.Random(1).randbytes(1000)
WEBM = b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\x82\x84webm" + DATA


@pytest.fixture
def app(tmp_path: Path) -> ResumableUploads:
    return ResumableUploads(None, tmp_path, durability="process", listing=True)


@pytest.fixture
def path(app: ResumableUploads) -> str:
    return uploaded(app, DATA, "data.bin")


def uploaded(app: Any, content: bytes, name: str = "name", content_type: str = "") -> str:
    form = [file("file", content, "blob", content_type or None), ("filename", name)]
    answer = call(app, "POST", "/process-video-chunks", form=form)
    assert answer.status == 200, answer
    path: str = answer.json["path"]
    return path


def get(app: Any, path: str, method: str = "GET", **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return call(app, method, path, headers=named)


def finished_at(app: ResumableUploads) -> Finished:
    [finished] = app.uploads.list()
    return finished


# ---------------------------------------------------------------- the whole, and parts of it


def test_the_whole(app: ResumableUploads, path: str) -> None:
    answer = get(app, path)
    assert (answer.status, answer.body) == (200, DATA)
    assert answer.headers["accept-ranges"] == "bytes"
    assert "content-range" not in answer.headers
    assert "max-age" not in answer.headers["cache-control"]


def test_head_is_the_same_without_a_body(app: ResumableUploads, path: str) -> None:
    assert get(app, path, "HEAD").headers == get(app, path).headers
    # Ranges are defined for GET alone (RFC 9110, 14.2).
    answer = get(app, path, "HEAD", Range="bytes=0-9")
    assert (answer.status, answer.headers["content-length"]) == (200, "1000")


@pytest.mark.parametrize(
    ("wanted", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-99", 0, 100),
        ("bytes=0-", 0, 1000),
        ("bytes=999-", 999, 1000),
        ("bytes=500-1999", 500, 1000),
        ("bytes=500-99999999999999999999", 500, 1000),
        ("bytes=-1", 999, 1000),
        ("bytes=-1000", 0, 1000),
        ("bytes=-5000", 0, 1000),
        ("BYTES = 5-6", 5, 7),
    ],
)
def test_one_range(app: ResumableUploads, path: str, wanted: str, start: int, end: int) -> None:
    answer = get(app, path, Range=wanted)
    assert (answer.status, answer.body) == (206, DATA[start:end])
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/1000"
    assert answer.headers["content-length"] == str(end - start)


@pytest.mark.parametrize("wanted", ["bytes=1000-", "bytes=1000-1001", "bytes=99999999999999999-"])
def test_a_range_that_is_not_there(app: ResumableUploads, path: str, wanted: str) -> None:
    answer = get(app, path, Range=wanted)
    assert (answer.status, answer.json["code"]) == (416, "no-such-range")
    assert answer.headers["content-range"] == "bytes */1000"


@pytest.mark.parametrize(
    "wanted",
    [
        "bytes=0-1,5-6",
        "bytes=0-1,1-2",
        "bytes=0-0," * 100 + "0-0",
        "bytes=5-2",
        "bytes=-0",
        "bytes=",
        "bytes=x-y",
        "bytes=--1",
        "bytes=+1-5",
        "bytes",
        "items=0-1",
        "",
        "bytes=" + "9" * 5000 + "-",
    ],
)
def test_other_ranges_are_answered_with_the_whole(
    app: ResumableUploads, path: str, wanted: str
) -> None:
    answer = get(app, path, Range=wanted)
    assert (answer.status, answer.body) == (200, DATA)


def test_an_empty_file(app: ResumableUploads) -> None:
    path = uploaded(app, b"")
    assert get(app, path).body == b""
    for wanted in ("bytes=0-", "bytes=-1", "bytes=0-0"):
        answer = get(app, path, Range=wanted)
        assert (answer.status, answer.headers["content-range"]) == (416, "bytes */0")


# ---------------------------------------------------------------- conditions


def tags(app: ResumableUploads, path: str) -> dict[str, str]:
    """Header values that a client may make of an answer."""
    seen = get(app, path).headers
    at = int(finished_at(app).finished)
    return {
        "same": seen["etag"],
        "weak": f"W/{seen['etag']}",
        "among": f'"other", {seen["etag"]}',
        "other": '"other"',
        "any": "*",
        "then": seen["last-modified"],
        "before": formatdate(at - 1, usegmt=True),
        "after": formatdate(at + 1, usegmt=True),
        "nonsense": "next week",
    }


@pytest.mark.parametrize(
    ("conditions", "status"),
    [
        ({"If_None_Match": "same"}, 304),
        ({"If_None_Match": "weak"}, 304),
        ({"If_None_Match": "among"}, 304),
        ({"If_None_Match": "any"}, 304),
        ({"If_None_Match": "other"}, 200),
        ({"If_None_Match": "nonsense"}, 200),
        ({"If_Modified_Since": "then"}, 304),
        ({"If_Modified_Since": "after"}, 304),
        ({"If_Modified_Since": "before"}, 200),
        ({"If_Modified_Since": "nonsense"}, 200),
        ({"If_None_Match": "other", "If_Modified_Since": "then"}, 200),
        ({"If_Match": "same"}, 200),
        ({"If_Match": "among"}, 200),
        ({"If_Match": "any"}, 200),
        ({"If_Match": "weak"}, 412),
        ({"If_Match": "other"}, 412),
        ({"If_Unmodified_Since": "then"}, 200),
        ({"If_Unmodified_Since": "after"}, 200),
        ({"If_Unmodified_Since": "before"}, 412),
        ({"If_Unmodified_Since": "nonsense"}, 200),
        ({"If_Match": "same", "If_Unmodified_Since": "before"}, 200),
        ({"If_Match": "same", "If_None_Match": "same"}, 304),
        ({"If_Match": "other", "If_None_Match": "same"}, 412),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_conditions(
    app: ResumableUploads, path: str, conditions: dict[str, str], status: int, method: str
) -> None:
    """RFC 9110, 13.2.2."""
    values = tags(app, path)
    answer = get(app, path, method, **{name: values[word] for name, word in conditions.items()})
    assert answer.status == status
    assert answer.headers["etag"] == values["same"]
    if status == 304:
        assert "content-type" not in answer.headers
    if status == 412 and method == "GET":
        assert answer.json["code"] == "precondition-failed"


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ("same", 206),
        ("then", 206),
        ("weak", 200),
        ("other", 200),
        ("any", 200),
        ("before", 200),
        ("after", 200),
        ("nonsense", 200),
    ],
)
def test_a_range_of_the_same_file_only(
    app: ResumableUploads, path: str, condition: str, status: int
) -> None:
    """If-Range compares strongly (RFC 9110, 13.1.5)."""
    answer = get(app, path, Range="bytes=5-9", If_Range=tags(app, path)[condition])
    assert answer.status == status
    assert answer.body == (DATA[5:10] if status == 206 else DATA)


def test_tags_tell_files_apart(app: ResumableUploads) -> None:
    assert (
        get(app, uploaded(app, DATA)).headers["etag"]
        != (get(app, uploaded(app, DATA)).headers["etag"])
    )


# ---------------------------------------------------------------- harmless headers

HOSTILE = {
    "html": (b"<!doctype html><script>alert(1)</script>", "text/html"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "image/svg+xml"),
    "xml": (b"<?xml version='1.0'?><x/>", "application/xml"),
    "xhtml": (b"<html xmlns='http://www.w3.org/1999/xhtml'/>", "application/xhtml+xml"),
    "mhtml": (b"MIME-Version: 1.0\r\nContent-Type: multipart/related\r\n", "message/rfc822"),
    "pdf": (b"%PDF-1.7\n", "application/pdf"),
    "js": (b"alert(1)", "text/javascript"),
    "text": (b"plain", "text/plain"),
    "playlist": (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "audio/mpegurl"),
    "nothing": (b"", "text/html"),
}


@pytest.mark.parametrize("lie", ["own", "image/png", "video/webm", "text/html"])
@pytest.mark.parametrize("extension", ["webm", "html", "png"])
@pytest.mark.parametrize("name", HOSTILE)
def test_what_could_run_is_only_ever_saved(
    app: ResumableUploads, name: str, extension: str, lie: str
) -> None:
    content, own = HOSTILE[name]
    path = uploaded(app, content, f"x.{extension}", own if lie == "own" else lie)
    answer = get(app, path)
    assert answer.body == content
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment;")
    check_safe(answer)


def check_safe(answer: Answer) -> None:
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert answer.headers["cross-origin-resource-policy"] == "same-site"


def test_a_type_that_somebody_else_recorded_is_not_believed() -> None:
    finished = Finished(
        id="i", token="t", size=0, crc32c=0, content_type="text/html", filename="x", finished=0.0
    )

    class Store:
        def read(self, finished: Finished, start: int, end: int) -> list[bytes]:
            return []

    response = serve(Request("GET", "/"), finished, Store())  # type: ignore[arg-type]
    headers = dict(response.headers)
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["Content-Disposition"].startswith("attachment;")


def test_a_recording_is_shown_unless_it_shall_be_saved(app: ResumableUploads) -> None:
    path = uploaded(app, WEBM, "x.html", "text/html")
    for target, kind in [(path, "inline"), (f"{path}?download", "attachment")]:
        answer = get(app, target)
        assert answer.headers["content-type"] == "video/webm"
        assert answer.headers["content-disposition"] == f'{kind}; filename="x.html"'
        check_safe(answer)


def test_every_answer_is_safe(app: ResumableUploads, path: str) -> None:
    etag = get(app, path).headers["etag"]
    for headers in ({"Range": "bytes=0-1"}, {"Range": "bytes=5000-"}, {"If_None_Match": etag},
                    {"If_Match": '"x"'}):  # fmt: skip
        check_safe(get(app, path, **headers))


# ---------------------------------------------------------------- names

NAMES = [
    "plain.webm",
    "two words.webm",
    'qu"ote.webm',
    "back\\slash.webm",
    "semi;colon.webm",
    "per%cent%22.webm",
    "a\r\nSet-Cookie: evil=1\r\n.webm",
    "übung.webm",
    "日本語.webm",
    "😀👩‍👩‍👧.webm",
    "gpj.\u202efdp.exe",
    "مرحبا.webm",
    "e\u0301.webm",
    "'single'.webm",
    "../../../etc/passwd",
    "C:\\windows\\system32\\cmd.exe",
    "<script>.webm",
    "x" * 300 + ".webm",
    "日" * 300 + ".webm",
    "CON.webm",
    "\0nul.webm",
    "\ud83d.webm",
    ".",
]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_comes_back_safe(app: ResumableUploads, name: str) -> None:
    call(app, "PUT", "/upload-chunk?uploadId=n&chunkIndex=0", DATA)
    document = call(app, "POST", "/finalize-upload", json={"uploadId": "n", "filename": name}).json
    wanted = safe_name(name)
    assert document["filename"] == wanted or not wanted
    assert re.fullmatch(r"/recordings/[A-Za-z0-9_-]{22}/[A-Za-z0-9_.~%'()!*-]+", document["path"])
    assert unquote(document["path"]).split("/", 3)[3] == document["filename"]
    answer = get(app, document["path"])
    assert answer.body == DATA
    check_disposition(answer.headers["content-disposition"], document["filename"])


def check_disposition(value: str, name: str) -> None:
    match = re.fullmatch(
        r"(?:attachment|inline); filename=\"([ !#-\[\]-~]*)\"(?:; filename\*=UTF-8''(\S+))?", value
    )
    assert match, value
    plain, encoded = match.groups()
    assert (plain if encoded is None else unquote(encoded)) == name
    assert "%" not in plain


@given(st.text(max_size=80))
def test_every_safe_name_makes_a_header(name: str) -> None:
    safe = safe_name(name)
    if safe:
        check_disposition(content_disposition("attachment", safe), safe)


@pytest.mark.parametrize("tail", ["", "/", "/x", "/any/other/name", "/..%2f..%2fetc", "/%00"])
def test_the_token_alone_finds_the_file(app: ResumableUploads, path: str, tail: str) -> None:
    token = path.split("/")[2]
    answer = get(app, f"/recordings/{token}{tail}")
    assert answer.status == (400 if "%00" in tail else 200)


UNKNOWN_TOKENS = ["x", "A" * 22, "A" * 5000, "..", "%2e%2e", ".resumable", "%c3%a9" * 22]


@pytest.mark.parametrize("token", [*UNKNOWN_TOKENS, "..%2f..%2fetc%2fpasswd", "%2fetc%2fpasswd"])
def test_an_unknown_token(app: ResumableUploads, path: str, token: str) -> None:
    answer = get(app, f"/recordings/{token}/data.bin")
    assert (answer.status, answer.json) == (
        404,
        {"error": "Recording not found", "code": "not-found"},
    )


# ---------------------------------------------------------------- what is held while it is read


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="needs /proc, which Linux has")
@pytest.mark.parametrize("pieces", [0, 1])
def test_a_client_that_goes_away_leaves_no_file_open(app: ResumableUploads, pieces: int) -> None:
    path = uploaded(app, DATA * 2000)
    before = open_files()
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "wsgi.errors": None}
    for _ in range(10):
        body: Any = app(environ, lambda status, headers: None)
        reading = iter(body)
        for _ in range(pieces):
            next(reading)
        assert open_files() > before
        body.close()
        assert open_files() == before


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="needs /proc, which Linux has")
def test_a_server_that_refuses_the_headers_leaves_no_file_open(app: ResumableUploads) -> None:
    path = uploaded(app, DATA)
    before = open_files()

    def start_response(status: str, headers: Any) -> None:
        raise ConnectionError("gone")

    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "wsgi.errors": None}
    with pytest.raises(ConnectionError) as caught:
        app(environ, start_response)
    assert open_files() == before
    # Until here the traceback has kept alive whatever was not closed.
    assert caught.tb is not None


def test_a_file_that_is_gone(app: ResumableUploads, path: str, tmp_path: Path) -> None:
    (tmp_path / path.split("/")[2]).unlink()
    assert get(app, path).status == 404


# ---------------------------------------------------------------- the list


def test_the_list_is_newest_first(app: ResumableUploads) -> None:
    assert call(app, "GET", "/recordings").json == {"recordings": []}
    paths = [uploaded(app, DATA, f"{n} ü.bin") for n in range(3)]
    listed = call(app, "GET", "/recordings").json["recordings"]
    assert [entry["path"] for entry in listed] == paths[::-1]
    assert listed[0]["filename"] == "2 ü.bin"
    assert listed[0]["path"].endswith(quote("2 ü.bin"))
    for entry in listed:
        assert get(app, entry["url"]).body == DATA
    assert call(app, "HEAD", "/recordings").status == 200
