"""Small files that prove themselves: where a file system tears one, there is none."""

from __future__ import annotations

from resumable.digests import crc32c

_SEAL = 9


def is_record(key: str, state: str) -> bool:
    """Whether a file below `state` is of those that are created once and read whole.

    A segment's name tells its size, and a finished object is for others to read.
    """
    room, _, rest = key.removeprefix(f"{state}/").partition("/")
    if not key.startswith(f"{state}/") or room not in ("uploads", "finished"):
        return False
    return not rest.rpartition("/")[2].startswith("b.")


def sealed(data: bytes) -> bytes:
    """With the CRC32C behind it, as a line of text."""
    return data + b"\n%08x" % crc32c(memoryview(data))


def opened(stored: bytes) -> bytes | None:
    """What was sealed; None for a torn one."""
    data = stored[:-_SEAL]
    return data if len(stored) >= _SEAL and sealed(data) == stored else None
