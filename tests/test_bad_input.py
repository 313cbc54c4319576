"""Bad input over every route: a clear 4xx in one shape, and not a byte on the disk has changed."""

from __future__ import annotations

import io
import itertools
import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resumable import ResumableUploads
from tests.bad_requests import CASES, CHUNK, FORM_TYPE, ROUTES, WORDS, Bad
from tests.calls import Answer, call, file, multipart, snapshot
from tests.uploading import SECRET


@dataclass(frozen=True)
class Place:
    """An app with an open upload, `known`, and a finished one, beside a file of somebody else."""

    app: ResumableUploads
    root: Path
    outside: Path

    def everything(self) -> dict[str, str]:
        return snapshot(self.outside)


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Place:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "canary").write_text("still here")
    root = outside / "inner" / "store"
    app = ResumableUploads(None, root, durability="process", listing=True)
    for index, content in ((0, b"zero"), (2, b"two")):
        words = f"?uploadId=known&chunkIndex={index}&totalChunks=3"
        assert call(app, "PUT", f"/upload-chunk{words}", b"known " + content).status == 200
    call(app, "PUT", f"/upload-chunk?uploadId={SECRET}&chunkIndex=0", b"done")
    call(app, "POST", "/finalize-upload", json={"uploadId": SECRET})
    return Place(app, root, outside)


def check_refusal(answer: Answer, status: int, code: str, place: Place, method: str) -> None:
    assert answer.status == status, answer
    assert 400 <= status < 500
    if method == "HEAD":
        assert answer.body == b""
        return
    assert answer.json.keys() == {"error", "code"}
    assert answer.json["code"] == code, answer
    message = answer.json["error"]
    assert re.fullmatch(r"[A-Z]?.{5,300}", message, re.DOTALL), message
    for secret in (str(place.root), str(place.outside), "Traceback", "resumable/", ".py", "0x7"):
        assert secret not in message


@pytest.fixture
def place(furnished: Place, tmp_path: Path) -> Place:
    """A copy of its own, so that no case meets what another one has done."""
    outside = tmp_path / "outside"
    shutil.copytree(furnished.outside, outside)
    root = outside / "inner" / "store"
    app = ResumableUploads(None, root, durability="process", listing=True)
    return Place(app, root, outside)


