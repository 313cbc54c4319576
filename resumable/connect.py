"""From a storage URL to a store: the one table of schemes."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

from resumable.interfaces import Store
from resumable.model import MIB
from resumable.stores.local import LocalStore

Options = Mapping[str, Any]


def connect(
    storage: str | os.PathLike[str],
    storage_options: Options | None = None,
    *,
    durability: str = "full",
    free_space: int = 256 * MIB,
) -> Store:
    """The store that a URL names. Nothing is touched before the first upload.

    `storage` is an fsspec URL (`file:///var/uploads`) or the path of a directory (`~` is the
    home); `storage_options` are the backend's own. Raises ValueError with a sentence for a URL or
    an option that makes no sense, RuntimeError where the system cannot do it.
    """
    text = os.fspath(storage)
    scheme = text.partition("://")[0].lower() if "://" in text else ""
    open_store = _SCHEMES.get(scheme)
    if open_store is None:
        known = ", ".join(f"{name}://" for name in _SCHEMES if name)
        raise ValueError(
            f"No store for {scheme}:// URLs in this version; there are {known} and plain paths."
        )
    return open_store(text, storage_options or {}, durability, free_space)


def _local(url: str, options: Options, durability: str, free_space: int) -> Store:
    unknown = set(options) - {"part_size"}
    if unknown:
        raise ValueError(
            f"Local storage knows no option {', '.join(sorted(unknown))}; it has part_size."
        )
    part_size = options.get("part_size", 8 * MIB)
    if not isinstance(part_size, int) or part_size < 1:
        raise ValueError(f"part_size must be a number of bytes, not {part_size!r}.")
    return LocalStore(_path(url), durability=durability, free_space=free_space, part_size=part_size)


def _path(url: str) -> str:
    """A URL is percent-decoded, a path is not. Raises ValueError for an empty one."""
    path = url
    if "://" in url:
        # fsspec writes a path relative to the working directory as file://data.
        path = unquote(url.partition("://")[2])
        if path.startswith("localhost/"):
            path = path.removeprefix("localhost")
    if not path or "\0" in path:
        raise ValueError(f"Name a directory for the storage; {path!r} is none.")
    return os.path.expanduser(path)


_SCHEMES: Mapping[str, Callable[[str, Options, str, int], Store]] = {
    "": _local,
    "file": _local,
    "local": _local,
}
