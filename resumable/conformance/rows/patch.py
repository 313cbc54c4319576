"""PATCH: bytes at an offset."""

from __future__ import annotations

import os

from resumable.conformance import expect
from resumable.conformance.model import Level, Section
from resumable.conformance.rows.numbers import no_numbers
from resumable.conformance.session import OFFSET_TYPE, Tus
from resumable.conformance.wire import chunks_of

SECTION = Section("PATCH")
_MIB = 1024 * 1024


@SECTION.row("T030", Level.SHOULD, "PATCH adds bytes at the offset, one request after the other.")
def bytes_in_order(tus: Tus) -> None:
    url = tus.create(9)
    for offset in (0, 3, 6):
        expect.taken(tus.patch(url, offset, b"abc"), when=f"PATCH at the offset {offset}")
        expect.offset(tus.head(url), offset + 3, when=f"after PATCH at {offset}")
    content = tus.content(url)
    if content is not None:
        expect.that(content == b"abcabcabc", "GET has other bytes than PATCH sent")


@SECTION.row("T031", Level.SHOULD, "Another or no Content-Type gets 415, and nothing is stored.")
def other_types(tus: Tus) -> None:
    url = tus.create(5)
    for kind in ("application/octet-stream", "text/plain", None):
        answer = tus.patch(url, 0, b"abc", {"Content-Type": kind})
        expect.status(answer, 415, when=f"PATCH with Content-Type {kind}")
        expect.offset(tus.head(url), 0, when=f"after PATCH with Content-Type {kind}")
    answer = tus.patch(url, 0, b"abc", {"Content-Type": f"{OFFSET_TYPE}; charset=utf-8"})
    expect.taken(answer, when="PATCH with a parameter at its type", level=Level.RECOMMENDED)


@SECTION.row(
    "T032", Level.MUST, "An offset that is not the current one gets 409 and changes nothing."
)
def other_offsets(tus: Tus) -> None:
    url = tus.begun(10, b"abcde")
    for offset in (0, 4, 6, 9):
        answer = tus.patch(url, offset, b"x")
        expect.status(answer, 409, when=f"PATCH at {offset} where 5 bytes are")
        expect.offset(tus.head(url), 5, when=f"after PATCH at {offset}")
    tus.fill(url, b"fghij", 5)
    content = tus.content(url)
    if content is not None:
        expect.that(content == b"abcdefghij", "a refused PATCH has changed the bytes")


@SECTION.row("T033", Level.RECOMMENDED, "A missing or invalid Upload-Offset gets 400.")
def bad_offsets(tus: Tus) -> None:
    url = tus.begun(10, b"abcde")
    for text in (None, *no_numbers()):
        answer = tus.patch(url, 0, b"x", {"Upload-Offset": text})
        expect.status(answer, 400, when=f"PATCH with Upload-Offset {text!r}")
    expect.offset(tus.head(url), 5, when="after invalid offsets")


@SECTION.row("T034", Level.MUST, "A PATCH that succeeds is answered 204.")
def success_is_204(tus: Tus) -> None:
    url = tus.create(5)
    expect.status(tus.patch(url, 0, b"abc"), 204, when="PATCH of 3 bytes")
    expect.status(tus.patch(url, 3, b"de"), 204, when="PATCH of the last bytes")


@SECTION.row("T035", Level.MUST, "Its Upload-Offset is the old one and the bytes that were stored.")
def offset_grows(tus: Tus) -> None:
    url, offset = tus.create(1 + 3 + _MIB), 0
    for body in (b"a", b"bcd", os.urandom(_MIB)):
        answer = tus.patch(url, offset, body)
        expect.taken(answer, when=f"PATCH of {len(body)} bytes at {offset}")
        said = answer.get("Upload-Offset") or ""
        expect.that(said.isdigit(), f"Upload-Offset is {said!r} in the answer to PATCH", answer)
        expect.that(
            offset < int(said) <= offset + len(body),
            f"PATCH of {len(body)} bytes at {offset}: Upload-Offset is {said}",
            answer,
        )
        expect.offset(tus.head(url), int(said), when="HEAD after that PATCH")
        offset += len(body)
        expect.offset(answer, offset, when="a PATCH that was received whole", level=Level.SHOULD)


@SECTION.row("T036", Level.SHOULD, "PATCH on an unknown upload gets 404.")
def patch_of_missing(tus: Tus) -> None:
    expect.status(tus.patch(tus.stranger(), 0, b"abc"), 404, when="PATCH on an unknown upload")


@SECTION.row("T039", Level.RECOMMENDED, "A body of unannounced length (chunked) is taken.")
def chunked_body(tus: Tus) -> None:
    url = tus.create(3000)
    body = os.urandom(2500)
    with tus.begin_patch(url, 0, None) as flow:
        flow.send(chunks_of(body) + b"0\r\n\r\n")
        answer = tus.answer(flow)
    expect.status(answer, 204, when="a chunked PATCH")
    expect.offset(answer, 2500, when="a chunked PATCH of 2500 bytes")
    expect.offset(tus.head(url), 2500, when="HEAD after it")
    tus.fill(url, bytes(500), 2500)
    content = tus.content(url)
    if content is not None:
        expect.that(content == body + bytes(500), "GET has other bytes than were sent in chunks")


@SECTION.row(
    "T040", Level.RECOMMENDED, "An empty body at the right offset gets 204 and changes nothing."
)
def empty_body(tus: Tus) -> None:
    url = tus.begun(5, b"abc")
    answer = tus.patch(url, 3, b"")
    expect.status(answer, 204, when="PATCH of 0 bytes")
    expect.offset(answer, 3, when="PATCH of 0 bytes")
    expect.offset(tus.head(url), 3, when="HEAD after it")


@SECTION.row(
    "T041",
    Level.RECOMMENDED,
    "A body that passes Upload-Length gets 413; nothing past it is stored.",
)
def too_many_bytes(tus: Tus) -> None:
    plain = tus.begun(5, b"abc")
    _within(tus, plain, tus.patch(plain, 3, b"defghi").status, "a PATCH")
    chunked = tus.begun(5, b"abc")
    with tus.begin_patch(chunked, 3, None) as flow:
        flow.send(chunks_of(b"defghi") + b"0\r\n\r\n")
        status = tus.answer(flow).status
    _within(tus, chunked, status, "a chunked PATCH")


def _within(tus: Tus, url: str, status: int, what: str) -> None:
    offset = tus.offset(url)
    expect.that(offset <= 5, f"{what} beyond 5 bytes: HEAD tells {offset}")
    expect.that(status == 413, f"{what} beyond 5 bytes: 413 is due, not {status}")
    content = tus.content(url) if offset == 5 else None
    expect.that(content in (None, b"abcde"), f"{what} beyond the length: GET has other bytes")


@SECTION.row(
    "T042",
    Level.RECOMMENDED,
    "PATCH on a complete upload: empty at the end 204, with bytes 413, elsewhere 409.",
)
def patch_of_complete(tus: Tus) -> None:
    url = tus.begun(5, b"abcde")
    expect.status(tus.patch(url, 5, b""), 204, when="an empty PATCH at the end")
    expect.status(tus.patch(url, 5, b"x"), 413, when="a PATCH of more at the end")
    expect.status(tus.patch(url, 2, b"x"), 409, when="a PATCH elsewhere")
    expect.offset(tus.head(url), 5, when="HEAD after those")
