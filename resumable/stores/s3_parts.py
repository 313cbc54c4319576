"""Parts of S3's multipart uploads, and large objects that are joined by copying them."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

from resumable.errors import Unavailable
from resumable.model import MIB
from resumable.stores.objects.bucket import (
    Data,
    Description,
    Missing,
    Occupied,
    Part,
    Piece,
    Rejected,
    Sending,
    Unfinished,
    windows_of,
)
from resumable.stores.s3_errors import Taken, is_about_parts, is_unknown, translated
from resumable.stores.s3_words import PAGE, body_of, described, tag_of

_JOINED_PART = 16 * MIB
_JOINED_PARTS = 9000
_JOINED_AT_ONCE = 8


class S3Calls(Protocol):
    """The requests that parts are made of; see `S3Bucket`."""

    @property
    def tags_are_md5(self) -> bool: ...

    def call(self, operation: str, key: str, /, **parameters: Any) -> Any: ...

    def start(self, operation: str, key: str, **parameters: Any) -> Any: ...

    def get(self, key: str, start: int = 0, end: int | None = None) -> bytes: ...

    def put(self, key: str, data: Data) -> bool: ...

    def delete(self, keys: Collection[str]) -> None: ...


class S3Joiner:
    """Large pieces become one object: copied by the storage, or through here where it must be."""

    def __init__(self, calls: S3Calls, probe: str) -> None:
        self._calls = calls
        self._parts = S3Parts(calls)
        self._probe = probe
        self._copied: bool | None = None

    def join(self, pieces: Sequence[Piece], key: str, description: Description) -> None:
        """What crosses a part's border passes through here, and all where nothing is copied."""
        parts = self._parts
        native = parts.open(key, description)
        length = sum(piece.end - piece.start for piece in pieces)
        size = max(_JOINED_PART, -(-length // _JOINED_PARTS))
        try:
            sent = deque[Sending]()
            for window, inside in enumerate(windows_of(pieces, size)):
                if len(sent) == _JOINED_AT_ONCE:
                    sent.popleft().result()
                sent.append(self._send_window(key, native, window, inside))
            for sending in sent:
                sending.result()
            parts.join(key, native, parts.stored(key, native), description)
        except BaseException:
            parts.abandon(key, native)
            raise

    def _send_window(self, key: str, native: str, window: int, pieces: Sequence[Piece]) -> Sending:
        if len(pieces) == 1 and self._copies():
            return self._parts.copy(key, native, window, pieces[0])
        data = b"".join(self._calls.get(piece.key, piece.start, piece.end) for piece in pieces)
        sending = self._parts.send(key, native, window, data)
        sending.result()
        return sending

    def _copies(self) -> bool:
        """Tried once in each process and beside all uploads.

        Some servers take the request for a part without bytes, which then cannot be replaced.
        """
        if self._copied is None:
            source, target = (f"{self._probe}{secrets.token_hex(8)}" for _ in range(2))
            self._calls.put(source, b"x")
            try:
                native = self._parts.open(target, Description("application/octet-stream", {}))
                try:
                    self._copied = self._is_copied(source, target, native)
                finally:
                    self._parts.abandon(target, native)
            finally:
                self._calls.delete([source])
        return self._copied

    def _is_copied(self, source: str, target: str, native: str) -> bool:
        # No range: one is for sources of more than 5 MiB only.
        bucket, _, name = source.partition("/")
        asked = {"UploadId": native, "CopySource": {"Bucket": bucket, "Key": name}}
        try:
            answer = self._calls.call("upload_part_copy", target, PartNumber=1, **asked)
        except Unavailable as error:
            if is_unknown(error):
                return False
            raise
        return bool(answer.get("CopyPartResult", {}).get("ETag"))


class S3Parts:
    """Multipart uploads; part numbers begin at 1."""

    most = 10_000
    refuses_late = True

    def __init__(self, calls: S3Calls) -> None:
        self._calls = calls

    @property
    def tags_are_md5(self) -> bool:
        return self._calls.tags_are_md5

    def open(self, key: str, description: Description) -> str:
        answer = self._calls.call("create_multipart_upload", key, **described(description))
        return str(answer["UploadId"])

    def send(self, key: str, native: str, window: int, data: Data) -> _SendingPart:
        body, length = body_of(data)
        future = self._calls.start(
            "upload_part",
            key,
            UploadId=native,
            PartNumber=window + 1,
            Body=body,
            ContentLength=length,
        )
        return _SendingPart(self, key, native, future)

    def copy(self, key: str, native: str, window: int, piece: Piece) -> Sending:
        """Place a window out of a stored object, without its bytes."""
        bucket, _, name = piece.key.partition("/")
        future = self._calls.start(
            "upload_part_copy",
            key,
            UploadId=native,
            PartNumber=window + 1,
            CopySource={"Bucket": bucket, "Key": name},
            CopySourceRange=f"bytes={piece.start}-{piece.end - 1}",
        )
        return _CopyingPart(piece.key, future)

    def stored(self, key: str, native: str, after: int = -1) -> list[Part]:
        return self.ask(key, native, after)()

    def ask(self, key: str, native: str, after: int = -1) -> Callable[[], list[Part]]:
        asked = {"UploadId": native, "MaxParts": PAGE}
        first = self._calls.start("list_parts", key, PartNumberMarker=after + 1, **asked)

        def answer() -> list[Part]:
            with translated("list_parts", key):
                page = first.result()
            parts = _parts_in(page)
            while page.get("IsTruncated"):
                marker = page["NextPartNumberMarker"]
                page = self._calls.call("list_parts", key, PartNumberMarker=marker, **asked)
                parts += _parts_in(page)
            return [part for part in parts if part.window > after]

        return answer

    def join(self, key: str, native: str, parts: Sequence[Part], description: Description) -> None:
        listed = [{"PartNumber": part.window + 1, "ETag": f'"{part.tag}"'} for part in parts]
        condition = {"IfNoneMatch": "*"} if description.exclusive else {}
        try:
            self._calls.call(
                "complete_multipart_upload",
                key,
                UploadId=native,
                MultipartUpload={"Parts": listed},
                **condition,
            )
        except Taken:
            raise Occupied(key) from None
        except Unavailable as error:
            if is_about_parts(error):
                raise Rejected(key) from error
            raise

    def abandon(self, key: str, native: str) -> None:
        try:
            self._calls.call("abort_multipart_upload", key, UploadId=native)
        except Missing:
            return

    def unfinished(self, prefix: str) -> list[Unfinished]:
        bucket, _, name = prefix.partition("/")
        found: list[Unfinished] = []
        more: dict[str, Any] = {}
        while True:
            page = self._calls.call("list_multipart_uploads", bucket, Prefix=name, **more)
            for one in page.get("Uploads", ()):
                began = one["Initiated"].timestamp()
                found.append(Unfinished(f"{bucket}/{one['Key']}", one["UploadId"], began))
            if not page.get("IsTruncated"):
                return found
            more = {
                "KeyMarker": page["NextKeyMarker"],
                "UploadIdMarker": page["NextUploadIdMarker"],
            }


class _SendingPart:
    """One part under way."""

    def __init__(self, parts: S3Parts, key: str, native: str, future: Any) -> None:
        self._parts = parts
        self._key = key
        self._native = native
        self._future = future

    def result(self) -> None:
        try:
            with translated("upload_part", self._key):
                answer = self._future.result()
        except Unavailable:
            # Some servers answer 500 for a multipart upload that has ended: this says so.
            self._parts.stored(self._key, self._native)
            raise
        if not answer or not answer.get("ETag"):
            raise Unavailable("The storage did not confirm a part. Send the bytes again.")


class _CopyingPart:
    """One copy under way."""

    def __init__(self, source: str, future: Any) -> None:
        self._source = source
        self._future = future

    def result(self) -> None:
        with translated("upload_part_copy", self._source):
            answer = self._future.result()
        if not answer or not answer.get("CopyPartResult", {}).get("ETag"):
            raise Unavailable("The storage did not confirm a copy. Try again.")


def _parts_in(page: Mapping[str, Any]) -> list[Part]:
    return [
        Part(one["PartNumber"] - 1, one["Size"], tag_of(one), one["LastModified"].timestamp())
        for one in page.get("Parts", ())
    ]
