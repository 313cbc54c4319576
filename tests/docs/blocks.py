"""The fenced blocks of a Markdown page, and what the page says of each: a file, a server, a text.

```python title="app.py"      this block is that file
<!-- server -->               above a block: it runs until the next server starts
<!-- prints -->               above a text: the command before it printed this, … for anything
<!-- not run: reason -->      above a block: a person runs it, not this machine
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sybil import Document, Example, Region, Sybil

REPOSITORY = Path(__file__).parents[2]
PAGES = (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md")))
_FENCE = re.compile(
    r"(?:^<!-- (?P<said>[^\n]*?) -->\n+)?"
    r"^(?P<indent> *)```(?P<language>\w+)(?P<rest>[^\n]*)\n(?P<source>.*?)^(?P=indent)```[ ]*$",
    re.MULTILINE | re.DOTALL,
)
_TITLE = re.compile(r'title="([^"]+)"')


@dataclass(frozen=True)
class Block:
    """One fenced block. `said` is the comment above it, `line` its first line on the page."""

    page: Path
    line: int
    language: str
    source: str
    title: str | None
    said: str

    @property
    def name(self) -> str:
        return f"{self.page.relative_to(REPOSITORY)}:{self.line}"

    @property
    def why_not_run(self) -> str | None:
        """The reason why no test runs this block."""
        if self.source.startswith("--8<--"):
            return "it is a file of the repository, which has its own test"
        return self.said.removeprefix("not run: ") if self.said.startswith("not run: ") else None


def blocks_of(page: Path) -> list[Block]:
    """All blocks of a page, in order."""
    found: list[Block] = []
    for example in parsed(page, lambda example: found.append(example.parsed)):
        example.evaluate()
    return found


def parsed(page: Path, evaluate: Callable[[Example], None]) -> Iterator[Example]:
    """The page as Sybil's examples; each is a `Block`, given to `evaluate`."""

    def regions(document: Document) -> Iterator[Region]:
        for match in _FENCE.finditer(document.text):
            yield Region(match.start(), match.end(), _block(page, document, match), evaluate)

    sybil = Sybil([regions], path=str(page.parent), filenames=[page.name])
    yield from sybil.parse(page).examples()


def _block(page: Path, document: Document, match: re.Match[str]) -> Block:
    title = _TITLE.search(match["rest"])
    indent = match["indent"]
    source = re.sub(f"^{indent}", "", match["source"], flags=re.MULTILINE)
    line = document.text.count("\n", 0, match.start("source")) + 1
    said = (match["said"] or "").strip()
    return Block(page, line, match["language"], source, title[1] if title else None, said)
