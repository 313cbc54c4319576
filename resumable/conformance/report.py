"""What a run found: lines for people, JSON for programs, JUnit's XML for CI."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from resumable.conformance.model import Exchange, Level, Outcome, Result

_MARKS = {
    Outcome.PASSED: "ok",
    Outcome.FAILED: "FAIL",
    Outcome.NOT_OFFERED: "-",
    Outcome.UNCLEAR: "?",
}
_HEAD = ("level", *(str(outcome) for outcome in Outcome))


@dataclass(frozen=True, slots=True)
class Count:
    """How many rows of one level came to each outcome."""

    level: Level
    by_outcome: dict[Outcome, int]


def counts(results: Sequence[Result]) -> list[Count]:
    """One count a level, the strictest first. A failed row counts where its failing part is."""
    return [
        Count(
            level,
            {
                outcome: sum(r.level is level and r.outcome is outcome for r in results)
                for outcome in Outcome
            },
        )
        for level in Level
    ]


def failed_musts(results: Iterable[Result]) -> list[Result]:
    """The results for which a run fails."""
    return [r for r in results if r.outcome is Outcome.FAILED and r.level is Level.MUST]


def line(result: Result, *, verbose: bool = False) -> str:
    """One result for a person: of a failed row also why, what was sent and what came back."""
    row = result.row
    head = f"{_MARKS[result.outcome]:<5}{row.number:<6}{result.level:<12} {row.requirement}"
    if result.outcome is Outcome.PASSED:
        return head
    lines = [head, f"     {result.reason}."]
    if result.outcome is not Outcome.NOT_OFFERED:
        shown = list(result.exchanges) if verbose else [result.evidence]
        lines += [text for each in shown if each for text in _exchange(each)]
    return "\n".join(lines)


def _exchange(exchange: Exchange) -> list[str]:
    return [f"     sent: {exchange.sent}", f"     back: {exchange.received}"]


def table(results: Sequence[Result]) -> str:
    """The table at the end, and the numbers of the MUST rows that fail."""
    rows = [[str(c.level), *(str(c.by_outcome[each]) for each in Outcome)] for c in counts(results)]
    lines = ["  ".join(f"{cell:<12}" for cell in row).rstrip() for row in (_HEAD, *rows)]
    musts = [result.row.number for result in failed_musts(results)]
    lines.append("")
    lines.append(f"MUST rows that fail: {', '.join(musts) if musts else 'none'}.")
    return "\n".join(lines)


def as_json(url: str, results: Sequence[Result], error: str = "") -> str:
    """The whole run as one JSON document. `error`: why it did not come to its end."""
    document = {
        "url": url,
        "passed": not error and not failed_musts(results),
        "error": error,
        "counts": {
            c.level.value: {outcome.value: number for outcome, number in c.by_outcome.items()}
            for c in counts(results)
        },
        "rows": [_as_values(result) for result in results],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def _as_values(result: Result) -> dict[str, Any]:
    return {
        "number": result.row.number,
        "section": result.row.section,
        "level": result.row.level.value,
        "requirement": result.row.requirement,
        "outcome": result.outcome.value,
        "failed_level": result.level.value if result.outcome is Outcome.FAILED else None,
        "reason": result.reason,
        "evidence": _as_pair(result.evidence),
        "exchanges": [_as_pair(exchange) for exchange in result.exchanges],
        "seconds": round(result.seconds, 3),
    }


def _as_pair(exchange: Exchange | None) -> dict[str, str] | None:
    return {"sent": exchange.sent, "received": exchange.received} if exchange else None


def as_junit(url: str, results: Sequence[Result], error: str = "") -> bytes:
    """The run as JUnit XML: a MUST that fails is a failure, what else fails is skipped."""
    suite = ElementTree.Element("testsuite", name="tus 1.0.0", hostname=url)
    suite.set("tests", str(len(results) + bool(error)))
    suite.set("errors", str(int(bool(error))))
    suite.set("failures", str(len(failed_musts(results))))
    suite.set("skipped", str(sum(_is_skipped(result) for result in results)))
    for result in results:
        _add_case(suite, result)
    if error:
        case = ElementTree.SubElement(suite, "testcase", classname="tus", name="the server answers")
        ElementTree.SubElement(case, "error", message=_xml(error))
    return bytes(ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True))


def _is_skipped(result: Result) -> bool:
    must = result.level is Level.MUST
    return result.outcome is not Outcome.PASSED and not (result.outcome is Outcome.FAILED and must)


def _add_case(suite: ElementTree.Element, result: Result) -> None:
    row = result.row
    case = ElementTree.SubElement(suite, "testcase", time=f"{result.seconds:.3f}")
    case.set("classname", f"tus.{row.section}")
    case.set("name", f"{row.number} {row.level}: {row.requirement}")
    if result.outcome is Outcome.PASSED:
        return
    kind = "skipped" if _is_skipped(result) else "failure"
    message = f"{result.outcome} ({result.level}): {result.reason}"
    found = ElementTree.SubElement(case, kind, message=_xml(message))
    if result.evidence:
        found.text = _xml("\n".join(_exchange(result.evidence)))


def _xml(text: str) -> str:
    """Without the characters that XML cannot hold."""
    return "".join(each if each.isprintable() or each == "\n" else "?" for each in text)
