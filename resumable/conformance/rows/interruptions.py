"""Bodies that break off or stall, and requests that meet."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from resumable.conformance import expect
from resumable.conformance.model import Level, Section, Unclear
from resumable.conformance.session import Tus
from resumable.conformance.wire import Answer, Flow, NoAnswer

SECTION = Section("Interruptions")
LENGTH = 400_000
SENT = 300_000
_PROMPT_SECONDS = 5.0
_RETRIES = (0.0, 1.0, 3.0, 5.0)
_PAUSE = 0.1


@SECTION.row("T037", Level.SHOULD, "When the connection breaks, what has arrived is kept.")
def broken_bodies_are_kept(tus: Tus) -> None:
    url = tus.create(LENGTH)
    body = os.urandom(SENT)
    cut(tus, url, 0, body)
    kept = settled(tus, url, lambda offset: offset == SENT)
    expect.that(kept > 0, f"of {SENT} bytes before the break none is kept")
    expect.that(kept <= SENT, f"HEAD tells {kept} where {SENT} bytes were sent", level=Level.MUST)
    tus.fill(url, body[kept:] + bytes(LENGTH - SENT), kept)
    content = tus.content(url)
    if content is not None:
        whole = content == body + bytes(LENGTH - SENT)
        expect.that(whole, "resumed after the break, GET has other bytes than were sent")


@SECTION.row(
    "T043", Level.RECOMMENDED, "Of two PATCHes at once for one place one wins, never both."
)
def two_at_once(tus: Tus) -> None:
    url = tus.create(6000)
    with tus.begin_patch(url, 0, 6000) as first:
        first.send(b"a" * 3000)
        _until_noticed(tus, url)
        second = _answer_in(tus, tus.begin_patch(url, 0, 6000), b"b" * 6000)
        first.send(b"a" * 3000)
        answers = [second, _answer_or_cut(tus, first)]
    both = all(answer is not None and answer.good for answer in answers)
    expect.that(not both, "two PATCHes for the same 6000 bytes both succeed", answers[0])
    offset = settled(tus, url, lambda offset: offset == 6000)
    content = tus.content(url) if offset == 6000 else None
    if content is not None:
        pure = content in (b"a" * 6000, b"b" * 6000)
        expect.that(pure, "the stored bytes are a mixture of both PATCHes")


@SECTION.row(
    "T044",
    Level.RECOMMENDED,
    "HEAD during a PATCH answers within 5 s, with an offset at which a later PATCH goes on.",
)
def head_meanwhile(tus: Tus) -> None:
    url = tus.create(6000)
    with tus.begin_patch(url, 0, 6000) as stalled:
        stalled.send(b"a" * 3000)
        begun = time.monotonic()
        answer = tus.head(url)
        spent = time.monotonic() - begun
        expect.that(spent < _PROMPT_SECONDS, f"HEAD during a PATCH took {spent:.0f} s", answer)
        expect.that(
            answer.good or answer.status == 423,
            f"HEAD during a PATCH is answered {answer.status}, which tells clients to start over",
            answer,
        )
        took_over = _goes_on(tus, url, 6000)
    took_over = took_over or _goes_on(tus, url, 6000)
    expect.that(took_over, "no PATCH at the offset of HEAD succeeds after a stalled one")


@SECTION.row(
    "T045", Level.RECOMMENDED, "A body shorter than announced is an interruption, never a success."
)
def short_body(tus: Tus) -> None:
    url = tus.begun(6000, b"a" * 1000)
    with tus.begin_patch(url, 1000, 5000) as flow:
        flow.send(b"b" * 3000)
        flow.end()
        answer = _answer_or_cut(tus, flow)
    if answer is not None:
        expect.that(not answer.good, "3000 of 5000 announced bytes are answered as success", answer)
    offset = settled(tus, url, lambda offset: offset == 4000)
    expect.that(offset <= 4000, f"4000 bytes were sent, HEAD tells {offset}", level=Level.MUST)
    expect.that(offset >= 1000, f"1000 bytes were acknowledged, HEAD tells {offset}")


def cut(tus: Tus, url: str, offset: int, body: bytes, announced: int = LENGTH) -> None:
    """A PATCH that announces more bytes than it sends, and hangs up."""
    with tus.begin_patch(url, offset, announced - offset) as flow:
        flow.send(body)


def settled(tus: Tus, url: str, enough: Callable[[int], bool]) -> int:
    """The offset once it is what is hoped for, or has rested for a second."""
    give_up = time.monotonic() + tus.timeout
    seen, since = -1, time.monotonic()
    while time.monotonic() < give_up and not enough(seen):
        offset = _look(tus, url)
        if offset != seen:
            seen, since = offset, time.monotonic()
        elif seen >= 0 and time.monotonic() - since > 1:
            break
        time.sleep(_PAUSE)
    if seen < 0:
        raise Unclear("HEAD tells no offset after the interruption")
    return seen


def arrived(tus: Tus, url: str, offset: int) -> None:
    """Waits until HEAD tells this offset; a join may take its time. Raises nothing."""
    give_up = time.monotonic() + tus.timeout
    while _look(tus, url) != offset and time.monotonic() < give_up:
        time.sleep(_PAUSE)


def _look(tus: Tus, url: str) -> int:
    """The offset; -1 while the upload is locked."""
    try:
        text = tus.head(url).get("Upload-Offset") or ""
    except NoAnswer:
        return -1
    return int(text) if text.isdigit() else -1


def _until_noticed(tus: Tus, url: str) -> None:
    """Waits until the server is seen to hold the stalled PATCH, for half a second at most."""
    give_up = time.monotonic() + 0.5
    while time.monotonic() < give_up:
        if _look(tus, url) != 0:
            return
        time.sleep(_PAUSE)


def _answer_in(tus: Tus, flow: Flow, body: bytes) -> Answer | None:
    """The answer to a PATCH, or None where it waits for the other one."""
    with flow:
        flow.send(body)
        flow.wait(min(3.0, tus.timeout))
        return _answer_or_cut(tus, flow)


def _answer_or_cut(tus: Tus, flow: Flow) -> Answer | None:
    try:
        return tus.answer(flow)
    except NoAnswer:
        return None


def _goes_on(tus: Tus, url: str, length: int) -> bool:
    """Whether a PATCH at the offset that HEAD tells succeeds, with the pauses that clients make."""
    for pause in _RETRIES:
        time.sleep(pause)
        looked = tus.head(url)
        offset = looked.get("Upload-Offset") or ""
        if not looked.good or not offset.isdigit():
            continue
        try:
            if tus.patch(url, offset, b"b" * (length - int(offset))).good:
                return True
        except NoAnswer:
            continue
    return False
