"""Versions, options and the method override."""

from __future__ import annotations

import re

from resumable.conformance import expect
from resumable.conformance.model import Level, NotOffered, Section
from resumable.conformance.offers import offered
from resumable.conformance.session import OFFSET_TYPE, VERSION, Tus
from resumable.conformance.wire import Answer

SECTION = Section("General")
_OLD = {"Tus-Resumable": "0.2.2"}
_NONE = {"Tus-Resumable": None}


def _requests(tus: Tus, url: str, version: dict[str, str | None]) -> dict[str, Answer]:
    """One request of each method that this server has, with this version header."""
    answers = {
        "POST": tus.post({"Upload-Length": "5", **version}),
        "HEAD": tus.head(url, version),
        "PATCH": tus.patch(url, 0, b"abc", version),
    }
    if offered(tus, "termination"):
        answers["DELETE"] = tus.ask("DELETE", url, version)
    return answers


@SECTION.row("T001", Level.MUST, "Every response but that to OPTIONS carries Tus-Resumable: 1.0.0.")
def version_on_every_response(tus: Tus) -> None:
    created = tus.creation()
    url = tus.location(created)
    answers = {
        "a creation": created,
        "a HEAD": tus.head(url),
        "a PATCH": tus.patch(url, 0, b"ab"),
        "a PATCH at a wrong offset": tus.patch(url, 4, b"c"),
        "a PATCH without a type": tus.patch(url, 2, b"c", {"Content-Type": None}),
        "a creation without a length": tus.post({}),
        "a HEAD of an unknown upload": tus.head(tus.stranger()),
    }
    for when, answer in answers.items():
        expect.header(answer, "Tus-Resumable", VERSION, when=when)


@SECTION.row(
    "T002", Level.MUST, "A version that is not supported is answered 412 together with Tus-Version."
)
def unknown_version(tus: Tus) -> None:
    url = tus.create(5)
    for method, answer in _requests(tus, url, dict(_OLD)).items():
        when = f"{method} with Tus-Resumable 0.2.2"
        expect.status(answer, 412, when=when)
        expect.that("tus-version" in answer.names(), f"{when}: Tus-Version is missing", answer)


@SECTION.row("T003", Level.MUST, "A request of a version that is not supported changes nothing.")
def unknown_version_changes_nothing(tus: Tus) -> None:
    url = tus.create(5)
    answers = _requests(tus, url, dict(_OLD))
    created = answers["POST"]
    expect.that("location" not in created.names(), "an upload is created all the same", created)
    after = tus.head(url)
    expect.taken(after, when="HEAD after DELETE with Tus-Resumable 0.2.2")
    expect.offset(after, 0, when="HEAD after PATCH with Tus-Resumable 0.2.2")


@SECTION.row(
    "T004",
    Level.RECOMMENDED,
    "Without a version POST, PATCH and DELETE get 412; HEAD is tolerated.",
)
def no_version(tus: Tus) -> None:
    url = tus.create(5)
    answers = _requests(tus, url, dict(_NONE))
    expect.taken(answers.pop("HEAD"), when="HEAD without Tus-Resumable")
    for method, answer in answers.items():
        expect.status(answer, 412, when=f"{method} without Tus-Resumable")


@SECTION.row(
    "T005", Level.MUST, "OPTIONS ignores the request's Tus-Resumable, even a bad one.", needs=()
)
def options_of_any_version(tus: Tus) -> None:
    for version in ("9", "0.2.2"):
        answer = tus.ask("OPTIONS", headers={"Tus-Resumable": version})
        expect.status(answer, 200, 204, when=f"OPTIONS with Tus-Resumable {version}")


@SECTION.row("T006", Level.MUST, "OPTIONS is answered 204 or 200 with Tus-Version.", needs=())
def options_tell_the_version(tus: Tus) -> None:
    answer = tus.ask("OPTIONS", headers=_NONE)
    expect.status(answer, 200, 204, when="OPTIONS")
    expect.that("tus-version" in answer.names(), "Tus-Version is missing", answer)


