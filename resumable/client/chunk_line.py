"""The chunk protocol, from the client's side: ranges of one file in any order."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from resumable.client.errors import ClientError, Forgotten, Refused
from resumable.client.lines import Done, Gap, Sizes, Track
from resumable.client.model import Wish
from resumable.client.transport import Answer, Transport, shown

_SIZES = ("chunkSize", "partSize", "maxChunkSize", "maxSize")
_CHECKSUMS = ("sha256", "crc32c")
_LOST = ("missing-bytes", "missing-chunk")


class ChunkLine:
    """The routes below `base`, as `configuration` (`GET /upload-config`) describes them."""

    protocol = "chunks"
    fixes_wishes = False

    def __init__(self, transport: Transport, base: str, configuration: dict[str, Any]) -> None:
        self._transport = transport
        self.base = base
        said = {name: _size(configuration, name) for name in _SIZES}
        self.sizes = Sizes(
            wished=said["chunkSize"] or 1,
            part=said["partSize"] or 1,
            most=said["maxChunkSize"],
            most_in_all=said["maxSize"],
        )

    def look(self, url: str) -> None:
        self._transport.ask("HEAD", url)

    def begin(self, wish: Wish, length: int | None, parts: int) -> ChunkJourney:
        _check(wish)
        state = {"id": "upload_" + secrets.token_urlsafe(24)}
        return ChunkJourney(self._transport, self.base, state, wish, length, parts, known=False)

    def go_on(
        self, state: dict[str, Any], wish: Wish, length: int | None, parts: int
    ) -> ChunkJourney:
        _check(wish)
        return ChunkJourney(self._transport, self.base, state, wish, length, parts, known=True)


def find_chunks(transport: Transport) -> ChunkLine | None:
    """The chunk protocol at the endpoint, where that is its root or one of its routes."""
    parts = urlsplit(transport.endpoint)
    base = parts._replace(path=parts.path.rstrip("/") + "/").geturl()
    try:
        answer = transport.ask("GET", _place(base, "upload-config"), follow=True)
    except Forgotten:
        return None
    configuration = answer.json()
    if "chunkSize" not in configuration:
        return None
    return ChunkLine(transport, answer.url, configuration)


def _size(configuration: dict[str, Any], name: str) -> int | None:
    size = configuration.get(name)
    if size is not None and (type(size) is not int or size < 1):
        raise Refused(f"The server says {size!r} of its {name}, which is no size.")
    return size


def _check(wish: Wish) -> None:
    if wish.checksum not in (None, *_CHECKSUMS):
        raise Refused(f"The chunk protocol checks {' and '.join(_CHECKSUMS)}, not {wish.checksum}.")


def _place(base: str, route: str) -> str:
    """The route below the folder of `base`, with what `base` asks for (a key, perhaps)."""
    return urlsplit(urljoin(base, route))._replace(query=urlsplit(base).query).geturl()


class ChunkJourney:
    """One upload by an id of ours."""

    def __init__(
        self,
        transport: Transport,
        base: str,
        state: dict[str, Any],
        wish: Wish,
        length: int | None,
        parts: int,
        known: bool,
    ) -> None:
        self._transport = transport
        self._base = base
        self._wish = wish
        self._length = length
        self._parts = parts
        self._known = known
        self.state = state

    def create(self) -> None:
        """Its first chunk makes it."""

    def tracks(self) -> list[Track]:
        """One, whose gaps any number of requests may fill."""
        gaps = self._missing() if self._known else self._all
        return [Track(0, gaps, self._parts)]

    def send(
        self, track: Track, start: int, end: int, blocks: Iterable[bytes], digest: bytes | None
    ) -> int:
        total = "*" if self._length is None else self._length
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(end - start),
            "Content-Range": f"bytes {start}-{end - 1}/{total}",
            "X-Upload-Id": self.state["id"],
        }
        if digest is not None:
            headers["X-Chunk-Digest"] = f"{self._wish.checksum}:{digest.hex()}"
        self._ask("PUT", "upload-chunk", headers=headers, content=blocks)
        self._known = True
        return end

    def arrived(self, track: Track, start: int, end: int) -> int:
        try:
            gaps = self._missing()
        except Forgotten:
            if self._known:
                raise
            # Nothing of it has come so far as to make it.
            return start
        self._known = True
        for missing, until in gaps:
            if until is None or until > start:
                return min(max(missing, start), end)
        return end

    def finish(self, length: int) -> Done:
        wish = {
            "uploadId": self.state["id"],
            "filename": self._wish.filename,
            "totalSize": length,
            "metadata": dict(self._wish.metadata),
            "options": dict(self._wish.options),
        }
        if length == 0:
            # No chunk has said yet that there is such an upload.
            empty = {"X-Upload-Id": self.state["id"], "X-Byte-Offset": "0", "X-Total-Size": "0"}
            self._ask("PUT", "upload-chunk", headers=empty, content=b"")
        try:
            answer = self._ask("POST", "finalize-upload", content=json.dumps(wish).encode())
        except Refused as error:
            # All of it was acknowledged; only an upload that was lost in between lacks something.
            if error.code in _LOST:
                raise Forgotten(error.sentence) from None
            raise
        told = answer.json()
        return Done(urljoin(self._base, str(told.get("url", ""))), told)

    def cancel(self) -> None:
        self._ask("DELETE", f"upload-status/{quote(self.state['id'], safe='')}")

    def _missing(self) -> list[Gap]:
        told = self._ask("GET", f"upload-status/{quote(self.state['id'], safe='')}").json()
        gaps = [(int(start), end) for start, end in told.get("missing", ())]
        if self._length is None or (told.get("isComplete") and told.get("path")):
            return gaps
        return [(start, self._length if end is None else end) for start, end in gaps]

    @property
    def _all(self) -> list[Gap]:
        return [] if self._length == 0 else [(0, self._length)]

    def _ask(self, method: str, route: str, **more: Any) -> Answer:
        return self._transport.ask(method, _place(self._base, route), **more)


def list_recordings(transport: Transport) -> list[dict[str, Any]]:
    """The caller's finished files, addresses whole, where the app lists them."""
    line = find_chunks(transport)
    if line is None:
        raise ClientError(f"{shown(transport.endpoint)} does not speak the chunk protocol.")
    try:
        answer = transport.ask("GET", _place(line.base, "recordings"))
    except Forgotten:
        raise ClientError("The app there does not list its files.") from None
    listed = answer.json().get("recordings", ())
    return [{**one, "url": urljoin(answer.url, str(one.get("url", "")))} for one in listed]
