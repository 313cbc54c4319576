"""The creation-defer-length extension."""

from __future__ import annotations

from resumable.conformance import expect
from resumable.conformance.model import Level, NotOffered, Section
from resumable.conformance.offers import listed_truly, offered
from resumable.conformance.session import SHA1_OF_SOMETHING_ELSE, Headers, Tus

SECTION = Section("Deferred length")
_NEEDS = ("creation", "creation-defer-length")
# More than this is not sent to find a limit.
SMALL_LIMIT = 8 * 1024 * 1024


@SECTION.row(
    "T080", Level.MUST, "creation-defer-length is listed if, and only if, lengths can wait."
)
def defer_is_listed(tus: Tus) -> None:
    listed_truly(tus, "creation-defer-length")


@SECTION.row("T081", Level.SHOULD, "Upload-Defer-Length other than 1 gets 400.", needs=_NEEDS)
def only_one(tus: Tus) -> None:
    for text in ("0", "2", "true", ""):
        answer = tus.post({"Upload-Defer-Length": text})
        expect.status(answer, 400, when=f"Upload-Defer-Length {text!r}")


@SECTION.row(
    "T082",
    Level.MUST,
    "Until the length is known every HEAD has Upload-Defer-Length: 1 and no Upload-Length.",
    needs=_NEEDS,
)
def told_until_known(tus: Tus) -> None:
    url = tus.create(None)
    for offset in (0, 3, 6):
        seen = tus.head(url)
        expect.header(seen, "Upload-Defer-Length", "1", when=f"at the offset {offset}")
        expect.absent(seen, "Upload-Length", when=f"at the offset {offset}")
        expect.offset(seen, offset, when="before the length is known")
        tus.fill(url, b"abc", offset)


@SECTION.row(
    "T083",
    Level.MUST,
    "Upload-Length on a PATCH fixes it: HEAD has it, and no Upload-Defer-Length.",
    needs=_NEEDS,
)
def fixed_by_patch(tus: Tus) -> None:
    url = tus.create(None)
    answer = tus.patch(url, 0, b"abc", {"Upload-Length": "5"})
    expect.taken(answer, when="a PATCH that tells the length")
    seen = tus.head(url)
    expect.header(seen, "Upload-Length", "5", when="after a PATCH that tells it")
    expect.absent(seen, "Upload-Defer-Length", when="after the length is known")
    expect.taken(tus.patch(url, 3, b"de"), when="the last PATCH")


@SECTION.row(
    "T084",
    Level.RECOMMENDED,
    "A PATCH without Upload-Length is taken while the length is unknown.",
    needs=_NEEDS,
)
def unknown_for_long(tus: Tus) -> None:
    url = tus.create(None)
    for offset in (0, 3):
        answer = tus.patch(url, offset, b"abc")
        expect.status(answer, 204, when=f"a PATCH without Upload-Length at {offset}")


@SECTION.row("T085", Level.MUST, "A length that is set never changes.", needs=_NEEDS)
def never_changed(tus: Tus) -> None:
    url = tus.fill(tus.create(None), b"a", 0, {"Upload-Length": "5"})
    other = tus.patch(url, 1, b"b", {"Upload-Length": "7"})
    seen = tus.head(url)
    expect.header(seen, "Upload-Length", "5", when="after a PATCH with another Upload-Length")
    expect.status(other, 400, when="a PATCH with another Upload-Length", level=Level.RECOMMENDED)
    again = tus.patch(url, tus.offset(url), b"c", {"Upload-Length": "5"})
    expect.taken(again, when="a PATCH that repeats the same Upload-Length", level=Level.RECOMMENDED)


@SECTION.row(
    "T086",
    Level.RECOMMENDED,
    "A late length below the offset gets 400, one above the maximum 413.",
    needs=_NEEDS,
)
def late_and_wrong(tus: Tus) -> None:
    url = tus.begun(None, b"abcde")
    low = tus.patch(url, 5, b"", {"Upload-Length": "3"})
    expect.status(low, 400, when="Upload-Length 3 where 5 bytes are stored")
    if tus.offer.max_size:
        high = tus.patch(url, 5, b"", {"Upload-Length": str(tus.offer.max_size + 1)})
        expect.status(high, 413, when="a late Upload-Length above Tus-Max-Size")
    expect.absent(tus.head(url), "Upload-Length", when="after refused lengths")


@SECTION.row(
    "T087",
    Level.RECOMMENDED,
    "An empty PATCH that tells the length where the bytes end completes the upload.",
    needs=_NEEDS,
)
def completed_by_the_length(tus: Tus) -> None:
    url = tus.begun(None, b"abcde")
    answer = tus.patch(url, 5, b"", {"Upload-Length": "5"})
    expect.status(answer, 204, when="an empty PATCH with Upload-Length 5 at the offset 5")
    expect.offset(answer, 5, when="that PATCH")
    seen = tus.head(url)
    expect.header(seen, "Upload-Length", "5", when="after it")
    expect.absent(seen, "Upload-Defer-Length", when="after it")


@SECTION.row(
    "T088",
    Level.RECOMMENDED,
    "Tus-Max-Size holds for the bytes while the length is unknown.",
    needs=_NEEDS,
)
def limited_meanwhile(tus: Tus) -> None:
    most = tus.offer.max_size
    if most is None or most > SMALL_LIMIT:
        raise NotOffered("Tus-Max-Size is missing or above 8 MiB, which is too much to send")
    url = tus.create(None)
    answer = tus.patch(url, 0, bytes(most + 1))
    expect.that(tus.offset(url) <= most, f"more than {most} bytes are stored", answer)
    expect.status(answer, 413, when=f"{most + 1} bytes where {most} is the maximum")


@SECTION.row(
    "T089",
    Level.RECOMMENDED,
    "A length on a PATCH that is refused is not recorded.",
    needs=_NEEDS,
)
def refused_with_length(tus: Tus) -> None:
    refusals: dict[str, tuple[int, Headers]] = {
        "at a wrong offset": (1, {}),
        "of another type": (3, {"Content-Type": "text/plain"}),
    }
    if offered(tus, "checksum"):
        wrong = {"Upload-Checksum": SHA1_OF_SOMETHING_ELSE}
        refusals["with a wrong checksum"] = (3, wrong)
    for when, (offset, headers) in refusals.items():
        url = tus.begun(None, b"abc")
        answer = tus.patch(url, offset, b"x", {"Upload-Length": "9", **headers})
        # Where it is taken, another row says so, and the length is rightly recorded.
        if not answer.good:
            expect.absent(tus.head(url), "Upload-Length", when=f"after a refused PATCH {when}")
