"""One file system's files: what fsspec promises of all of them, asked for with care."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from typing import Any

from resumable.stores.connections import is_missing


def fresh(fs: Any) -> None:
    """Other hosts write too: what was listed before is not asked."""
    fs.invalidate_cache()


def info(fs: Any, path: str) -> Any:
    """What is known of a file, None where there is none; fsspec's `exists` hides every trouble."""
    fresh(fs)
    try:
        return fs.info(path)
    except Exception as error:
        if is_missing(error):
            return None
        raise


def exists(fs: Any, path: str) -> bool:
    return info(fs, path) is not None


def read(fs: Any, path: str, start: int = 0, end: int | None = None) -> bytes:
    if end is not None and end <= start:
        return b""
    if not _is_sftp(fs):
        return bytes(fs.cat_file(path, start=start or None, end=end))
    with fs.open(path, "rb") as file:
        # Else each 32 KiB wait for an answer.
        stop = file.stat().st_size if end is None else end
        return b"".join(file.readv([(start, stop - start)]))


def remove(fs: Any, path: str) -> None:
    try:
        fs.rm_file(path)
    except NotImplementedError:
        fs.rm(path)


def make_folder(fs: Any, folder: str) -> None:
    """A folder with all above it; at each of them somebody else may be faster."""
    for _ in range(folder.count("/") + 1):
        try:
            fs.makedirs(folder, exist_ok=True)
            return
        except Exception as error:
            trouble = error
        if fs.isdir(folder):
            return
    raise trouble


def rename(fs: Any, source: str, target: str) -> None:
    """In one step where the folder is there and the storage renames onto files."""
    if _renamed(fs, source, target):
        return
    make_folder(fs, posixpath.dirname(target))
    if _renamed(fs, source, target):
        return
    if exists(fs, target):
        remove(fs, target)
    fs.mv(source, target)


def _renamed(fs: Any, source: str, target: str) -> bool:
    try:
        fs.mv(source, target)
    except Exception:
        if exists(fs, source):
            return False
        if not exists(fs, target):
            raise
        # It was: only the answer got lost.
    return True


def _is_sftp(fs: Any) -> bool:
    return "sftp" in fs.protocol


def write(fs: Any, path: str, blocks: Iterable[bytes]) -> int:
    """Bytes into a new file; their number."""
    with fs.open(path, "wb") as file:
        if _is_sftp(fs):
            # Else each 32 KiB wait for an answer; the size shows afterwards what came of it.
            file.set_pipelined(True)
        count = 0
        for block in blocks:
            file.write(block)
            count += len(block)
    return count
