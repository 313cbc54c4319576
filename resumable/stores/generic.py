"""Any other fsspec file system: segments that prove themselves, joined at the end by copying."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import posixpath
import secrets
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime
from typing import IO, Any

from resumable.errors import NoRoom, Unavailable, UploadError
from resumable.model import MIB
from resumable.stores.filesystem import Filesystem
from resumable.stores.objects.bucket import (
    Data,
    Description,
    Found,
    Missing,
    Occupied,
    Piece,
    Stored,
)

_BLOCK = 4 * MIB
_one_by_one = threading.Lock()


class GenericBucket:
    """Objects as files of a file system whose only promise is that a rename is one step.

    Bytes are written under a temporary name below `state` first. A file system does not keep
    metadata: they stand in a small file of their own, `meta/<hash of the key>`.
    """

    knows_crc32c = False
    conditions = False

    def __init__(self, filesystem: Filesystem, state: str) -> None:
        self._filesystem = filesystem
        self._state = state

    # ------------------------------------------------------------ writing

    def put(
        self,
        key: str,
        data: Data | IO[bytes],
        *,
        if_absent: bool = False,
        description: Description | None = None,
    ) -> bool:
        exclusive = description is not None and description.exclusive
        if not (if_absent or exclusive):
            self._put(key, _blocks_of(data), description)
            return True
        with _one_by_one:
            if self._exists(key):
                if exclusive:
                    raise Occupied(key)
                return False
            self._put(key, _blocks_of(data), description)
            return True

    def _put(self, key: str, blocks: Iterator[bytes], description: Description | None) -> None:
        new = f"{self._state}/new/{secrets.token_hex(12)}"
        with _translated(key):
            if description is not None:
                self._write(self._metadata_key(key), iter([_metadata(description)]))
            try:
                self._write(new, blocks)
                self._rename(new, key)
            except BaseException:
                with contextlib.suppress(Exception):
                    self._filesystem.fs.rm_file(new)
                raise

    def _write(self, path: str, blocks: Iterator[bytes]) -> None:
        fs = self._filesystem.fs
        fs.makedirs(posixpath.dirname(path), exist_ok=True)
        with fs.open(path, "wb") as file:
            for block in blocks:
                file.write(block)

    def _rename(self, source: str, target: str) -> None:
        fs = self._filesystem.fs
        fs.makedirs(posixpath.dirname(target), exist_ok=True)
        fs.mv(source, target)

    def delete(self, keys: Collection[str]) -> None:
        for key in keys:
            for path in (key, self._metadata_key(key)):
                with contextlib.suppress(Missing), _translated(path):
                    self._filesystem.fs.rm_file(path)

    def join(self, pieces: Sequence[Piece], key: str, description: Description) -> None:
        """Through this process: the bytes are read and written once more."""
        if description.exclusive:
            with _one_by_one:
                if self._exists(key):
                    raise Occupied(key)
        self._put(key, self._read_all(pieces), description)

    def _read_all(self, pieces: Sequence[Piece]) -> Iterator[bytes]:
        for piece in pieces:
            for at in range(piece.start, piece.end, _BLOCK):
                end = min(piece.end, at + _BLOCK)
                block = self.get(piece.key, at, end)
                if len(block) != end - at:
                    raise Missing(piece.key)
                yield block

    # ------------------------------------------------------------ reading

    def get(self, key: str, start: int = 0, end: int | None = None) -> bytes:
        if end is not None and end <= start:
            if not self._exists(key):
                raise Missing(key)
            return b""
        with _translated(key):
            return bytes(self._filesystem.fs.cat_file(key, start=start or None, end=end))

    def get_all(self, keys: Collection[str]) -> dict[str, bytes]:
        found = {}
        for key in keys:
            with contextlib.suppress(Missing):
                found[key] = self.get(key)
        return found

    def head(self, key: str) -> Found | None:
        try:
            with _translated(key):
                self._fresh()
                size = int(self._filesystem.fs.info(key)["size"])
            told = json.loads(self.get(self._metadata_key(key)))
        except Missing:
            return None
        return Found(size, told)

    def _exists(self, key: str) -> bool:
        with _translated(key):
            self._fresh()
            return bool(self._filesystem.fs.exists(key))

    def listed(self, prefix: str) -> list[Stored]:
        folder = prefix.rstrip("/")
        try:
            with _translated(prefix):
                self._fresh()
                found = self._filesystem.fs.find(folder, detail=True, withdirs=False)
        except Missing:
            return []
        return [
            Stored(key, int(info["size"] or 0), _modified(info), version="")
            for path, info in sorted(found.items())
            if (key := _relative(path, folder)).startswith(prefix)
        ]

    def folders(self, prefix: str) -> list[str]:
        try:
            with _translated(prefix):
                self._fresh()
                found = self._filesystem.fs.ls(prefix.rstrip("/"), detail=True)
        except Missing:
            return []
        return sorted(
            info["name"].rstrip("/").rpartition("/")[2]
            for info in found
            if info["type"] == "directory"
        )

    def _fresh(self) -> None:
        """Other hosts write too: what was listed before is not asked."""
        self._filesystem.fs.invalidate_cache()

    def _metadata_key(self, key: str) -> str:
        return f"{self._state}/meta/{hashlib.sha256(key.encode()).hexdigest()[:40]}"

    def url(self, key: str, expires: int, content_type: str, disposition: str) -> str | None:
        return None

    def check(self) -> list[str]:
        key = f"{self._state}/probe/{secrets.token_hex(8)}"
        self.put(key, b"x")
        try:
            if self.get(key) != b"x":
                raise Unavailable("What has been written is read back differently.")
            seen = [one.size for one in self.listed(f"{self._state}/probe/") if one.key == key]
        finally:
            self.delete([key])
        warnings = [] if seen == [1] else ["A listing does not show what has just been written."]
        return [
            *warnings,
            "This storage cannot create a file only if it is absent: two hosts must not begin one "
            "upload at once. Each upload is put together at its end through this server.",
        ]

    def close(self) -> None:
        self._filesystem.close()


def _blocks_of(data: Data | IO[bytes]) -> Iterator[bytes]:
    file = io.BytesIO(data) if isinstance(data, bytes) else data
    file.seek(0)
    read: Callable[[], bytes] = lambda: file.read(_BLOCK)  # noqa: E731 - for iter's sentinel
    return iter(read, b"")


def _metadata(description: Description) -> bytes:
    return json.dumps(dict(description.metadata)).encode()


def _relative(path: str, folder: str) -> str:
    """Some file systems put a slash before every path, whatever they were asked."""
    return path.lstrip("/") if not folder.startswith("/") else f"/{path.lstrip('/')}"


def _modified(info: dict[str, Any]) -> float:
    """Seconds since the epoch, from whatever this file system calls the moment."""
    for name in ("mtime", "modified", "last_modified", "LastModified", "created"):
        value = info.get(name)
        if isinstance(value, datetime):
            return value.timestamp()
        if isinstance(value, int | float):
            return float(value)
    # Without a clock of its own nothing may be taken for old.
    return float("inf")


@contextlib.contextmanager
def _translated(key: str) -> Iterator[None]:
    """Raises Missing, NoRoom or Unavailable for what a file system raises."""
    try:
        yield
    except (UploadError, Missing, Occupied):
        raise
    except FileNotFoundError as error:
        raise Missing(key) from error
    except OSError as error:
        if error.errno in (28, 122):
            raise NoRoom("The storage is full.") from error
        raise Unavailable(f"The storage does not do as it is told: {error.strerror}.") from error
    except (TimeoutError, EOFError, ConnectionError) as error:
        raise Unavailable("The storage does not answer.") from error
