"""The chunk protocol, from the client's side: ranges of one file in any order."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, urljoin

from resumable.client.errors import ClientError, Forgotten, Refused
from resumable.client.lines import Done, Gap, Sizes, Track
from resumable.client.model import Wish
from resumable.client.transport import Answer, Transport


class ChunkLine:
    """The routes below `base`, as `configuration` (`GET /upload-config`) describes them."""

    protocol = "chunks"

    def __init__(self, transport: Transport, base: str, configuration: dict[str, Any]) -> None:
        self._transport = transport
        self.base = base
        self.sizes = Sizes(
            wished=configuration["chunkSize"],
            part=configuration.get("partSize") or 1,
            most=configuration.get("maxChunkSize"),
            most_in_all=configuration.get("maxSize"),
        )

    def begin(self, wish: Wish, length: int | None, parts: int) -> ChunkJourney:
        state = {"id": "upload_" + secrets.token_urlsafe(24)}
        return ChunkJourney(self._transport, self.base, state, wish, length, parts)

    def go_on(
        self, state: dict[str, Any], wish: Wish, length: int | None, parts: int
    ) -> ChunkJourney:
        return ChunkJourney(self._transport, self.base, state, wish, length, parts)


def find_chunks(transport: Transport) -> ChunkLine | None:
    """The chunk protocol at the endpoint, where that is its root or one of its routes."""
    base = transport.endpoint.rstrip("/") + "/"
    try:
        answer = transport.ask("GET", urljoin(base, "upload-config"), follow=True)
    except (Forgotten, Refused):
        return None
    configuration = answer.json()
    if not isinstance(configuration.get("chunkSize"), int):
        return None
    return ChunkLine(transport, urljoin(answer.url, "."), configuration)


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
    ) -> None:
        self._transport = transport
        self._base = base
        self._wish = wish
        self._length = length
        self._parts = parts
        self.state = state

    def tracks(self) -> list[Track]:
        """One, whose gaps any number of requests may fill."""
        return [Track(0, self._missing(), self._parts)]

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
        return end

    def arrived(self, track: Track, start: int, end: int) -> int:
        for missing, until in self._missing():
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
        answer = self._ask("POST", "finalize-upload", content=json.dumps(wish).encode())
        told = answer.json()
        return Done(urljoin(self._base, str(told.get("url", ""))), told)

    def cancel(self) -> None:
        self._ask("DELETE", f"upload-status/{quote(self.state['id'], safe='')}")

    def _missing(self) -> list[Gap]:
        """What lacks; all of it when the server has never heard of the id."""
        try:
            told = self._ask("GET", f"upload-status/{quote(self.state['id'], safe='')}").json()
        except Forgotten:
            return [] if self._length == 0 else [(0, self._length)]
        gaps = [(int(start), end) for start, end in told.get("missing", ())]
        if self._length is None or (told.get("isComplete") and told.get("path")):
            return gaps
        return [(start, self._length if end is None else end) for start, end in gaps]

    def _ask(self, method: str, route: str, **more: Any) -> Answer:
        return self._transport.ask(method, urljoin(self._base, route), **more)


def list_recordings(transport: Transport) -> list[dict[str, Any]]:
    """The caller's finished files, addresses whole, where the app lists them."""
    line = find_chunks(transport)
    if line is None:
        raise ClientError(f"{transport.endpoint} does not speak the chunk protocol.")
    try:
        answer = transport.ask("GET", urljoin(line.base, "recordings"))
    except Forgotten:
        raise ClientError("The app there does not list its files.") from None
    listed = answer.json().get("recordings", ())
    return [{**one, "url": urljoin(answer.url, str(one.get("url", "")))} for one in listed]
