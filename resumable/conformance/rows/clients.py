"""What clients in use need beyond the text: tus-js-client, Uppy, tuspy, aiotus, browsers."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor

from resumable.conformance import expect
from resumable.conformance.model import Level, NotOffered, Section
from resumable.conformance.offers import offered, works
from resumable.conformance.rows.checksum import sha1_of
from resumable.conformance.rows.concatenation import join
from resumable.conformance.session import OFFSET_TYPE, Tus

SECTION = Section("Clients")
_ORIGIN = "https://conformance.example"
_CHUNK = 4 * 1024 * 1024
# The pauses of tus-js-client before it gives up.
_RETRIES = (0.0, 1.0, 3.0, 5.0)
_SENT_HEADERS = {
    "tus-resumable": "creation",
    "upload-length": "creation",
    "upload-offset": "creation",
    "upload-metadata": "creation",
    "content-type": "creation",
    "x-http-method-override": "creation",
    "upload-defer-length": "creation-defer-length",
    "upload-concat": "concatenation",
    "upload-checksum": "checksum",
}
_READ_HEADERS = ("location", "upload-offset", "upload-length", "tus-resumable")


@SECTION.row(
    "C01", Level.RECOMMENDED, "tus-js-client: a creation gives 2xx and Location, also for 0 bytes."
)
def creation_for_clients(tus: Tus) -> None:
    for length in (5, 0):
        answer = tus.creation(length)
        expect.taken(answer, when=f"a creation of length {length}")
        located = bool(answer.get("Location"))
        expect.that(located, f"a creation of length {length}: Location is missing", answer)


@SECTION.row(
    "C02", Level.RECOMMENDED, "tus-js-client: HEAD has Upload-Offset and a length or its deferral."
)
def head_for_clients(tus: Tus) -> None:
    urls = [tus.create(5), tus.begun(5, b"abcde")]
    if works(tus, "creation-defer-length"):
        urls.append(tus.create(None))
    for url in urls:
        answer = tus.head(url)
        expect.that("upload-offset" in answer.names(), "HEAD: Upload-Offset is missing", answer)
        deferred = answer.get("Upload-Defer-Length") == "1"
        known = (answer.get("Upload-Length") or "").isdigit()
        expect.that(deferred or known, "HEAD tells neither a length nor its deferral", answer)


@SECTION.row(
    "C03",
    Level.RECOMMENDED,
    "HEAD is never 4xx (but 423) for what will pass: clients would start over.",
)
def head_never_discards(tus: Tus) -> None:
    url = tus.create(6000)
    with tus.begin_patch(url, 0, 6000) as stalled:
        stalled.send(b"a" * 3000)
        for _ in range(3):
            answer = tus.head(url)
            temporary = answer.status in (423, 503)
            expect.that(
                answer.good or temporary, f"HEAD during a PATCH gets {answer.status}", answer
            )
            time.sleep(0.1)


@SECTION.row(
    "C04",
    Level.RECOMMENDED,
    "After a connection broke, a PATCH is taken within 9 s, as tus-js-client retries.",
)
def locks_clear(tus: Tus) -> None:
    url = tus.create(6000)
    with tus.begin_patch(url, 0, 6000) as broken:
        broken.send(b"a" * 3000)
    for pause in _RETRIES:
        time.sleep(pause)
        looked = tus.head(url)
        offset = looked.get("Upload-Offset") or ""
        if not looked.good or not offset.isdigit():
            continue
        answer = tus.patch(url, offset, b"b" * (6000 - int(offset)))
        if answer.good:
            return
        retried = answer.status in (409, 423) or answer.status >= 500
        expect.that(retried, f"a PATCH after a break gets {answer.status}: no retry", answer)
    expect.that(False, "9 s after a broken PATCH no other one is taken")


@SECTION.row("C05", Level.RECOMMENDED, "tus-js-client: a PATCH gives 2xx with Upload-Offset.")
def patch_for_clients(tus: Tus) -> None:
    answer = tus.patch(tus.create(5), 0, b"abcde")
    expect.taken(answer, when="a PATCH")
    expect.offset(answer, 5, when="a PATCH")


@SECTION.row("C06", Level.RECOMMENDED, "tus-js-client, overridePatchMethod: POST acts as PATCH.")
def override_for_clients(tus: Tus) -> None:
    url = tus.create(5)
    headers = {
        "X-HTTP-Method-Override": "PATCH",
        "Upload-Offset": "0",
        "Content-Type": OFFSET_TYPE,
    }
    answer = tus.ask("POST", url, headers, b"abcde")
    expect.taken(answer, when="a POST overridden as PATCH")
    expect.offset(answer, 5, when="a POST overridden as PATCH")
    expect.offset(tus.head(url), 5, when="HEAD after it")


@SECTION.row(
    "C07",
    Level.RECOMMENDED,
    "tus-js-client, parallelUploads: parts at once, each PATCH repeating Upload-Concat.",
    needs=("creation", "concatenation"),
)
def parallel_uploads(tus: Tus) -> None:
    bodies = [os.urandom(50_000) for _ in range(3)]
    partial = {"Upload-Concat": "partial"}
    urls = [tus.create(len(body), partial) for body in bodies]
    with ThreadPoolExecutor(len(bodies)) as pool:
        answers = list(pool.map(lambda url, body: tus.patch(url, 0, body, partial), urls, bodies))
    for answer in answers:
        expect.status(answer, 204, when="one of three PATCHes on partial uploads")
    joined = join(tus, urls, {"Upload-Metadata": tus.described("note YS50eHQ=")})
    expect.status(joined, 201, when="the final creation")
    content = tus.content(tus.location(joined))
    whole = content in (None, b"".join(bodies))
    expect.that(whole, "the final upload has other bytes than the parts", joined)


@SECTION.row("C08", Level.RECOMMENDED, "tuspy: an empty upload-metadata, and a sha1 on each PATCH.")
def tuspy(tus: Tus) -> None:
    if tus.metadata:
        raise NotOffered("this server asks for metadata, which tuspy may not send")
    answer = tus.post({"Upload-Length": "5", "upload-metadata": ""})
    expect.taken(answer, when="a creation with an empty upload-metadata")
    expect.that(bool(answer.get("Location")), "Location is missing", answer)
    headers = {"upload-checksum": sha1_of(b"abcde")}
    patched = tus.patch(tus.location(answer), 0, b"abcde", headers)
    expect.taken(patched, when="a PATCH with its sha1")
    expect.offset(patched, 5, when="a PATCH with its sha1")


@SECTION.row("C09", Level.RECOMMENDED, "aiotus: keys without values, HEAD first, chunks of 4 MiB.")
def aiotus(tus: Tus) -> None:
    most = tus.offer.max_size
    if most is not None and most < _CHUNK + 1:
        raise NotOffered("Tus-Max-Size is below 4 MiB")
    metadata = tus.described("draft,note YQ==")
    answer = tus.post({"Upload-Length": str(_CHUNK + 1), "Upload-Metadata": metadata})
    expect.taken(answer, when="a creation with a key that has no value")
    url = tus.location(answer)
    expect.offset(tus.head(url), 0, when="HEAD before the first byte")
    for offset, body in ((0, os.urandom(_CHUNK)), (_CHUNK, b"x")):
        patched = tus.patch(url, offset, body)
        expect.taken(patched, when=f"a PATCH of {len(body)} bytes")
        expect.offset(patched, offset + len(body), when=f"a PATCH of {len(body)} bytes")


@SECTION.row(
    "C10",
    Level.RECOMMENDED,
    "Browsers: the preflight allows all that tus sends, and errors carry CORS headers too.",
)
def browsers(tus: Tus) -> None:
    url, origin = tus.create(5), {"Origin": _ORIGIN}
    if "access-control-allow-origin" not in tus.head(url, origin).names():
        raise NotOffered(f"no page of {_ORIGIN} may call this server")
    asked = {
        **origin,
        "Tus-Resumable": None,
        "Access-Control-Request-Method": "PATCH",
        "Access-Control-Request-Headers": ", ".join(_SENT_HEADERS),
    }
    answer = tus.ask("OPTIONS", url, asked)
    expect.taken(answer, when="the preflight of a PATCH")
    _allowed(tus, asked)
    exposed = (tus.head(url, origin).get("Access-Control-Expose-Headers") or "").lower()
    for name in _READ_HEADERS:
        expect.that(name in exposed or exposed == "*", f"{name} is not exposed to pages", answer)
    for wrong in (tus.patch(url, 3, b"x", origin), tus.head(tus.stranger(), origin)):
        told = "access-control-allow-origin" in wrong.names()
        expect.that(told, f"the error {wrong.status} has no Access-Control-Allow-Origin", wrong)


def _allowed(tus: Tus, asked: dict[str, str | None]) -> None:
    answer = tus.ask("OPTIONS", tus.url, dict(asked))
    methods = (answer.get("Access-Control-Allow-Methods") or "").upper()
    allowed = (answer.get("Access-Control-Allow-Headers") or "").lower()
    for method in ("POST", "HEAD", "PATCH", "DELETE"):
        if method != "DELETE" or works(tus, "termination"):
            named = method in methods or methods == "*"
            expect.that(named, f"the preflight does not allow {method}", answer)
    for name, extension in _SENT_HEADERS.items():
        named = name in allowed or allowed == "*" or not offered(tus, extension)
        expect.that(named, f"the preflight does not allow the header {name}", answer)


@SECTION.row("C11", Level.RECOMMENDED, "GET on a finished upload has its bytes; 404 after DELETE.")
def download(tus: Tus) -> None:
    url = tus.begun(5, b"abcde")
    answer = tus.ask("GET", url)
    if not answer.good:
        raise NotOffered("uploads are not handed out by GET")
    expect.that(answer.body == b"abcde", "GET has other bytes than PATCH sent", answer)
    if works(tus, "termination"):
        tus.ask("DELETE", url)
        expect.status(tus.ask("GET", url), 404, 410, when="GET after DELETE")


@SECTION.row("C12", Level.RECOMMENDED, "HEAD is never redirected, to a login page say.")
def no_redirects(tus: Tus) -> None:
    for url in (tus.create(5), tus.stranger()):
        answer = tus.head(url)
        expect.that(not 300 <= answer.status < 400, f"HEAD is answered {answer.status}", answer)
