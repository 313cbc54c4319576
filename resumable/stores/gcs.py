"""Google Cloud Storage through gcsfs: segments created once, and a tree of compositions."""

from __future__ import annotations

import base64
import io
import json
import logging
import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from typing import IO, Any

from resumable.errors import Unavailable, UploadError
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

_MOST_SOURCES = 32
_PAGE = 1000
_log = logging.getLogger("resumable")
_TROUBLES = {
    401: "the credentials are not accepted",
    403: "the credentials have no permission for this",
}


class Taken(Exception):
    """A condition was not met."""


class GcsBucket:
    """Objects of GCS buckets, by the JSON API. `state` is the library's own prefix."""

    knows_crc32c = True
    conditions = True

    def __init__(self, filesystem: Filesystem, state: str) -> None:
        self._filesystem = filesystem
        self._state = state

    def _call(self, method: str, path: str, *names: str, **parameters: Any) -> Any:
        with _translated(path, "/".join(names)):
            fs = self._filesystem.fs
            return self._filesystem.run(fs._call, method, path, *names, **parameters)

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
        condition = {"ifGenerationMatch": "0"} if if_absent or exclusive else {}
        bucket, name = _split(key)
        fs = self._filesystem.fs
        words: dict[str, Any] = {"uploadType": "media", "name": name, "data": _body(data)}
        if description is not None:
            # gcsfs's own form has a fixed boundary, at which users' bytes would be cut.
            words = {"uploadType": "multipart", **_form(name, data, description)}
        try:
            path = f"{fs._location}/upload/storage/v1/b/{bucket}/o"
            self._call("POST", path, **words, **condition, json_out=True)
        except Taken:
            if exclusive:
                raise Occupied(key) from None
            return False
        return True

    def delete(self, keys: Collection[str]) -> None:
        fs = self._filesystem.fs
        calls = [partial(fs._call, "DELETE", "b/{}/o/{}", *_split(key)) for key in keys]
        if not calls:
            return
        for key, result in zip(keys, self._filesystem.run_all(calls), strict=True):
            with suppress(Missing), _translated("delete", key):
                if isinstance(result, BaseException):
                    raise result

    def join(self, pieces: Sequence[Piece], key: str, description: Description) -> None:
        """At most 32 sources a call: a tree, whose inner nodes are swept when they are left."""
        inner = f"{self._state}/new/{secrets.token_hex(8)}"
        made: list[str] = []
        sources = [self._source(piece, f"{inner}.0.{n}", made) for n, piece in enumerate(pieces)]
        level = 1
        while len(sources) > _MOST_SOURCES:
            groups = [
                sources[at : at + _MOST_SOURCES] for at in range(0, len(sources), _MOST_SOURCES)
            ]
            sources = [f"{inner}.{level}.{number}" for number in range(len(groups))]
            for group, target in zip(groups, sources, strict=True):
                self._compose(group, target, {"contentType": "application/octet-stream"}, {})
            made += sources
            level += 1
        condition = {"ifGenerationMatch": "0"} if description.exclusive else {}
        try:
            self._compose(sources, key, _described(description), condition)
        except Taken:
            raise Occupied(key) from None
        self.delete(made)

    def _source(self, piece: Piece, target: str, made: list[str]) -> str:
        """Only whole objects can be composed: a part of one becomes an object of its own."""
        if piece.whole:
            return piece.key
        self.put(target, self.get(piece.key, piece.start, piece.end))
        made.append(target)
        return target

    def _compose(
        self,
        sources: Sequence[str],
        key: str,
        destination: Mapping[str, Any],
        condition: Mapping[str, str],
    ) -> None:
        asked = {
            "sourceObjects": [{"name": _split(source)[1]} for source in sources],
            "destination": destination,
        }
        bucket, name = _split(key)
        path = "b/{}/o/{}/compose"
        self._call("POST", path, bucket, name, json=asked, json_out=True, **condition)

    # ------------------------------------------------------------ reading

    def get(self, key: str, start: int = 0, end: int | None = None) -> bytes:
        if end is not None and end <= start:
            return b""
        with _translated("read", key):
            return self._filesystem.run(self._read, key, start, end)

    async def _read(self, key: str, start: int = 0, end: int | None = None) -> bytes:
        whole = start == 0 and end is None
        last = "" if end is None else end - 1
        headers = None if whole else {"Range": f"bytes={start}-{last}"}
        _, data = await self._filesystem.fs._call(
            "GET", "b/{}/o/{}", *_split(key), alt="media", headers=headers
        )
        return bytes(data)

    def get_all(self, keys: Collection[str]) -> dict[str, bytes]:
        results = self._filesystem.run_all([partial(self._read, key) for key in keys])
        found: dict[str, bytes] = {}
        for key, result in zip(keys, results, strict=True):
            with suppress(Missing), _translated("read", key):
                if isinstance(result, BaseException):
                    raise result
                found[key] = result
        return found

    def head(self, key: str) -> Found | None:
        try:
            told = self._call("GET", "b/{}/o/{}", *_split(key), json_out=True)
        except Missing:
            return None
        crc = told.get("crc32c")
        known = None if crc is None else int.from_bytes(base64.b64decode(crc))
        return Found(int(told["size"]), told.get("metadata", {}), known)

    def listed(self, prefix: str) -> list[Stored]:
        bucket = _split(prefix)[0]
        return [
            Stored(
                f"{bucket}/{one['name']}",
                int(one["size"]),
                datetime.fromisoformat(one["updated"]).timestamp(),
                str(one["generation"]),
            )
            for page in self._pages(prefix)
            for one in page.get("items", ())
        ]

    def folders(self, prefix: str) -> list[str]:
        return [
            one.rstrip("/").rpartition("/")[2]
            for page in self._pages(prefix, delimiter="/")
            for one in page.get("prefixes", ())
        ]

    def _pages(self, prefix: str, **more: Any) -> Iterator[Any]:
        bucket, name = _split(prefix)
        while True:
            page = self._call(
                "GET", "b/{}/o", bucket, prefix=name, maxResults=_PAGE, json_out=True, **more
            )
            yield page
            if "nextPageToken" not in page:
                return
            more["pageToken"] = page["nextPageToken"]

    def url(self, key: str, expires: int, content_type: str, disposition: str) -> str | None:
        try:
            signed: str = self._filesystem.fs.sign(
                key,
                expiration=expires,
                version="v4",
                response_type=content_type,
                response_disposition=disposition,
            )
        except Exception as error:
            # Only service accounts can sign; with others the bytes come through this server.
            _log.debug("no signed URL: %s", error)
            return None
        return signed

    def check(self) -> list[str]:
        key = f"{self._state}/probe/{secrets.token_hex(8)}"
        self.put(key, b"x")
        try:
            refused = not self.put(key, b"again", if_absent=True)
            seen = [one.size for one in self.listed(f"{self._state}/probe/") if one.key == key]
        finally:
            self.delete([key])
        warnings = []
        if not refused:
            warnings.append(
                "This storage ignores ifGenerationMatch: two hosts must not begin one upload at "
                "once."
            )
        if seen != [1]:
            warnings.append("A listing does not show what has just been written.")
        return warnings

    def close(self) -> None:
        self._filesystem.close()


