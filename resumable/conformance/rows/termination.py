"""The termination extension."""

from __future__ import annotations

import time

from resumable.conformance import expect
from resumable.conformance.model import Level, Section
from resumable.conformance.offers import listed_truly, offered
from resumable.conformance.session import Tus
from resumable.conformance.wire import NoAnswer

SECTION = Section("Termination")
_NEEDS = ("creation", "termination")


@SECTION.row("T140", Level.MUST, "termination is listed if, and only if, DELETE removes uploads.")
def termination_is_listed(tus: Tus) -> None:
    if not offered(tus, "termination"):
        answer = tus.ask("DELETE", tus.create(5))
        expect.status(
            answer, 405, 501, 404, when="DELETE where it is not offered", level=Level.RECOMMENDED
        )
    listed_truly(tus, "termination")


@SECTION.row(
    "T141", Level.MUST, "DELETE of an upload, complete or not, is answered 204.", needs=_NEEDS
)
def delete_is_204(tus: Tus) -> None:
    for what, body in (("a new", b""), ("an unfinished", b"abc"), ("a complete", b"abcde")):
        url = tus.create(5)
        if body:
            tus.fill(url, body)
        expect.status(tus.ask("DELETE", url), 204, when=f"DELETE of {what} upload")


@SECTION.row("T143", Level.SHOULD, "Afterwards every request gets 404 or 410.", needs=_NEEDS)
def gone_afterwards(tus: Tus) -> None:
    url = tus.begun(5, b"abc")
    tus.ask("DELETE", url)
    answers = {
        "HEAD": tus.head(url),
        "PATCH": tus.patch(url, 3, b"de"),
        "DELETE": tus.ask("DELETE", url),
    }
    for method, answer in answers.items():
        expect.status(answer, 404, 410, when=f"{method} after DELETE")
    read = tus.ask("GET", url)
    expect.that(not read.good, "GET after DELETE succeeds", read)


@SECTION.row("T144", Level.RECOMMENDED, "DELETE of an unknown upload gets 404.", needs=_NEEDS)
def delete_of_missing(tus: Tus) -> None:
    expect.status(tus.ask("DELETE", tus.stranger()), 404, when="DELETE of an unknown upload")


@SECTION.row(
    "T145",
    Level.RECOMMENDED,
    "DELETE during a PATCH: what is deleted is not made again by the rest of the body.",
    needs=_NEEDS,
)
def deleted_meanwhile(tus: Tus) -> None:
    url = tus.create(6000)
    with tus.begin_patch(url, 0, 6000) as flow:
        flow.send(b"a" * 3000)
        # The server has to be in the middle of it; not every one shows how far it is.
        for _ in range(4):
            if tus.head(url).get("Upload-Offset") == "3000":
                break
            time.sleep(0.1)
        deleted = tus.ask("DELETE", url)
        flow.send(b"a" * 3000)
        try:
            patched = tus.answer(flow).good
        except NoAnswer:
            patched = False
    if not deleted.good:
        # Refused while it is written to: then the PATCH has to succeed.
        expect.status(deleted, 423, 409, when="DELETE during a PATCH")
        return
    expect.that(not patched, "a PATCH succeeds on an upload that was deleted meanwhile")
    expect.that(not tus.head(url).good, "the upload is there again after DELETE")


@SECTION.row(
    "T146",
    Level.RECOMMENDED,
    "DELETE of a partial upload does not hurt the final one.",
    needs=(*_NEEDS, "concatenation"),
)
def delete_of_a_part(tus: Tus) -> None:
    part = tus.fill(tus.create(3, {"Upload-Concat": "partial"}), b"abc")
    final = tus.location(tus.post({"Upload-Concat": f"final;{part}"}))
    tus.ask("DELETE", part)
    seen = tus.head(final)
    expect.offset(seen, 3, when="HEAD of the final upload after DELETE of its part")
    content = tus.content(final)
    expect.that(content in (None, b"abc"), "the final upload's bytes are gone with its part")
