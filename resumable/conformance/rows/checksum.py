"""The checksum extension; each row sends a digest that is wrong somewhere."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha1

from resumable.conformance import expect
from resumable.conformance.model import Level, NotOffered, Section
from resumable.conformance.offers import listed_truly, with_trailer, works
from resumable.conformance.rows.interruptions import settled
from resumable.conformance.session import SHA1_OF_SOMETHING_ELSE, Tus
from resumable.conformance.wire import Answer

SECTION = Section("Checksum")
_NEEDS = ("creation", "checksum")


def sha1_of(body: bytes) -> str:
    """The header of a body's true digest."""
    return f"sha1 {b64encode(sha1(body, usedforsecurity=False).digest()).decode()}"


def _patch(tus: Tus, url: str, offset: int, body: bytes, checksum: str) -> Answer:
    return tus.patch(url, offset, body, {"Upload-Checksum": checksum})


@SECTION.row(
    "T120",
    Level.MUST,
    "checksum is listed if, and only if, wrong digests are refused; OPTIONS tells the algorithms.",
)
def checksum_is_listed(tus: Tus) -> None:
    listed_truly(tus, "checksum")
    answer = tus.offer.answer
    value = answer.get("Tus-Checksum-Algorithm")
    expect.that(bool(value), "Tus-Checksum-Algorithm is missing", answer)


@SECTION.row(
    "T121", Level.MUST, "sha1 is among the algorithms; names are lower-case ASCII.", needs=_NEEDS
)
def sha1_is_known(tus: Tus) -> None:
    answer, names = tus.offer.answer, tus.offer.algorithms
    expect.that("sha1" in names, f"Tus-Checksum-Algorithm is {', '.join(names) or None}", answer)
    for name in names:
        good = name.isascii() and name == name.lower() and re.fullmatch(r"\S+", name)
        expect.that(bool(good), f"the algorithm {name!r} is not lower-case ASCII", answer)
    taken = _patch(tus, tus.create(5), 0, b"abc", sha1_of(b"abc"))
    expect.taken(taken, when="a PATCH with its true sha1")


@SECTION.row(
    "T122",
    Level.MUST,
    "A malformed Upload-Checksum is refused, and its bytes are not stored.",
    needs=_NEEDS,
)
def malformed(tus: Tus) -> None:
    digest = sha1_of(b"abc").split()[1]
    # What no digest is in can be verified by nobody; the rest a lenient server may understand.
    for text in ("sha1 ?!?!", "sha1 YWJj", "sha1", f"sha1{digest}", f"sha1  {digest}", ""):
        level = None if text in ("sha1 ?!?!", "sha1 YWJj") else Level.RECOMMENDED
        url, when = tus.create(9), f"Upload-Checksum {text!r}"
        answer = _patch(tus, url, 0, b"abc", text)
        expect.refused(answer, when=when, level=level)
        expect.offset(tus.head(url), 0, when=f"after {when}", level=level)
        expect.status(answer, 400, when=when, level=Level.RECOMMENDED)


@SECTION.row(
    "T123",
    Level.MUST,
    "An algorithm that is not supported gets 400, and the bytes are not stored.",
    needs=_NEEDS,
)
def unknown_algorithm(tus: Tus) -> None:
    url = tus.create(5)
    answer = _patch(tus, url, 0, b"abc", "md9 YWJj")
    expect.refused(answer, when="the unknown algorithm md9")
    expect.offset(tus.head(url), 0, when="after the unknown algorithm md9")
    expect.status(answer, 400, when="the unknown algorithm md9", level=Level.MAY)
    upper = _patch(tus, url, 0, b"abc", sha1_of(b"abc").replace("sha1", "SHA1"))
    expect.status(upper, 400, when="the algorithm SHA1", level=Level.MAY)


@SECTION.row("T124", Level.MUST, "A digest that does not match gets 460.", needs=_NEEDS)
def mismatch(tus: Tus) -> None:
    answer = _patch(tus, tus.create(5), 0, b"abc", SHA1_OF_SOMETHING_ELSE)
    expect.refused(answer, when="a wrong sha1")
    expect.status(answer, 460, when="a wrong sha1", level=Level.MAY)


