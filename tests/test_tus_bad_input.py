"""Bad tus requests, by the rows of the grammar: a clear 4xx in one shape, and nothing changes."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resumable import Limits, ResumableUploads
from resumable.model import DAY, GIB
from resumable.testing.faults import Faults
from tests.bad_requests import IDS
from tests.calls import Answer, call, snapshot
from tests.stores.local_storage import MemoryStorage
from tests.test_bad_input import PATHS

BYTES = "application/offset+octet-stream"
LIMITS = Limits(max_size=10_000)
UNKNOWN = "A" * 22
# Uploads of "ann", who asks; "foreign" belongs to somebody else.
NAMES = (
    *("open", "deferred", "done", "piece", "unfinished", "final", "waiting"),
    *("foreign", "cancelled", "expired"),
)


@dataclass(frozen=True)
class Place:
    """An app with uploads of every kind, by their names, beside a file of somebody else."""

    app: ResumableUploads
    outside: Path
    ids: Mapping[str, str]

    def everything(self) -> dict[str, str]:
        return snapshot(self.outside)

    def ask(self, method: str, target: str, body: bytes = b"", **how: Any) -> Answer:
        """A request of ann's, with the version unless a header says otherwise."""
        headers = {"Tus-Resumable": "1.0.0", **how.pop("headers", {})}
        said = {k: v.format(**self.ids) for k, v in headers.items() if v is not None}
        environ = {"REMOTE_USER": "ann", **how.pop("environ", {})}
        return call(self.app, method, target.format(**self.ids), body, said, environ=environ, **how)


def an_app(root: Path) -> ResumableUploads:
    return ResumableUploads(
        None,
        root,
        durability="process",
        limits=LIMITS,
        owner=lambda environ: environ.get("REMOTE_USER"),
    )


def create(place: Place, body: bytes = b"", who: str = "ann", **words: str) -> str:
    headers = {name.replace("_", "-"): value for name, value in words.items()}
    if body:
        headers["Content-Type"] = BYTES
    answer = place.ask("POST", "/files/", body, headers=headers, environ={"REMOTE_USER": who})
    assert answer.status == 201, answer
    return answer.headers["location"]


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Place:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "canary").write_text("still here")
    root = outside / "inner" / "store"
    ids: dict[str, str] = {}
    place = Place(an_app(root), outside, ids)
    piece = {"Upload_Length": "4", "Upload_Concat": "partial"}
    ids["open"] = create(place, b"12345", Upload_Length="10")
    ids["deferred"] = create(place, b"12345", Upload_Defer_Length="1")
    ids["done"] = create(place, b"12345", Upload_Length="5")
    ids["piece"] = create(place, b"1234", **piece)
    ids["unfinished"] = create(place, b"12", **piece)
    ids["final"] = create(place, Upload_Concat="final;/files/{piece}")
    ids["waiting"] = create(place, Upload_Concat="final;/files/{piece} /files/{unfinished}")
    ids["large"] = create(place, bytes(6000), Upload_Length="6000", Upload_Concat="partial")
    ids["foreign"] = create(place, b"1234", "ben", **piece)
    ids["cancelled"] = create(place, b"12", **piece)
    assert place.ask("DELETE", "/files/{cancelled}").status == 204
    ids["expired"] = create(place, b"12", **piece)
    long_ago = time.time() - 6.5 * DAY
    os.utime(root / ".resumable" / "uploads" / ids["expired"], (long_ago, long_ago))
    return place


@pytest.fixture
def place(furnished: Place, tmp_path: Path) -> Place:
    """A copy of its own, so that no case meets what another one has done."""
    outside = tmp_path / "outside"
    shutil.copytree(furnished.outside, outside)
    return Place(an_app(outside / "inner" / "store"), outside, furnished.ids)


# ---------------------------------------------------------------- the table


@dataclass(frozen=True)
class Bad:
    """One request that must be refused, and with what; `row` of the checklist."""

    row: str
    name: str
    status: int
    code: str
    method: str
    target: str
    headers: Mapping[str, Any] = field(default_factory=dict)
    body: bytes = b""

    def __str__(self) -> str:
        return f"{self.row} {self.method} {self.name}"


