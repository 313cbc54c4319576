"""What an upload is, as plain values: birth, known bytes, end, and the limits it lives under."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from resumable.extents import Extents

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
DAY = 86_400
GREATEST_LENGTH = 2**63 - 1


class State(StrEnum):
    """The life of an upload; `TRANSITIONS` holds every step it may take."""

    RECEIVING = "receiving"
    FINISHING = "finishing"
    VERIFYING = "verifying"
    COMPLETE = "complete"
    REJECTED = "rejected"
    CANCELLED = "cancelled"


# FINISHING is durable before the first step of a finish, so any later request can complete it.
# REJECTED keeps no bytes: the whole-file digest did not match what had been put together.
TRANSITIONS: Mapping[State, frozenset[State]] = MappingProxyType(
    {
        State.RECEIVING: frozenset({State.FINISHING, State.CANCELLED}),
        State.FINISHING: frozenset({State.VERIFYING, State.COMPLETE}),
        State.VERIFYING: frozenset({State.COMPLETE, State.REJECTED}),
        State.COMPLETE: frozenset(),
        State.REJECTED: frozenset(),
        State.CANCELLED: frozenset(),
    }
)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A numbered chunk that arrived whole; `start` is None while earlier lengths are unknown."""

    number: int
    length: int
    crc32c: int
    start: int | None

    @property
    def end(self) -> int | None:
        return None if self.start is None else self.start + self.length


@dataclass(frozen=True, slots=True)
class Digest:
    """A digest as the client declares it: algorithm in lower case, and its raw value."""

    algorithm: str
    value: bytes

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.value.hex()}"


@dataclass(frozen=True, slots=True)
class Upload:
    """What is fixed at birth and never changes (the manifest).

    `token` names the finished object: 128 random bits that no client chooses, so that a guessable
    upload id does not make a guessable download. `created` is in seconds since the epoch.

    A `sequential` one is finished with its last byte, without being asked. A `partial` is no file
    of its own but a piece of one; `partials` are the ids of those that an upload is made of, in
    their order. `words` are what its protocol must be able to repeat as the client wrote it.

    What was made here out of a finished object has that object's token as its `original`, its
    `role` there, and a `content_type` to believe; `beside` are the files, by name, that its own
    text refers to, as tokens.
    """

    id: str
    token: str
    part_size: int
    created: float
    owner: str | None = None
    client_id: str | None = None
    length: int | None = None
    filename: str | None = None
    content_type: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    sequential: bool = False
    partial: bool = False
    partials: tuple[str, ...] = ()
    words: Mapping[str, str] = field(default_factory=dict)
    original: str | None = None
    role: str | None = None
    beside: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # JSON knows no tuples.
        object.__setattr__(self, "partials", tuple(self.partials))


@dataclass(frozen=True, slots=True)
class Finished:
    """One finished object: where it is, what it is, and what its uploader said about it.

    `content_type` was sniffed from the bytes, never believed. `finished` is in seconds since the
    epoch, `size` in bytes. `crc32c` is None where the storage joined parts that it does not let
    anybody read before. `location` is the object's name in the storage's own words. A `partial` is
    only a piece of a file: nobody is told of it and it is in no list. Nor is what was made here out
    of another object: `original` is the token of that one, `role` what it is to it ("video",
    "poster", …), and `beside` are the files, by name, that its own text refers to, as tokens.
    """

    id: str
    token: str
    size: int
    crc32c: int | None
    content_type: str
    filename: str
    finished: float
    owner: str | None = None
    client_id: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    digest: str | None = None
    location: str | None = None
    partial: bool = False
    original: str | None = None
    role: str | None = None
    beside: Mapping[str, str] = field(default_factory=dict)

    @property
    def listed(self) -> bool:
        """Whether it is a file of its own."""
        return not self.partial and self.original is None

    @property
    def path(self) -> str:
        """Where it is downloaded, below the mount point; the name in it is for people only."""
        return f"/recordings/{self.token}/{quote(self.filename, safe='')}"

    @property
    def etag(self) -> str:
        return self.token if self.crc32c is None else f"{self.token}-{self.crc32c:08x}"


