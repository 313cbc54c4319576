"""The documentation is true: its blocks run, its tables are complete, its site builds."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import MISSING, fields
from inspect import Parameter, signature
from pathlib import Path

import pytest

import resumable
from resumable import Finished, Limits, ResumableUploads, Uploads
from resumable.errors import UploadError
from resumable.model import DAY, GIB, MIB
from tests.docs import fronts
from tests.docs.blocks import PAGES, REPOSITORY, Block, blocks_of, parsed
from tests.docs.walk import Walk
from tests.servers.running import free_port

DOCS = REPOSITORY / "docs"
# Run on the walk through their page, looked at by themselves, or only ever read.
WALKED = {"python", "sh", "json"}
CHECKED = {"nginx", "apache", "js", "html"}
READ = {"text", "ini"}
# What this protocol's clients are told in place of a status that they do not know.
_TOLD = {499: 408, 460: 422}


def page_name(page: Path) -> str:
    return str(page.relative_to(REPOSITORY))


def all_blocks() -> Iterator[Block]:
    for page in PAGES:
        yield from blocks_of(page)


# ---------------------------------------------------------------- blocks


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_the_page_can_be_followed(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    walk = Walk(tmp_path)
    try:
        for example in parsed(page, lambda example: walk.take(example.parsed)):
            example.evaluate()
    finally:
        walk.close()
    if walk.missing:
        pytest.skip(f"all but this was run: {'; '.join(walk.missing)}")


def test_no_block_escapes() -> None:
    for block in all_blocks():
        assert block.language in WALKED | CHECKED | READ, block.name
        if block.said:
            assert block.said in ("server", "prints") or block.why_not_run, block.name
        if block.source.startswith("--8<--"):
            assert (REPOSITORY / block.source.split('"')[1]).exists(), block.name


@pytest.mark.parametrize(
    "block",
    [block for block in all_blocks() if block.language in fronts.PROGRAMS],
    ids=lambda block: block.name,
)
def test_the_proxy_understands_its_settings(block: Block, tmp_path: Path) -> None:
    program = shutil.which(fronts.PROGRAMS[block.language], path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("not installed: apt-get install nginx-light apache2-bin")
    if "WSGI" in block.source and not (fronts.APACHE_MODULES / "mod_wsgi.so").exists():
        pytest.skip("mod_wsgi is not installed: apt-get install libapache2-mod-wsgi-py3")
    command = fronts.checking(block.language, block.source, tmp_path, str(free_port()))
    done = subprocess.run(
        [program, *command[1:]], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{block.name}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize(
    "block",
    [block for block in all_blocks() if block.language in ("js", "html")],
    ids=lambda block: block.name,
)
def test_the_script_is_one(block: Block, tmp_path: Path) -> None:
    if shutil.which("node") is None:
        pytest.skip("node is not installed: apt-get install nodejs")
    script = block.source
    if block.language == "html":
        found = re.search(r'<script type="module"[^>]*>(.*?)</script>', script, re.DOTALL)
        assert found, block.name
        script = found[1]
    path = tmp_path / "block.mjs"
    path.write_text(script)
    done = subprocess.run(
        ["node", "--check", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{block.name}\n{done.stderr}"


# ---------------------------------------------------------------- tables


def table_rows(page: str, heading: str) -> Iterator[list[str]]:
    """The cells of each row of the tables in one section."""
    text = (DOCS / page).read_text()
    section = re.split(rf"^##+ {re.escape(heading)}$", text, flags=re.MULTILINE)[1]
    section = re.split(r"^##? ", section, flags=re.MULTILINE)[0]
    for line in section.splitlines():
        if line.startswith("| `"):
            yield [cell.strip() for cell in line.strip("| ").split(" | ")]


def names_in(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def value_of(cell: str) -> object:
    """The Python value that a person's cell means: `"full"`, 8 MiB, 6 days, none."""
    if cell.startswith("`"):
        return eval(cell.strip("`"))  # the page is ours
    if cell == "none":
        return None
    number, _, unit = cell.replace(" 000", "000").partition(" ")
    units = {"": 1, "MiB": MIB, "GiB": GIB, "days": DAY, "day": DAY, "s": 1, "bytes/s": 1}
    return int(number) * units[unit]


