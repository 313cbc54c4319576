"""Pages of a bucket's listing, with prefix and delimiter, as Google's JSON API gives them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.storage.gcs_objects import Bucket, Stored


@dataclass(frozen=True)
class Page:
    items: Sequence[Stored]
    prefixes: Sequence[str]
    next_name: str | None
    """The last name of this page when there is another one."""


def page_of(bucket: Bucket, query: Mapping[str, str], after: str) -> Page:
    """The page whose names and prefixes come after `after`."""
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter")
    most = int(query.get("maxResults", 1000))
    items: list[Stored] = []
    prefixes: list[str] = []
    last: str | None = None
    for stored in _wanted(bucket, query, after):
        name = stored.name
        end = name.find(delimiter, len(prefix)) if delimiter else -1
        folder = name[: end + len(delimiter or "")] if end >= 0 else None
        if folder is not None and folder in (prefixes[-1:] or [after]):
            continue
        if len(items) + len(prefixes) == most:
            return Page(items, prefixes, last)
        last = folder or name
        if folder is None:
            items.append(stored)
        else:
            prefixes.append(folder)
    return Page(items, prefixes, None)


def _wanted(bucket: Bucket, query: Mapping[str, str], after: str) -> list[Stored]:
    prefix, first, end = (query.get(key, "") for key in ("prefix", "startOffset", "endOffset"))
    return [
        stored
        for stored in bucket.in_order()
        if stored.name.startswith(prefix)
        and stored.name > after
        and stored.name >= first
        and (stored.name < end or not end)
    ]
