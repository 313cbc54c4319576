"""Where an upload's final object goes and what it carries, decided at its birth."""

from __future__ import annotations

import mimetypes
import re
import string
import time
from dataclasses import dataclass

from resumable.media import INLINE, UNKNOWN, safe_name
from resumable.model import Objects, Upload
from resumable.stores.objects.bucket import Description

_FIELDS = frozenset({"date", "id", "token", "filename", "owner"})
_PLAIN = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Destination:
    """`root` is `bucket/prefix`, `settings` the app's wishes. Raises ValueError for bad ones."""

    root: str
    settings: Objects

    def __post_init__(self) -> None:
        key = self.settings.key
        if callable(key):
            return
        names = {name for _, name, _, _ in string.Formatter().parse(key) if name is not None}
        if names - _FIELDS:
            raise ValueError(
                f"The key template {key!r} uses {{{sorted(names - _FIELDS)[0]}}}; "
                f"there are {', '.join(f'{{{name}}}' for name in sorted(_FIELDS))}."
            )
        # An id may be used again, but not on the day of its first use.
        if self.settings.if_exists == "replace" and not (
            "token" in names or {"id", "date"} <= names
        ):
            raise ValueError(
                f"The key template {key!r} would let one upload replace another's file: use "
                "{token}, or {date} and {id}, in it, or if_exists='refuse'."
            )

    def __call__(self, upload: Upload) -> tuple[str, Description]:
        settings = self.settings
        description = Description(
            content_type(upload.filename),
            dict(settings.metadata),
            settings.cache_control,
            settings.storage_class,
            settings.if_exists == "refuse",
        )
        return self._key(upload), description

    def _key(self, upload: Upload) -> str:
        if callable(self.settings.key):
            key = self.settings.key(upload)
            # A whole URL may name another bucket of the same storage.
            return key.partition("://")[2] if "://" in key else f"{self.root}/{key.lstrip('/')}"
        filled = self.settings.key.format(
            date=time.strftime("%Y-%m-%d", time.gmtime(upload.created)),
            id=upload.id,
            token=upload.token,
            filename=plain_name(upload.filename),
            owner=_PLAIN.sub("_", upload.owner or "nobody").strip(".") or "nobody",
        )
        return f"{self.root}/{filled}"


def plain_name(name: str | None) -> str:
    """A client's file name as the last part of a key: no slash, nothing to be escaped in a URL."""
    return _PLAIN.sub("_", safe_name(name or "")).strip("._") or "file"


def content_type(name: str | None) -> str:
    """By the name, for the types that a browser may render: no byte has arrived yet."""
    guessed = mimetypes.guess_type(name or "")[0]
    return guessed if guessed in INLINE else UNKNOWN
