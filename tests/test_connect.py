"""From a storage URL to a store, and systems where there is none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from resumable import ResumableUploads
from resumable.connect import connect
from resumable.stores.local import LocalStore


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("{0}/a", "{0}/a"),
        ("file://{0}/a", "{0}/a"),
        ("FILE://{0}/a", "{0}/a"),
        ("local://{0}/a", "{0}/a"),
        ("file://localhost{0}/a", "{0}/a"),
        ("file://{0}/a%20b", "{0}/a b"),
        ("{0}/a%20b", "{0}/a%20b"),
        ("file://{0}/a?b#c", "{0}/a?b#c"),
        ("data", "{1}/data"),
        ("file://data", "{1}/data"),
        ("./data/../other", "{1}/other"),
        ("~/data", "{2}/data"),
        ("file://~/data", "{2}/data"),
    ],
)
def test_where_a_url_leads(
    url: str, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = [str(tmp_path / name) for name in ("root", "cwd", "home")]
    os.mkdir(places[1])
    monkeypatch.chdir(places[1])
    monkeypatch.setenv("HOME", places[2])
    store = connect(url.format(*places))
    assert isinstance(store, LocalStore)
    assert str(store.root) == path.format(*places)
    assert os.listdir(tmp_path) == ["cwd"]


def test_a_path_object(tmp_path: Path) -> None:
    store = connect(tmp_path)
    assert isinstance(store, LocalStore)
    assert store.root == tmp_path


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "Name a directory"),
        ("file://", "Name a directory"),
        ("a\0b", "Name a directory"),
        ("nope://x", "No store for nope://"),
        ("a b://x", "No store for a b://"),
        ("http://127.0.0.1/", "http is nothing that uploads could be written to"),
        ("simplecache::http://127.0.0.1/", "No store for simplecache::http://"),
    ],
)
def test_urls_that_make_no_sense(url: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        connect(url)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"endpoint_url": "x", "anon": True}, "knows no option anon, endpoint_url"),
        ({"durability": "process"}, "knows no option durability"),
        ({"part_size": 0}, "part_size must be"),
        ({"part_size": "8"}, "part_size must be"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        ResumableUploads(None, tmp_path, storage_options=options)


def test_the_part_size_is_an_option(tmp_path: Path) -> None:
    app = ResumableUploads(None, tmp_path, storage_options={"part_size": 1000})
    assert app.uploads._engine.store.capabilities.part_size == 1000


def test_an_unknown_durability(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="durability must be one of full, process"):
        ResumableUploads(None, tmp_path, durability="most")


WITHOUT_LOCKS = """
import sys
sys.modules["fcntl"] = sys.modules["termios"] = None
import resumable, resumable.cli, resumable.serve
from resumable.connect import connect
try:
    connect({root!r})
except RuntimeError as error:
    print(error)
"""


def test_without_file_locks_it_imports_and_says_what_is_missing(tmp_path: Path) -> None:
    """As on Windows."""
    program = WITHOUT_LOCKS.format(root=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout == (
        "Storage on local disk needs file locks that this system does not have (Windows). "
        "Use an object store URL such as s3://bucket/prefix instead.\n"
    )


def test_importing_it_imports_no_backend_and_no_framework() -> None:
    program = (
        "import sys, resumable\n"
        "heavy = {'s3fs', 'gcsfs', 'adlfs', 'boto3', 'aiohttp', 'flask', 'django', 'bottle',"
        " 'gunicorn', 'gevent', 'PIL', 'rich', 'httpx'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")
