"""The JavaScript packages that are clients here, and how node is started with them.

Looked for where `.ci/run` puts them: ~/.cache/resumable-tests (XDG_CACHE_HOME counts).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.docs.blocks import REPOSITORY, blocks_of

HERE = Path(__file__).parent
PACKAGES = {
    "tus-js-client": "tus-js-client@4.3.1",
    "@uppy/core": "@uppy/core@6.3.1",
    "@uppy/tus": "@uppy/tus@6.0.0",
    "esbuild": "esbuild@0.25",
    "axe-core": "axe-core@4.14.1",
    "typescript": "typescript@5.9.3",
}
PATIENCE = 60.0


def missing(*packages: str) -> str | None:
    """Why these packages cannot be used here and how to get them, or `None`."""
    if shutil.which("node") is None:
        return "node is not installed: apt-get install nodejs npm"
    absent = [name for name in packages if not (_modules() / name).exists()]
    if not absent:
        return None
    wanted = " ".join(PACKAGES[name] for name in absent)
    return f"{', '.join(absent)} not installed: npm install --prefix {_cache()} {wanted}"


def require(*packages: str) -> None:
    """Skip the caller's test where they are not there."""
    reason = missing(*packages)
    if reason is not None:
        pytest.skip(reason)


def path(name: str) -> Path:
    """A file of an installed package."""
    return _modules() / name


def furnish(folder: Path) -> Path:
    """A folder whose scripts can import the packages by name."""
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / "node_modules"
    if not link.exists():
        link.symlink_to(_modules(), target_is_directory=True)
    return folder


def start(script: Path, *words: str) -> subprocess.Popen[str]:
    """node with this script, in the script's folder."""
    return subprocess.Popen(
        ["node", script.name, *words],
        cwd=script.parent,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Wait for its end: exit code, what it printed, and what it complained of."""
    try:
        out, err = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"node did not come to an end:\n{out[-4000:]}{err[-4000:]}") from None
    return process.returncode, out, err


def bundle(script: Path, words: Sequence[str] = ()) -> bytes:
    """One script for a browser out of a script that imports packages by name."""
    done = subprocess.run(
        [_modules() / ".bin/esbuild", script, "--bundle", "--format=esm", *words],
        cwd=script.parent,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base, "resumable-tests")


def _modules() -> Path:
    return _cache() / "node_modules"


def documented(text: str) -> str:
    """The one script on the page about tus that has this text in it."""
    (found,) = [
        block.source
        for block in blocks_of(REPOSITORY / "docs/tus.md")
        if block.language == "js" and text in block.source
    ]
    return found
