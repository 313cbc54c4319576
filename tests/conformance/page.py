"""The generated parts of `docs/conformance.md`: `python -m tests.conformance.page` writes rows."""

from __future__ import annotations

import re
from pathlib import Path

from resumable.conformance import SECTIONS

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"


def rows_as_markdown() -> str:
    """Every row in one table, in the order in which they run."""
    lines = ["| Row | Level | Requirement | Only where offered |", "|---|---|---|---|"]
    for section in SECTIONS:
        lines.append(f"| | | **{section.title}** | |")
        for row in section.rows:
            needs = ", ".join(name for name in row.needs if name != "creation")
            requirement = row.requirement.replace("|", "\\|")
            lines.append(f"| {row.number} | {row.level} | {requirement} | {needs} |")
    return "\n".join(lines)


def section_of(page: Path, name: str) -> str:
    """The text between a page's two markers of this name."""
    found = re.search(_pattern(name), page.read_text(), re.DOTALL)
    assert found, f"{page.name} has no section {name}"
    return found[2].strip()


def write_section(page: Path, name: str, text: str) -> None:
    """Replaces the text between a page's two markers of this name."""
    whole = page.read_text()
    page.write_text(
        re.sub(_pattern(name), lambda m: f"{m[1]}\n{text}\n{m[3]}", whole, flags=re.DOTALL)
    )


def _pattern(name: str) -> str:
    return rf"(<!-- {name} -->)(.*?)(<!-- /{name} -->)"


if __name__ == "__main__":
    write_section(PAGE, "rows", rows_as_markdown())
