"""From a storage URL to a store: the one table of schemes."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from resumable.interfaces import Store
from resumable.stores.local import LocalStore

Options = Mapping[str, Any]


def connect(
    storage: str | os.PathLike[str],
    storage_options: Options | None = None,
    *,
    durability: str = "full",
    free_space: int = 256 * 1024 * 1024,
) -> Store:
    """The store that a URL names. Nothing is touched before the first upload.

    `storage` is an fsspec URL (`file:///var/uploads`) or the path of a directory;
    `storage_options` are the backend's own. Raises ValueError with a sentence for a URL or an
    option that makes no sense.
    """
    text = os.fspath(storage)
    scheme = urlsplit(text).scheme if "://" in text else ""
    open_store = _SCHEMES.get(scheme)
    if open_store is None:
        known = ", ".join(f"{name}://" for name in _SCHEMES if name)
        raise ValueError(
            f"No store for {scheme}:// URLs in this version; there are {known} and plain paths."
        )
    return open_store(
        text, {**(storage_options or {}), "durability": durability, "free_space": free_space}
    )


def _local(url: str, options: Options) -> Store:
    path = url
    if "://" in url:
        parts = urlsplit(url)
        # fsspec writes a path relative to the working directory as file://data.
        path = unquote(parts.netloc + parts.path)
    known = {"durability", "free_space", "part_size"}
    unknown = set(options) - known
    if unknown:
        raise ValueError(
            f"Local storage knows no option {', '.join(sorted(unknown))}; "
            f"it has {', '.join(sorted(known))}."
        )
    return LocalStore(path, **options)


_SCHEMES: Mapping[str, Callable[[str, Options], Store]] = {
    "": _local,
    "file": _local,
    "local": _local,
}
