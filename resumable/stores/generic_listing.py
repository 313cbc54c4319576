"""What a file system lists: its files in all folders, their moments, and folders without any."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from resumable.stores.connections import is_missing

# Where `rmdir` is known to refuse a folder with something in it; elsewhere it may take all along.
_CAREFUL = frozenset({"memory", "file", "local", "sftp", "ssh", "smb", "ftp"})
_MOMENTS = ("mtime", "modified", "last_modified", "LastModified", "modify", "created")


def walk(fs: Any, folder: str) -> Iterator[tuple[str, Any]]:
    """Every file below a folder; fsspec's own walk takes trouble for an empty folder."""
    try:
        listed = fs.ls(folder, detail=True)
    except Exception as error:
        if is_missing(error):
            return
        raise
    for info in listed:
        # Some put a slash before every path, or behind a folder, whatever they were asked.
        path = f"{folder}/{info['name'].rstrip('/').rpartition('/')[2]}"
        if info["type"] == "directory":
            yield from walk(fs, path)
        else:
            yield path, info


def modified(info: Any) -> float:
    """Seconds since the epoch, from whatever this file system calls the moment."""
    for name in _MOMENTS:
        value = info.get(name)
        if isinstance(value, datetime):
            return value.timestamp()
        if isinstance(value, int | float):
            return float(value)
        if isinstance(value, str):
            with suppress(ValueError):
                moment = datetime.fromisoformat(value)
                return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
            with suppress(ValueError):  # FTP's
                return datetime.strptime(value[:14], "%Y%m%d%H%M%S").replace(tzinfo=UTC).timestamp()
    if isinstance(info.get("modificationTime"), int):  # WebHDFS
        return float(info["modificationTime"]) / 1000
    # Without a clock of its own nothing may be taken for old.
    return float("inf")


def remove_empty(fs: Any, folder: str, kept: Collection[str]) -> None:
    """A folder and those above it up to one of `kept`, as far as there is nothing in them."""
    names = {fs.protocol} if isinstance(fs.protocol, str) else set(fs.protocol)
    if not names & _CAREFUL:
        return
    with suppress(Exception):
        while folder and folder not in kept:
            fs.rmdir(folder)
            folder = posixpath.dirname(folder)
