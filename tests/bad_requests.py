"""Requests that must be refused, each with the status and code of its refusal."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from resumable.digests import crc32c
from tests.calls import BOUNDARY, file, multipart
from tests.test_forms import HOSTILE
from tests.uploading import SECRET

FORM_TYPE = f"multipart/form-data; boundary={BOUNDARY}"
CHUNK = file("chunk", b"data")
ROUTES = {
    "/upload-chunk": ("POST", "PUT"),
    "/finalize-upload": ("POST",),
    "/upload-status/known": ("GET", "HEAD", "DELETE"),
    "/process-video-chunks": ("POST",),
    "/upload-config": ("GET", "HEAD"),
    "/recordings": ("GET", "HEAD"),
    "/recordings/AAAAAAAAAAAAAAAAAAAAAA": ("GET", "HEAD"),
}


@dataclass(frozen=True)
class Bad:
    """One request that must be refused, and with what."""

    name: str
    status: int
    code: str
    method: str
    target: str
    how: dict[str, Any] = field(default_factory=dict)


def raw(name: str, status: int, code: str, target: str = "", **how: Any) -> Bad:
    """A raw chunk."""
    return Bad(name, status, code, "PUT", f"/upload-chunk{target}", {"body": b"data", **how})


def form(name: str, status: int, code: str, *parts: Any, **how: Any) -> Bad:
    """A chunk as a form."""
    return Bad(name, status, code, "POST", "/upload-chunk", {"form": parts, **how})


def direct(name: str, status: int, code: str, *parts: Any, **how: Any) -> Bad:
    return Bad(name, status, code, "POST", "/process-video-chunks", {"form": parts, **how})


def finalize(name: str, status: int, code: str, **how: Any) -> Bad:
    return Bad(name, status, code, "POST", "/finalize-upload", how)


# ---------------------------------------------------------------- ids

# Percent-encoded, as they stand in a path or query, and the code of the refusal there.
IDS = {
    "too long": ("a" * 257, "bad-id"),
    "NUL": ("a%00b", "bad-path"),
    "line break": ("a%0d%0aX-Evil:%201", "bad-id"),
    "delete": ("a%7f", "bad-id"),
    "C1": ("a%c2%85b", "bad-id"),
    "right to left": ("a%e2%80%aegpj.exe", "bad-id"),
    "not UTF-8": ("a%ff", "bad-path"),
    "overlong dots": ("%c0%ae%c0%ae%2fetc", "bad-path"),
    "overlong slash": ("a%e0%80%af", "bad-path"),
    "a surrogate": ("a%ed%a0%80", "bad-path"),
}
IN_QUERY = {"bad-path": "bad-query", "bad-id": "bad-id"}


def ids() -> Iterator[Bad]:
    for name, (id, code) in IDS.items():
        for method in ("GET", "DELETE"):
            yield Bad(f"{method} id: {name}", 400, code, method, f"/upload-status/{id}")
        in_query = "bad-id" if name == "NUL" else IN_QUERY[code]
        yield raw(f"raw id: {name}", 400, in_query, f"?uploadId={id}&chunkIndex=0")
    for name, id in [
        ("too long", "a" * 257),
        ("NUL", "a\0b"),
        ("line break", "a\r\nb"),
        ("right to left", "\u202e"),
    ]:
        fields = [("uploadId", id), ("chunkIndex", "0")]
        yield form(f"form id: {name}", 400, "bad-id", CHUNK, *fields)
        yield form(f"form id before the file: {name}", 400, "bad-id", *fields, CHUNK)
        yield finalize(f"JSON id: {name}", 400, "bad-id", json={"uploadId": id})
    yield finalize("JSON id: a surrogate", 400, "bad-id", body=b'{"uploadId":"\\ud800"}')
    for kind in (5, 1.5, True, [], ["a"], {}, {"a": 1}):
        yield finalize(f"JSON id: {kind!r}", 400, "bad-id", json={"uploadId": kind})
    for nothing in ("", None):
        yield finalize(f"JSON id: {nothing!r}", 400, "missing-id", json={"uploadId": nothing})
    yield finalize("JSON without an id", 400, "missing-id", json={})
    yield raw("raw without an id", 400, "missing-chunk-data", "?chunkIndex=0")
    yield raw("raw with an empty id", 400, "missing-chunk-data", "?uploadId=&chunkIndex=0")
    yield form("form without an id", 400, "missing-chunk-data", CHUNK, ("chunkIndex", "0"))
    yield form("form without a file", 400, "missing-chunk-data", ("uploadId", "a"))
    yield form("an empty form", 400, "missing-chunk-data")
    yield raw("no words at all", 400, "missing-chunk-data")


# ---------------------------------------------------------------- numbers

NO_NUMBERS = ["", "-1", "+1", "1.5", "1e3", "0x1", "abc", " 1", "1,2", "٣", "NaN", "9" * 20]
NO_NUMBERS += [str(2**63)]
WORDS = ("chunkIndex", "totalChunks", "chunkSize", "byteOffset", "totalSize")


def numbers() -> Iterator[Bad]:
    for word, text in itertools.product(WORDS, NO_NUMBERS):
        code = "missing-chunk-data" if word == "chunkIndex" else "bad-request"
        words = [("uploadId", "a"), *([] if word == "chunkIndex" else [("chunkIndex", "0")])]
        yield form(f"{word} {text!r}", 400, code, CHUNK, *words, (word, text))
    for word in ("totalChunks", "chunkSize"):
        yield raw(f"{word} 0", 400, "bad-number", f"?uploadId=a&chunkIndex=0&{word}=0")
    for name, status, code, query in [
        ("index at the total", 400, "chunk-index", "chunkIndex=3&totalChunks=3"),
        ("index above the known total", 400, "chunk-index", "uploadId=known&chunkIndex=3"),
        ("index above the limit", 400, "too-many-chunks", "chunkIndex=100000"),
        ("greatest index", 400, "too-many-chunks", f"chunkIndex={2**63 - 1}"),
        ("total above the limit", 400, "too-many-chunks", "chunkIndex=0&totalChunks=100001"),
        ("size above the limit", 413, "too-large", f"chunkIndex=0&totalSize={2**63 - 1}"),
        ("offset above the limit", 413, "too-large", f"byteOffset={2**63 - 1}"),
        ("more than the size", 413, "too-large", "chunkIndex=0&totalSize=3"),
        ("behind the size", 413, "too-large", "byteOffset=8&totalSize=8"),
        ("a product above all", 413, "too-large", f"chunkIndex=99999&chunkSize={2**63 - 1}"),
        ("larger than it says", 400, "chunk-length", "chunkIndex=0&chunkSize=3&totalChunks=2"),
        ("smaller than it says", 400, "chunk-length", "chunkIndex=0&chunkSize=9&totalChunks=2"),
        ("beside its chunk", 400, "chunk-length", "chunkIndex=1&chunkSize=9&byteOffset=1"),
    ]:
        id = "" if query.startswith("uploadId") else "uploadId=a&"
        yield raw(name, status, code, f"?{id}{query}")
    for query in ("byteOffset=9000000000000000000", f"chunkIndex=99999&chunkSize={2**63 - 1}"):
        yield raw(
            f"nothing at {query}",
            413,
            "too-large",
            f"?uploadId=a&{query}",
            body=b"",
            environ={
                "CONTENT_LENGTH": None,
                "HTTP_TRANSFER_ENCODING": "chunked",
                "SERVER_SOFTWARE": "waitress",
                "wsgi.input_terminated": True,
            },
        )
    for word in ("totalChunks", "totalSize"):
        for value in ("x", "-1", 1.5, True, [], {}, -1, 2**63, 10**30):
            code = "bad-request" if isinstance(value, str) else "bad-number"
            asked = {"uploadId": "known", word: value}
            yield finalize(f"JSON {word} {value!r}", 400, code, json=asked)


# ---------------------------------------------------------------- ranges and digests

RANGES = ["", "bytes", "bytes */9", "bytes 9-0/10", "bytes 0-10/10", "bytes 0-3", "items 0-3/4"]
RANGES += ["bytes 0-3/4, 5-6/7", "bytes -3/4", "bytes 0-3/-4", "bytes a-b/c", "bytes ٠-٣/٤"]
RANGES += [f"bytes 0-3/{2**63}", f"bytes 0-{2**63 - 1}/*", "bytes 0-" + "9" * 5000 + "/*"]
DIGESTS = ["", "sha256", "sha256:", "sha256:00", "sha256:" + "g" * 64, "sha512:" + "0" * 128]
DIGESTS += ["md5:" + "0" * 32, "crc32c:123", "crc32c:0123456789", "sha256:" + "0" * 5000]


def ranges_and_digests() -> Iterator[Bad]:
    for text in RANGES:
        headers = {"X-Upload-Id": "a", "Content-Range": text}
        yield raw(f"range {text[:30]!r}", 400, "bad-range", headers=headers)
    for text, status, code in [
        ("bytes 0-4/5", 400, "range-length"),
        ("bytes 0-2/3", 413, "too-large"),
        ("bytes 0-3/3000000000000", 413, "too-large"),
        ("bytes 9000000000000000000-9000000000000000003/*", 413, "too-large"),
    ]:
        headers = {"X-Upload-Id": "a", "Content-Range": text}
        yield raw(f"range {text}", status, code, headers=headers)
    for text in DIGESTS:
        code = "unknown-digest" if text[:6] not in ("sha256", "crc32c") else "bad-digest"
        code = "unknown-digest" if text.startswith("sha512") else code
        headers = {"X-Upload-Id": "a", "X-Chunk-Digest": text}
        yield raw(f"digest {text[:30]!r}", 400, code, headers=headers)
    for value in (5, True, [], {}, "sha256", "sha999:00", "md5:xyz"):
        kind = "bad-digest" if not isinstance(value, str) or value != "sha999:00" else None
        asked = {"uploadId": "known", "digest": value}
        yield finalize(f"JSON digest {value!r}", 400, kind or "unknown-digest", json=asked)
    other = f"crc32c:{crc32c(b'other'):08x}"
    headers = {"X-Upload-Id": "a", "X-Chunk-Index": "0", "X-Chunk-Digest": other}
    yield raw("another digest", 422, "digest-mismatch", headers=headers)


# ---------------------------------------------------------------- contradictions and conflicts


def contradictions() -> Iterator[Bad]:
    for word, header in [
        ("uploadId", "X-Upload-Id"),
        ("chunkIndex", "X-Chunk-Index"),
        ("totalChunks", "X-Total-Chunks"),
        ("chunkSize", "X-Chunk-Size"),
        ("byteOffset", "X-Byte-Offset"),
        ("totalSize", "X-Total-Size"),
    ]:
        words = {"uploadId": "a", "chunkIndex": "0", word: "2"}
        query = "&".join(f"{name}={value}" for name, value in words.items())
        yield raw(
            f"{word} here and there", 400, "contradiction", f"?{query}", headers={header: "3"}
        )
    headers = {"Content-Range": "bytes 0-3/8"}
    for word in ("byteOffset=1", "totalSize=9"):
        yield raw(f"range and {word}", 400, "contradiction", f"?uploadId=a&{word}", headers=headers)
    first = [("uploadId", "a"), ("chunkIndex", "0"), ("totalChunks", "2")]
    for late in [("chunkSize", "4"), ("byteOffset", "9"), ("totalSize", "8")]:
        yield form(f"{late[0]} behind the file", 400, "bad-form", *first, CHUNK, late)
    yield raw("other bytes", 409, "other-bytes", "?uploadId=known&chunkIndex=0")
    yield raw("no bytes", 409, "other-bytes", "?uploadId=known&chunkIndex=0", body=b"")
    yield raw("other bytes waiting", 409, "other-bytes", "?uploadId=known&chunkIndex=2")
    yield raw("other bytes by offset", 409, "other-bytes", "?uploadId=known&byteOffset=2")
    yield raw("another total", 409, "total-conflict", "?uploadId=known&chunkIndex=1&totalChunks=4")
    yield raw(
        "a smaller total", 409, "total-conflict", "?uploadId=known&chunkIndex=0&totalChunks=2"
    )
    yield finalize("a gap", 400, "missing-chunk", json={"uploadId": "known"})
    asked: dict[str, Any] = {"uploadId": "known", "totalChunks": 4}
    yield finalize("JSON with another total", 409, "total-conflict", json=asked)
    yield finalize("an unknown id", 404, "not-found", json={"uploadId": "unknown"})
    yield Bad("DELETE a guess", 404, "not-found", "DELETE", "/upload-status/known")
    yield Bad("DELETE what is done", 409, "finished", "DELETE", f"/upload-status/{SECRET}")
    yield Bad("GET an unknown id", 404, "not-found", "GET", "/upload-status/unknown")


# ---------------------------------------------------------------- framing, queries, headers

FRAMINGS: list[tuple[str, int, str, dict[str, Any]]] = [
    ("two lengths", 400, "bad-request", {"HTTP_TRANSFER_ENCODING": "chunked"}),
    ("gzip, chunked", 400, "bad-request", {"HTTP_TRANSFER_ENCODING": "gzip, chunked"}),
    ("xchunked", 400, "bad-request", {"HTTP_TRANSFER_ENCODING": "xchunked"}),
    ("length +5", 400, "bad-request", {"CONTENT_LENGTH": "+5"}),
    ("length -5", 400, "bad-request", {"CONTENT_LENGTH": "-5"}),
    ("length 5, 6", 400, "bad-request", {"CONTENT_LENGTH": "5, 6"}),
    ("length 1_0", 400, "bad-request", {"CONTENT_LENGTH": "1_0"}),
    ("length ٣", 400, "bad-request", {"CONTENT_LENGTH": "٣"}),
    ("length 2^63", 400, "bad-request", {"CONTENT_LENGTH": str(2**63)}),
    ("length of 20 digits", 400, "bad-request", {"CONTENT_LENGTH": "9" * 20}),
    ("no length", 411, "length-required", {"CONTENT_LENGTH": None}),
]


def framings() -> Iterator[Bad]:
    for (name, status, code, environ), target in itertools.product(
        FRAMINGS, ("/upload-chunk?uploadId=a", "/finalize-upload", "/process-video-chunks")
    ):
        how = {"body": b"data", "environ": environ, "headers": {"Content-Type": FORM_TYPE}}
        yield Bad(f"{target}: {name}", status, code, "POST", target, how)
    for name, environ in [("raw", {}), ("form", {"CONTENT_TYPE": FORM_TYPE})]:
        yield Bad(
            f"a length that is not kept: {name}",
            408,
            "interrupted",
            "POST",
            "/upload-chunk?uploadId=a",
            {"environ": {"CONTENT_LENGTH": "5000", **environ}},
        )


def queries_and_headers() -> Iterator[Bad]:
    for name, query in [
        ("a field twice", "uploadId=a&uploadId=a"),
        ("an unknown field twice", "uploadId=a&x=1&x=2"),
        ("not UTF-8", "uploadId=%ff"),
        ("100 fields", "&".join(f"f{number}=" for number in range(100))),
    ]:
        yield raw(f"query: {name}", 400, "bad-query", f"?{query}")
        yield Bad(f"config, query: {name}", 400, "bad-query", "GET", f"/upload-config?{query}")
    for header in ("X-Upload-Id", "Content-Range", "X-Chunk-Digest", "X-Anything", "Range"):
        long = {header: "9" * 8193}
        yield raw(f"long {header}", 431, "headers-too-large", headers=long)
    yield Bad(
        "a long header to read with",
        431,
        "headers-too-large",
        "GET",
        "/recordings/AAAAAAAAAAAAAAAAAAAAAA",
        {"headers": {"If-None-Match": '"' + "x" * 9000 + '"'}},
    )


def methods() -> Iterator[Bad]:
    for target, allowed in ROUTES.items():
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "UPLOAD", "post", "PRI"):
            if method not in allowed:
                yield Bad(f"{method} {target}", 405, "method-not-allowed", method, target)


def origins() -> Iterator[Bad]:
    for origin in ("https://evil.example", "null", "http://testserver.evil.example"):
        for target in ("/upload-chunk?uploadId=a", "/finalize-upload", "/process-video-chunks"):
            headers = {"Origin": origin, "Content-Type": FORM_TYPE}
            how = {"body": multipart([file("file", b"x")]), "headers": headers}
            yield Bad(f"{target} from {origin}", 403, "foreign-origin", "POST", target, how)


# ---------------------------------------------------------------- forms


def forms() -> Iterator[Bad]:
    for name, (content, kind, code) in HOSTILE.items():
        status = kind.status
        for target in ("/upload-chunk", "/process-video-chunks"):
            how = {"body": content, "headers": {"Content-Type": FORM_TYPE}}
            if not content and target == "/upload-chunk":
                how["environ"] = {"CONTENT_LENGTH": "0"}
            yield Bad(f"{target}: {name}", status, code, "POST", target, how)
    whole = multipart([CHUNK, ("uploadId", "a"), ("chunkIndex", "0")])
    fields_first = multipart([("uploadId", "a"), ("chunkIndex", "0"), ("totalChunks", "2"), CHUNK])
    for end in range(0, len(fields_first) - 3, 17):
        how = {"body": fields_first[:end], "headers": {"Content-Type": FORM_TYPE}}
        yield Bad(f"fields, truncated at {end}", 400, "bad-form", "POST", "/upload-chunk", how)
    for end in range(0, len(whole) - 3, 17):
        for target in ("/upload-chunk", "/process-video-chunks"):
            how = {"body": whole[:end], "headers": {"Content-Type": FORM_TYPE}}
            yield Bad(f"{target}: truncated at {end}", 400, "bad-form", "POST", target, how)
    for content_type, code in [
        ("", "not-a-form"),
        ("text/plain", "not-a-form"),
        ("application/x-www-form-urlencoded", "not-a-form"),
        ("application/json", "not-a-form"),
        ("multipart/mixed; boundary=x", "not-a-form"),
        ("multipart/form-data", "bad-form"),
        ("multipart/form-data; boundary=", "bad-form"),
        ("multipart/form-data; boundary=" + "x" * 300, "bad-form"),
        ('multipart/form-data; boundary="a\r\nb"', "bad-form"),
    ]:
        how = {"body": whole, "headers": {"Content-Type": content_type}}
        target = "/process-video-chunks"
        yield Bad(f"type {content_type[:40]!r}", 400, code, "POST", target, how)
    yield form("a huge field", 413, "too-large", ("uploadId", "a" * 70_000), CHUNK)


def directs() -> Iterator[Bad]:
    data = file("file", b"data")
    yield direct("no file", 400, "missing-file", ("filename", "x"))
    yield direct("nothing", 400, "missing-file")
    yield direct("two files", 400, "bad-form", data, data)
    yield direct("a long name", 400, "bad-filename", data, ("filename", "x" * 1025))
    yield direct("a long name of its own", 400, "bad-filename", file("file", b"x", "x" * 1025))
    for options in ('{"frame":1}', '{"labelText":5}', '{"frameColorEnd":"red"}', '{"icon":[]}'):
        yield direct(f"late {options}", 400, "bad-options", data, ("options", options))
        yield direct(f"early {options}", 400, "bad-options", ("options", options), data)


# ---------------------------------------------------------------- JSON


def documents() -> Iterator[Bad]:
    for name, body in {
        "nothing": b"",
        "a brace": b"{",
        "a list": b"[]",
        "null": b"null",
        "a number": b"5",
        "a text": b'"a"',
        "not UTF-8": b'{"uploadId":"\xff"}',
        "a NUL": b'{"uploadId":"a\0b"}',
        "a form": b"uploadId=a",
        "another form": multipart([("uploadId", "a")]),
        "deep lists": b"[" * 60_000,
        "deep objects": b'{"a":' * 10_000,
        "deep in options": b'{"uploadId":"known","options":' + b"[" * 20_000 + b"]" * 20_000,
        "a number of 5000 digits": b'{"uploadId":"known","totalChunks":' + b"9" * 5000 + b"}",
        "UTF-16 cut": '{"uploadId"'.encode("utf-16"),
    }.items():
        yield finalize(f"JSON: {name}", 400, "bad-json", body=body)
    yield finalize("JSON: 64 KiB and one", 413, "too-large", body=b" " * (64 * 1024 + 1))
    yield finalize("JSON: 16 MiB", 413, "too-large", body=b" " * (16 * 1024 * 1024))
    for value in (5, True, [], {}, "x" * 1025):
        asked = {"uploadId": "known", "filename": value}
        yield finalize(f"JSON name {str(value)[:9]!r}", 400, "bad-filename", json=asked)
    for value in (5, True, [], "x", {"frame": 1}, {"frameSize": 999}, {"labelText": "x" * 201}):
        asked = {"uploadId": "known", "options": value}
        yield finalize(f"JSON options {str(value)[:20]!r}", 400, "bad-options", json=asked)


def recordings() -> Iterator[Bad]:
    for name, token in {
        "dots": "..",
        "encoded dots": "%2e%2e",
        "dots and slashes": "..%2f..%2f..%2fetc%2fpasswd",
        "backslashes": "..%5c..%5cetc%5cpasswd",
        "the rooms": ".resumable",
        "a journal": ".resumable%2fuploads",
        "absolute": "%2fetc%2fpasswd",
        "a drive": "C:%5cwindows",
        "a URL": "http:%2f%2f127.0.0.1%2f",
        "unknown": "A" * 22,
        "long": "A" * 5000,
    }.items():
        for method in ("GET", "HEAD"):
            yield Bad(f"{method} {name}", 404, "not-found", method, f"/recordings/{token}")
    for name, token in {"NUL": "a%00", "not UTF-8": "%ff", "overlong": "%c0%ae%c0%ae"}.items():
        yield Bad(f"GET {name}", 400, "bad-path", "GET", f"/recordings/{token}")


CASES = [
    *ids(),
    *numbers(),
    *ranges_and_digests(),
    *contradictions(),
    *framings(),
    *queries_and_headers(),
    *methods(),
    *origins(),
    *forms(),
    *directs(),
    *documents(),
    *recordings(),
]