@pytest.fixture(autouse=True)
def empty_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Relative names would land there."""
    working = tmp_path / "working"
    working.mkdir()
    monkeypatch.chdir(working)
    yield
    assert list(working.iterdir()) == []


@pytest.mark.parametrize("bad", CASES, ids=lambda bad: bad.name)
def test_bad_input_changes_nothing(bad: Bad, place: Place) -> None:
    before = place.everything()
    answer = call(place.app, bad.method, bad.target, **bad.how)
    check_refusal(answer, bad.status, bad.code, place, bad.method)
    assert place.everything() == before


def test_there_are_enough_of_them() -> None:
    names = [bad.name for bad in CASES]
    assert len(names) == len(set(names))
    assert len(names) > 400
    refused = {bad.target.partition("?")[0] for bad in CASES}
    assert refused >= ROUTES.keys()


def test_the_first_bad_request_of_all_leaves_nothing(tmp_path: Path) -> None:
    """On an empty storage too: no upload without bytes, no directory of it."""
    app = ResumableUploads(None, tmp_path / "store", durability="process", listing=True)
    for bad in CASES:
        if "known" not in bad.target and "known" not in str(bad.how.get("json", "")):
            assert call(app, bad.method, bad.target, **bad.how).status < 500
    assert snapshot(tmp_path / "store") == {}


# ---------------------------------------------------------------- odd, but no harm

# Texts that are taken as they are, and must lead nowhere.
PATHS = [
    "../../evil",
    "../" * 20 + "etc/passwd",
    "..\\..\\evil",
    "....//....//evil",
    "/etc/passwd",
    "//server/share",
    "\\\\server\\share",
    "C:\\Windows\\evil",
    "C:evil",
    "file:///etc/passwd",
    "http://127.0.0.1:1/",
    "http://169.254.169.254/latest/meta-data/",
    "simplecache::http://127.0.0.1:1/",
    "s3://bucket/key",
    "gopher://127.0.0.1:1/_x",
    "%2e%2e%2fevil",
    "%252e%252e%252fevil",
    "..%c0%afevil",
    "‥/evil",
    "．．／evil",
    ".",
    "..",
    ".resumable",
    ".resumable/uploads",
    ".htaccess",
    "evil/",
    "evil.",
    "evil ",
    "CON",
    "AUX.webm",
    "nul",
    "-rf",
    "--help",
    "$(touch evil)",
    "`touch evil`",
    "; touch evil",
    "| touch evil",
    "*",
    "?",
    "~",
    "~root",
    "evil:stream",
    "evil::$DATA",
    "<script>alert(1)</script>",
    '"><svg onload=alert(1)>',
    "' OR 1=1 --",
    "{{7*7}}",
    "${jndi:ldap://127.0.0.1:1/a}",
    "%s%s%s%n",
    "ａ" * 200,
    "😀" * 64,
    "e" + "\u0301" * 200,
]


def check_only_ours(place: Place, before: dict[str, str]) -> None:
    """What is new has names that this library makes, below its own root."""
    for name, kind in place.everything().items():
        if before.get(name) != kind:
            assert re.fullmatch(
                r"inner/store/(\.resumable/(uploads|finished)/)?"
                r"[A-Za-z0-9_-]{22,64}(\.data|\.kept-[0-9a-f]+|/journal|/data|/kept-[0-9a-f]+)?",
                name,
            ), name
    assert before.items() <= {**place.everything()}.items()


@pytest.mark.parametrize("text", PATHS)
def test_a_path_as_an_id_is_only_a_key(place: Place, text: str) -> None:
    before = place.everything()
    encoded = "".join(f"%{byte:02x}" for byte in text.encode())
    unknown = call(place.app, "GET", "/upload-status/unknown")
    for method in ("GET", "DELETE"):
        assert call(place.app, method, f"/upload-status/{encoded}") == unknown
    assert call(place.app, "POST", "/finalize-upload", json={"uploadId": text}) == unknown
    assert place.everything() == before
    form = [CHUNK, ("uploadId", text), ("chunkIndex", "0"), ("totalChunks", "1")]
    assert call(place.app, "POST", "/upload-chunk", form=form).json["uploadId"] == text
    assert call(place.app, "GET", f"/upload-status/{encoded}").json["receivedChunks"] == [0]
    done = call(place.app, "POST", "/finalize-upload", json={"uploadId": text})
    assert call(place.app, "GET", done.json["path"]).body == b"data"
    check_only_ours(place, before)


@pytest.mark.parametrize("text", [*PATHS, "a\0b", "a\r\nX: y", "\u202efdp.exe", "\x7f"])
def test_a_path_as_a_name_is_only_shown(place: Place, text: str) -> None:
    before = place.everything()
    call(place.app, "PUT", "/upload-chunk?uploadId=n&chunkIndex=0", b"data")
    asked = {"uploadId": "n", "filename": text, "options": {"labelText": text[:200], "url": text}}
    sent: list[Callable[[], Answer]] = [
        lambda: call(place.app, "POST", "/finalize-upload", json=asked),
        lambda: call(
            place.app,
            "POST",
            "/process-video-chunks",
            form=[file("file", b"data"), ("filename", text), ("storage", text)],
        ),
    ]
    for send in sent:
        answer = send()
        assert answer.status == 200, answer
        name = answer.json["filename"]
        assert not set(name) & set("/\\\0\r\n")
        assert name not in (".", "..")
        download = call(place.app, "GET", answer.json["path"])
        assert download.body == b"data"
        assert download.headers["content-disposition"].startswith("attachment;")
    check_only_ours(place, before)


def test_a_file_parts_own_name_is_only_shown(place: Place) -> None:
    before = place.everything()
    for text in PATHS:
        part = file("file", b"data", text.replace('"', "%22"))
        answer = call(place.app, "POST", "/process-video-chunks", form=[part])
        assert answer.status == 200
        assert not set(answer.json["filename"]) & set("/\\")
    check_only_ours(place, before)


def test_stored_files_are_private(place: Place) -> None:
    call(place.app, "PUT", "/upload-chunk?uploadId=p&chunkIndex=1", b"data")
    for path in place.root.rglob("*"):
        mode = path.stat().st_mode & 0o777
        assert mode == (0o700 if path.is_dir() else 0o600), path
        assert not path.suffix or path.suffix == ".data" or path.suffix.startswith(".kept-"), path


# ---------------------------------------------------------------- cut in earnest


def test_a_reset_in_the_middle_of_a_form(place: Place) -> None:
    """The server's own error, at every piece of the way."""
    before = place.everything()
    whole = multipart([CHUNK, ("uploadId", "cut"), ("chunkIndex", "0"), ("totalChunks", "1")])

    class Reset(io.BytesIO):
        def read1(self, size: int | None = -1) -> bytes:
            piece = super().read1(20)
            if not piece:
                raise ConnectionResetError
            return piece

        def readinto1(self, buffer: Any) -> int:
            piece = self.read1()
            buffer[: len(piece)] = piece
            return len(piece)

    for target, end in itertools.product(
        ("/upload-chunk", "/process-video-chunks"), range(0, len(whole) - 2, 20)
    ):
        environ = {"wsgi.input": Reset(whole[:end]), "CONTENT_LENGTH": str(len(whole))}
        answer = call(
            place.app, "POST", target, headers={"Content-Type": FORM_TYPE}, environ=environ
        )
        assert (answer.status, answer.json["code"]) == (408, "interrupted")
    assert place.everything() == before


