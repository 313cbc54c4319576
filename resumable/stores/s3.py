"""Objects of S3, R2 and everything that speaks S3, by single requests through s3fs."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import IO, Any

from resumable.errors import Unavailable
from resumable.host_lock import one_at_a_time
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
from resumable.stores.s3_errors import Taken, is_denied, translated
from resumable.stores.s3_parts import S3Joiner, S3Parts
from resumable.stores.s3_words import PAGE, body_of, described, tag_of

# How often an object is asked for whose bytes do not arrive to the end.
_READS = 3


class S3Bucket:
    """Objects of S3 buckets. `probe` is a key prefix that `check` may write below."""

    knows_crc32c = False

    def __init__(self, filesystem: Filesystem, probe: str) -> None:
        self._filesystem = filesystem
        self._probe = probe
        self._probed: tuple[bool, bool] | None = None
        self._joiner = S3Joiner(self, probe)

    def call(self, operation: str, key: str, /, **parameters: Any) -> Any:
        """One request; raises Missing, Taken, Unavailable or NoRoom, whatever s3fs makes of it."""
        bucket, _, name = key.partition("/")
        named = {"Key": name} if name else {}
        with translated(operation, key):
            answer = self._filesystem.run(
                self._ask, operation, Bucket=bucket, **named, **parameters
            )
            if answer is None:
                # A call that dies by cancellation is handed out like this.
                raise Unavailable("The storage did not answer.")
            return answer

    async def _ask(self, operation: str, **parameters: Any) -> Any:
        """One request, repeated by botocore alone.

        s3fs repeats as well, but with a body that stands where the last try left it: an empty
        part, and 200.
        """
        fs = self._filesystem.fs
        await fs.set_session()
        method = getattr(await fs.get_s3(parameters["Bucket"]), operation)
        return await method(**fs._get_s3_method_kwargs(method, **parameters))

    # ------------------------------------------------------------ what it can

    @property
    def conditions(self) -> bool:
        return self._known()[0]

    @property
    def tags_are_md5(self) -> bool:
        return self._known()[1]

    def _known(self) -> tuple[bool, bool]:
        """Probed once in each process: some servers answer 200 and ignore a condition."""
        if self._probed is None:
            key, data = f"{self._probe}{secrets.token_hex(8)}", secrets.token_bytes(16)
            try:
                answer = self._put(key, data, {})
                tag = hashlib.md5(data, usedforsecurity=False).hexdigest()
                self._probed = (self._is_refused(key), tag_of(answer) == tag)
            finally:
                self.delete([key])
        return self._probed

    def _is_refused(self, key: str) -> bool:
        try:
            self._put(key, b"again", {"IfNoneMatch": "*"})
        except Taken:
            return True
        return False

    def check(self) -> list[str]:
        self._probed = None
        conditions, tags = self._known()
        key = f"{self._probe}{secrets.token_hex(8)}"
        warnings = []
        self.put(key, b"x")
        if [one.size for one in self.listed(self._probe) if one.key == key] != [1]:
            warnings.append("A listing does not show what has just been written.")
        if self.get(key) != b"x":
            warnings.append("What has been written is read back differently.")
        self.delete([key])
        self._check_parts(key)
        if not conditions:
            warnings.append(
                "This storage ignores If-None-Match. Uploads are safe, but each is put together "
                "at its end through this server, and two hosts must not begin or end one at once."
            )
        if not tags:
            warnings.append(
                "ETags are not MD5 here (encryption?): a repeated chunk of other bytes is not "
                "noticed."
            )
        return warnings

    def _check_parts(self, key: str) -> None:
        """A sweep needs the listing of them, long after the first upload."""
        parts = S3Parts(self)
        native = parts.open(key, Description("application/octet-stream", {}))
        parts.stored(key, native)
        parts.abandon(key, native)
        parts.unfinished(self._probe)

    # ------------------------------------------------------------ objects

    def put(
        self,
        key: str,
        data: Data | IO[bytes],
        *,
        if_absent: bool = False,
        description: Description | None = None,
    ) -> bool:
        exclusive = if_absent or (description is not None and description.exclusive)
        if exclusive and not self.conditions:
            return self._put_if_absent(key, data, description)
        condition = {"IfNoneMatch": "*"} if exclusive else {}
        try:
            self._put(key, data, {**condition, **described(description)})
        except Taken:
            if description is not None and description.exclusive:
                raise Occupied(key) from None
            return False
        return True

    def _put_if_absent(
        self, key: str, data: Data | IO[bytes], description: Description | None
    ) -> bool:
        """On a server that ignores conditions: sure on this host, likely between hosts."""
        with one_at_a_time(key):
            if self.head(key) is not None:
                return False
            self._put(key, data, described(description))
            return True

    def _put(self, key: str, data: Data | IO[bytes], parameters: Mapping[str, Any]) -> Any:
        body, length = body_of(data)
        return self.call("put_object", key, Body=body, ContentLength=length, **parameters)

    def get(self, key: str, start: int = 0, end: int | None = None) -> bytes:
        if end is not None and end <= start:
            return b""
        with translated("get_object", key):
            return self._filesystem.run(self._read, key, start, end)

    async def _read(self, key: str, start: int = 0, end: int | None = None) -> bytes:
        """s3fs's own reading asks for the size first.

        botocore repeats what brings no answer; an answer that breaks off is repeated here.
        """
        whole = start == 0 and end is None
        ranged = {} if whole else {"Range": f"bytes={start}-{'' if end is None else end - 1}"}
        for tries_left in reversed(range(_READS)):
            answer = await self._look("get_object", key, **ranged)
            async with answer["Body"] as body:
                try:
                    data: bytes = await body.read()
                except Exception:
                    if not tries_left:
                        raise
                else:
                    return data
        raise AssertionError("the last try returns or raises")

    async def _look(self, operation: str, key: str, **parameters: Any) -> Any:
        """A request for an object. Raises Missing also where a 403 is all that tells it.

        Who may list only one prefix is not told that an object is missing, for the question names
        no prefix.
        """
        bucket, _, name = key.partition("/")
        try:
            return await self._ask(operation, Bucket=bucket, Key=name, **parameters)
        except Exception as error:
            if not is_denied(error):
                raise
            # What is called so comes before all that only begins so.
            page = await self._ask("list_objects_v2", Bucket=bucket, Prefix=name, MaxKeys=1)
            if any(one["Key"] == name for one in page.get("Contents", ())):
                raise
            raise Missing(key) from None

    def get_all(self, keys: Collection[str]) -> dict[str, bytes]:
        results = self._filesystem.run_all([partial(self._read, key) for key in keys])
        found: dict[str, bytes] = {}
        for key, result in zip(keys, results, strict=True):
            try:
                with translated("get_object", key):
                    if isinstance(result, BaseException):
                        raise result
                    found[key] = result
            except Missing:
                continue
        return found

    def head(self, key: str) -> Found | None:
        try:
            with translated("head_object", key):
                answer = self._filesystem.run(self._look, "head_object", key)
        except Missing:
            return None
        # Some servers give the names back in other letters.
        told = {name.lower(): value for name, value in answer.get("Metadata", {}).items()}
        return Found(answer["ContentLength"], told)

    def listed(self, prefix: str) -> list[Stored]:
        bucket = prefix.partition("/")[0]
        return [
            Stored(
                f"{bucket}/{one['Key']}",
                one["Size"],
                one["LastModified"].timestamp(),
                one["ETag"] + str(one["LastModified"].timestamp()),
            )
            for page in self._pages(prefix)
            for one in page.get("Contents", ())
        ]

    def folders(self, prefix: str) -> list[str]:
        return [
            one["Prefix"].rstrip("/").rpartition("/")[2]
            for page in self._pages(prefix, Delimiter="/")
            for one in page.get("CommonPrefixes", ())
        ]

    def _pages(self, prefix: str, **more: Any) -> Iterator[Any]:
        bucket, _, name = prefix.partition("/")
        while True:
            page = self.call("list_objects_v2", bucket, Prefix=name, MaxKeys=PAGE, **more)
            yield page
            if not page.get("IsTruncated"):
                return
            more["ContinuationToken"] = page["NextContinuationToken"]

    def delete(self, keys: Collection[str]) -> None:
        by_bucket: dict[str, list[str]] = {}
        for key in keys:
            bucket, _, name = key.partition("/")
            by_bucket.setdefault(bucket, []).append(name)
        for bucket, names in by_bucket.items():
            for at in range(0, len(names), PAGE):
                self._delete(bucket, names[at : at + PAGE])

    def _delete(self, bucket: str, names: list[str]) -> None:
        if len(names) == 1:
            self.call("delete_object", f"{bucket}/{names[0]}")
            return
        asked = {"Objects": [{"Key": name} for name in names], "Quiet": True}
        answer = self.call("delete_objects", bucket, Delete=asked)
        if answer.get("Errors"):
            first = answer["Errors"][0]
            raise Unavailable(f"The storage did not delete an object: {first.get('Code')}.")

    def join(self, pieces: Sequence[Piece], key: str, description: Description) -> None:
        self._joiner.join(pieces, key, description)

    def url(self, key: str, expires: int, content_type: str, disposition: str) -> str | None:
        with translated("presign", key):
            signed: str = self._filesystem.run(
                self._filesystem.fs._url,
                key,
                expires=expires,
                ResponseContentType=content_type,
                ResponseContentDisposition=disposition,
            )
            return signed

    def start(self, operation: str, key: str, **parameters: Any) -> Any:
        """A request in the background: its future."""
        bucket, _, name = key.partition("/")
        with translated(operation, key):
            return self._filesystem.start(
                self._ask(operation, Bucket=bucket, Key=name, **parameters)
            )

    def close(self) -> None:
        self._filesystem.close()