def post(row: str, name: str, status: int, code: str, body: bytes = b"", **words: Any) -> Bad:
    """A new upload; with a body its content type says so."""
    headers = {key.replace("_", "-"): value for key, value in words.items()}
    if body:
        headers.setdefault("Content-Type", BYTES)
    return Bad(row, name, status, code, "POST", "/files/", headers, body)


def patch(
    row: str,
    name: str,
    status: int,
    code: str,
    target: str = "open",
    body: bytes = b"6789",
    **words: Any,
) -> Bad:
    """The next bytes, which are right but for what the words say."""
    headers: dict[str, Any] = {"Content-Type": BYTES, "Upload-Offset": "5"}
    headers |= {key.replace("_", "-"): value for key, value in words.items()}
    return Bad(row, name, status, code, "PATCH", f"/files/{{{target}}}", headers, body)


NO_NUMBERS = ["+5", " 5", "5 ", "5.0", "0x5", "-1", "", "5,5", "5, 5", "1e3", "NaN", "5_0"]
NO_NUMBERS += ["٥".encode().decode("latin-1"), "\xb2", "5\x00", "5\r\nX: y", "9" * 20]
NO_NUMBERS += [str(2**63), str(10**30), "9" * 5000]


def numbers() -> Iterator[Bad]:
    for text in NO_NUMBERS:
        name = repr(text[:24])
        yield post("T012", f"Upload-Length {name}", 400, "bad-request", Upload_Length=text)
        yield patch("T012", f"Upload-Offset {name}", 400, "bad-request", Upload_Offset=text)
        yield patch(
            "T012", f"Upload-Length {name}", 400, "bad-request", "deferred", Upload_Length=text
        )
    yield patch("T033", "no Upload-Offset", 400, "bad-request", Upload_Offset=None)
    for text in ("0", "4", "6", str(2**53 + 1), str(2**63 - 1)):
        yield patch("T032", f"offset {text}", 409, "offset-conflict", Upload_Offset=text)
        yield patch("T042", f"done, {text}", 409, "offset-conflict", "done", Upload_Offset=text)


def lengths() -> Iterator[Bad]:
    yield post("T051", "no length at all", 400, "bad-request")
    yield post(
        "T052", "both lengths", 400, "bad-request", Upload_Length="5", Upload_Defer_Length="1"
    )
    yield post("T151", "a piece without one", 400, "bad-request", Upload_Concat="partial")
    for text in ("0", "2", "true", "", "1,1", "01", "1 ", "-1", "\xb9"):
        yield post("T081", f"defer {text!r}", 400, "bad-request", Upload_Defer_Length=text)
    for length in (10_001, 5 * GIB, 2**63 - 1):
        yield post("T053", f"length {length}", 413, "too-large", Upload_Length=str(length))
        yield patch(
            "T086", f"length {length}", 413, "too-large", "deferred", Upload_Length=str(length)
        )
    code = "total-conflict"
    for length in (0, 4):
        text = str(length)
        yield patch("T086", f"below, {length}", 400, code, "deferred", Upload_Length=text)
        yield patch("T086", f"empty, {length}", 400, code, "deferred", b"", Upload_Length=text)
    yield patch("T041", "above what it says", 413, "too-large", "deferred", Upload_Length="6")
    yield patch("T041", "above the length", 413, "too-large", body=b"678901")
    yield patch("T088", "above the limit", 413, "too-large", "deferred", bytes(9996))
    for text in ("9", "11", "5"):
        yield patch("T085", f"another length, {text}", 400, code, Upload_Length=text)
        if text != "5":
            yield patch("T085", f"done, {text}", 400, code, "done", b"", Upload_Length=text)
    yield patch("T042", "bytes behind the end", 413, "finished", "done")
    yield post("T098", "more than it says", 413, "too-large", b"123456", Upload_Length="5")
    yield post("T098", "above the limit", 413, "too-large", bytes(10_001), Upload_Defer_Length="1")


