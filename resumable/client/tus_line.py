"""tus 1.0.0, from the client's side: bytes in order, over several partial uploads where wished."""

from __future__ import annotations

import base64
import mimetypes
from collections.abc import Iterable, Mapping
from typing import Any

from resumable.client.errors import Forgotten, Refused, Trouble
from resumable.client.lines import Done, Sizes, Track
from resumable.client.model import MIB, Wish
from resumable.client.pace import DEFAULT_CHUNK
from resumable.client.transport import Answer, Transport

_VERSION = {"Tus-Resumable": "1.0.0"}
# Less is not worth a connection of its own.
_LEAST_PART = 1 * MIB


class TusLine:
    """A tus server whose endpoint answered OPTIONS with `offer`."""

    protocol = "tus"
    fixes_wishes = True

    def __init__(self, transport: Transport, offer: Answer) -> None:
        self._transport = transport
        self._endpoint = offer.url
        self._extensions = frozenset(offer.list("Tus-Extension"))
        self._checksums = frozenset(offer.list("Tus-Checksum-Algorithm"))
        most = offer.headers.get("Tus-Max-Size", "")
        self.sizes = Sizes(wished=DEFAULT_CHUNK, most_in_all=int(most) if most.isdigit() else None)

    def look(self, url: str) -> None:
        self._transport.ask("HEAD", url, headers=_VERSION)

    def begin(self, wish: Wish, length: int | None, parts: int) -> TusJourney:
        self._check(wish, length)
        if length is None or "concatenation" not in self._extensions:
            parts = 1
        state: dict[str, Any] = {"tracks": []}
        return TusJourney(self._transport, self._endpoint, state, wish, length, parts)

    def go_on(
        self, state: dict[str, Any], wish: Wish, length: int | None, parts: int
    ) -> TusJourney:
        self._check(wish, length)
        return TusJourney(self._transport, self._endpoint, state, wish, length, 0)

    def _check(self, wish: Wish, length: int | None) -> None:
        if "creation" not in self._extensions:
            raise Refused(f"{self._endpoint} lets nobody create uploads (no creation extension).")
        if length is None and "creation-defer-length" not in self._extensions:
            raise Refused(
                "The server must know the length beforehand (it has no creation-defer-length): "
                "write the stream to a file first."
            )
        if wish.options:
            raise Refused("tus knows no options of processing: use the chunk protocol for them.")
        if wish.checksum is not None and wish.checksum not in self._checksums:
            offered = ", ".join(sorted(self._checksums)) or "none"
            raise Refused(f"The server does not check {wish.checksum}; it offers {offered}.")


def find_tus(transport: Transport) -> TusLine | None:
    """tus at the endpoint, where it answers OPTIONS as a tus server does."""
    try:
        offer = transport.ask("OPTIONS", transport.endpoint, follow=True)
    except Forgotten:
        return None
    versions = (*offer.list("Tus-Version"), *offer.list("Tus-Resumable"))
    return TusLine(transport, offer) if "1.0.0" in versions else None


