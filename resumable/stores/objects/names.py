"""How an upload's objects are called: a name says all that a listing must tell.

uploads/<id>/m                     the manifest; it names the birth
uploads/<id>/<birth>/b.…           bytes: start or x, length, CRC32C, nonce, number if a chunk
                     c.…           a chunk whose bytes lie elsewhere: number, start, length, CRC32C
                     n.<number>    the number that a chunk without one was given
                     f.<fact>      a fact, created once
                     p             the native id of the unfinished object
                     t.<event>     the host heard      o.<number>  a finished chunk came again
                     e.<try>       a finish or a cancel has begun   d.<try>  and what became of it
                     done          what was finished   verdict     its digest was compared
finished/<token>                   a finished object by its token
"""

from __future__ import annotations

from dataclasses import dataclass

MANIFEST = "m"
NATIVE = "p"
DONE = "done"
VERDICT = "verdict"
# Objects that never change once they are there, so that they may be remembered.
_READ = ("f", "n", "e", "d")


@dataclass(frozen=True, slots=True)
class Segment:
    """Stored bytes of an upload; `start` is None while earlier lengths are unknown."""

    name: str
    start: int | None
    length: int
    crc32c: int
    number: int | None = None
    modified: float = 0.0

    @property
    def end(self) -> int:
        assert self.start is not None
        return self.start + self.length


def segment_name(
    start: int | None, length: int, crc32c: int, nonce: str, number: int | None
) -> str:
    at = "x" if start is None else f"{start:016x}"
    name = f"b.{at}.{length:x}.{crc32c:08x}.{nonce}"
    return name if number is None else f"{name}.{number}"


def parse_segment(name: str, size: int, modified: float) -> Segment | None:
    """None for what is no segment, and for a torn one: its size is not the one in its name."""
    kind, *fields = name.split(".")
    if kind != "b" or len(fields) not in (4, 5) or int(fields[1], 16) != size:
        return None
    start = None if fields[0] == "x" else int(fields[0], 16)
    number = int(fields[4]) if len(fields) == 5 else None
    return Segment(name, start, size, int(fields[2], 16), number, modified)


@dataclass(frozen=True, slots=True)
class Record:
    """A chunk whose bytes are stored under other names."""

    number: int
    start: int
    length: int
    crc32c: int


def record_name(record: Record) -> str:
    return f"c.{record.number}.{record.start:x}.{record.length:x}.{record.crc32c:08x}"


def parse_record(name: str) -> Record:
    _, number, start, length, crc32c = name.split(".")
    return Record(int(number), int(start, 16), int(length, 16), int(crc32c, 16))


def is_read(name: str) -> bool:
    """Whether a listing is not enough: what is in it counts."""
    return name in (NATIVE, DONE, VERDICT) or name.partition(".")[0] in _READ


def suffix(name: str) -> str:
    return name.partition(".")[2]
