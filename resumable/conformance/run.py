"""Runs rows against a server, one after the other, and lets no error out of them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase

from resumable.conformance.model import (
    Exchange,
    Level,
    NotOffered,
    Outcome,
    Result,
    Row,
    Unclear,
    Unmet,
)
from resumable.conformance.offers import offered
from resumable.conformance.session import Tus
from resumable.conformance.wire import NoAnswer, NoConnection

_SELECTED = {
    "must": {Level.MUST},
    "should": {Level.MUST, Level.SHOULD},
    "may": set(Level),
}


class Unreachable(Exception):
    """Nobody answers at the URL. The message says what came instead."""


def select(rows: Iterable[Row], only: str = "", level: str = "may") -> list[Row]:
    """The rows whose number fits `only`, a comma list in which x is any digit, at a level or above.

    Raises ValueError where a member of the list fits no row.
    """
    rows = list(rows)
    patterns = [each.strip().upper() for each in only.split(",") if each.strip()]
    for pattern in patterns:
        if not any(_fits(row, pattern) for row in rows):
            raise ValueError(f"No row is called {pattern}.")
    return [
        row
        for row in rows
        if row.level in _SELECTED[level]
        and (not patterns or any(_fits(row, pattern) for pattern in patterns))
    ]


def _fits(row: Row, pattern: str) -> bool:
    # T155 means T155b as well.
    numbers = {row.number.upper(), row.number.rstrip("b")}
    return any(fnmatchcase(number, pattern.replace("X", "[0-9]")) for number in numbers)


def greet(tus: Tus) -> None:
    """Asks for the server's options. Raises Unreachable, also where a login is asked for."""
    try:
        answer = tus.offer.answer
    except (NoAnswer, OSError) as error:
        raise Unreachable(f"{tus.url} does not answer: {error}.") from error
    if answer.status in (401, 403, 407):
        raise Unreachable(f"{tus.url} answers {answer.status}: give it a login as a header.")


def examine(tus: Tus, rows: Sequence[Row]) -> Iterator[Result]:
    """The results, one by one as they come. Raises Unreachable, also when the server goes away."""
    greet(tus)
    for row in rows:
        result = examine_row(tus, row)
        yield result
        if result.outcome is Outcome.UNCLEAR:
            _greet_again(tus, row)


def _greet_again(tus: Tus, row: Row) -> None:
    try:
        tus.ask("OPTIONS")
    except (NoAnswer, OSError) as error:
        raise Unreachable(f"{tus.url} stopped answering, seen at {row.number}: {error}.") from error


def examine_row(tus: Tus, row: Row) -> Result:
    """What becomes of one row. Raises nothing."""
    begun = time.monotonic()
    outcome, level, reason, evidence = _judged(tus, row)
    exchanges = tuple(tus.exchanges)
    if evidence is None and exchanges and outcome is not Outcome.PASSED:
        evidence = exchanges[-1]
    tus.forget()
    spent = time.monotonic() - begun
    return Result(row, outcome, level, reason, evidence, exchanges, spent)


def _judged(tus: Tus, row: Row) -> tuple[Outcome, Level, str, Exchange | None]:
    try:
        _ask_for(tus, row.needs)
        row.check(tus)
    except NotOffered as reason:
        return Outcome.NOT_OFFERED, row.level, str(reason), None
    except NoConnection as error:
        return Outcome.UNCLEAR, row.level, str(error), None
    except Unclear as reason:
        return Outcome.UNCLEAR, row.level, str(reason), reason.evidence
    except Unmet as reason:
        return Outcome.FAILED, reason.level or row.level, str(reason), reason.evidence
    except NoAnswer as silence:
        return Outcome.FAILED, row.level, str(silence), silence.exchange
    except Exception as error:
        # A server can answer with anything, and a row must not end the run.
        return Outcome.FAILED, row.level, f"{type(error).__name__}: {error}", None
    return Outcome.PASSED, row.level, "", None


def _ask_for(tus: Tus, needs: Iterable[str]) -> None:
    for extension in needs:
        if not offered(tus, extension):
            raise NotOffered(f"{extension} is not offered")
