"""What checks say: each line either holds or ends the row with one sentence."""

from __future__ import annotations

from resumable.conformance.model import Level, Unmet
from resumable.conformance.wire import Answer


def that(
    holds: bool, sentence: str, answer: Answer | None = None, *, level: Level | None = None
) -> None:
    """Raises Unmet with the sentence unless it holds. `level` is that of a weaker part."""
    if not holds:
        raise Unmet(sentence, evidence=answer.exchange if answer else None, level=level)


def status(answer: Answer, *allowed: int, when: str, level: Level | None = None) -> None:
    """The answer has one of these statuses."""
    wanted = " or ".join(map(str, allowed))
    that(
        answer.status in allowed,
        f"{when}: {wanted} is due, not {answer.status}",
        answer,
        level=level,
    )


def taken(answer: Answer, *, when: str, level: Level | None = None) -> None:
    """The answer is a success."""
    that(answer.good, f"{when} is refused with {answer.status}", answer, level=level)


def refused(answer: Answer, *, when: str, level: Level | None = None) -> None:
    """The answer is no success; that it is a clear no (4xx) and no crash is advice."""
    that(not answer.good, f"{when} is taken with {answer.status}", answer, level=level)
    clear = 400 <= answer.status < 500
    sentence = f"{when} is answered {answer.status}, where 4xx is due"
    that(clear, sentence, answer, level=level or Level.RECOMMENDED)


def header(answer: Answer, name: str, value: str, *, when: str, level: Level | None = None) -> None:
    """The answer carries this header with this value."""
    found = answer.get(name)
    said = f"it is {found!r}" if found is not None else "it is missing"
    that(found == value, f"{when}: {name} must be {value!r}, {said}", answer, level=level)


def offset(answer: Answer, value: int, *, when: str, level: Level | None = None) -> None:
    """The answer tells this Upload-Offset."""
    header(answer, "Upload-Offset", str(value), when=when, level=level)


def absent(answer: Answer, name: str, *, when: str, level: Level | None = None) -> None:
    """The answer does not carry this header."""
    found = answer.get(name)
    that(found is None, f"{when}: {name} must be absent, it is {found!r}", answer, level=level)
