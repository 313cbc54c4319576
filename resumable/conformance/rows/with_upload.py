"""The creation-with-upload extension."""

from __future__ import annotations

from resumable.conformance import expect
from resumable.conformance.model import Level, NotOffered, Section, Unmet
from resumable.conformance.offers import listed_truly, offered
from resumable.conformance.session import OFFSET_TYPE, SHA1_OF_SOMETHING_ELSE, Headers, Tus
from resumable.conformance.wire import Answer

SECTION = Section("Creation with upload")
_NEEDS = ("creation", "creation-with-upload")


def _upload(tus: Tus, body: bytes, length: int, headers: Headers | None = None) -> Answer:
    usual = {"Upload-Length": str(length), "Content-Type": OFFSET_TYPE}
    return tus.post({**usual, **(headers or {})}, body)


@SECTION.row(
    "T095",
    Level.MUST,
    "creation-with-upload is listed if, and only if, bodies are taken, and with creation only.",
    needs=(),
)
def with_upload_is_listed(tus: Tus) -> None:
    extensions = tus.offer.extensions
    if "creation-with-upload" in extensions and "creation" not in extensions:
        evidence = tus.offer.answer.exchange
        raise Unmet("creation-with-upload is listed without creation", evidence=evidence)
    listed_truly(tus, "creation-with-upload")


@SECTION.row(
    "T096",
    Level.MUST,
    "The bytes of the body are stored: 201 with Location and their Upload-Offset.",
    needs=_NEEDS,
)
def body_is_stored(tus: Tus) -> None:
    for body in (b"abcde", b"ab"):
        answer = _upload(tus, body, 5)
        when = f"a creation with {len(body)} of 5 bytes"
        expect.status(answer, 201, when=when)
        said = answer.get("Upload-Offset")
        expect.that(said is not None, f"{when}: Upload-Offset is missing", answer)
        seen = tus.head(tus.location(answer))
        expect.header(seen, "Upload-Offset", said or "", when=f"HEAD after {when}")
        expect.offset(answer, len(body), when=when, level=Level.SHOULD)
    empty = _upload(tus, b"", 5)
    expect.status(empty, 201, when="a creation with an empty body", level=Level.RECOMMENDED)
    expect.offset(
        tus.head(tus.location(empty)), 0, when="HEAD after an empty body", level=Level.RECOMMENDED
    )


@SECTION.row(
    "T097",
    Level.RECOMMENDED,
    "A body of another type is ignored: some clients force a type on every POST.",
    needs=_NEEDS,
)
def other_types(tus: Tus) -> None:
    answer = _upload(tus, b"{}", 5, {"Content-Type": "application/json"})
    expect.status(answer, 201, when="a creation with a JSON body")
    expect.offset(tus.head(tus.location(answer)), 0, when="HEAD after a JSON body")


@SECTION.row(
    "T098",
    Level.RECOMMENDED,
    "A body beyond Upload-Length gets 413; nothing past the length is stored.",
    needs=_NEEDS,
)
def body_too_long(tus: Tus) -> None:
    answer = _upload(tus, b"abcdefgh", 5)
    if answer.good:
        offset = tus.offset(tus.location(answer))
        expect.that(offset <= 5, f"HEAD tells {offset} of 5 bytes", answer)
    expect.status(answer, 413, when="a creation with 8 of 5 bytes")


@SECTION.row(
    "T100",
    Level.RECOMMENDED,
    "With Expect: 100-continue a refusal comes before the body is sent.",
    needs=_NEEDS,
)
def refused_before_the_body(tus: Tus) -> None:
    headers = {
        "Upload-Length": "no number",
        "Content-Type": OFFSET_TYPE,
        "Content-Length": "1000",
        "Expect": "100-continue",
    }
    with tus.begin("POST", None, headers) as flow:
        text = flow.raw(min(3.0, tus.timeout))
    status = text.partition(b"\r\n")[0].decode("latin-1")
    expect.that(bool(text), "with Expect: 100-continue nothing comes before the body")
    expect.that(
        b" 100 " not in text[:20] or b"HTTP/1.1 4" in text,
        f"a creation that cannot succeed gets {status!r} and then waits for its body",
    )


@SECTION.row(
    "T101",
    Level.RECOMMENDED,
    "It works together with deferred lengths and with Upload-Concat: partial.",
    needs=_NEEDS,
)
def together_with_others(tus: Tus) -> None:
    cases: dict[str, Headers] = {}
    if offered(tus, "creation-defer-length"):
        cases["a deferred length"] = {"Upload-Length": None, "Upload-Defer-Length": "1"}
    if offered(tus, "concatenation"):
        cases["Upload-Concat: partial"] = {"Upload-Concat": "partial"}
    if not cases:
        raise NotOffered("neither creation-defer-length nor concatenation is offered")
    for what, headers in cases.items():
        answer = _upload(tus, b"abc", 5, headers)
        expect.status(answer, 201, when=f"a creation with a body and {what}")
        expect.offset(answer, 3, when=f"a creation with a body and {what}")


@SECTION.row(
    "T102",
    Level.RECOMMENDED,
    "Its Upload-Checksum is verified: a wrong one gets 460.",
    needs=(*_NEEDS, "checksum"),
)
def checksum_of_the_body(tus: Tus) -> None:
    answer = _upload(tus, b"abc", 5, {"Upload-Checksum": SHA1_OF_SOMETHING_ELSE})
    expect.status(answer, 460, when="a creation with a body and a wrong checksum")
