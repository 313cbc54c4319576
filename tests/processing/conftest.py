"""Work on the real recordings, in folders of their own, at the fastest preset."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from resumable.processing.failures import ProgramMissing
from resumable.processing.options import parse
from resumable.processing.program import Program, find_program
from resumable.processing.running import Run, Runner
from resumable.processing.settings import ProcessingLimits, VideoSettings
from resumable.processing.work import Work
from tests.processing.media import FIXTURES, Media

FAST = VideoSettings(preset="ultrafast", niceness=0)
MakeWork = Callable[..., Work]


@pytest.fixture(scope="session")
def program() -> Program:
    try:
        return find_program()
    except ProgramMissing as error:
        pytest.skip(error.message)


@pytest.fixture(scope="session")
def media(program: Program, tmp_path_factory: pytest.TempPathFactory) -> Media:
    """Makes recordings of its own and looks into what was made."""
    return Media(program.path, tmp_path_factory.mktemp("media"))


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


@pytest.fixture
def work(program: Program, scratch: Path) -> MakeWork:
    """`work("recorded.webm", {"frame": True}, report=..., limits={"memory": ...})`."""

    def make(
        source: str | Path,
        options: Mapping[str, Any] | None = None,
        *,
        limits: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
        **rest: Any,
    ) -> Work:
        path = FIXTURES / source if isinstance(source, str) else source
        chosen = replace(FAST, limits=ProcessingLimits(**(limits or {})), **(settings or {}))
        return Work(path, scratch, parse(options), settings=chosen, **rest)

    return make


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    """The arguments of each run of ffmpeg."""
    found: list[Sequence[str]] = []
    run = Runner.run

    def noted(self: Runner, arguments: Sequence[str], **rest: Any) -> Run:
        found.append(arguments)
        return run(self, arguments, **rest)

    monkeypatch.setattr(Runner, "run", noted)
    return found