# ---------------------------------------------------------------- at random

LATIN = st.text(st.characters(max_codepoint=255), max_size=40)
WORDS_AT_RANDOM = st.sampled_from(
    [
        *("a", "known", SECRET, "*", "0", "1", "2", "3", "4", "99999", "-1"),
        *("bytes 0-3/4", "bytes 0-3/*", "bytes=0-1", "gzip", "chunked", FORM_TYPE),
        *("sha256:" + "0" * 64, "crc32c:00000000"),
    ]
)
NAMES_AT_RANDOM = st.sampled_from(
    [
        *("X-Upload-Id", "X-Chunk-Index", "X-Total-Chunks", "X-Chunk-Size", "X-Byte-Offset"),
        *("X-Total-Size", "X-Chunk-Digest", "Content-Range", "Content-Type", "Content-Length"),
        *("Transfer-Encoding", "Origin", "Sec-Fetch-Site", "Range", "If-Range", "If-None-Match"),
        *("If-Modified-Since", "Expect", "Access-Control-Request-Method", "Host", "Cookie"),
    ]
)
FIELDS_AT_RANDOM = st.tuples(
    st.sampled_from([*WORDS, "uploadId", "chunkDigest", "filename", "options", "file", ""]),
    WORDS_AT_RANDOM | st.text(max_size=20),
)
BODIES_AT_RANDOM = (
    st.binary(max_size=60)
    | st.lists(st.just(CHUNK) | FIELDS_AT_RANDOM, max_size=6).map(multipart)
    | st.dictionaries(
        st.sampled_from(["uploadId", "filename", "options", "totalChunks", "totalSize", "digest"]),
        WORDS_AT_RANDOM
        | st.none()
        | st.integers()
        | st.floats()
        | st.lists(st.integers(), max_size=2)
        | st.dictionaries(st.sampled_from(["frame", "frameSize", "labelText"]), st.integers()),
    ).map(lambda document: json.dumps(document).encode())
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    method=st.sampled_from(["GET", "HEAD", "POST", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"]),
    route=st.sampled_from([*ROUTES, "/upload-status/" + SECRET]) | LATIN.map(lambda t: "/" + t),
    query=st.just("") | LATIN | st.lists(FIELDS_AT_RANDOM, max_size=4).map(urlencode),
    headers=st.dictionaries(NAMES_AT_RANDOM, WORDS_AT_RANDOM | LATIN, max_size=6),
    body=BODIES_AT_RANDOM,
)
def test_nothing_at_all_is_our_fault(
    place: Place, method: str, route: str, query: str, headers: dict[str, str], body: bytes
) -> None:
    environ = {"PATH_INFO": route, "QUERY_STRING": query}
    answer = call(place.app, method, "/", body, headers, environ=environ)
    assert answer.status < 500, answer
    if answer.status >= 400 and method != "HEAD" and answer.headers["content-type"] != "text/plain":
        assert answer.json.keys() == {"error", "code"}
        assert str(place.root) not in answer.json["error"]
