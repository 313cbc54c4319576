"""What a protocol must be able to do for an upload; each has its own file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from resumable.client.model import Wish
from resumable.client.source import Source
from resumable.digests import HASHERS

Gap = tuple[int, int | None]


@dataclass(frozen=True, slots=True)
class Track:
    """Ranges of a file that go one after the other, or by several threads at once.

    `gaps` are `[start, end)` of what the server lacks (end None: nobody knows), `at_once` is how
    many requests it takes for them at a time, `number` is the line's own name for the track.
    """

    number: int
    gaps: Sequence[Gap]
    at_once: int


@dataclass(frozen=True, slots=True)
class Sizes:
    """What the server says of chunks, in bytes."""

    wished: int
    part: int = 1
    most: int | None = None
    most_in_all: int | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """The finished file's address, and what the server said of it."""

    url: str
    answer: Mapping[str, Any] = field(default_factory=dict)


class Journey(Protocol):
    """One upload on the server. `state` is what it takes to find it again."""

    state: dict[str, Any]

    def create(self) -> None:
        """Make it, or what lacks of it after a failure; nothing where it goes on."""
        ...

    def tracks(self) -> list[Track]:
        """Ask what is missing; raise `Forgotten` where the server knows nothing of it."""
        ...

    def send(
        self, track: Track, start: int, end: int, blocks: Iterable[bytes], digest: bytes | None
    ) -> int:
        """Send `[start, end)`; the place up to which it is safe now."""
        ...

    def arrived(self, track: Track, start: int, end: int) -> int:
        """Ask up to which place `[start, end)` is safe."""
        ...

    def finish(self, length: int) -> Done:
        """Make one file of `length` bytes of it; asking again gives the same one."""
        ...

    def cancel(self) -> None:
        """Delete what is there."""
        ...


def safe(tracks: Sequence[Track], size: int) -> int:
    """How many of `size` bytes the tracks do not lack."""
    gaps = [gap for track in tracks for gap in track.gaps]
    return size - sum((size if end is None else end) - start for start, end in gaps)


class Line(Protocol):
    """A protocol at an endpoint."""

    protocol: str
    sizes: Sizes
    fixes_wishes: bool
    """Whether name and metadata are said at the beginning, for good."""

    def look(self, url: str) -> None:
        """Ask whether a finished file is there. Raises `Forgotten`, `Refused`."""
        ...

    def begin(self, wish: Wish, length: int | None, parts: int) -> Journey:
        """A new upload over `parts` connections, where the server can; not made yet."""
        ...

    def go_on(self, state: dict[str, Any], wish: Wish, length: int | None, parts: int) -> Journey:
        """The upload of this state, which an earlier process began."""
        ...


def sum_of(algorithm: str, source: Source, start: int, end: int) -> bytes:
    """The digest of `[start, end)`; reads them once."""
    hasher = HASHERS[algorithm]()
    for block in source.blocks(start, end):
        hasher.update(block)
    return hasher.digest()