def versions_and_methods() -> Iterator[Bad]:
    for version in (None, "", "0.2.2", "1.0", "1.0.0, 1.0.0", "1.0.0\x00", "2.0.0"):
        yield post("T002", f"version {version!r}", 412, "unknown-version", Tus_Resumable=version)
        yield patch("T002", f"version {version!r}", 412, "unknown-version", Tus_Resumable=version)
        for method in ("DELETE", "HEAD", "GET"):
            if version is not None or method == "DELETE":
                yield Bad(
                    *("T004", f"version {version!r}", 412, "unknown-version", method),
                    "/files/{open}",
                    {"Tus-Resumable": version},
                )
    for method, target in (
        *((method, "/files/") for method in ("GET", "HEAD", "PATCH", "PUT", "DELETE")),
        *((method, "/files") for method in ("GET", "PATCH")),
        *((method, "/files/{open}") for method in ("POST", "PUT", "TRACE", "LOCK")),
    ):
        yield Bad("T011", f"{target} is no place", 405, "method-not-allowed", method, target)
    for other in ("", "LOCK", "PATCH\r\nX: y", "PATCH, PATCH", "\xe9"):
        headers = {"X-HTTP-Method-Override": other}
        target = "/files/{open}"
        yield Bad("T010", repr(other), 405, "method-not-allowed", "POST", target, headers)
    for kind in (None, "application/octet-stream", "", BYTES + "x", "text/plain; " + BYTES):
        yield patch("T031", f"type {kind}", 415, "unsupported-type", Content_Type=kind)
    yield Bad("T060", "not finished", 404, "not-finished", "GET", "/files/{open}")
    yield Bad("T060", "not put together", 404, "not-finished", "GET", "/files/{waiting}")


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


METADATA = {
    "T067": ["k YQ==,k YQ==", "k,k", "k YQ==,other,k", "k YQ==, k YQ=="],
    "T068": [
        *("k YQ", "k YQ=", "k YQ===", "k Y", "k =", "k ====", "k Y-_=", "k YQ==YQ==", "k !!!!"),
        *("k YQ==\r\nX: y", "k YQ==\x00", "k YQ\x00==", "k YQ==\x0b", "k \xe9\xe9\xe9\xe9"),
        *("k\tYQ==", "k YQ==\tx", "k Y\tQ==", "k YQ==;v"),
    ],
    "T069": [
        *(",", ",,", "k YQ==,", ",k YQ==", "k YQ==,,l YQ==", "k  YQ==", "k Y Q==", "k YQ== YQ=="),
        *("\xe9 YQ==", "k\xe9 YQ==", "k\x00 YQ==", "k\r\nX YQ==", "k\x7f YQ==", "\x80"),
    ],
}


def metadata() -> Iterator[Bad]:
    for row, texts in METADATA.items():
        for text in texts:
            yield post(row, repr(text), 400, "bad-request", Upload_Length="5", Upload_Metadata=text)
            yield post(
                row,
                f"final, {text!r}",
                *(400, "bad-request"),
                Upload_Concat="final;/files/{piece}",
                Upload_Metadata=text,
            )


SHA1 = b64(hashlib.sha1(b"6789").digest())
CHECKSUMS = {
    "bad-digest": [
        *("sha1", "sha1 ", "sha1  " + SHA1, f"sha1 {SHA1} ", "sha1 " + SHA1[:-1]),
        *("sha1 !!!!", "sha1 YQ==", "sha1 " + b64(bytes(32)), "sha256 " + SHA1, "md5 " + SHA1),
        *("sha1 " + SHA1 + "\r\nX: y", "sha1 " + SHA1.replace("=", "%3D"), "crc32c AAAA"),
        *("sha1 " + hashlib.sha1(b"6789").hexdigest(), "sha1 \xe9", "sha1 " + "A" * 5000),
    ],
    "unknown-digest": [
        *("", " ", SHA1, "SHA1 " + SHA1, "sha-1 " + SHA1, "sha512 " + b64(bytes(64))),
        *("sha1," + SHA1, "sha1:" + SHA1, "sha1\t" + SHA1, "\xe9 " + SHA1, "crc32 AAAAAA=="),
    ],
}


