"""The page on recordings names every option, limit and failure."""

from __future__ import annotations

from dataclasses import fields

from resumable.processing import failures
from resumable.processing.options import OPTIONS
from resumable.processing.settings import ProcessingLimits
from tests.docs.blocks import REPOSITORY


def first_cells(heading: str) -> list[str]:
    text = (REPOSITORY / "docs" / "video.md").read_text()
    section = text.split(f"\n## {heading}\n")[1].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    return [row.split("|")[1].strip(" `") for row in rows]


def test_every_option_is_on_the_page() -> None:
    assert first_cells("Processing options") == list(OPTIONS)


def test_every_limit_is_on_the_page() -> None:
    assert first_cells("Limits") == [field.name for field in fields(ProcessingLimits)]


def test_every_failure_is_on_the_page() -> None:
    kinds = [kind.__name__ for kind in failures.ProcessingFailed.__subclasses__()]
    assert first_cells("When it fails") == kinds
