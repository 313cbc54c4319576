"""Azure block blobs through adlfs: whole windows are uncommitted blocks of the final blob."""

from __future__ import annotations

import base64
import io
import logging
import secrets
from collections.abc import Callable, Collection, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import IO, Any

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.storage.blob import (
    BlobBlock,
    BlobPrefix,
    BlobSasPermissions,
    ContentSettings,
    generate_blob_sas,
)

from resumable.errors import Unavailable, UploadError
from resumable.model import MIB
from resumable.stores.filesystem import Filesystem
from resumable.stores.objects.bucket import (
    Data,
    Description,
    Found,
    Missing,
    Occupied,
    Part,
    Piece,
    Stored,
    Unfinished,
    blocks_of,
)

_log = logging.getLogger("resumable")


class Taken(Exception):
    """There is such a blob already."""


_JOINED_BLOCK = 16 * MIB


class AzureBucket:
    """Blobs of Azure containers. `state` is the library's own prefix."""

    knows_crc32c = False
    conditions = True

    def __init__(self, filesystem: Filesystem, state: str) -> None:
        self._filesystem = filesystem
        self._state = state

    def blob(self, key: str) -> Any:
        """The vendor's own client of one blob; its coroutines belong into `run`."""
        container, _, name = key.partition("/")
        return self._filesystem.fs.service_client.get_blob_client(container, name)

    def run(self, operation: str, key: str, *asked: Any) -> Any:
        """Wait for a coroutine function; raises Missing, Taken or Unavailable."""
        with translated(operation, key):
            return self._filesystem.run(*asked)

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """A coroutine in the background: its future."""
        return self._filesystem.start(coroutine)

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
        file, length = _file(data)
        upload = partial(
            self.blob(key).upload_blob,
            file,
            length=length,
            overwrite=not (if_absent or exclusive),
            **described(description),
        )
        try:
            self.run("put_blob", key, upload)
        except Taken:
            if exclusive:
                raise Occupied(key) from None
            return False
        return True

    def delete(self, keys: Collection[str]) -> None:
        if not keys:
            return
        results = self._filesystem.run_all([self.blob(key).delete_blob for key in keys])
        for key, result in zip(keys, results, strict=True):
            with suppress(Missing), translated("delete_blob", key):
                if isinstance(result, BaseException):
                    raise result

    def join(self, pieces: Sequence[Piece], key: str, description: Description) -> None:
        """Through this process; uploads are made of blocks and do not need it."""
        parts = AzureParts(self)
        native = parts.open(key, description)
        for window, data in enumerate(blocks_of(self, pieces, _JOINED_BLOCK)):
            parts.send(key, native, window, data).result()
        parts.join(key, native, parts.stored(key, native), description)

    # ------------------------------------------------------------ reading

    def get(self, key: str, start: int = 0, end: int | None = None) -> bytes:
        if end is not None and end <= start:
            return b""
        data: bytes = self.run("get_blob", key, self._read, key, start, end)
        return data

    async def _read(self, key: str, start: int = 0, end: int | None = None) -> bytes:
        ranged = {} if start == 0 and end is None else {"offset": start}
        if end is not None:
            ranged["length"] = end - start
        reading = await self.blob(key).download_blob(**ranged)
        data: bytes = await reading.readall()
        return data

    def get_all(self, keys: Collection[str]) -> dict[str, bytes]:
        results = self._filesystem.run_all([partial(self._read, key) for key in keys])
        found: dict[str, bytes] = {}
        for key, result in zip(keys, results, strict=True):
            with suppress(Missing), translated("get_blob", key):
                if isinstance(result, BaseException):
                    raise result
                found[key] = result
        return found

    def head(self, key: str) -> Found | None:
        try:
            told = self.run("head_blob", key, self.blob(key).get_blob_properties)
        except Missing:
            return None
        metadata = {name.replace("_", "-"): value for name, value in told.metadata.items()}
        return Found(told.size, metadata)

    def listed(self, prefix: str) -> list[Stored]:
        container, _, name = prefix.partition("/")
        blobs: list[Any] = self.run("list_blobs", prefix, self._all, container, name)
        return [
            Stored(f"{container}/{one.name}", one.size, one.last_modified.timestamp(), one.etag)
            for one in blobs
        ]

    async def _all(self, container: str, prefix: str) -> list[Any]:
        client = self._filesystem.fs.service_client.get_container_client(container)
        return [one async for one in client.list_blobs(name_starts_with=prefix)]

    def folders(self, prefix: str) -> list[str]:
        container, _, name = prefix.partition("/")
        found: list[str] = self.run("list_blobs", prefix, self._level, container, name)
        return [one.rstrip("/").rpartition("/")[2] for one in found]

    async def _level(self, container: str, prefix: str) -> list[str]:
        client = self._filesystem.fs.service_client.get_container_client(container)
        return [
            one.name
            async for one in client.walk_blobs(name_starts_with=prefix, delimiter="/")
            if isinstance(one, BlobPrefix) or one.name.endswith("/")
        ]

    def url(self, key: str, expires: int, content_type: str, disposition: str) -> str | None:
        fs = self._filesystem.fs
        if not fs.account_key:
            return None
        container, _, name = key.partition("/")
        signature = generate_blob_sas(
            account_name=fs.account_name,
            container_name=container,
            blob_name=name,
            account_key=fs.account_key,
            permission=BlobSasPermissions(read=True),
            expiry=datetime.now(UTC) + timedelta(seconds=expires),
            content_type=content_type,
            content_disposition=disposition,
        )
        return f"{self.blob(key).url}?{signature}"

    def check(self) -> list[str]:
        key = f"{self._state}/probe/{secrets.token_hex(8)}"
        self.put(key, b"x")
        try:
            refused = not self.put(key, b"again", if_absent=True)
            seen = [one.size for one in self.listed(f"{self._state}/probe/") if one.key == key]
        finally:
            self.delete([key])
        warnings = [] if refused else ["This storage ignores If-None-Match."]
        return warnings + (
            [] if seen == [1] else ["A listing does not show what has just been written."]
        )

    def close(self) -> None:
        self._filesystem.close()