class TusJourney:
    """One upload, or the partial ones that will become it. Its state holds their addresses."""

    def __init__(
        self,
        transport: Transport,
        endpoint: str,
        state: dict[str, Any],
        wish: Wish,
        length: int | None,
        parts: int,
    ) -> None:
        self._transport = transport
        self._endpoint = endpoint
        self._wish = wish
        self._length = length
        self._parts = parts and max(1, min(parts, (length or 0) // _LEAST_PART))
        self.state = state

    def create(self) -> None:
        """The upload, or partial ones of about the same size."""
        if self._parts and self._length is None:
            self._add(0, None, {"Upload-Defer-Length": "1", **self._metadata()})
            return
        made = len(self.state["tracks"])
        for number in range(made, self._parts):
            start, end = self._border(number), self._border(number + 1)
            partial = {"Upload-Concat": "partial"} if self._parts > 1 else self._metadata()
            self._add(start, end, {"Upload-Length": str(end - start), **partial})

    def _border(self, number: int) -> int:
        return (self._length or 0) * number // self._parts

    def tracks(self) -> list[Track]:
        found = []
        for number, track in enumerate(self.state["tracks"]):
            at = track["start"] + self._offset(track["url"])
            rest = [] if track["end"] is not None and at >= track["end"] else [(at, track["end"])]
            found.append(Track(number, rest, 1))
        return found

    def send(
        self, track: Track, start: int, end: int, blocks: Iterable[bytes], digest: bytes | None
    ) -> int:
        there = self.state["tracks"][track.number]
        headers = {
            "Content-Type": "application/offset+octet-stream",
            "Content-Length": str(end - start),
            "Upload-Offset": str(start - there["start"]),
        }
        if digest is not None:
            told = base64.b64encode(digest).decode()
            headers["Upload-Checksum"] = f"{self._wish.checksum} {told}"
        if self._is_partial:
            # Servers have been seen that ask for it again, as tus-js-client does it.
            headers["Upload-Concat"] = "partial"
        answer = self._ask("PATCH", there["url"], headers, blocks)
        if "Upload-Offset" not in answer.headers:
            return self.arrived(track, start, end)
        return int(there["start"] + answer.number("Upload-Offset"))

    def arrived(self, track: Track, start: int, end: int) -> int:
        there = self.state["tracks"][track.number]
        at = int(there["start"]) + self._offset(there["url"])
        if at < start:
            raise Forgotten(f"The server lost bytes: {start:,} were there, now {at:,} are.")
        return min(at, end)

    def finish(self, length: int) -> Done:
        if self._is_partial:
            return Done(self._concatenate())
        (track,) = self.state["tracks"]
        if self._length is None:
            self._say(track["url"], length)
        return Done(str(track["url"]))

    def cancel(self) -> None:
        for track in self.state["tracks"]:
            try:
                self._ask("DELETE", track["url"])
            except Forgotten:
                continue

    @property
    def _is_partial(self) -> bool:
        return len(self.state["tracks"]) > 1

    def _add(self, start: int, end: int | None, headers: Mapping[str, str]) -> None:
        url = self._post(headers)
        self.state["tracks"].append({"url": url, "start": start, "end": end})

    def _concatenate(self) -> str:
        urls = " ".join(track["url"] for track in self.state["tracks"])
        return self._post({"Upload-Concat": f"final;{urls}", **self._metadata()})

    def _post(self, headers: Mapping[str, str]) -> str:
        answer = self._ask("POST", self._endpoint, {"Content-Length": "0", **headers})
        location = answer.headers.get("Location")
        if not location:
            raise Refused("The server's answer to the creation has no Location.")
        return self._transport.place(location, self._endpoint)

    def _say(self, url: str, length: int) -> None:
        """The length that nobody knew; an upload whose length is known already is as good."""
        headers = {
            "Content-Type": "application/offset+octet-stream",
            "Content-Length": "0",
            "Upload-Offset": str(length),
            "Upload-Length": str(length),
        }
        try:
            self._ask("PATCH", url, headers)
        except (Trouble, Refused):
            head = self._ask("HEAD", url)
            if head.headers.get("Upload-Length") != str(length):
                raise

    def _offset(self, url: str) -> int:
        return self._ask("HEAD", url).number("Upload-Offset")

    def _metadata(self) -> dict[str, str]:
        name = self._wish.filename
        # Uppy says both, and there are servers that rely on it.
        believed = mimetypes.guess_type(name)[0] or "application/octet-stream"
        pairs = {"filename": name, "filetype": believed, **self._wish.metadata}
        words = [
            f"{key} {base64.b64encode(value.encode('utf-8', 'replace')).decode()}"
            for key, value in pairs.items()
        ]
        return {"Upload-Metadata": ",".join(words)}

    def _ask(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        content: Iterable[bytes] | None = None,
    ) -> Answer:
        told = {**_VERSION, **(headers or {})}
        return self._transport.ask(method, url, headers=told, content=content)