@dataclass(frozen=True, slots=True)
class Status:
    """All that is known of one upload at one moment; what it reports is durable.

    `touched` is the moment of the last write, by the store's clock (seconds since the epoch).
    `facts` are learned late and once: `total_chunks`, `length`, `chunk_size`, `filename`,
    `options`, `metadata`, `digest`. `told` holds the names of the events that the host has heard.
    """

    upload: Upload
    state: State
    extents: Extents
    chunks: Mapping[int, Chunk]
    facts: Mapping[str, Any]
    touched: float
    told: frozenset[str] = frozenset()
    finished: Finished | None = None

    @classmethod
    def newborn(cls, upload: Upload) -> Status:
        """What is known of an upload that has just begun."""
        return cls(upload, State.RECEIVING, Extents(), {}, {}, upload.created)

    @property
    def offset(self) -> int:
        """Bytes of the gap-free prefix."""
        return self.extents.offset

    @property
    def length(self) -> int | None:
        """Bytes of the whole upload, once anybody has said it."""
        known = self.facts.get("length", self.upload.length)
        return None if known is None else int(known)

    @property
    def received(self) -> int:
        """Bytes that are safe, wherever they lie."""
        return self.extents.size + sum(c.length for c in self.chunks.values() if c.start is None)

    def start_of(self, number: int) -> int | None:
        """Where a numbered chunk begins, once the chunk before it is placed."""
        if number == 0:
            return 0
        before = self.chunks.get(number - 1)
        return before.end if before else None

    def chunk(self, number: int) -> tuple[int, int] | None:
        """The byte range of a chunk that is known to be whole and in its place."""
        known = self.chunks.get(number)
        if known is not None and known.start is not None:
            return known.start, known.start + known.length
        size = self.facts.get("chunk_size")
        if size is None or number not in self._numbers_by_size(size):
            return None
        end = (number + 1) * size
        return number * size, end if self.length is None else min(end, self.length)

    def numbers(self) -> list[int]:
        """The numbers of all chunks that arrived whole, ascending."""
        size = self.facts.get("chunk_size")
        by_size = self._numbers_by_size(size) if size else set()
        return sorted(by_size | set(self.chunks))

    @property
    def completed_chunks(self) -> int:
        """Chunks of the gap-free prefix."""
        count = 0
        for number in self.numbers():
            if number != count:
                break
            count += 1
        return count

    def missing(self) -> list[tuple[int, int | None]]:
        """Byte ranges that nobody has sent, `[start, end)`; None ends the open one."""
        return self.extents.missing(self.length)

    def _numbers_by_size(self, size: int) -> set[int]:
        """Chunks of one nominal size are whole when their bytes are."""
        whole: set[int] = set()
        for start, end in self.extents:
            whole.update(range(-(-start // size), end // size))
            if end == self.length and end % size and (end // size) * size >= start:
                whole.add(end // size)
        return whole

    @property
    def whole(self) -> bool:
        """Whether all bytes of a known length are there, though nobody may have finished it."""
        if self.finished is not None:
            return True
        waiting = any(chunk.start is None for chunk in self.chunks.values())
        length = self.length
        if length is None or waiting or self.upload.partials:
            return False
        return self.extents.covers(0, length) and self.extents.end <= length

    @property
    def ended(self) -> bool:
        return self.state in (State.COMPLETE, State.REJECTED, State.CANCELLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one deployment allows. Sizes in bytes, times in seconds; None means no limit."""

    max_size: int | None = 5 * GIB  # of one upload: counted, never believed
    max_chunk_size: int | None = None  # of one request, for hosts behind a body limit of their own
    chunk_size: int = 8 * MIB  # what clients are asked to send per request
    max_chunks: int = 100_000  # numbers a client may use in one upload
    max_uploads: int | None = None  # unfinished uploads of one owner
    max_bytes: int | None = None  # bytes in one owner's unfinished uploads
    expiry: int = 6 * DAY  # after the last write; R2 and Azure drop unfinished data after 7 days
    grace: int = DAY  # between the expiry and the deletion
    memory: int = 64 * MIB  # one process may hold for forms whose file part comes first
    idle_timeout: float = 60.0  # without a byte from the client
    minimum_rate: int = 0  # bytes per second, after 30 seconds
    free_space: int = 256 * MIB  # the storage keeps free, where it can tell


@dataclass(frozen=True, slots=True, kw_only=True)
class Objects:
    """What finished objects are called and carry in object storage; a disk has no use for it.

    `key` is a template below the storage URL, of `{date}`, `{id}`, `{token}`, `{filename}` and
    `{owner}`, or a function that is given the new `Upload` and returns a key, or a whole URL for
    another bucket of the same storage. A file name is known at the birth only where the client
    names it with its first request. `if_exists` is "replace" or "refuse".
    """

    key: str | Callable[[Upload], str] = "{date}/{id}/{filename}"
    cache_control: str | None = None
    storage_class: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    if_exists: str = "replace"
