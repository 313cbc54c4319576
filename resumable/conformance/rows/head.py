"""HEAD: what a client learns about its upload."""

from __future__ import annotations

from resumable.conformance import expect
from resumable.conformance.model import Level, Section
from resumable.conformance.session import Tus

SECTION = Section("HEAD")
_QUIET_SECONDS = 1.0


@SECTION.row(
    "T020", Level.MUST, "HEAD tells Upload-Offset: at the start, on the way and when complete."
)
def offset_always(tus: Tus) -> None:
    url = tus.create(5)
    expect.offset(tus.head(url), 0, when="a new upload")
    tus.fill(url, b"abc")
    expect.offset(tus.head(url), 3, when="after 3 of 5 bytes")
    tus.fill(url, b"de", 3)
    expect.offset(tus.head(url), 5, when="a complete upload")


@SECTION.row("T021", Level.MUST, "HEAD tells Upload-Length whenever the length is known.")
def length_when_known(tus: Tus) -> None:
    url = tus.create(5)
    expect.header(tus.head(url), "Upload-Length", "5", when="a new upload")
    tus.fill(url, b"abcde")
    expect.header(tus.head(url), "Upload-Length", "5", when="a complete upload")


@SECTION.row(
    "T022", Level.SHOULD, "HEAD of a missing upload: 404, 410 or 403, and no Upload-Offset."
)
def missing_upload(tus: Tus) -> None:
    answer = tus.head(tus.stranger())
    expect.status(answer, 404, 410, 403, when="HEAD of an unknown upload")
    expect.absent(answer, "Upload-Offset", when="HEAD of an unknown upload")


@SECTION.row("T023", Level.SHOULD, "HEAD succeeds with 200 or 204.")
def head_succeeds(tus: Tus) -> None:
    expect.status(tus.head(tus.create(5)), 200, 204, when="HEAD of an upload")


@SECTION.row("T024", Level.MUST, "HEAD forbids caching by Cache-Control: no-store.")
def never_cached(tus: Tus) -> None:
    url = tus.create(5)
    answer = tus.head(url)
    stored = "no-store" in (answer.get("Cache-Control") or "").lower()
    expect.that(stored, "HEAD of an upload: Cache-Control: no-store is missing", answer)
    missing = tus.head(tus.stranger())
    expect.that(
        "no-store" in (missing.get("Cache-Control") or "").lower(),
        "HEAD of an unknown upload: Cache-Control: no-store is missing",
        missing,
        level=Level.RECOMMENDED,
    )


@SECTION.row(
    "T025", Level.MUST, "HEAD has no body, and its Content-Length promises none (RFC 9110)."
)
def no_body(tus: Tus) -> None:
    for url in (tus.create(5), tus.begun(5, b"abcde"), tus.stranger()):
        answer = tus.head(url)
        with tus.begin("HEAD", url) as flow:
            text = flow.raw(_QUIET_SECONDS)
        body = text.partition(b"\r\n\r\n")[2]
        expect.that(not body, f"{len(body)} bytes of body follow the answer to HEAD", answer)
        length = answer.get("Content-Length") or "0"
        if answer.good and length != "0":
            content = tus.content(url)
            same = content is not None and str(len(content)) == length
            expect.that(
                same,
                f"Content-Length {length} promises a body that GET does not have",
                answer,
                level=Level.RECOMMENDED,
            )