def checksums() -> Iterator[Bad]:
    for code, texts in CHECKSUMS.items():
        row = "T122" if code == "bad-digest" else "T123"
        for text in texts:
            name = repr(text[:60])
            yield patch(row, name, 400, code, Upload_Checksum=text)
            yield post(row, name, 400, code, b"6789", Upload_Length="9", Upload_Checksum=text)
    wrong = "sha1 " + b64(bytes(20))
    yield patch("T124", "other bytes", 460, "digest-mismatch", Upload_Checksum=wrong)
    yield patch(
        *("T089", "other bytes and a length", 460, "digest-mismatch", "deferred"),
        Upload_Checksum=wrong,
        Upload_Length="9",
    )
    yield post(
        *("T102", "other bytes", 460, "digest-mismatch", b"6789"),
        Upload_Length="4",
        Upload_Checksum=wrong,
    )
    for trailer in ("Upload-Checksum", "upload-checksum", "X-Other, Upload-Checksum"):
        yield patch("T131", f"Trailer: {trailer}", 400, "bad-request", Trailer=trailer)
        yield post(
            *("T131", f"Trailer: {trailer}", 400, "bad-request", b"6789"),
            Upload_Length="9",
            Trailer=trailer,
        )


LISTS = [
    "",
    " ",
    "final",
    "final;",
    "final; ",
    "partial;x",
    "partial ",
    "Partial",
    "FINAL;/files/a",
]
LISTS += ["foo", "final:/files/{piece}", "final, /files/{piece}", "final; /files/{piece}"]
LISTS += ["final;/files/{piece} ", "final;/files/{piece}  /files/{piece}"]
LISTS += ["final;/files/{piece}\r\nX: y", "final;/files/{piece}\t", "final;/files/{piece}\t?x"]
LISTS += ["final;/files/{piece}\x00", "final;/files/\xe9", "final;/files/{piece}\x7f"]
LISTS += ["final;/other/{piece}", "final;http://[/files/{piece}", "final;/files/{piece}/x"]
LISTS += [
    "final;/files/../../{piece}x/y",
    "partial,partial",
    "final;/files/{piece},/files/{piece}x/",
]
PIECES = {
    "foreign": (404, "not-found"),
    "cancelled": (404, "not-found"),
    "expired": (410, "gone"),
    "open": (400, "not-partial"),
    "done": (400, "not-partial"),
    "final": (400, "not-partial"),
    "waiting": (400, "not-partial"),
}
NO_IDS = ["", UNKNOWN, "x", "..", "%00", "..%2f..%2fetc%2fpasswd", "%ff", "a" * 300, "%2e%2e"]


def concatenations() -> Iterator[Bad]:
    for text in LISTS:
        yield post("T166", repr(text), 400, "bad-request", Upload_Concat=text)
    for name, (status, code) in PIECES.items():
        for before in ("", "/files/{piece} "):
            listed = f"final;{before}http://elsewhere/files/{{{name}}}"
            yield post("T165", f"{name} {before}", status, code, Upload_Concat=listed)
    for id in NO_IDS:
        listed = f"final;/files/{{piece}} /files/{id}"
        yield post("T165", f"no id, {id[:30]!r}", 404, "not-found", Upload_Concat=listed)
    listed = "final;/files/{piece}"
    for name, value in (("Upload_Length", "4"), ("Upload_Defer_Length", "1")):
        yield post("T156", name, 400, "bad-request", Upload_Concat=listed, **{name: value})
    yield post("T168", "bytes", 403, "concatenation", b"1234", Upload_Concat=listed)
    two = "final;/files/{large} /files/{large}"
    yield post("T167", "too large", 413, "too-large", Upload_Concat=two)
    for name in ("final", "waiting"):
        for offset in ("0", "4", "5"):
            yield patch(
                "T163", f"{name} at {offset}", 403, "concatenation", name, Upload_Offset=offset
            )
        yield patch("T163", f"{name}, nothing", 403, "concatenation", name, b"")


