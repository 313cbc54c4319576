"""The uploader's arithmetic by node's own test runner, and its weight."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import resumable

STATIC = Path(resumable.__file__).with_name("static")
UNITS = Path(__file__).with_name("unit")
BUDGET = 12 * 1024


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node: apt-get install nodejs")
@pytest.mark.parametrize("script", sorted(path.name for path in UNITS.glob("*.test.mjs")))
def test_units_under_node(script: str) -> None:
    done = subprocess.run(
        ["node", "--test", UNITS / script],
        env={**os.environ, "STATIC": STATIC.as_uri()},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    count = re.search(r"^# pass (\d+)", done.stdout, re.MULTILINE)
    assert count is not None
    assert int(count[1]) >= 5


def eager(module: str) -> set[str]:
    """A module and all that it imports before it can run."""
    text = (STATIC / module).read_text()
    imported = re.findall(r"^(?:import|export)\b[^;(]*?'\./([^']+)'", text, re.MULTILINE)
    return {module}.union(*(eager(name) for name in imported))


def test_the_uploader_is_light() -> None:
    modules = eager("chunked-upload.js")
    assert modules == {"chunked-upload.js", "upload-run.js", "upload-sizes.js"}
    weights = {name: len(gzip.compress((STATIC / name).read_bytes(), 9)) for name in modules}
    assert sum(weights.values()) <= BUDGET, weights