@SECTION.row(
    "T007", Level.MUST, "Tus-Version is a comma list of versions, 1.0.0 among them.", needs=()
)
def versions_are_a_list(tus: Tus) -> None:
    answer = tus.ask("OPTIONS", headers=_NONE)
    value = answer.get("Tus-Version") or ""
    expect.that(
        re.fullmatch(r"[0-9]+(\.[0-9]+)*(\s*,\s*[0-9]+(\.[0-9]+)*)*", value) is not None,
        f"Tus-Version is {value!r}, no comma list of versions",
        answer,
    )
    expect.that(VERSION in tus.offer.versions, f"Tus-Version {value!r} lacks 1.0.0", answer)


@SECTION.row(
    "T008",
    Level.MUST,
    "Tus-Extension is a comma list of names; an empty one is left out.",
    needs=(),
)
def extensions_are_a_list(tus: Tus) -> None:
    answer = tus.ask("OPTIONS", headers=_NONE)
    value = answer.get("Tus-Extension")
    if value is None:
        raise NotOffered("no extension is listed")
    expect.that(bool(value.strip()), "Tus-Extension is there, and empty", answer)
    names = [name.strip() for name in value.split(",")]
    well_formed = all(re.fullmatch(r"[a-z0-9-]+", name) for name in names)
    expect.that(well_formed, f"Tus-Extension {value!r} is no comma list of names", answer)


@SECTION.row("T009", Level.MUST, "Tus-Max-Size is a non-negative integer.", needs=())
def max_size_is_a_number(tus: Tus) -> None:
    answer = tus.ask("OPTIONS", headers=_NONE)
    value = answer.get("Tus-Max-Size")
    if value is None:
        raise NotOffered("there is no Tus-Max-Size")
    numeric = re.fullmatch(r"[0-9]+", value) is not None
    expect.that(numeric, f"Tus-Max-Size is {value!r}, no non-negative integer", answer)


@SECTION.row(
    "T010",
    Level.MUST,
    "X-HTTP-Method-Override is the method: a POST with it acts as PATCH or HEAD.",
)
def method_override(tus: Tus) -> None:
    url = tus.create(5)
    _overridden_patch(tus, url, "PATCH", None)
    if offered(tus, "termination"):
        other = tus.create(5)
        gone = tus.ask("POST", other, {"X-HTTP-Method-Override": "DELETE"})
        expect.status(gone, 204, when="POST overridden as DELETE")
        expect.that(not tus.head(other).good, "POST overridden as DELETE deletes nothing", gone)
    looked = tus.ask("POST", url, {"X-HTTP-Method-Override": "HEAD"})
    expect.offset(looked, 3, when="POST overridden as HEAD")
    asked = tus.ask("POST", headers={"X-HTTP-Method-Override": "OPTIONS"})
    told = "tus-version" in asked.names()
    expect.that(told, "POST overridden as OPTIONS: Tus-Version is missing", asked)
    # To HTTP the request is a POST, so a body that is promised has to come.
    expect.that(
        not looked.broken,
        "POST overridden as HEAD: the body that Content-Length promises does not come",
        looked,
        level=Level.RECOMMENDED,
    )
    _overridden_patch(tus, tus.create(5), "patch", Level.RECOMMENDED)


def _overridden_patch(tus: Tus, url: str, word: str, level: Level | None) -> None:
    headers = {"X-HTTP-Method-Override": word, "Content-Type": OFFSET_TYPE, "Upload-Offset": "0"}
    answer = tus.ask("POST", url, headers, b"abc")
    expect.status(answer, 204, when=f"POST overridden as {word}", level=level)
    expect.offset(answer, 3, when=f"POST overridden as {word}", level=level)


@SECTION.row(
    "T011", Level.RECOMMENDED, "An unknown method gets 405 with Allow, an unknown upload 404."
)
def unknown_methods(tus: Tus) -> None:
    answer = tus.ask("PUT", tus.create(5), body=b"abc")
    expect.status(answer, 405, when="PUT on an upload")
    expect.that("allow" in answer.names(), "PUT on an upload: Allow is missing", answer)
    # What lies beside the uploads may be another page of the same host.
    missing = tus.head(tus.stranger())
    expect.status(missing, 404, when="HEAD of an unknown upload")
