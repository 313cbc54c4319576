"""The concatenation extension: partial uploads become one."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from resumable.conformance import expect
from resumable.conformance.model import Level, Section, Unclear
from resumable.conformance.offers import listed_truly
from resumable.conformance.rows.interruptions import arrived
from resumable.conformance.session import Headers, Tus
from resumable.conformance.wire import Answer

SECTION = Section("Concatenation")
NEEDS = ("creation", "concatenation")
_PARTIAL = {"Upload-Concat": "partial"}
_MANY = 20


def part(tus: Tus, body: bytes, headers: Headers | None = None) -> str:
    """A finished partial upload."""
    url = tus.create(len(body), {**_PARTIAL, **(headers or {})})
    return tus.fill(url, body) if body else url


def join(tus: Tus, urls: list[str], headers: Headers | None = None) -> Answer:
    """The answer to the creation of a final upload."""
    return tus.post({"Upload-Concat": f"final;{' '.join(urls)}", **(headers or {})})


def final(tus: Tus, urls: list[str]) -> str:
    """A final upload's URL. Raises Unclear where it is not created."""
    return tus.location(join(tus, urls))


def _two(tus: Tus) -> list[str]:
    """Parts that are `abcde` together."""
    return [part(tus, b"abc"), part(tus, b"de")]


def _unfinished(tus: Tus) -> str:
    """A partial upload of 5 bytes that has `abc` so far."""
    return tus.fill(tus.create(5, _PARTIAL), b"abc")


def path_of(url: str) -> str:
    """An absolute URL as a relative one."""
    parts = urlsplit(url)
    return parts.path + (f"?{parts.query}" if parts.query else "")


def encoded_of(url: str) -> str:
    """The same URL, with the first letter or digit of its last word percent-encoded."""
    at = [found.start() for found in re.finditer(r"(?<=[^%A-Za-z0-9])[A-Za-z0-9]", url)][-1]
    return f"{url[:at]}%{ord(url[at]):02X}{url[at + 1 :]}"


def _joined(
    tus: Tus, urls: list[str], body: bytes, *, what: str, level: Level | None = None
) -> None:
    """The final upload of these parts is complete and has these bytes.

    `level` is that of its being taken at all.
    """
    answer = join(tus, urls)
    expect.status(answer, 201, when=f"a final upload of {what}", level=level)
    url = tus.location(answer)
    arrived(tus, url, len(body))
    seen = tus.head(url)
    expect.header(seen, "Upload-Length", str(len(body)), when=f"a final upload of {what}")
    expect.offset(seen, len(body), when=f"a final upload of {what}")
    content = tus.content(url)
    expect.that(content in (None, body), f"a final upload of {what}: GET has other bytes")


@SECTION.row("T150", Level.MUST, "concatenation is listed if, and only if, uploads can be joined.")
def concatenation_is_listed(tus: Tus) -> None:
    listed_truly(tus, "concatenation")


@SECTION.row("T151", Level.MUST, "Upload-Concat: partial creates a partial upload.", needs=NEEDS)
def partial_uploads(tus: Tus) -> None:
    answer = tus.post({**_PARTIAL, "Upload-Length": "5"})
    expect.status(answer, 201, when="the creation of a partial upload")
    url = tus.location(answer)
    expect.header(tus.head(url), "Upload-Length", "5", when="a partial upload")
    expect.taken(tus.patch(url, 0, b"abcde"), when="a PATCH on a partial upload")


@SECTION.row(
    "T153",
    Level.MUST,
    "Upload-Concat: final;URLs creates the final upload: 201 and Location.",
    needs=NEEDS,
)
def final_is_created(tus: Tus) -> None:
    answer = join(tus, _two(tus))
    expect.status(answer, 201, when="a final upload of two parts")
    expect.that(bool(answer.get("Location")), "Location is missing", answer)


@SECTION.row(
    "T154",
    Level.MUST,
    "Its length is the sum, its bytes are the parts' in the listed order.",
    needs=NEEDS,
)
def length_and_order(tus: Tus) -> None:
    final(tus, [part(tus, b"abc")])
    _joined(tus, [*reversed(_two(tus))], b"deabc", what="two parts")
    _joined(tus, [part(tus, b"one")], b"one", what="one part")
    many = [part(tus, bytes([65 + index])) for index in range(_MANY)]
    body = bytes(range(65, 65 + _MANY))
    _joined(tus, many, body, what=f"{_MANY} parts")
    _joined(tus, [part(tus, b"ab"), part(tus, b""), part(tus, b"c")], b"abc", what="an empty part")


