"""What a bucket of Google's storage promises: generations, conditions, composing.

Written from the documentation of the JSON API, for `gcs_double`.
"""

from __future__ import annotations

import base64
import hashlib
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import crc32c

MOST_SOURCES = 32
Facts = Mapping[str, Any]
"""The fields of an object that its writer chooses: contentType, metadata…"""

WRITABLE = (
    "cacheControl",
    "contentDisposition",
    "contentEncoding",
    "contentLanguage",
    "contentType",
    "customTime",
    "metadata",
)


class Refused(Exception):
    """An answer that is not a success."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message


@dataclass(frozen=True)
class Stored:
    """One generation of an object. `components` counts the parts of a composite, else `None`."""

    name: str
    content: bytes
    facts: Facts
    generation: int
    metageneration: int = 1
    components: int | None = None
    created: str = ""

    @property
    def crc32c(self) -> str:
        return base64.b64encode(crc32c.crc32c(self.content).to_bytes(4, "big")).decode()

    @property
    def md5(self) -> str | None:
        """A composite has none."""
        if self.components is not None:
            return None
        return base64.b64encode(hashlib.md5(self.content).digest()).decode()


@dataclass(frozen=True)
class Conditions:
    """From a request's query; `prefix` is "Source" for those that are about a copy's source."""

    query: Mapping[str, str]
    prefix: str = ""

    def number(self, name: str) -> int | None:
        value = self.query.get(f"if{self.prefix}{name}")
        return None if value is None else int(value)

    def check(self, there: Stored | None, reading: bool = False) -> None:
        generation = there.generation if there else 0
        required, unwanted = self.number("GenerationMatch"), self.number("GenerationNotMatch")
        facts = self.number("MetagenerationMatch")
        if reading and unwanted == generation:
            raise Refused(304, "notModified", "Not Modified")
        if (
            (required is not None and required != generation)
            or (unwanted is not None and unwanted == generation)
            or (facts is not None and facts != (there.metageneration if there else None))
        ):
            message = "At least one of the pre-conditions you specified did not hold."
            raise Refused(412, "conditionNotMet", message)


class Bucket:
    """All operations are decided one after another, each as a whole."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._objects: dict[str, Stored] = {}
        self._guard = threading.RLock()
        self._last = 0

    def check(self, name: str, conditions: Conditions) -> None:
        with self._guard:
            conditions.check(self._objects.get(name))

    def put(
        self,
        name: str,
        content: bytes,
        facts: Facts,
        conditions: Conditions,
        components: int | None = None,
    ) -> Stored:
        with self._guard:
            conditions.check(self._objects.get(name))
            self._last = max(self._last + 1, time.time_ns() // 1000)
            chosen = {key: facts[key] for key in WRITABLE if key in facts}
            created = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            stored = Stored(
                name, content, chosen, self._last, components=components, created=created
            )
            self._objects[name] = stored
            return stored

    def get(self, name: str, conditions: Conditions, generation: str | None = None) -> Stored:
        with self._guard:
            there = self._objects.get(name)
            if there is None or (generation and there.generation != int(generation)):
                raise Refused(404, "notFound", f"No such object: {self.name}/{name}")
            conditions.check(there, reading=True)
            return there

    def change(self, name: str, facts: Facts, conditions: Conditions) -> Stored:
        with self._guard:
            there = self.get(name, conditions)
            merged = {**there.facts, **{key: facts[key] for key in WRITABLE if key in facts}}
            kept = {key: value for key, value in merged.items() if value is not None}
            changed = replace(there, facts=kept, metageneration=there.metageneration + 1)
            self._objects[name] = changed
            return changed

    def delete(self, name: str, conditions: Conditions, generation: str | None = None) -> None:
        with self._guard:
            self.get(name, Conditions({}), generation)
            conditions.check(self._objects[name])
            del self._objects[name]

    def move(self, source: Stored, name: str, conditions: Conditions) -> Stored:
        with self._guard:
            self.get(source.name, Conditions({}), str(source.generation))
            moved = self.put(name, source.content, source.facts, conditions, source.components)
            if name != source.name:
                del self._objects[source.name]
            return moved

    def compose(
        self, name: str, sources: Sequence[Mapping[str, Any]], facts: Facts, conditions: Conditions
    ) -> Stored:
        if not 1 <= len(sources) <= MOST_SOURCES:
            message = f"The number of source components provided must be 1 to {MOST_SOURCES}."
            raise Refused(400, "invalid", message)
        with self._guard:
            parts = [self._source(source) for source in sources]
            content = b"".join(part.content for part in parts)
            components = sum(part.components or 1 for part in parts)
            return self.put(name, content, facts, conditions, components)

    def _source(self, source: Mapping[str, Any]) -> Stored:
        asked = source.get("objectPreconditions", {})
        part = self.get(source["name"], Conditions({}), source.get("generation"))
        Conditions(asked).check(part)
        return part

    def in_order(self) -> list[Stored]:
        """All objects, by the UTF-8 bytes of their names."""
        with self._guard:
            return [self._objects[name] for name in sorted(self._objects, key=str.encode)]
