"""Ceph's programs: Debian's packages, installed, or unpacked into one folder with `dpkg -x`."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

PACKAGES = ("radosgw", "ceph-mon", "ceph-osd", "ceph-common")
PROGRAMS = ("ceph-authtool", "monmaptool", "osdmaptool", "ceph-mon", "ceph-osd", "radosgw")
TREE = "RESUMABLE_TEST_CEPH_TREE"
"""Names the folder with the unpacked packages and all that they need."""


def missing() -> str | None:
    """Why Ceph cannot run here and how to get it, or `None`."""
    tree = tree_folder()
    if tree is not None:
        there = (tree / "usr/bin/radosgw").exists()
        return None if there else f"{TREE}={tree} holds no usr/bin/radosgw"
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    if not absent:
        return None
    install = f"apt-get install --no-install-recommends {' '.join(PACKAGES)} (Debian 12)"
    return f"{', '.join(absent)} is not installed: {install}"


def tree_folder() -> Path | None:
    return Path(os.environ[TREE]).absolute() if TREE in os.environ else None


def program(name: str, *words: str) -> list[str]:
    """The command line; an unpacked program is started by a loader that knows its libraries."""
    tree = tree_folder()
    if tree is None:
        return [name, *words]
    folders = sorted(tree.glob("usr/lib/*-linux-gnu")) + sorted(tree.glob("lib/*-linux-gnu"))
    libraries = [str(each) for folder in folders for each in (folder, folder / "ceph")]
    loader = next(
        each
        for place in (*folders, Path("/lib64"), Path("/lib"))
        for each in sorted(place.glob("ld-linux*.so*"))
    )
    search = ["--library-path", ":".join(libraries), "--argv0", name]
    return [str(loader), *search, str(tree / "usr/bin" / name), *words]


def plugins() -> dict[str, object]:
    tree = tree_folder()
    if tree is None:
        return {}
    library = next(tree.glob("usr/lib/*-linux-gnu"))
    return {
        "osd class dir": library / "rados-classes",
        "plugin dir": library / "ceph",
        "erasure code dir": library / "ceph/erasure-code",
    }
