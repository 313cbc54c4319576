"""Keeps the figures of `make chaos` and writes them to docs/reliability.md."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "reliability.md"
BEGIN, END = "<!-- figures -->", "<!-- /figures -->"
_FIGURES = pytest.StashKey[dict[str, str]]()

Record = Callable[[str, str], None]


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_FIGURES] = {}


@pytest.fixture
def record_figure(pytestconfig: pytest.Config) -> Record:
    """`record_figure(what, figure)` puts one row into the table of a full run."""

    def record(what: str, figure: str) -> None:
        pytestconfig.stash[_FIGURES][what] = figure

    return record


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Only a full run that passed changes the page."""
    figures = session.config.stash[_FIGURES]
    full = session.config.getoption("--chaos", default=False)
    if full and figures and exitstatus == 0 and PAGE.exists():
        PAGE.write_text(_updated(PAGE.read_text("utf-8"), figures), "utf-8")


def _updated(text: str, figures: dict[str, str]) -> str:
    before, _, rest = text.partition(BEGIN)
    old, _, after = rest.partition(END)
    rows = {**_rows(old), **figures}
    day = time.strftime("%Y-%m-%d")
    table = [
        f"Last full run: {day}, Python {platform.python_version()}, {platform.system()}.",
        "",
        "| what | figures |",
        "|---|---|",
        *(f"| {what} | {figure} |" for what, figure in sorted(rows.items())),
    ]
    return "\n".join([before + BEGIN, *table, END + after])


def _rows(table: str) -> dict[str, str]:
    """The rows that are there; a run of some tests renews only its own."""
    rows = {}
    for line in table.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) == 2 and cells[0] not in ("what", "---"):
            rows[cells[0]] = cells[1]
    return rows