class AzureParts:
    """Uncommitted blocks. Their ids begin with a nonce: a blob's name may be used again."""

    most = 50_000
    tags_are_md5 = False
    refuses_late = False

    def __init__(self, bucket: AzureBucket) -> None:
        self._bucket = bucket

    def open(self, key: str, description: Description) -> str:
        return secrets.token_hex(8)

    def send(self, key: str, native: str, window: int, data: Data) -> _SendingBlock:
        file, length = _file(data)
        block = self._bucket.blob(key).stage_block(_block_id(native, window), file, length)
        return _SendingBlock(key, self._bucket.start(block))

    def stored(self, key: str, native: str, after: int = -1) -> list[Part]:
        """Raises Missing once the blob is there: then there is nothing left to be placed."""
        try:
            committed, uncommitted = self._bucket.run(
                "get_block_list", key, self._bucket.blob(key).get_block_list, "all"
            )
        except Missing:
            # Azure knows nothing of a blob without a block.
            return []
        if committed or self._bucket.head(key) is not None:
            raise Missing(key)
        parts = (_part(native, block) for block in uncommitted)
        mine = (part for part in parts if part is not None and part.window > after)
        return sorted(mine, key=lambda part: part.window)

    def ask(self, key: str, native: str, after: int = -1) -> Callable[[], list[Part]]:
        return partial(self.stored, key, native, after)

    def join(self, key: str, native: str, parts: Sequence[Part], description: Description) -> None:
        blocks = [BlobBlock(_block_id(native, part.window)) for part in parts if part.size]
        condition = {"if_none_match": "*"} if description.exclusive else {}
        commit = partial(
            self._bucket.blob(key).commit_block_list, blocks, **described(description), **condition
        )
        try:
            self._bucket.run("put_block_list", key, commit)
        except Taken:
            raise Occupied(key) from None

    def abandon(self, key: str, native: str) -> None:
        """Nobody can end blocks before their seven days; they are not seen meanwhile."""

    def unfinished(self, prefix: str) -> list[Unfinished]:
        return []


class _SendingBlock:
    """One block under way."""

    def __init__(self, key: str, future: Any) -> None:
        self._key = key
        self._future = future

    def result(self) -> None:
        with translated("put_block", self._key):
            self._future.result()


def _block_id(native: str, window: int) -> str:
    """All ids of a blob have the same length."""
    return f"{native}{window:08d}"


def _part(native: str, block: Any) -> Part | None:
    id = block.id if isinstance(block.id, str) else base64.b64decode(block.id).decode()
    if not id.startswith(native):
        return None
    return Part(int(id.removeprefix(native)), block.size, "")


def _file(data: Data | IO[bytes]) -> tuple[IO[bytes], int]:
    """The bytes as a file, which aiohttp wants of large ones, and how many there are."""
    file = io.BytesIO(data) if isinstance(data, bytes) else data
    length = file.seek(0, io.SEEK_END)
    file.seek(0)
    return file, length


def described(description: Description | None) -> dict[str, Any]:
    """What an object carries, in Azure's words: names of metadata have no hyphens there."""
    if description is None:
        return {}
    told = {
        "content_settings": ContentSettings(
            content_type=description.content_type, cache_control=description.cache_control
        ),
        "metadata": {name.replace("-", "_"): value for name, value in description.metadata.items()},
        "standard_blob_tier": description.storage_class,
    }
    return {name: value for name, value in told.items() if value is not None}


@contextmanager
def translated(operation: str, key: str) -> Iterator[None]:
    """Raises Missing, Taken or Unavailable for whatever a call raised."""
    try:
        yield
    except (UploadError, Missing, Taken, Occupied):
        raise
    except ResourceNotFoundError as error:
        if "ContainerNotFound" in str(error):
            raise _misconfigured(operation, key, "there is no such container") from error
        raise Missing(key) from error
    except (ResourceExistsError, ResourceModifiedError) as error:
        raise Taken(key) from error
    except ClientAuthenticationError as error:
        raise _misconfigured(operation, key, "the credentials are not accepted") from error
    except HttpResponseError as error:
        if "InvalidBlockList" in str(error):
            raise Missing(key) from error
        if error.status_code == 403:
            raise _misconfigured(operation, key, "no permission for this") from error
        raise _trouble(operation, key, error) from error
    except (AzureError, OSError, TimeoutError) as error:
        raise _trouble(operation, key, error) from error


def _misconfigured(operation: str, key: str, trouble: str) -> Unavailable:
    _log.error("storage container %s, %s: %s", key.partition("/")[0], operation, trouble)
    return Unavailable(
        f"The storage cannot be used: {trouble}.", code="storage-misconfigured", retry_after=30
    )


def _trouble(operation: str, key: str, error: Exception) -> Unavailable:
    _log.warning("storage container %s, %s failed: %s", key.partition("/")[0], operation, error)
    return Unavailable("The storage does not answer as it should. Try again.")
