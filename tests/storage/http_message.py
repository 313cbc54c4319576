"""HTTP/1.1 messages as they pass: where a head ends, and how far a body goes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

PIECE = 64 * 1024
Sink = Callable[[bytes], Awaitable[None]]


@dataclass(frozen=True)
class Head:
    """A request's or an answer's head; field names are in lower case."""

    start: str
    fields: Mapping[str, str]
    raw: bytes

    @property
    def status(self) -> int:
        return int(self.start.split(" ", 2)[1])

    @property
    def keeps_open(self) -> bool:
        told = self.fields.get("connection", "").lower()
        return "HTTP/1.1" in self.start and told != "close" and self.length != -1

    @property
    def length(self) -> int | None:
        """Bytes of the body; `None` when it comes in chunks, -1 when the head does not say."""
        if self.fields.get("transfer-encoding", "").lower() == "chunked":
            return None
        if self.start.startswith("HTTP/"):
            empty = self.status == 204 or self.status == 304
            return 0 if empty else int(self.fields.get("content-length", -1))
        return int(self.fields.get("content-length", 0))


async def discard(piece: bytes) -> None:
    """A sink for what nobody shall see."""


async def read_head(reader: asyncio.StreamReader) -> Head | None:
    """The next head, or `None` when the peer has ended the connection properly."""
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    start, *lines = raw.decode("latin-1").rstrip().split("\r\n")
    fields = {}
    for line in lines:
        name, _, value = line.partition(":")
        fields[name.strip().lower()] = value.strip()
    return Head(start, fields, raw)


async def read_answer_head(reader: asyncio.StreamReader, preliminary: Sink) -> Head:
    """The final answer's head; those before it, such as 100 Continue, go to `preliminary`.

    Raises `ConnectionResetError` when the server ends without an answer.
    """
    while head := await read_head(reader):
        if not 100 <= head.status < 200:
            return head
        await preliminary(head.raw)
    raise ConnectionResetError("the server ended the connection without an answer")


async def copy_body(
    head: Head, reader: asyncio.StreamReader, sink: Sink, request: Head | None = None
) -> None:
    """Copies exactly the body that belongs to `head`; `request` is the one that it answers.

    Raises `asyncio.IncompleteReadError` when the body breaks off.
    """
    if request is not None and request.start.startswith("HEAD "):
        return
    if head.length is None:
        await _copy_chunks(reader, sink)
    elif head.length < 0:
        while piece := await reader.read(PIECE):
            await sink(piece)
    else:
        await _copy(head.length, reader, sink)


async def _copy(count: int, reader: asyncio.StreamReader, sink: Sink) -> None:
    while count:
        piece = await reader.read(min(count, PIECE))
        if not piece:
            raise asyncio.IncompleteReadError(b"", count)
        await sink(piece)
        count -= len(piece)


async def _copy_chunks(reader: asyncio.StreamReader, sink: Sink) -> None:
    size = -1
    while size:
        line = await reader.readuntil(b"\r\n")
        await sink(line)
        size = int(line.split(b";")[0], 16)
        if size:
            await _copy(size + 2, reader, sink)
    line = b""
    while line != b"\r\n":
        line = await reader.readuntil(b"\r\n")
        await sink(line)
