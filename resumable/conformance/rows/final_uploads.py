"""Final uploads: what is refused, what stays untouched."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

from resumable.conformance import expect
from resumable.conformance.model import Level, NotOffered, Section
from resumable.conformance.rows.concatenation import NEEDS, final, join, part, path_of
from resumable.conformance.rows.defer import SMALL_LIMIT
from resumable.conformance.session import OFFSET_TYPE, Tus

SECTION = Section("Final uploads")
_LIST_OF_BYTES = 8000
_BAD_WORDS = ("final", "final;", "final; ", "partial;x", "foo", "")


@SECTION.row(
    "T163",
    Level.MUST,
    "PATCH on a final upload gets 403 and changes neither it nor its parts.",
    needs=NEEDS,
)
def final_is_closed(tus: Tus) -> None:
    first = part(tus, b"abc")
    url = final(tus, [first])
    for offset, body in ((3, b"x"), (0, b"x"), (3, b"")):
        answer = tus.patch(url, offset, body)
        expect.status(answer, 403, when=f"PATCH of {len(body)} bytes at {offset} on a final upload")
    expect.offset(tus.head(url), 3, when="the final upload afterwards")
    seen = tus.head(first)
    if seen.good:
        expect.offset(seen, 3, when="its part afterwards")


@SECTION.row(
    "T164",
    Level.MAY,
    "A part that is listed twice, or in several final uploads, counts each time.",
    needs=NEEDS,
)
def parts_are_reused(tus: Tus) -> None:
    url = part(tus, b"abc")
    answer = join(tus, [url, url])
    if not answer.good:
        raise NotOffered(f"the same part twice is refused with {answer.status}")
    expect.header(tus.head(tus.location(answer)), "Upload-Length", "6", when="the same part twice")
    again = join(tus, [url])
    if not again.good:
        raise NotOffered(f"a part of another final upload is refused with {again.status}")
    expect.header(
        tus.head(tus.location(again)), "Upload-Length", "3", when="a part of another final upload"
    )


@SECTION.row(
    "T165",
    Level.RECOMMENDED,
    "A listed upload that is unknown gets 404 or 400, one that is no partial 400.",
    needs=NEEDS,
)
def no_parts(tus: Tus) -> None:
    first = part(tus, b"abc")
    unknown = join(tus, [first, tus.stranger()])
    expect.status(unknown, 404, 400, when="an unknown part")
    ordinary = tus.begun(3, b"abc")
    expect.status(join(tus, [ordinary]), 400, when="a part that is an ordinary upload")
    expect.status(join(tus, [final(tus, [first])]), 400, when="a part that is a final upload")


@SECTION.row(
    "T155b",
    Level.RECOMMENDED,
    "A part on another host is never fetched (seen where the server can reach this machine).",
    needs=NEEDS,
)
def never_fetched(tus: Tus) -> None:
    parts = urlsplit(part(tus, b"abc"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(1.0)
        port = listener.getsockname()[1]
        answer = join(tus, [f"http://127.0.0.1:{port}{parts.path}"])
        try:
            caller, _ = listener.accept()
        except TimeoutError:
            return
        caller.close()
    expect.that(False, "the server fetches a URL that a client has named", answer)


@SECTION.row(
    "T166",
    Level.RECOMMENDED,
    "An Upload-Concat that is neither partial nor final;URLs gets 400.",
    needs=NEEDS,
)
def bad_words(tus: Tus) -> None:
    for text in _BAD_WORDS:
        answer = tus.post({"Upload-Concat": text, "Upload-Length": None})
        expect.status(answer, 400, when=f"Upload-Concat {text!r}")
    answer = tus.post({"Upload-Concat": "partially", "Upload-Length": "5"})
    expect.status(answer, 400, when="Upload-Concat 'partially'")


@SECTION.row("T167", Level.RECOMMENDED, "A sum above Tus-Max-Size gets 413.", needs=NEEDS)
def sum_too_large(tus: Tus) -> None:
    most = tus.offer.max_size
    if most is None or most > SMALL_LIMIT:
        raise NotOffered("Tus-Max-Size is missing or above 8 MiB, which is too much to send")
    half = part(tus, bytes(most // 2 + 1))
    expect.status(join(tus, [half, half]), 413, when="a sum above Tus-Max-Size")


@SECTION.row("T168", Level.RECOMMENDED, "A body on the final creation gets 403.", needs=NEEDS)
def body_on_final(tus: Tus) -> None:
    value = f"final;{part(tus, b'abc')}"
    headers = {"Upload-Concat": value, "Content-Type": OFFSET_TYPE}
    expect.status(tus.post(headers, b"xyz"), 403, when="a final creation with a body")


@SECTION.row("T169", Level.RECOMMENDED, "A list of parts of almost 8 kB is taken.", needs=NEEDS)
def long_lists(tus: Tus) -> None:
    url = path_of(part(tus, b"a"))
    count = _LIST_OF_BYTES // (len(url) + 1)
    answer = join(tus, [url] * count)
    if answer.status == 400:
        raise NotOffered("this server does not take one part several times")
    expect.status(answer, 201, when=f"a list of {_LIST_OF_BYTES} bytes")
    length = tus.head(tus.location(answer)).get("Upload-Length")
    expect.that(length == str(count), f"of {count} bytes in parts {length} are joined", answer)
