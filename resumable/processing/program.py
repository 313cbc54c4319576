"""Finds an ffmpeg that will do: a setting, the environment, PATH, then imageio-ffmpeg."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path

from resumable.processing.failures import ProgramMissing

VARIABLE = "RESUMABLE_FFMPEG"
# `-fps_mode`, without which captures at a nominal 1000 frames a second grow fiftyfold.
_OLDEST = (5, 1)
_VERSION = re.compile(r"ffmpeg version n?(\d+)\.(\d+)")
_ANSWER_SECONDS = 20
_HOW_TO_GET = "pip install 'wsgi-resumable[video]', or install ffmpeg 5.1 or newer."


@dataclass(frozen=True, slots=True)
class Program:
    """An ffmpeg that answered: its path, its own words for its version, and who named it."""

    path: str
    version: str
    named_by: str


def find_program(setting: str | Path | None = None) -> Program:
    """The first ffmpeg that runs and is new enough.

    Who names one explicitly, by the setting or by RESUMABLE_FFMPEG, gets that one or an error.
    Raises ProgramMissing, which says how to get it.
    """
    for named_by, path in (("setting", setting), (VARIABLE, os.environ.get(VARIABLE))):
        if path:
            return _asked(str(path), named_by)
    reasons = []
    for named_by, path in _offered():
        try:
            return _asked(path, named_by)
        except ProgramMissing as error:
            reasons.append(error.message)
    raise ProgramMissing(" ".join(["No usable ffmpeg was found.", *reasons, _HOW_TO_GET]))


def _offered() -> Iterator[tuple[str, str]]:
    on_path = shutil.which("ffmpeg")
    if on_path:
        yield "PATH", on_path
    packaged = _packaged()
    if packaged:
        yield "imageio-ffmpeg", packaged


def _packaged() -> str | None:
    """The static build that the extra `video` brings; its licence is the GPL, version 3."""
    try:
        return str(import_module("imageio_ffmpeg").get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        return None


@lru_cache(maxsize=32)
def _asked(path: str, named_by: str) -> Program:
    """The program at `path`, which is run once per process to see that it is one."""
    try:
        done = subprocess.run(
            [path, "-hide_banner", "-version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_ANSWER_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ProgramMissing(f"{path} ({named_by}) cannot be run: {error}.") from error
    first = done.stdout.decode("utf-8", "replace").partition("\n")[0].strip()
    if done.returncode or not first.startswith("ffmpeg version "):
        raise ProgramMissing(f"{path} ({named_by}) is not ffmpeg.")
    return Program(path, _new_enough(path, named_by, first), named_by)


def _new_enough(path: str, named_by: str, first: str) -> str:
    """The version's words; those of a build from the repository name no number and pass."""
    words = first.split()[2]
    number = _VERSION.match(first)
    if number and (int(number[1]), int(number[2])) < _OLDEST:
        raise ProgramMissing(f"{path} ({named_by}) is ffmpeg {words}; 5.1 or newer is needed.")
    return words
