"""From a storage URL to a store: the one table of schemes."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from resumable.interfaces import Store
from resumable.model import MIB, Objects
from resumable.stores.local import LocalStore

Options = Mapping[str, Any]


def connect(
    storage: str | os.PathLike[str],
    storage_options: Options | None = None,
    *,
    durability: str = "full",
    free_space: int = 256 * MIB,
    objects: Objects | None = None,
) -> Store:
    """The store that a URL names. Nothing is touched before the first upload.

    `storage` is an fsspec URL (`s3://bucket/prefix`) or the path of a directory (`~` is the home);
    `storage_options` are the backend's own; `objects` says what finished objects are called.
    Raises ValueError with a sentence for a URL or
    an option that makes no sense, RuntimeError where the system cannot do it.
    """
    text = os.fspath(storage)
    scheme = text.partition("://")[0].lower() if "://" in text else ""
    open_store = _SCHEMES.get(scheme, _generic)
    return open_store(text, storage_options or {}, Wishes(durability, free_space, objects))


@dataclass(frozen=True, slots=True)
class Wishes:
    """What an app asks of its storage; each store takes what concerns it."""

    durability: str
    free_space: int
    objects: Objects | None


def _local(url: str, options: Options, wishes: Wishes) -> Store:
    unknown = set(options) - {"part_size"}
    if unknown:
        raise ValueError(
            f"Local storage knows no option {', '.join(sorted(unknown))}; it has part_size."
        )
    part_size = options.get("part_size", 8 * MIB)
    if not isinstance(part_size, int) or part_size < 1:
        raise ValueError(f"part_size must be a number of bytes, not {part_size!r}.")
    return LocalStore(
        _path(url),
        durability=wishes.durability,
        free_space=wishes.free_space,
        part_size=part_size,
    )


def _s3(url: str, options: Options, wishes: Wishes) -> Store:
    from resumable.stores.cloud import s3_store

    return s3_store(url, options, wishes.objects or Objects())


def _r2(url: str, options: Options, wishes: Wishes) -> Store:
    from resumable.stores.cloud import r2_store

    return r2_store(url, options, wishes.objects or Objects())


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


def _gcs(url: str, options: Options, wishes: Wishes) -> Store:
    from resumable.stores.cloud import gcs_store

    return gcs_store(url, options, wishes.objects or Objects())


def _azure(url: str, options: Options, wishes: Wishes) -> Store:
    from resumable.stores.cloud import azure_store

    return azure_store(url, options, wishes.objects or Objects())


def _generic(url: str, options: Options, wishes: Wishes) -> Store:
    from fsspec import available_protocols

    scheme = url.partition("://")[0]
    if scheme not in available_protocols():
        known = ", ".join(f"{name}://" for name in _SCHEMES if name)
        raise ValueError(
            f"No store for {scheme}:// URLs; there are {known}, plain paths, and every file "
            "system that fsspec knows and can write to."
        )
    from resumable.stores.cloud import generic_store

    return generic_store(url, options, wishes.objects or Objects())


_SCHEMES: Mapping[str, Callable[[str, Options, Wishes], Store]] = {
    "": _local,
    "file": _local,
    "local": _local,
    "s3": _s3,
    "s3a": _s3,
    "r2": _r2,
    "gs": _gcs,
    "gcs": _gcs,
    "az": _azure,
    "abfs": _azure,
    "abfss": _azure,
}
