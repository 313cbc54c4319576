"""The creation extension."""

from __future__ import annotations

from urllib.parse import urljoin

from resumable.conformance import expect
from resumable.conformance.model import Level, NotOffered, Section
from resumable.conformance.offers import listed_truly
from resumable.conformance.session import Tus
from resumable.conformance.wire import NoAnswer

SECTION = Section("Creation")


@SECTION.row(
    "T050", Level.MUST, "creation is listed if, and only if, POST creates uploads.", needs=()
)
def creation_is_listed(tus: Tus) -> None:
    listed_truly(tus, "creation")


@SECTION.row(
    "T051",
    Level.MUST,
    "A creation has Upload-Length or Upload-Defer-Length; with neither it gets 400.",
)
def neither_length(tus: Tus) -> None:
    answer = tus.post({})
    if answer.good:
        _tells_a_length(tus, tus.location(answer))
    expect.status(answer, 400, when="a creation with neither", level=Level.RECOMMENDED)


def _tells_a_length(tus: Tus, url: str) -> None:
    """An unknown length has to be told as deferred; that HEAD works at all is another row's."""
    try:
        seen = tus.head(url)
    except NoAnswer:
        return
    told = {"upload-length", "upload-defer-length"} & seen.names()
    untold = seen.good and not told
    expect.that(not untold, "created without a length, and HEAD tells neither header", seen)


@SECTION.row("T052", Level.RECOMMENDED, "A creation with both length headers gets 400.")
def both_lengths(tus: Tus) -> None:
    answer = tus.post({"Upload-Length": "5", "Upload-Defer-Length": "1"})
    expect.status(answer, 400, when="a creation with both length headers")


@SECTION.row("T053", Level.MUST, "A length above Tus-Max-Size gets 413, one of that size is taken.")
def over_the_maximum(tus: Tus) -> None:
    most = tus.offer.max_size
    if not most:
        raise NotOffered("there is no Tus-Max-Size")
    answer = tus.creation(most + 1)
    expect.status(answer, 413, when=f"a length of {most + 1} where {most} is the maximum")
    just = tus.creation(most)
    full = just.status == 507
    expect.that(just.good or full, f"a length of {most} is refused", just, level=Level.RECOMMENDED)


@SECTION.row("T054", Level.MUST, "A creation that succeeds is answered 201.")
def success_is_201(tus: Tus) -> None:
    expect.status(tus.creation(), 201, when="a creation")


@SECTION.row("T055", Level.MUST, "Location is the upload's URL, absolute or relative.")
def location_leads_there(tus: Tus) -> None:
    answer = tus.creation()
    expect.taken(answer, when="a creation")
    location = answer.get("Location")
    expect.that(bool(location), "Location is missing", answer)
    url = urljoin(tus.url, location or "")
    try:
        seen = tus.head(url)
    except OSError as error:
        expect.that(False, f"Location leads to {url}, where nobody answers ({error})", answer)
        return
    expect.taken(seen, when=f"HEAD of the Location {url}")


@SECTION.row("T056", Level.MUST, "A new upload's offset is 0.")
def begins_at_zero(tus: Tus) -> None:
    expect.offset(tus.head(tus.create(5)), 0, when="a new upload")


@SECTION.row("T057", Level.MUST, "An upload of length 0 is complete at once.")
def empty_uploads(tus: Tus) -> None:
    answer = tus.creation(0)
    expect.status(answer, 201, when="a creation of length 0")
    seen = tus.head(tus.location(answer))
    expect.offset(seen, 0, when="an upload of length 0")
    expect.header(seen, "Upload-Length", "0", when="an upload of length 0")


@SECTION.row(
    "T060",
    Level.RECOMMENDED,
    "POST to an upload's URL gets 404 or 405, beside the creation URL nothing is created.",
)
def post_elsewhere(tus: Tus) -> None:
    answer = tus.creation(url=tus.create(5))
    expect.status(answer, 404, 405, when="POST to an upload")
    beside = tus.creation(url=tus.url.rstrip("/") + "-not-there")
    made = beside.good and beside.get("Location") is not None
    expect.that(not made, "POST beside the creation URL creates an upload", beside)


@SECTION.row(
    "T061", Level.RECOMMENDED, "The creation URL works with and without a slash at its end."
)
def slash_or_not(tus: Tus) -> None:
    if not tus.url.split("://", 1)[1].rstrip("/").count("/"):
        raise NotOffered("the creation URL is the root of its host")
    bare = tus.url.rstrip("/")
    for url in (bare, f"{bare}/"):
        answer = tus.creation(url=url)
        expect.status(answer, 201, when=f"a creation at {url}")
        location = urljoin(url, answer.get("Location") or "")
        expect.taken(tus.head(location), when=f"HEAD of the Location from {url}")
