"""Which ffmpeg is used: of the setting, the environment, PATH, the package; what if none."""

from __future__ import annotations

import stat
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from resumable.processing.failures import ProgramMissing
from resumable.processing.program import VARIABLE, find_program


def fake(folder: Path, first_line: str, name: str = "ffmpeg") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{first_line}'\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture(autouse=True)
def nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable, an empty PATH, no package."""
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)


def test_the_first_that_is_named_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packaged = fake(tmp_path / "package", "ffmpeg version 9.0-static Copyright")
    monkeypatch.setitem(
        sys.modules, "imageio_ffmpeg", SimpleNamespace(get_ffmpeg_exe=lambda: str(packaged))
    )
    assert find_program().named_by == "imageio-ffmpeg"
    on_path = fake(tmp_path / "bin", "ffmpeg version 6.1.1 Copyright")
    found = find_program()
    assert (found.path, found.named_by, found.version) == (str(on_path), "PATH", "6.1.1")
    named = fake(tmp_path / "named", "ffmpeg version n7.0 Copyright")
    monkeypatch.setenv(VARIABLE, str(named))
    assert find_program().named_by == VARIABLE
    set_ = fake(tmp_path / "set", "ffmpeg version N-113-gabc Copyright")
    assert find_program(set_).path == str(set_)


def test_an_old_one_on_the_path_gives_way_to_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(tmp_path / "bin", "ffmpeg version 4.4.2-0ubuntu Copyright")
    packaged = fake(tmp_path / "package", "ffmpeg version 9.0 Copyright")
    monkeypatch.setitem(
        sys.modules, "imageio_ffmpeg", SimpleNamespace(get_ffmpeg_exe=lambda: str(packaged))
    )
    assert find_program().named_by == "imageio-ffmpeg"


def test_nothing_found_says_how_to_get_one(tmp_path: Path) -> None:
    fake(tmp_path / "bin", "ffmpeg version 4.4.2 Copyright")
    with pytest.raises(ProgramMissing, match=r"4\.4\.2; 5\.1 or newer.*wsgi-resumable\[video\]"):
        find_program()


def test_who_names_one_gets_that_one_or_an_error(tmp_path: Path) -> None:
    fake(tmp_path / "bin", "ffmpeg version 6.1.1 Copyright")
    with pytest.raises(ProgramMissing, match="cannot be run"):
        find_program(tmp_path / "missing")
    with pytest.raises(ProgramMissing, match="is not ffmpeg"):
        find_program(fake(tmp_path / "other", "GNU bash, version 5.2"))