def whose() -> Iterator[Bad]:
    for name, status, code in (
        ("foreign", 404, "not-found"),
        ("cancelled", 404, "not-found"),
        ("expired", 410, "gone"),
    ):
        yield patch("T036", name, status, code, name)
        for method in ("HEAD", "GET", "DELETE"):
            yield Bad("T143", name, status, code, method, f"/files/{{{name}}}")
    for name, (id, code) in IDS.items():
        if "%2f" in id:
            continue  # A slash makes it another route, which is the host's.
        status = 400 if code == "bad-path" else 404
        code = code if status == 400 else "not-found"
        for method in ("HEAD", "GET", "DELETE"):
            yield Bad("T144", f"id: {name}", status, code, method, f"/files/{id}")
        headers = {"Content-Type": BYTES, "Upload-Offset": "0"}
        yield Bad("T036", f"id: {name}", status, code, "PATCH", f"/files/{id}", headers, b"x")


def long_headers() -> Iterator[Bad]:
    """Above 8 KiB no header is looked at."""
    code = "headers-too-large"
    listed = "final;" + " ".join(["/files/{piece}"] * 400)
    yield post("T169", "a long list", 431, code, Upload_Concat=listed)
    long = "filename " + b64(bytes(6200))
    yield post("T169", "metadata", 431, code, Upload_Length="5", Upload_Metadata=long)
    for name in ("Upload-Checksum", "Upload-Offset", "Tus-Resumable", "X-Other"):
        words = {name.replace("-", "_"): "5" * 8193}
        yield patch("T169", name, 431, code, **words)
        yield Bad("T169", name, 431, code, "HEAD", "/files/{open}", {name: "5" * 8193})


CASES = [
    *numbers(),
    *lengths(),
    *versions_and_methods(),
    *metadata(),
    *checksums(),
    *concatenations(),
    *whose(),
    *long_headers(),
]


def check_refusal(answer: Answer, bad: Bad, place: Place) -> None:
    assert answer.status == bad.status, answer
    assert answer.headers["tus-resumable"] == "1.0.0"
    if bad.status == 412:
        assert answer.headers["tus-version"] == "1.0.0"
    if bad.status == 405:
        assert "OPTIONS" in answer.headers["allow"]
    helped = bad.status in (409, 413, 460) or bad.code == "total-conflict"
    assert ("upload-offset" in answer.headers) <= helped
    if bad.method == "HEAD":
        assert answer.body == b""
        return
    assert answer.json.keys() == {"error", "code"}
    assert answer.json["code"] == bad.code, answer
    message = answer.json["error"]
    assert re.fullmatch(r"[A-Z]?.{5,300}", message, re.DOTALL), message
    for secret in (str(place.outside), "Traceback", "resumable/", ".py", "0x7"):
        assert secret not in message


@pytest.mark.parametrize("bad", CASES, ids=str)
def test_bad_input_changes_nothing(bad: Bad, place: Place) -> None:
    before = place.everything()
    answer = place.ask(bad.method, bad.target, bad.body, headers=bad.headers)
    check_refusal(answer, bad, place)
    after = place.everything()
    if bad.code == "digest-mismatch" and bad.method == "PATCH":
        # Bytes were written before they could be judged; they lie behind all that counts.
        id = bad.target.format(**place.ids).rpartition("/")[2]
        before, after = without(id, before), without(id, after)
    assert after == before


def without(id: str, seen: dict[str, str]) -> dict[str, str]:
    return {name: kind for name, kind in seen.items() if id not in name}


@pytest.mark.parametrize("name", ["open", "deferred"])
def test_bytes_that_are_not_what_their_checksum_says_never_were(place: Place, name: str) -> None:
    head = place.ask("HEAD", f"/files/{{{name}}}").headers
    before = {key: head.get(key) for key in ("upload-offset", "upload-length")}
    said = {"Content-Type": BYTES, "Upload-Offset": "5", "Upload-Length": "10"}
    wrong = {**said, "Upload-Checksum": "sha1 " + b64(bytes(20))}
    for _ in range(2):
        assert place.ask("PATCH", f"/files/{{{name}}}", b"wrong", headers=wrong).status == 460
        head = place.ask("HEAD", f"/files/{{{name}}}").headers
        assert {key: head.get(key) for key in before} == before
    right = {**said, "Upload-Checksum": "sha1 " + b64(hashlib.sha1(b"67890").digest())}
    assert place.ask("PATCH", f"/files/{{{name}}}", b"67890", headers=right).status == 204
    assert place.ask("GET", f"/files/{{{name}}}").body == b"1234567890"


