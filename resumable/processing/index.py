"""An MP4 that was written to its end, and its length, by its own boxes (ISO/IEC 14496-12)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

_HEAD = 128


def seconds_of_mp4(path: Path) -> float:
    """The length that its index says; 0.0 where that is missing, or the file is cut."""
    seconds = 0.0
    for name, content in _boxes(path):
        if name == b"moov" and content[4:8] == b"mvhd":
            seconds = _seconds(content[8:])
        if name == b"":
            return 0.0
    return seconds


def _boxes(path: Path) -> Iterator[tuple[bytes, bytes]]:
    """The outermost ones: their name and how they begin; one without a name for what is cut."""
    left = path.stat().st_size
    with path.open("rb", buffering=0) as file:
        while left:
            head = file.read(_HEAD)
            length, name, begins = int.from_bytes(head[:4], "big"), head[4:8], 8
            if length == 1:
                length, begins = int.from_bytes(head[8:16], "big"), 16
            if not begins <= length <= left:
                name, length = b"", left
            yield name, head[begins:]
            left -= length
            file.seek(length - len(head), 1)


def _seconds(mvhd: bytes) -> float:
    layout, start = (">IQ", 20) if mvhd[:1] == b"\x01" else (">II", 12)
    scale, length = struct.unpack_from(layout, mvhd, start)
    return length / scale if scale else 0.0