def _split(key: str) -> tuple[str, str]:
    bucket, _, name = key.partition("/")
    return bucket, name


def _bytes(data: Data | IO[bytes]) -> bytes:
    if isinstance(data, bytes):
        return data
    data.seek(0)
    return data.read()


def _body(data: Data | IO[bytes]) -> IO[bytes]:
    return io.BytesIO(_bytes(data))


def _described(description: Description) -> dict[str, Any]:
    told = {
        "contentType": description.content_type,
        "metadata": dict(description.metadata),
        "cacheControl": description.cache_control,
        "storageClass": description.storage_class,
    }
    return {name: value for name, value in told.items() if value is not None}


def _form(name: str, data: Data | IO[bytes], description: Description) -> dict[str, Any]:
    """A body of the object's description and its bytes (RFC 2387), with a boundary of its own."""
    boundary = secrets.token_hex(24)
    document = json.dumps({"name": name, **_described(description)}).encode()
    body = b"\r\n".join(
        (
            f"--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n".encode(),
            document,
            f"--{boundary}\r\nContent-Type: {description.content_type}\r\n".encode(),
            _bytes(data),
            f"--{boundary}--\r\n".encode(),
        )
    )
    kind = f'multipart/related; boundary="{boundary}"'
    return {"data": io.BytesIO(body), "headers": {"Content-Type": kind}}


@contextmanager
def _translated(operation: str, key: str) -> Iterator[None]:
    """Raises Missing, Taken or Unavailable for whatever a call raised."""
    try:
        yield
    except (UploadError, Missing, Taken, Occupied, RuntimeError, TypeError):
        raise
    except Exception as error:
        raise _meaning(operation, key, error) from error


def _meaning(operation: str, key: str, error: Exception) -> Exception:
    status = _status(error)
    if status == 404:
        return Missing(key)
    if status == 412:
        return Taken(key)
    trouble = _TROUBLES.get(status)
    if trouble is None and type(error).__module__.startswith("google.auth"):
        trouble = "no credentials are configured"
    bucket = key.partition("/")[0]
    if trouble is not None:
        _log.error("storage bucket %s, %s: %s", bucket, operation, trouble)
        return Unavailable(
            f"The storage cannot be used: {trouble}.", code="storage-misconfigured", retry_after=30
        )
    _log.warning("storage bucket %s, %s failed: %s %s", bucket, operation, status, error)
    return Unavailable("The storage does not answer as it should. Try again.")


def _status(error: BaseException) -> int:
    """gcsfs hands out the status, or one of Python's own errors in its place."""
    if isinstance(error, FileNotFoundError):
        return 404
    if isinstance(error, FileExistsError):
        return 412
    if isinstance(error, OSError) and str(error).startswith("Forbidden"):
        return 403
    code = getattr(error, "code", None) or getattr(error, "status", None)
    return int(str(code)) if str(code).isdigit() else 0
