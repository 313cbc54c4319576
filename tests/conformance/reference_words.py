"""How the reference server reads a request: bodies as they arrive, numbers, metadata, digests."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import suppress
from hashlib import md5, sha1
from http.server import BaseHTTPRequestHandler

PIECE = 65536
SUMS: dict[str, tuple[Callable[[bytes], bytes], int]] = {
    "sha1": (lambda body: sha1(body).digest(), 20),
    "md5": (lambda body: md5(body).digest(), 16),
}


class Refused(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, **headers: str) -> None:
        super().__init__(status)
        self.status = status
        self.headers = headers


class Words(BaseHTTPRequestHandler):
    """What a request says. `unread` are the bytes of the body still to come; None: chunked."""

    faults: frozenset[str]
    unread: int | None
    waits: bool

    def bad(self, fault: str) -> bool:
        """Whether this server has this fault."""
        return fault in self.faults

    # ------------------------------------------------------------ bodies

    def announced(self) -> int | None:
        """The length of the body that is to come."""
        if self.headers.get("Transfer-Encoding"):
            return None
        return int(self.headers.get("Content-Length") or 0)

    def pieces(self) -> Iterator[bytes]:
        """The body as it arrives. Raises Refused where it breaks off."""
        if self.waits:
            self.send_response_only(100)
            self.end_headers()
            self.waits = False
        if self.unread is None:
            yield from self._chunks()
            return
        while self.unread:
            piece = self.rfile.read1(min(self.unread, PIECE))
            if not piece:
                self.unread = 0
                if self.bad("short-body-is-success"):
                    return
                raise Refused(400)
            self.unread -= len(piece)
            yield piece

    def _chunks(self) -> Iterator[bytes]:
        if self.bad("chunked-refused"):
            raise Refused(411)
        while size := int(self.rfile.readline() or b"0", 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.unread = 0
        while (line := self.rfile.readline()) not in (b"\r\n", b""):
            name, _, value = line.decode("latin-1").partition(":")
            if not self.bad("trailer-ignored"):
                self.headers[name] = value.strip()

    def drain(self) -> None:
        """Reads what is left, so that the answer is not lost in a reset."""
        if not self.waits:
            with suppress(Refused, OSError, ValueError):
                for _ in self.pieces():
                    pass

    # ------------------------------------------------------------ headers

    def number(self, name: str) -> int | None:
        """A header's integer; None where it is missing. Raises Refused."""
        lines = self.headers.get_all(name)
        if lines is None:
            return None
        if self.bad("loose-numbers"):
            with suppress(ValueError):
                return int(float(lines[0]))
        if len(lines) != 1 or not re.fullmatch(r"[0-9]+", lines[0]):
            raise Refused(500 if self.bad("500-for-numbers") else 400)
        return int(lines[0])

    def metadata(self) -> str | None:
        """Upload-Metadata as it was sent. Raises Refused."""
        lines = self.headers.get_all("Upload-Metadata") or []
        text = ",".join(lines)
        if not text:
            if lines and self.bad("empty-metadata-refused"):
                raise Refused(400)
            return None
        pairs = [pair.strip(" ") for pair in text.split(",")]
        if ", " in text and self.bad("spaces-refused"):
            raise Refused(400)
        if " ," in text and self.bad("space-before-nothing-refused"):
            raise Refused(400)
        keys = {pair.partition(" ")[0] for pair in pairs}
        if len(keys) < len(pairs) and not self.bad("duplicates-taken"):
            raise Refused(400)
        for pair in pairs:
            self._check_pair(pair)
        return ",".join(sorted(pairs)) if self.bad("metadata-sorted") else text

    def _check_pair(self, pair: str) -> None:
        key, space, value = pair.partition(" ")
        if not space and self.bad("valueless-refused"):
            raise Refused(400)
        if not key and not self.bad("empty-keys-taken"):
            raise Refused(400)
        try:
            decoded = b64decode(value, validate=True)
        except binascii.Error:
            if self.bad("base64-unchecked"):
                return
            raise Refused(400) from None
        try:
            decoded.decode()
        except UnicodeDecodeError:
            if self.bad("utf8-only"):
                raise Refused(400) from None

    def filename(self, metadata: str | None) -> str:
        """The decoded filename, as it must never be used."""
        pairs = dict(pair.strip().partition(" ")[::2] for pair in (metadata or "").split(","))
        return b64decode(pairs.get("filename", "")).decode("latin-1")

    # ------------------------------------------------------------ digests

    @property
    def has_checksum(self) -> bool:
        """Whether the body is to be verified, as far as is known before it is read."""
        if self.bad("checksum-ignored"):
            return False
        trailing = self.headers.get("Trailer") and not self.bad("trailer-ignored")
        return bool(self.headers.get("Upload-Checksum") is not None or trailing)

    def check_checksum(self) -> tuple[str, bytes] | None:
        """The algorithm and the digest of Upload-Checksum. Raises Refused."""
        try:
            return self._checksum()
        except Refused:
            if self.bad("malformed-sum-taken"):
                return None
            raise

    def _checksum(self) -> tuple[str, bytes] | None:
        name, space, text = (self.headers.get("Upload-Checksum") or "").partition(" ")
        if name not in SUMS and self.bad("unknown-sum-is-right"):
            return None
        if name not in SUMS or not space:
            raise Refused(400)
        try:
            digest = b64decode(text, validate=True)
        except binascii.Error:
            raise Refused(400) from None
        if len(digest) != SUMS[name][1]:
            raise Refused(400)
        return name, digest

    def verify(self, pieces: list[bytes]) -> None:
        """Raises Refused unless the digest is that of the pieces."""
        checksum = self.check_checksum()
        if checksum is None or self.bad("digest-unchecked"):
            return
        name, digest = checksum
        body = b"".join(pieces[:1] if self.bad("first-piece-verified") else pieces)
        if SUMS[name][0](body) != digest:
            raise Refused(400 if self.bad("400-for-mismatch") else 460)