def test_there_are_enough_of_them() -> None:
    names = [str(bad) for bad in CASES]
    assert len(names) == len(set(names))
    assert len(names) > 300
    rows = {bad.row for bad in CASES}
    assert rows >= {"T012", "T067", "T068", "T069", "T081", "T122", "T123", "T131", "T165", "T166"}


def test_the_first_bad_request_of_all_leaves_nothing(tmp_path: Path) -> None:
    """On an empty storage too: no upload without bytes, no directory of it."""
    root = tmp_path / "store"
    ids = dict.fromkeys((*NAMES, "large"), UNKNOWN)
    place = Place(an_app(root), tmp_path, ids)
    for bad in CASES:
        answer = place.ask(bad.method, bad.target, bad.body, headers=bad.headers)
        assert 400 <= answer.status < 500, (bad, answer)
    assert snapshot(root) == {}


# ---------------------------------------------------------------- odd, but right

ODD_METADATA = [
    "",
    "  ",
    "k",
    "k ",
    "filename d29ybGQ=,is_confidential",
    "a YQ==, b Yg==",
    "a YQ==\t,\tb Yg==",
    "a YQ== ,b ,c",
    "!#$%&'*+-.^_`|~\"():;<=>?@[\\]{}/ YQ==",
    "k " + b64(b"\x80\xff\xc3("),
    "k " + b64("\u202e\ud7ff\U0010ffff".encode()),
    "k " + b64(bytes(range(256))),
    ",".join(f"k{number} {b64(bytes(9))}" for number in range(300)),
    "filename " + b64(bytes(6000)),
]


@pytest.mark.parametrize("text", ODD_METADATA, ids=lambda text: repr(text[:40]))
def test_odd_metadata_is_repeated(place: Place, text: str) -> None:
    said = {"Upload-Length": "4", "Upload-Metadata": text.replace("{", "{{").replace("}", "}}")}
    answer = place.ask("POST", "/files/", headers=said)
    assert answer.status == 201, answer
    head = place.ask("HEAD", "/files/" + answer.headers["location"])
    assert head.status == 200
    repeated = text.replace("\t", " ") if text.strip() else None
    assert head.headers.get("upload-metadata") == repeated


@pytest.mark.parametrize("text", [*PATHS, "a\0b", "a\r\nX: y", "\u202efdp.exe", "\x7f", "a" * 5000])
def test_a_path_as_a_name_is_only_shown(place: Place, text: str) -> None:
    """Neither in a header nor in a path, and with the type that the bytes have."""
    name, kind = b64(text.encode()), b64(b"text/html\r\nX: y")
    said = {
        "Upload-Length": "4",
        "Upload-Metadata": f"filename {name},filetype {kind}",
        "Content-Type": BYTES,
    }
    before = place.everything()
    answer = place.ask("POST", "/files/", b"data", headers=said)
    assert answer.status == 201, answer
    download = place.ask("GET", "/files/" + answer.headers["location"])
    assert download.body == b"data"
    assert download.headers["content-disposition"].startswith("attachment;")
    assert "html" not in download.headers["content-type"]
    (finished,) = [one for one in place.app.uploads.list() if one.metadata.get("filename") == text]
    assert not set(finished.filename) & set("/\\\0\r\n")
    assert finished.filename not in (".", "..")
    for new in place.everything().keys() - before.keys():
        assert re.fullmatch(r"inner/store/(\.resumable/\w+/)?[\w-]{22,64}(\.data)?", new), new