@SECTION.row("T125", Level.MAY, "A digest that matches gets 204.", needs=_NEEDS)
def match(tus: Tus) -> None:
    answer = _patch(tus, tus.create(5), 0, b"abc", sha1_of(b"abc"))
    expect.status(answer, 204, when="a PATCH with its true sha1")
    expect.offset(answer, 3, when="a PATCH with its true sha1")


@SECTION.row(
    "T126",
    Level.MUST,
    "Bytes with a wrong digest are thrown away, and the offset does not move.",
    needs=_NEEDS,
)
def thrown_away(tus: Tus) -> None:
    url = tus.begun(9, b"abc")
    _patch(tus, url, 3, b"XXX", SHA1_OF_SOMETHING_ELSE)
    expect.offset(tus.head(url), 3, when="after a wrong digest")
    _patch(tus, url, 3, b"XXX", "md9 YWJj")
    expect.offset(tus.head(url), 3, when="after an unknown algorithm")
    expect.taken(_patch(tus, url, 3, b"def", sha1_of(b"def")), when="a true retry")
    tus.fill(url, b"ghi", 6)
    content = tus.content(url)
    if content is not None:
        expect.that(content == b"abcdefghi", "bytes with a wrong digest are in the upload")


@SECTION.row(
    "T127",
    Level.MUST,
    "The digest is checked over the whole body, however it arrives.",
    needs=_NEEDS,
)
def whole_bodies(tus: Tus) -> None:
    for true in (True, False):
        url = tus.create(9)
        checksum = sha1_of(b"abcdef" if true else b"abc")
        with tus.begin_patch(url, 0, 6, {"Upload-Checksum": checksum}) as flow:
            flow.send(b"abc")
            # The second half shall come in a read of its own.
            tus.head(url)
            flow.send(b"def")
            answer = tus.answer(flow)
        if true:
            expect.taken(answer, when="the digest of a body in two pieces")
        else:
            expect.refused(answer, when="the digest of the first half only")


@SECTION.row(
    "T128",
    Level.RECOMMENDED,
    "A body with a checksum that breaks off is thrown away: nobody can verify it.",
    needs=_NEEDS,
)
def broken_off(tus: Tus) -> None:
    url = tus.begun(6000, b"a" * 1000)
    headers = {"Upload-Checksum": sha1_of(b"b" * 5000)}
    with tus.begin_patch(url, 1000, 5000, headers) as flow:
        flow.send(b"b" * 3000)
    offset = settled(tus, url, lambda offset: offset > 1000)
    expect.that(offset == 1000, f"unverified bytes are kept: HEAD tells {offset}, not 1000")


@SECTION.row(
    "T129",
    Level.RECOMMENDED,
    "Last bytes with a wrong digest do not complete an upload, and are never read.",
    needs=_NEEDS,
)
def last_bytes(tus: Tus) -> None:
    url = tus.begun(6, b"abc")
    expect.refused(_patch(tus, url, 3, b"XYZ", SHA1_OF_SOMETHING_ELSE), when="wrong last bytes")
    expect.offset(tus.head(url), 3, when="after wrong last bytes")
    content = tus.content(url)
    expect.that(content is None or b"X" not in content, "GET has bytes with a wrong digest")
    expect.taken(_patch(tus, url, 3, b"def", sha1_of(b"def")), when="the true last bytes")
    content = tus.content(url)
    expect.that(content in (None, b"abcdef"), "GET has other bytes than the true ones")


@SECTION.row(
    "T130",
    Level.RECOMMENDED,
    "A server that stores bytes with a wrong digest does not list checksum.",
)
def never_pretended(tus: Tus) -> None:
    listed = "checksum" in tus.offer.extensions
    if not listed:
        return
    answer = _patch(tus, tus.create(5), 0, b"abc", SHA1_OF_SOMETHING_ELSE)
    expect.that(not answer.good, "checksum is listed, and a wrong digest is taken", answer)


@SECTION.row(
    "T131", Level.MUST, "checksum-trailer is listed only if digests behind the body are verified."
)
def trailers(tus: Tus) -> None:
    if "checksum-trailer" in tus.offer.extensions:
        listed_truly(tus, "checksum-trailer")
        return
    if not works(tus, "checksum"):
        raise NotOffered("neither checksum nor checksum-trailer is offered")
    answer = with_trailer(tus, tus.create(3), SHA1_OF_SOMETHING_ELSE)
    expect.refused(answer, when="a wrong digest in an unread trailer", level=Level.RECOMMENDED)
