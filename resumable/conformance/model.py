"""What a row is, what becomes of it, and how a check says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from resumable.conformance.session import Tus


class Level(StrEnum):
    """How binding a requirement is; RECOMMENDED is our own advice where the text is silent."""

    MUST = "MUST"
    SHOULD = "SHOULD"
    RECOMMENDED = "RECOMMENDED"
    MAY = "MAY"


class Outcome(StrEnum):
    """What became of a row. `UNCLEAR`: what it needs could not be set up, so it accuses nobody."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_OFFERED = "not offered"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer, each in one line for a person."""

    sent: str
    received: str


Check = Callable[["Tus"], None]


@dataclass(frozen=True, slots=True)
class Row:
    """One requirement: `needs` are the extensions without which there is nothing to check."""

    number: str
    level: Level
    requirement: str
    check: Check
    section: str
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """What one row found. `level` is that of the part which failed: never above the row's own."""

    row: Row
    outcome: Outcome
    level: Level
    reason: str = ""
    evidence: Exchange | None = None
    exchanges: tuple[Exchange, ...] = ()
    seconds: float = 0.0


@dataclass
class Section:
    """The rows of one file, in the order in which they are read."""

    title: str
    rows: list[Row] = field(default_factory=list)

    def row(
        self, number: str, level: Level, requirement: str, *, needs: tuple[str, ...] = ("creation",)
    ) -> Callable[[Check], Check]:
        """Makes a check one row of this section."""

        def add(check: Check) -> Check:
            self.rows.append(Row(number, level, requirement, check, self.title, needs))
            return check

        return add


class Unmet(Exception):
    """The server does not do what the row asks. `level` is given where only a part is weaker."""

    def __init__(
        self, sentence: str, *, evidence: Exchange | None = None, level: Level | None = None
    ) -> None:
        super().__init__(sentence)
        self.evidence = evidence
        self.level = level


class NotOffered(Exception):
    """There is nothing to check here; the message says why."""


class Unclear(Exception):
    """What the row needs first does not work, which another row reports."""

    def __init__(self, sentence: str, *, evidence: Exchange | None = None) -> None:
        super().__init__(sentence)
        self.evidence = evidence