@SECTION.row(
    "T155", Level.MUST, "Parts may be named by absolute and by relative URLs.", needs=NEEDS
)
def absolute_and_relative(tus: Tus) -> None:
    either = [join(tus, [part(tus, b"abc")]), join(tus, [path_of(part(tus, b"abc"))])]
    if not any(answer.good for answer in either):
        raise Unclear("no final upload is created at all", evidence=either[0].exchange)
    _joined(tus, _two(tus), b"abcde", what="absolute URLs")
    _joined(tus, [*map(path_of, _two(tus))], b"abcde", what="relative URLs")
    first, second = _two(tus)
    _joined(tus, [first, path_of(second)], b"abcde", what="both kinds of URLs")
    # The same URLs by RFC 3986 (6.2.2.2), which the protocol's text does not name.
    encoded = [*map(encoded_of, _two(tus))]
    _joined(tus, encoded, b"abcde", what="percent-encoded URLs", level=Level.RECOMMENDED)


@SECTION.row(
    "T156",
    Level.RECOMMENDED,
    "Upload-Length on a final creation, which clients must not send: 400.",
    needs=NEEDS,
)
def length_with_final(tus: Tus) -> None:
    answer = join(tus, [part(tus, b"abc")], {"Upload-Length": "3"})
    expect.status(answer, 400, when="a final creation with Upload-Length")


@SECTION.row(
    "T157",
    Level.MUST,
    "Unfinished parts are refused unless concatenation-unfinished is listed.",
    needs=NEEDS,
)
def unfinished_parts(tus: Tus) -> None:
    answer = join(tus, [part(tus, b"abc"), _unfinished(tus)])
    if "concatenation-unfinished" in tus.offer.extensions:
        expect.taken(answer, when="an unfinished part, where that is listed")
        return
    expect.that(
        not answer.good,
        "an unfinished part is taken, and concatenation-unfinished is not listed",
        answer,
    )
    expect.status(answer, 400, when="an unfinished part", level=Level.RECOMMENDED)


@SECTION.row(
    "T158",
    Level.MUST,
    "A final upload of unfinished parts tells its length, and its offset once it is joined.",
    needs=(*NEEDS, "concatenation-unfinished"),
)
def joined_later(tus: Tus) -> None:
    waiting = _unfinished(tus)
    answer = join(tus, [part(tus, b"12"), waiting])
    expect.status(answer, 201, when="a final upload of unfinished parts")
    url = tus.location(answer)
    seen = tus.head(url)
    expect.taken(seen, when="HEAD of a final upload that waits")
    expect.header(seen, "Upload-Length", "7", when="a final upload that waits")
    early = seen.get("Upload-Offset")
    tus.fill(waiting, b"de", 3)
    arrived(tus, url, 7)
    seen = tus.head(url)
    expect.offset(seen, 7, when="a final upload whose parts are finished")
    expect.header(seen, "Upload-Length", "7", when="a final upload whose parts are finished")
    expect.that(early is None, "HEAD tells Upload-Offset before it is joined", level=Level.SHOULD)


@SECTION.row(
    "T159", Level.MUST, "HEAD of the final upload: Upload-Offset equals Upload-Length.", needs=NEEDS
)
def final_is_complete(tus: Tus) -> None:
    url = final(tus, _two(tus))
    arrived(tus, url, 5)
    seen = tus.head(url)
    expect.offset(seen, 5, when="a final upload")
    expect.header(seen, "Upload-Length", "5", when="a final upload")


@SECTION.row(
    "T160",
    Level.MUST,
    "HEAD of partial and final uploads has Upload-Concat as it was received.",
    needs=NEEDS,
)
def concat_is_told_back(tus: Tus) -> None:
    first = part(tus, b"abc")
    expect.header(tus.head(first), "Upload-Concat", "partial", when="a partial upload")
    for urls in ([first], [path_of(part(tus, b"abc"))]):
        seen = tus.head(final(tus, urls))
        value = f"final;{' '.join(urls)}"
        expect.header(seen, "Upload-Concat", value, when="a final upload")


@SECTION.row("T161", Level.MUST, "HEAD of a partial upload has Upload-Offset.", needs=NEEDS)
def offset_of_partial(tus: Tus) -> None:
    url = tus.create(5, _PARTIAL)
    expect.offset(tus.head(url), 0, when="a new partial upload")
    tus.fill(url, b"abc")
    expect.offset(tus.head(url), 3, when="a partial upload with 3 bytes")


@SECTION.row(
    "T162",
    Level.MUST,
    "The parts' metadata is not the final upload's: that has its own.",
    needs=NEEDS,
)
def metadata_of_final(tus: Tus) -> None:
    urls = [part(tus, b"abc", {"Upload-Metadata": tus.described("part cGFydA==")})]
    bare = tus.head(final(tus, urls))
    copied = "part" in (bare.get("Upload-Metadata") or "")
    expect.that(not copied, "the final upload has the metadata of its part", bare)
    own = {"Upload-Metadata": tus.described("final ZmluYWw=")}
    ordinary = tus.head(tus.create(3, own))
    seen = tus.head(tus.location(join(tus, [part(tus, b"abc")], own)))
    # How metadata is told back at all is the matter of T058.
    same = _pairs(seen) == _pairs(ordinary)
    expect.that(same, "the final upload has lost the metadata of its own creation", seen)


def _pairs(answer: Answer) -> list[str]:
    return sorted((answer.get("Upload-Metadata") or "").split(","))