def test_every_option_is_documented() -> None:
    documented = {
        row[0].strip("`"): value_of(row[1]) for row in table_rows("configuration.md", "Options")
    }
    options = {
        name: parameter.default
        for name, parameter in signature(ResumableUploads).parameters.items()
        if parameter.kind is Parameter.KEYWORD_ONLY
    }
    assert documented == options


def test_every_limit_is_documented() -> None:
    documented = {
        row[0].strip("`"): value_of(row[1]) for row in table_rows("configuration.md", "Limits")
    }
    assert documented == {field.name: field.default for field in fields(Limits)}
    assert MISSING not in documented.values()


def test_every_error_code_is_documented_with_its_status() -> None:
    documented = [
        (code, int(row[1]))
        for page in ("chunk-protocol.md", "tus.md")
        for row in table_rows(page, "Errors")
        for code in names_in(row[0])
    ]
    assert len(dict(documented)) == len(documented)
    known = known_codes()
    assert dict(documented).keys() == known.keys()
    assert [code for code, status in documented if status not in known[code]] == []


def known_codes() -> dict[str, set[int]]:
    """Every code that the package can answer with, read from its text, and its statuses."""
    kinds = {kind.__name__: kind for kind in _subclasses(UploadError)}
    codes: dict[str, set[int]] = defaultdict(set)
    for kind in kinds.values():
        codes[kind.default_code].add(_TOLD.get(kind.status, kind.status))
    for path in (REPOSITORY / "resumable").rglob("*.py"):
        for name, code in _errors_made_in(path):
            if name in kinds:
                codes[code].add(_TOLD.get(kinds[name].status, kinds[name].status))
    downloads = (REPOSITORY / "resumable" / "downloads.py").read_text()
    for status, code in re.findall(r'(4\d\d): "([a-z-]+)"', downloads):
        codes[code].add(int(status))
    return codes


def _errors_made_in(path: Path) -> Iterator[tuple[str, str]]:
    """Class and code wherever an error is made with a code of its own."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            for keyword in node.keywords:
                if keyword.arg == "code" and isinstance(keyword.value, ast.Constant):
                    yield node.func.id, str(keyword.value.value)


def _subclasses(kind: type[UploadError]) -> Iterator[type[UploadError]]:
    for below in kind.__subclasses__():
        yield below
        yield from _subclasses(below)


def test_every_public_name_is_documented() -> None:
    documented = {
        name for row in table_rows("reference.md", "From `resumable`") for name in names_in(row[0])
    }
    assert documented == set(resumable.__all__)


def test_every_method_and_field_is_documented() -> None:
    methods = [row[0].strip("`").partition("(")[0] for row in table_rows("reference.md", "Uploads")]
    assert set(methods) == {name for name in vars(Uploads) if not name.startswith("_")}
    documented = {row[0].strip("`") for row in table_rows("reference.md", "Finished")}
    assert documented == {field.name for field in fields(Finished)} | {"etag"}


def test_every_room_is_on_its_floor() -> None:
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    contract = settings["tool"]["importlinter"]["contracts"][0]
    floors = [floor.split(" | ") for floor in contract["layers"]]
    rows = table_rows("design.md", "Rooms and floors")
    assert [names_in(row[0]) for row in rows] == floors


# ---------------------------------------------------------------- the site


def test_the_site_builds(tmp_path: Path) -> None:
    site = tmp_path / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)]
    done = subprocess.run(
        command,
        cwd=REPOSITORY,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    for page in site.rglob("*.html"):
        assert_nothing_from_elsewhere(page)


def assert_nothing_from_elsewhere(page: Path) -> None:
    """A page of the site loads its styles, scripts, fonts and images from itself."""
    loaded = re.findall(r'<(?:script|img|iframe)[^>]*\ssrc="?(https?:[^"\s>]+)', page.read_text())
    loaded += [
        tag
        for tag in re.findall(r"<link[^>]*>", page.read_text())
        if "http" in tag and not re.search(r'rel="?canonical', tag)
    ]
    assert not loaded, f"{page.name}: {loaded}"