@pytest.mark.parametrize("length", ["10", "00010", "0000000000000000010"])
def test_leading_zeros_are_no_other_number(place: Place, length: str) -> None:
    said = {"Content-Type": BYTES, "Upload-Offset": "0005", "Upload-Length": length}
    assert place.ask("PATCH", "/files/{open}", b"67890", headers=said).status == 204
    assert place.ask("GET", "/files/{open}").body == b"1234567890"


def test_numbers_that_no_float_can_hold_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    storage = MemoryStorage()
    storage.now = time.time()
    store = storage.process(Faults())
    monkeypatch.setattr("resumable.wsgi.connect", lambda *_, **__: store)
    app = ResumableUploads(None, "unused", limits=Limits(max_size=None))
    for length in (2**53 + 1, 2**63 - 1):
        said = {"Tus-Resumable": "1.0.0", "Upload-Length": str(length)}
        path = "/files/" + call(app, "POST", "/files/", headers=said).headers["location"]
        assert call(app, "HEAD", path).headers["upload-length"] == str(length)


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_only_a_real_head_is_answered_without_the_body_that_its_length_is_of(
    place: Place, method: str
) -> None:
    """Whoever sends a POST waits for as many bytes as the answer announces."""
    said = {"X-HTTP-Method-Override": method}
    refused = place.ask("POST", "/files/" + UNKNOWN, headers=said)
    assert (refused.status, refused.json["code"]) == (404, "not-found")
    assert place.ask("POST", "/files/{open}", headers={**said}).status in (200, 404)
    hidden = place.ask("HEAD", "/files/{done}", headers={"X-HTTP-Method-Override": "GET"})
    assert (hidden.status, hidden.body) == (200, b"")


# ---------------------------------------------------------------- at random

LATIN = st.text(st.characters(max_codepoint=255), max_size=30)
TEXTS = st.sampled_from(
    [
        *("", "0", "1", "4", "5", "10", "-1", "partial", "PATCH", "HEAD", BYTES, "chunked"),
        *("final;/files/{piece}", "final;/files/{piece} /files/{unfinished}", "final;{open}"),
        *("sha1 " + SHA1, "filename YS5iaW4=", "a YQ==,\tb", "1.0.0", "Upload-Checksum"),
    ]
)
FIELDS = st.sampled_from(
    [
        *("Upload-Length", "Upload-Offset", "Upload-Defer-Length", "Upload-Concat"),
        *("Upload-Metadata", "Upload-Checksum", "X-HTTP-Method-Override", "Content-Type"),
        *("Tus-Resumable", "Content-Length", "Transfer-Encoding", "Trailer", "Origin", "Expect"),
    ]
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=400
)
@given(
    method=st.sampled_from(["GET", "HEAD", "POST", "POST", "PATCH", "PATCH", "DELETE", "OPTIONS"]),
    target=st.sampled_from(["", *(f"{{{name}}}" for name in NAMES)]) | LATIN,
    headers=st.dictionaries(FIELDS, TEXTS | LATIN, max_size=6),
    usual=st.booleans(),
    body=st.binary(max_size=12),
)
def test_nothing_at_all_is_our_fault(
    place: Place,
    method: str,
    target: str,
    headers: dict[str, str],
    usual: bool,
    body: bytes,
) -> None:
    target = _named(target, place.ids)
    ordinary = {"Upload-Offset": "5", "Content-Type": BYTES} if method == "PATCH" else {}
    said = {**(ordinary if usual else {}), **headers}
    said = {key: _named(value, place.ids) for key, value in said.items()}
    answer = call(
        *(place.app, method, "/", body, {"Tus-Resumable": "1.0.0", **said}),
        environ={"PATH_INFO": "/files/" + target, "REMOTE_USER": "ann"},
    )
    assert answer.status < 500, answer
    ours = "tus-resumable" in answer.headers
    if answer.status >= 400 and ours and method != "HEAD":
        assert answer.json.keys() == {"error", "code"}
        assert str(place.outside) not in answer.json["error"]
    if answer.status == 201:
        head = place.ask("HEAD", "/files/" + answer.headers["location"])
        assert head.status == 200, head


def _named(text: str, ids: Mapping[str, str]) -> str:
    for name, id in ids.items():
        text = text.replace(f"{{{name}}}", id)
    return text
