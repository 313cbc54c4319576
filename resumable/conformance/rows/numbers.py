"""How numbers are read: digits only, and exactly."""

from __future__ import annotations

from resumable.conformance import expect
from resumable.conformance.model import Level, NotOffered, Section
from resumable.conformance.session import Tus

SECTION = Section("Numbers")
_NO_NUMBERS = ("+5", "5.0", "0x5", "-1", "5_0", "", "5,5", "five")
_HUGE = ("9223372036854775807", "1" + "0" * 30)
_BEYOND_FLOATS = 9007199254740993


def no_numbers() -> tuple[str | tuple[str, ...], ...]:
    """What is no integer in a header; the last is a header that is sent twice."""
    return (*_NO_NUMBERS, ("5", "5"))


@SECTION.row(
    "T012", Level.RECOMMENDED, "An integer is ASCII digits and nothing else; all else gets 400."
)
def numbers_are_digits(tus: Tus) -> None:
    for text in no_numbers():
        answer = tus.post({"Upload-Length": text})
        expect.status(answer, 400, when=f"Upload-Length {_told(text)}")
    for text in _HUGE:
        answer = tus.creation(text)
        crashed = answer.status >= 500 and answer.status != 507
        expect.that(not crashed, f"Upload-Length {text} is answered {answer.status}", answer)
    padded = tus.creation("0005")
    expect.taken(padded, when="Upload-Length 0005")
    expect.header(tus.head(tus.location(padded)), "Upload-Length", "5", when="after 0005")


@SECTION.row("T013", Level.RECOMMENDED, "A length beyond 2^53 is told back exactly.")
def numbers_are_exact(tus: Tus) -> None:
    answer = tus.creation(_BEYOND_FLOATS)
    if 400 <= answer.status < 500 or answer.status == 507:
        raise NotOffered(f"uploads of 2^53 bytes are refused with {answer.status}")
    seen = tus.head(tus.location(answer))
    expect.header(seen, "Upload-Length", str(_BEYOND_FLOATS), when="HEAD of a huge upload")


def _told(text: str | tuple[str, ...]) -> str:
    return repr(text) if isinstance(text, str) else "sent twice"
