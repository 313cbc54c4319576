"""What an object store is asked for: flat keys, creation once, and one object out of many pieces.

Keys are whole fsspec paths (`bucket/prefix/name`). Trouble that passes is raised as Unavailable.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Protocol

from resumable.model import MIB


class Missing(Exception):
    """There is no such object, or no such unfinished one, any more."""


class Occupied(Exception):
    """An object that must be the first under its key is not."""


class Rejected(Exception):
    """These parts do not make an object: one is another by now, or not all of them are named."""


@dataclass(frozen=True, slots=True)
class Stored:
    """One listed object. `modified` in seconds since the epoch, by the storage's clock.

    `version` differs whenever the content does; empty where the storage cannot tell.
    """

    key: str
    size: int
    modified: float
    version: str


@dataclass(frozen=True, slots=True)
class Part:
    """One window of an unfinished object. `tag` is what the storage calls its content."""

    window: int
    size: int
    tag: str
    modified: float = 0.0


@dataclass(frozen=True, slots=True)
class Piece:
    """The bytes `[start, end)` of a stored object of `size` bytes."""

    key: str
    start: int
    end: int
    size: int

    @property
    def whole(self) -> bool:
        return (self.start, self.end) == (0, self.size)


@dataclass(frozen=True, slots=True)
class Description:
    """What a finished object carries besides its bytes."""

    content_type: str
    metadata: Mapping[str, str]
    cache_control: str | None = None
    storage_class: str | None = None
    exclusive: bool = False  # raise Occupied rather than replace an object


@dataclass(frozen=True, slots=True)
class Found:
    """A finished object as the storage shows it; the CRC32C where the storage has one."""

    size: int
    metadata: Mapping[str, str]
    crc32c: int | None = None


# What joining may hold where bytes pass through here: a block, its successor, and one on its way.
JOINING = 48 * MIB

# An `io.BytesIO` is sent whole, from its first byte.
Data = bytes | io.BytesIO


class Sending(Protocol):
    """A write that is under way."""

    def result(self) -> None:
        """Wait for it; raises what went wrong."""


class Bucket(Protocol):
    """Objects by key. Reads see every write that has returned."""

    knows_crc32c: bool  # whether `head` tells it

    @property
    def conditions(self) -> bool:
        """Whether `if_absent` is held by the storage itself, also between hosts."""

    def put(
        self,
        key: str,
        data: Data | IO[bytes],
        *,
        if_absent: bool = False,
        description: Description | None = None,
    ) -> bool:
        """Store at once or not at all; False when `if_absent` and the key is taken.

        A lost answer may make one's own success look like a taken key: what must be sure carries a
        nonce and is read back.
        """

    def get(self, key: str, start: int = 0, end: int | None = None) -> bytes:
        """The bytes of an object. Raises Missing."""

    def get_all(self, keys: Collection[str]) -> dict[str, bytes]:
        """Many small objects at once; those that are missing are left out, torn ones empty."""

    def head(self, key: str) -> Found | None:
        """What is known of an object without its bytes."""

    def listed(self, prefix: str) -> list[Stored]:
        """Every object whose key begins with `prefix`, which ends with a slash."""

    def folders(self, prefix: str) -> list[str]:
        """The names one level below `prefix`."""

    def delete(self, keys: Collection[str]) -> None:
        """Remove objects; those that are missing already are no error."""

    def join(self, pieces: Sequence[Piece], key: str, description: Description) -> None:
        """One object out of pieces, visible at once; holds `JOINING` bytes of them at most.

        Raises Missing, Occupied.
        """

    def url(self, key: str, expires: int, content_type: str, disposition: str) -> str | None:
        """A URL that anybody may read the object by for `expires` seconds; None: cannot sign."""

    def check(self) -> list[str]:
        """Write and forget again; sentences on what this storage does not do.

        Raises Unavailable with a sentence where it cannot be used at all.
        """

    def close(self) -> None:
        """Free what is held; the bucket stays usable."""


class Parts(Protocol):
    """Objects made out of parts that are placed by their window and cannot be read before."""

    most: int  # parts of one object
    refuses_late: bool  # whether `send` fails for an object that has ended

    @property
    def tags_are_md5(self) -> bool:
        """Whether a part's tag is the MD5 of its bytes."""

    def open(self, key: str, description: Description) -> str:
        """Begin an unfinished object; its native id."""

    def send(self, key: str, native: str, window: int, data: Data) -> Sending:
        """Place a window; may be repeated. `result` raises Missing when the object has ended."""

    def stored(self, key: str, native: str, after: int = -1) -> list[Part]:
        """The placed parts behind window `after`, ascending. Raises Missing."""

    def ask(self, key: str, native: str, after: int = -1) -> Callable[[], list[Part]]:
        """`stored`, under way in the background where the backend can; call for the answer."""

    def join(self, key: str, native: str, parts: Sequence[Part], description: Description) -> None:
        """Make the object of these parts visible.

        Raises Missing when it has ended, Occupied, and Rejected, which leaves it as it was.
        """

    def abandon(self, key: str, native: str) -> None:
        """End an unfinished object with all its parts; one that has ended is no error."""

    def unfinished(self, prefix: str) -> list[Unfinished]:
        """Every unfinished object whose key begins with `prefix`."""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """An unfinished object that the storage knows of; `began` in seconds since the epoch."""

    key: str
    native: str
    began: float = field(default=0.0)


def blocks_of(bucket: Bucket, pieces: Sequence[Piece], size: int) -> Iterator[bytes]:
    """The bytes of all pieces in blocks of `size`, the last one smaller, never more in memory."""
    held = bytearray()
    for piece in pieces:
        for at in range(piece.start, piece.end, size):
            held += bucket.get(piece.key, at, min(piece.end, at + size))
            while len(held) >= size:
                yield bytes(held[:size])
                del held[:size]
    if held:
        yield bytes(held)


def windows_of(pieces: Sequence[Piece], size: int) -> Iterator[list[Piece]]:
    """What each window of `size` bytes is made of when all pieces lie one behind the other."""
    window: list[Piece] = []
    room = size
    for piece in pieces:
        start = piece.start
        while start < piece.end:
            end = min(piece.end, start + room)
            window.append(Piece(piece.key, start, end, piece.size))
            room -= end - start
            start = end
            if not room:
                yield window
                window, room = [], size
    if window:
        yield window


class Done:
    """A write that was over when it began."""

    def result(self) -> None:
        """Nothing to wait for."""
