"""The journal of one upload: lines that check themselves, are only added, never trusted blindly.

Every line is `<crc32c of the rest, 8 hex digits> <JSON>`. An append begins and ends with a
line feed, so that a torn line spoils nothing but itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from resumable.digests import crc32c

Record = Mapping[str, Any]
_ENCODER = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"))
_READ = 1 << 20


def encode(*records: Record) -> bytes:
    """Records as the bytes of one append."""
    return b"\n" + b"".join(_line(record) for record in records)


def _line(record: Record) -> bytes:
    body = _ENCODER.encode(record).encode("ascii")
    return b"%08x %s\n" % (crc32c(body), body)


def decode(lines: bytes) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """The good records among whole lines, each behind the positions where its line begins and ends.

    A bad one is passed over, never a reason to stop.
    """
    start = 0
    for line in lines.split(b"\n"):
        end = start + len(line) + 1
        if len(line) > 9 and line[8:9] == b" ":
            record = _checked(line[:8], line[9:])
            if record is not None:
                yield start, end, record
        start = end


def _checked(crc: bytes, body: bytes) -> dict[str, Any] | None:
    try:
        if int(crc, 16) != crc32c(body):
            return None
        record = json.loads(body)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None
