"""Each row passes on a server that is right, and fails on the one fault that it is there for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from resumable.conformance import ROWS, Level, Outcome, Result, Row, Tus, examine, select
from resumable.conformance.rows import clients, interruptions
from resumable.conformance.run import examine_row
from tests.conformance import page
from tests.conformance.reference_server import EXTENSIONS, Reference

TIMEOUT = 2.0
# What each fault must be found by; one of a row's parts may be weaker than the row.
FAULTS = {
    "no-version": "T001",
    "no-version-on-errors": "T001",
    "no-version-on-412": "T002",
    "400-for-version": "T002",
    "version-not-checked": "T003",
    "412-after-processing": "T003",
    "version-not-needed": "T004",
    "head-needs-version": "T004",
    "options-checks-version": "T005",
    "options-404": "T006",
    "no-version-list": "T006",
    "odd-version": "T007",
    "empty-extension-list": "T008",
    "max-size-in-words": "T009",
    "override-ignored": "T010 C06",
    "501-for-method": "T011",
    "loose-numbers": "T012 T033",
    "500-for-numbers": "T012",
    "floats": "T013",
    "no-offset-when-complete": "T020 C02",
    "offset-one-more": "T020",
    "no-length": "T021 C02",
    "500-for-missing": "T022",
    "offset-of-missing": "T022",
    "redirect-for-missing": "C12",
    "cacheable": "T024",
    "head-has-body": "T025",
    "head-promises-body": "T025",
    "reversed-bytes": "T030 C11",
    "any-type": "T031",
    "400-for-type": "T031",
    "type-compared-whole": "T031",
    "any-offset": "T032",
    "400-for-offset": "T032",
    "200-for-patch": "T034",
    "no-offset-on-patch": "T035 C05",
    "offset-forgets": "T035",
    "403-for-missing": "T036",
    "whole-bodies-only": "T037",
    "chunked-refused": "T039",
    "empty-refused": "T040",
    "overlong": "T041 T042 T098",
    "both-patches": "T043",
    "head-waits-for-patch": "T044",
    "409-while-writing": "C03 T044",
    "lock-never-clears": "C04",
    "short-body-is-success": "T045",
    "creation-unlisted": "T050",
    "length-not-needed": "T051",
    "both-lengths-taken": "T052",
    "no-maximum": "T053",
    "400-for-maximum": "T053",
    "200-for-creation": "T054",
    "lost-location": "T055",
    "begins-at-one": "T056",
    "empty-uploads-refused": "T057 C01",
    "metadata-sorted": "T058",
    "metadata-forgotten": "T058",
    "empty-metadata-told": "T059",
    "post-anywhere": "T060",
    "no-slash": "T061",
    "valueless-refused": "T065 C09",
    "space-before-nothing-refused": "T066",
    "duplicates-taken": "T067",
    "base64-unchecked": "T068",
    "empty-keys-taken": "T069",
    "spaces-refused": "T070",
    "empty-metadata-refused": "T071 C08",
    "metadata-into-headers": "T072",
    "utf8-only": "T073",
    "creation-defer-length-unlisted": "T080",
    "any-deferral": "T081",
    "defer-not-told": "T082",
    "late-length-ignored": "T083",
    "deferred-length-needed": "T084",
    "length-changes": "T085",
    "same-length-refused": "T085",
    "length-below-offset": "T086",
    "empty-refused ": "T087",
    "unlimited-while-deferred": "T088",
    "length-recorded-early": "T089",
    "creation-with-upload-unlisted": "T095",
    "no-offset-at-creation": "T096",
    "any-body-stored": "T097",
    "waits-for-the-body": "T100",
    "no-deferral-with-body": "T101",
    "creation-unverified": "T102",
    "expiration-unlisted": "T110",
    "no-expiry-on-patch": "T111",
    "no-expiry-on-errors": "T111",
    "no-expiry-at-creation": "T112",
    "expiry-in-iso": "T113",
    "never-expires": "T115",
    "checksum-unlisted": "T120",
    "checksum-ignored": "T120 T130 T131",
    "upper-case-sha1": "T121",
    "malformed-sum-taken": "T122",
    "unknown-sum-is-right": "T123",
    "digest-unchecked": "T124 T126 T129",
    "400-for-mismatch": "T124",
    "200-for-patch ": "T125",
    "mismatch-stored": "T126",
    "first-piece-verified": "T127",
    "unverified-kept": "T128",
    "trailer-ignored": "T131",
    "termination-unlisted": "T140",
    "200-for-delete": "T141",
    "delete-keeps": "T140 T143",
    "delete-unknown-204": "T144",
    "patch-revives": "T145",
    "delete-hurts-finals": "T146",
    "concatenation-unlisted": "T150",
    "partials-refused": "T151",
    "200-for-final": "T153",
    "sum-plus-one": "T154",
    "joined-backwards": "T154",
    "relative-parts-only": "T155",
    "absolute-parts-only": "T155",
    "parts-not-decoded": "T155",
    "parts-fetched": "T155b",
    "length-with-final": "T156",
    "concatenation-unfinished-unlisted": "T157",
    "final-offset-early": "T158",
    "final-offset-missing": "T159",
    "concat-forgotten": "T160",
    "concat-rewritten": "T160",
    "no-offset-of-partials": "T161",
    "metadata-of-parts": "T162",
    "patch-on-final": "T163",
    "400-for-final": "T163",
    "parts-counted-once": "T164",
    "any-part": "T165",
    "odd-concat-taken": "T166",
    "no-maximum ": "T167",
    "body-on-final": "T168",
    "431-for-long-lists": "T169",
    "concat-on-patch": "C07",
    "no-cors-on-errors": "C10",
}


def run(server: Reference, only: str = "") -> dict[str, Result]:
    tus = Tus(server.url, timeout=TIMEOUT)
    return {result.row.number: result for result in examine(tus, select(ROWS, only))}


@pytest.fixture(scope="module")
def right() -> Iterator[dict[str, Result]]:
    with Reference() as server:
        yield run(server)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.number)
def test_a_right_server_passes(right: dict[str, Result], row: Row) -> None:
    result = right[row.number]
    if row.number in ("T013", "T115"):
        assert result.outcome is Outcome.NOT_OFFERED, result
    else:
        assert result.outcome is Outcome.PASSED, result


def test_a_server_without_a_maximum_passes() -> None:
    with Reference(max_size=None) as server:
        results = run(server, "T009,T013,T053,T086,T088,T167,C09")
    outcomes = {number: str(result.outcome) for number, result in results.items()}
    assert outcomes == {
        "T009": "not offered",
        "T013": "passed",
        "T053": "not offered",
        "T086": "passed",
        "T088": "not offered",
        "T167": "not offered",
        "C09": "passed",
    }


def test_uploads_that_live_shortly_are_watched() -> None:
    with Reference(lifetime=2.0) as server:
        assert run(server, "T115")["T115"].outcome is Outcome.PASSED


def test_what_is_not_offered_is_not_judged() -> None:
    with Reference(extensions="creation") as server:
        results = run(server)
    failed = {n: r for n, r in results.items() if r.outcome is Outcome.FAILED}
    assert failed == {}
    skipped = {n for n, r in results.items() if r.outcome is Outcome.NOT_OFFERED}
    assert {"T082", "T096", "T126", "T141", "T154", "T158"} <= skipped


@pytest.mark.parametrize(
    ("fault", "number"),
    [(fault.strip(), number) for fault, numbers in FAULTS.items() for number in numbers.split()],
)
def test_a_fault_is_found(fault: str, number: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Their pauses are for real servers; nothing here clears by waiting.
    monkeypatch.setattr(clients, "_RETRIES", (0.0, 0.05))
    monkeypatch.setattr(interruptions, "_RETRIES", (0.0, 0.05))
    lifetime = 2.0 if number == "T115" else 3600.0
    most = None if number == "T013" else 6 * 1024 * 1024
    with Reference({fault}, lifetime=lifetime, max_size=most) as server:
        result = run(server, number)[number]
    assert result.outcome is Outcome.FAILED, result
    assert result.reason
    assert "Error" not in result.reason
    assert "Traceback" not in result.reason


def test_every_row_has_a_fault() -> None:
    found = {number for numbers in FAULTS.values() for number in numbers.split()}
    assert {row.number for row in ROWS} - found == {"T023"}


def test_every_fault_is_in_the_server() -> None:
    here = Path(__file__).parent
    source = "".join(path.read_text() for path in here.glob("reference_*.py"))
    built = set(re.findall(r'"([a-z0-9-]+)"', source))
    built |= {f"{extension}-unlisted" for extension in EXTENSIONS.split(",")}
    assert {fault.strip() for fault in FAULTS} - built == set()


@pytest.mark.parametrize(
    ("fault", "number", "level"),
    [
        ("400-for-mismatch", "T124", Level.MAY),
        ("no-expiry-on-errors", "T111", Level.RECOMMENDED),
        ("type-compared-whole", "T031", Level.RECOMMENDED),
        ("metadata-forgotten", "T058", Level.RECOMMENDED),
        ("metadata-sorted", "T058", Level.MUST),
        ("base64-unchecked", "T068", Level.MUST),
        ("same-length-refused", "T085", Level.RECOMMENDED),
        ("length-changes", "T085", Level.MUST),
        ("final-offset-early", "T158", Level.SHOULD),
        ("parts-not-decoded", "T155", Level.RECOMMENDED),
        ("absolute-parts-only", "T155", Level.MUST),
    ],
)
def test_a_weaker_part_accuses_less(fault: str, number: str, level: Level) -> None:
    with Reference({fault}) as server:
        assert run(server, number)[number].level is level


def test_rows_are_chosen() -> None:
    numbers = [row.number for row in select(ROWS, "T03x,t040")]
    assert numbers == [r.number for r in ROWS if r.number[:3] == "T03" or r.number == "T040"]
    assert {row.number for row in select(ROWS, "T155")} == {"T155", "T155b"}
    assert {row.level for row in select(ROWS, level="must")} == {Level.MUST}
    assert {row.level for row in select(ROWS, level="should")} == {Level.MUST, Level.SHOULD}
    with pytest.raises(ValueError, match="T99X"):
        select(ROWS, "T99x")


def test_numbers_are_unique_and_requirements_are_sentences() -> None:
    assert len({row.number for row in ROWS}) == len(ROWS)
    for row in ROWS:
        assert row.requirement.endswith(".")
        assert re.fullmatch(r"[TC]\d+b?", row.number)


def test_every_row_is_on_the_page() -> None:
    text = page.section_of(page.PAGE, "rows")
    assert text == page.rows_as_markdown(), "run python -m tests.conformance.page"


def test_a_row_that_raises_is_a_sentence() -> None:
    def check(tus: Tus) -> None:
        raise LookupError("lost")

    row = Row("T999", Level.MUST, "Nothing.", check, "None")
    with Reference() as server:
        tus = Tus(server.url)
        result = examine_row(tus, row)
    assert result.outcome is Outcome.FAILED
    assert result.reason == "LookupError: lost"
