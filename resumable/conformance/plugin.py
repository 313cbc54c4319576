"""A pytest plugin: `pytest -p resumable.conformance.plugin --tus-url URL` makes each row a test."""

from __future__ import annotations

import os
from typing import Any

import pytest

from resumable.conformance.model import Level, Outcome, Result, Row
from resumable.conformance.report import line
from resumable.conformance.rows import ROWS
from resumable.conformance.run import Unreachable, examine_row, greet, select
from resumable.conformance.session import Tus
from resumable.conformance.wire import header_field

_SESSION = pytest.StashKey[Tus]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("tus", "conformance of a tus 1.0.0 server")
    group.addoption("--tus-url", metavar="URL", help="the upload creation URL to test")
    group.addoption("--tus-only", metavar="ROWS", default="", help="T03x,T040: x is any digit")
    group.addoption("--tus-level", choices=("must", "should", "may"), default="may")
    group.addoption("--tus-timeout", metavar="SECONDS", type=float, default=10.0)
    group.addoption("--tus-metadata", metavar="PAIRS", default="", help="on each creation")
    group.addoption(
        "--tus-header", metavar="'Name: value'", action="append", default=[], help="on each request"
    )


def pytest_configure(config: pytest.Config) -> None:
    """With a URL and no files named, the rows are all that runs."""
    config.addinivalue_line("markers", "tus(number, level): one row of the tus conformance kit")
    named = config.args_source is pytest.Config.ArgsSource.ARGS
    if config.getoption("--tus-url") and not named:
        config.args = []


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    if config.getoption("--tus-url"):
        rows = _Rows.from_parent(session, name="tus", nodeid="tus", rows=_asked_for(config))
        # The report is what pytest's own counts are made from.
        report = rows.ihook.pytest_make_collect_report(collector=rows)
        rows.ihook.pytest_collectreport(report=report)
        items += report.result


def _asked_for(config: pytest.Config) -> list[Row]:
    option = config.getoption
    try:
        rows = select(ROWS, option("--tus-only"), option("--tus-level"))
        extra = tuple(header_field(text) for text in option("--tus-header"))
    except ValueError as error:
        raise pytest.UsageError(str(error)) from error
    config.stash[_SESSION] = Tus(
        option("--tus-url"),
        extra=extra,
        timeout=option("--tus-timeout"),
        metadata=option("--tus-metadata"),
    )
    return rows


class _Rows(pytest.Collector):
    """The rows that were asked for."""

    def __init__(self, *, rows: list[Row], **keywords: Any) -> None:
        super().__init__(**keywords)
        self.rows = rows

    def collect(self) -> list[pytest.Item]:
        return [_RowTest.from_parent(self, name=row.number, row=row) for row in self.rows]


class _Failed(Exception):
    """One row that fails; its text is all that is shown."""


class _RowTest(pytest.Item):
    """One row as one test."""

    def __init__(self, *, row: Row, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.row = row
        self.add_marker(pytest.mark.tus(row.number, row.level.value))

    def runtest(self) -> None:
        tus = self.config.stash[_SESSION]
        try:
            greet(tus)
        except Unreachable as error:
            raise _Failed(str(error)) from error
        self._judge(examine_row(tus, self.row))

    def _judge(self, result: Result) -> None:
        if result.outcome in (Outcome.NOT_OFFERED, Outcome.UNCLEAR):
            pytest.skip(f"{result.outcome}: {result.reason}")
        if result.outcome is Outcome.FAILED and result.level is not Level.MUST:
            pytest.xfail(f"{result.level}: {result.reason}")
        if result.outcome is Outcome.FAILED:
            raise _Failed(line(result))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, _Failed):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[os.PathLike[str] | str, int | None, str]:
        return "tus", None, f"{self.row.number} {self.row.requirement}"
