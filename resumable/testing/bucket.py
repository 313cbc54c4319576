"""An object store in memory, as strict as the strictest real one: for contracts and crashes."""

from __future__ import annotations

import hashlib
import itertools
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO

from resumable.stores.objects.bucket import (
    Data,
    Description,
    Done,
    Found,
    Missing,
    Occupied,
    Part,
    Piece,
    Sending,
    Stored,
    Unfinished,
)
from resumable.testing.faults import Faults


@dataclass
class Object:
    """One stored object."""

    data: bytes
    modified: float
    version: str
    metadata: Mapping[str, str]


@dataclass
class Multipart:
    """An unfinished object."""

    key: str
    description: Description
    began: float
    parts: dict[int, tuple[bytes, float]] = field(default_factory=dict)


class Contents:
    """What outlives the processes on it. `clock` gives seconds since the epoch."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.objects: dict[str, Object] = {}
        self.multiparts: dict[str, Multipart] = {}
        self.clock = clock
        self.lock = threading.RLock()
        self.numbers = itertools.count(1)


class MemoryBucket:
    """One process's view of a bucket, and what goes wrong with its calls.

    Without `conditions` it takes every `if_absent` for fulfilled, as some real servers do.
    """

    knows_crc32c = False

    def __init__(
        self, contents: Contents, *, faults: Faults | None = None, conditions: bool = True
    ) -> None:
        self._contents = contents
        self._faults = faults or Faults()
        self.conditions = conditions

    def put(
        self,
        key: str,
        data: Data | IO[bytes],
        *,
        if_absent: bool = False,
        description: Description | None = None,
    ) -> bool:
        stored = _bytes(data)

        def perform() -> bool:
            with self._contents.lock:
                if if_absent and self.conditions and key in self._contents.objects:
                    return False
                self._store(key, stored, description)
                return True

        return self._faults.around(perform)

    def _store(self, key: str, data: bytes, description: Description | None) -> None:
        contents = self._contents
        self._check_name(key, description)
        contents.objects[key] = Object(
            data,
            contents.clock(),
            str(next(contents.numbers)),
            {} if description is None else dict(description.metadata),
        )

    def _check_name(self, key: str, description: Description | None) -> None:
        if description is not None and description.exclusive and key in self._contents.objects:
            raise Occupied(key)

    def get(self, key: str, start: int = 0, end: int | None = None) -> bytes:
        with self._contents.lock:
            if key not in self._contents.objects:
                raise Missing(key)
            return self._contents.objects[key].data[start:end]

    def get_all(self, keys: Collection[str]) -> dict[str, bytes]:
        with self._contents.lock:
            objects = self._contents.objects
            return {key: objects[key].data for key in keys if key in objects}

    def head(self, key: str) -> Found | None:
        with self._contents.lock:
            one = self._contents.objects.get(key)
            return None if one is None else Found(len(one.data), one.metadata)

    def listed(self, prefix: str) -> list[Stored]:
        with self._contents.lock:
            return [
                Stored(key, len(one.data), one.modified, one.version)
                for key, one in sorted(self._contents.objects.items())
                if key.startswith(prefix)
            ]

    def folders(self, prefix: str) -> list[str]:
        names = (one.key.removeprefix(prefix) for one in self.listed(prefix))
        return sorted({name.partition("/")[0] for name in names if "/" in name})

    def delete(self, keys: Collection[str]) -> None:
        """Each key is a step of its own: a crash may come between two."""
        for key in keys:
            self._faults.around(lambda key=key: self._contents.objects.pop(key, None))  # type: ignore[misc]

    def join(self, pieces: Sequence[Piece], key: str, description: Description) -> None:
        def perform() -> None:
            with self._contents.lock:
                data = b"".join(self.get(one.key, one.start, one.end) for one in pieces)
                self._store(key, data, description)

        self._faults.around(perform)

    def url(self, key: str, expires: int, content_type: str, disposition: str) -> str | None:
        return None

    def check(self) -> list[str]:
        return [] if self.conditions else ["This storage ignores conditions."]

    def close(self) -> None:
        """Nothing is held."""


class MemoryParts:
    """Parts as R2 has them: all equal, the last not larger, and a failed repetition destroys."""

    most = 10_000
    refuses_late = True
    tags_are_md5 = True

    def __init__(self, bucket: MemoryBucket) -> None:
        self._bucket = bucket
        self._contents = bucket._contents
        self._faults = bucket._faults

    def open(self, key: str, description: Description) -> str:
        def perform() -> str:
            native = f"native-{next(self._contents.numbers)}"
            began = self._contents.clock()
            self._contents.multiparts[native] = Multipart(key, description, began)
            return native

        return self._faults.around(perform)

    def send(self, key: str, native: str, window: int, data: Data) -> Sending:
        def perform() -> None:
            with self._contents.lock:
                parts = self._multipart(key, native).parts
                parts[window] = (_bytes(data), self._contents.clock())

        def destroy() -> None:
            self._multipart(key, native).parts.pop(window, None)

        self._faults.around(perform, destroy)
        return Done()

    def _multipart(self, key: str, native: str) -> Multipart:
        multipart = self._contents.multiparts.get(native)
        if multipart is None or multipart.key != key:
            raise Missing(key)
        return multipart

    def stored(self, key: str, native: str, after: int = -1) -> list[Part]:
        with self._contents.lock:
            parts = self._multipart(key, native).parts
            return [
                Part(window, len(data), hashlib.md5(data).hexdigest(), modified)
                for window, (data, modified) in sorted(parts.items())
                if window > after
            ]

    def ask(self, key: str, native: str, after: int = -1) -> Callable[[], list[Part]]:
        return lambda: self.stored(key, native, after)

    def join(self, key: str, native: str, parts: Sequence[Part], description: Description) -> None:
        def perform() -> None:
            with self._contents.lock:
                stored = self._multipart(key, native).parts
                assert [part.window for part in parts] == list(range(len(parts)))
                sizes = [len(stored[part.window][0]) for part in parts]
                assert len(set(sizes[:-1])) <= 1, "parts are not equal"
                assert sizes[-1] <= sizes[0], "the last part is the largest"
                for part in parts:
                    tag = hashlib.md5(stored[part.window][0]).hexdigest()
                    assert part.tag == tag, "the part is another one than was listed"
                data = b"".join(stored[part.window][0] for part in parts)
                self._bucket._store(key, data, description)
                del self._contents.multiparts[native]

        self._faults.around(perform)

    def abandon(self, key: str, native: str) -> None:
        self._faults.around(lambda: self._contents.multiparts.pop(native, None))

    def unfinished(self, prefix: str) -> list[Unfinished]:
        with self._contents.lock:
            return [
                Unfinished(one.key, native, one.began)
                for native, one in self._contents.multiparts.items()
                if one.key.startswith(prefix)
            ]


def _bytes(data: Data | IO[bytes]) -> bytes:
    if isinstance(data, bytes):
        return data
    data.seek(0)
    return data.read()
