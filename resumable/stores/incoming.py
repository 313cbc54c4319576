"""What one request's bytes turn out to be: how many, which CRC32C, and whether they are meant."""

from __future__ import annotations

import hmac

from resumable import digests
from resumable.digests import join_crc32c
from resumable.errors import Conflict, DigestMismatch
from resumable.model import Chunk, Digest
from resumable.stores.session import Session


class Incoming:
    """Counts and digests the bytes of one chunk."""

    def __init__(self, digest: Digest | None) -> None:
        self.received = 0
        self.crc32c = 0
        self._digest = digest
        self._hasher = digests.hasher(digest.algorithm) if digest else None

    def count(self, view: memoryview, crc: int) -> None:
        """The next bytes, and their CRC32C."""
        self.crc32c = join_crc32c(self.crc32c, crc, len(view)) if self.received else crc
        self.received += len(view)
        if self._hasher is not None:
            self._hasher.update(view)

    def verify(self) -> None:
        """Raise DigestMismatch unless the bytes are those that the client meant."""
        if self._digest is None or self._hasher is None:
            return
        if not hmac.compare_digest(self._hasher.digest(), self._digest.value):
            raise DigestMismatch(
                f"The {self._digest.algorithm} digest of the bytes that arrived is another one. "
                "Nothing was kept; send them again."
            )


def check_same_chunk(session: Session, made: Chunk) -> bool:
    """Is this chunk known already? Raises Conflict when the known one has other bytes."""
    known = session.chunk(made.number)
    if known is None:
        return False
    same = (known.length, known.crc32c) == (made.length, made.crc32c)
    if None not in (known.start, made.start):
        same = same and known.start == made.start
    if not same:
        raise Conflict(
            f"Chunk {made.number} is already stored with other bytes. "
            "An upload's bytes cannot be changed; begin a new upload.",
            code="other-bytes",
        )
    return True
