"""Any other fsspec file system: segments that prove themselves, joined at the end by copying."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import posixpath
import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from operator import itemgetter
from typing import IO, Any

from resumable.errors import Unavailable
from resumable.host_lock import one_at_a_time
from resumable.model import MIB
from resumable.stores.connections import Connections, is_missing
from resumable.stores.filesystem import Filesystem
from resumable.stores.generic_errors import translated, writing
from resumable.stores.generic_files import (
    exists,
    fresh,
    info,
    make_folder,
    read,
    remove,
    rename,
    write,
)
from resumable.stores.generic_listing import modified, remove_empty, walk
from resumable.stores.generic_records import is_record, opened, sealed
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
# The bytes to be written, read through the file system that they are written to.


class GenericBucket:
    """Objects as files of a file system whose only promise is that a rename is one step.

    Bytes are written under a temporary name below `state` first. Where the rename was a copy after
    all, a process that died may leave a short file under the name: it counts as none. A file system
    keeps no metadata: they stand in a small file of their own, `meta/<hash of the key>`.
    """

    knows_crc32c = False
    conditions = False

    def __init__(self, filesystem: Filesystem, state: str) -> None:
        self._connections = Connections(filesystem)
        self._state = state
        self._root = posixpath.dirname(state)
        self._folders: set[str] = set()

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
        if isinstance(data, bytes) and is_record(key, self._state):
            data = sealed(data)
        stored = self._store(key, _blocks_of(data), description, if_absent or exclusive)
        if exclusive and not stored:
            raise Occupied(key)
        return stored

    def join(self, pieces: Sequence[Piece], key: str, description: Description) -> None:
        """Through this process: the bytes are read and written once more."""
        # Two connections: over SFTP an answer to a read takes those to writes under way with it.
        with translated("read", key), self._connections.lend() as source:
            exclusive = description.exclusive
            if not self._store(key, _bytes_of(source, pieces), description, exclusive):
                raise Occupied(key)

    def _store(
        self, key: str, blocks: Iterator[bytes], description: Description | None, if_absent: bool
    ) -> bool:
        """Whole under its name, or not at all; False where the name is taken."""
        with translated("write", key), writing(), self._connections.lend() as fs:
            if if_absent and self._taken(fs, key, description):
                return False
            with self._written(fs, blocks) as new:
                with one_at_a_time(key) if if_absent else contextlib.nullcontext():
                    taken = if_absent and self._taken(fs, key, description)
                    if not taken:
                        self._name(fs, new, key, description)
                if taken:
                    remove(fs, new)
                return not taken

    def _taken(self, fs: Any, key: str, description: Description | None) -> bool:
        """By something that is whole, or by somebody else's."""
        if not exists(fs, key):
            return False
        if description is not None:
            # One's own may be the torn one; whole, it is what is written now.
            return self._told(fs, key) != description.metadata
        return not is_record(key, self._state) or opened(read(fs, key)) is not None

    @contextlib.contextmanager
    def _written(self, fs: Any, blocks: Iterable[bytes]) -> Iterator[str]:
        """A file under a temporary name, gone again when something goes wrong."""
        new = f"{self._state}/new/{secrets.token_hex(12)}"
        try:
            self._write(fs, new, blocks)
            yield new
        except BaseException:
            # What a broken connection leaves is swept.
            with contextlib.suppress(Exception):
                remove(fs, new)
            raise

    def _write(self, fs: Any, path: str, blocks: Iterable[bytes]) -> None:
        folder = posixpath.dirname(path)
        if folder not in self._folders:
            make_folder(fs, folder)
            self._folders.add(folder)
        try:
            count = write(fs, path, blocks)
        except BaseException:
            self._folders.clear()
            raise
        fresh(fs)
        size = fs.info(path)["size"]
        if size != count:
            raise Unavailable(f"The storage kept {size} of {count} bytes. Send them again.")

    def _name(self, fs: Any, new: str, key: str, description: Description | None) -> None:
        """The metadata first: whoever sees the object sees whose it is."""
        if description is not None:
            with self._written(fs, [_metadata(description)]) as told:
                rename(fs, told, self._metadata_key(key))
        rename(fs, new, key)

    def delete(self, keys: Collection[str]) -> None:
        with translated("delete", self._state), self._connections.lend() as fs:
            for key in keys:
                own = key.startswith(f"{self._state}/")
                for path in (key,) if own else (key, self._metadata_key(key)):
                    with contextlib.suppress(Missing), translated("delete", path):
                        remove(fs, path)
            # Others remember that they have made these.
            kept = {self._root, self._state}
            kept |= {f"{self._state}/{name}" for name in ("uploads", "new")}
            for folder in {posixpath.dirname(key) for key in keys}:
                if folder.startswith(f"{self._root}/"):
                    remove_empty(fs, folder, kept)

    # ------------------------------------------------------------ reading

    def get(self, key: str, start: int = 0, end: int | None = None) -> bytes:
        if not is_record(key, self._state):
            return self._read(key, start, end)
        record = opened(self._read(key))
        if record is None:
            raise Missing(key)
        return record

    def get_all(self, keys: Collection[str]) -> dict[str, bytes]:
        found = {}
        for key in keys:
            with contextlib.suppress(Missing):
                stored = self._read(key)
                found[key] = (opened(stored) or b"") if is_record(key, self._state) else stored
        return found

    def _read(self, key: str, start: int = 0, end: int | None = None) -> bytes:
        with translated("read", key), self._connections.lend() as fs:
            return read(fs, key, start, end)

    def head(self, key: str) -> Found | None:
        with translated("look", key), self._connections.lend() as fs:
            there = info(fs, key)
            return None if there is None else Found(there["size"], self._told(fs, key))

    def _told(self, fs: Any, key: str) -> Mapping[str, str]:
        """An object's metadata; none where somebody else has put it there."""
        try:
            told: dict[str, str] = json.loads(read(fs, self._metadata_key(key)))
        except Exception as error:
            # Torn, it names nobody: the object came after it.
            if is_missing(error) or isinstance(error, ValueError):
                return {}
            raise
        return told

    def listed(self, prefix: str) -> list[Stored]:
        with translated("list", prefix), self._connections.lend() as fs:
            fresh(fs)
            return [
                Stored(path, int(one["size"] or 0), modified(one), version="")
                for path, one in sorted(walk(fs, prefix.rstrip("/")), key=itemgetter(0))
            ]

    def folders(self, prefix: str) -> list[str]:
        with translated("list", prefix), self._connections.lend() as fs:
            fresh(fs)
            try:
                found = fs.ls(prefix.rstrip("/"), detail=True)
            except Exception as error:
                if is_missing(error):
                    return []
                raise
        folders = (one["name"].rstrip("/") for one in found if one["type"] == "directory")
        return sorted(name.rpartition("/")[2] for name in folders)

    def _metadata_key(self, key: str) -> str:
        return f"{self._state}/meta/{hashlib.sha256(key.encode()).hexdigest()[:40]}"

    def url(self, key: str, expires: int, content_type: str, disposition: str) -> str | None:
        return None

    def check(self) -> list[str]:
        key = f"{self._state}/probe/{secrets.token_hex(8)}"
        self.put(key, b"x")
        try:
            self.put(key, b"other")
            if self.get(key) != b"other":
                raise Unavailable("What has been written is read back differently.")
            seen = [one.size for one in self.listed(f"{self._state}/probe/") if one.key == key]
        finally:
            self.delete([key])
        warnings = [] if seen == [5] else ["A listing does not show what has just been written."]
        return [
            *warnings,
            "This storage cannot create a file only if it is absent: two hosts must not serve one "
            "upload at once. Each upload is put together at its end through this server.",
        ]

    def close(self) -> None:
        self._connections.close()


def _blocks_of(data: Data | IO[bytes]) -> Iterator[bytes]:
    file = io.BytesIO(data) if isinstance(data, bytes) else data
    file.seek(0)
    return iter(partial(file.read, _BLOCK), b"")


def _bytes_of(fs: Any, pieces: Sequence[Piece]) -> Iterator[bytes]:
    for piece in pieces:
        for at in range(piece.start, piece.end, _BLOCK):
            end = min(piece.end, at + _BLOCK)
            with translated("read", piece.key):
                block = read(fs, piece.key, at, end)
            if len(block) != end - at:
                raise Missing(piece.key)
            yield block


def _metadata(description: Description) -> bytes:
    return json.dumps(dict(description.metadata)).encode()
