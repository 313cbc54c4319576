"""A client of the chunk protocol that never gives up and remembers all that was acknowledged."""

from __future__ import annotations

import hashlib
import http.client
import json
import random
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

_PATIENCE = 90.0
TROUBLE = (OSError, http.client.HTTPException)


@dataclass
class ResumingClient:
    """Uploads `data` in raw chunks, over any number of servers, through any number of deaths.

    `acknowledged` holds the byte ranges that a 200 promised; `lost` those that a later status
    denied; `retries` how often a request had to be repeated.
    """

    addresses: list[tuple[str, int]]
    data: bytes
    chunk: int
    seed: int = 0
    upload_id: str = field(default_factory=lambda: "upload_" + secrets.token_urlsafe(24))
    acknowledged: set[tuple[int, int]] = field(default_factory=set)
    lost: set[tuple[int, int]] = field(default_factory=set)
    retries: int = 0
    path: str = ""

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def run(self) -> None:
        """Upload, finish and remember the path."""
        while (gaps := self._missing()) != []:
            for start, end in gaps:
                self._send_range(start, end)
        answer = self._persist("POST", "/finalize-upload", self._finalize(), {})
        self.path = answer["path"]

    def download_digest(self) -> str:
        """SHA-256 of what the server hands out."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                status, body = self._once("GET", self.path, None, {})
            except TROUBLE:
                status, body = 0, b""
            if status == 200:
                return hashlib.sha256(body).hexdigest()
            if time.monotonic() > deadline:
                raise TimeoutError(f"the download answers {status}")
            time.sleep(0.05)

    def _finalize(self) -> bytes:
        document = {"uploadId": self.upload_id, "filename": "k.webm", "totalSize": len(self.data)}
        return json.dumps(document).encode()

    def _send_range(self, start: int, end: int) -> None:
        """Chunks in any order, as a window of parallel requests would send them."""
        starts = list(range(start, end, self.chunk))
        self._random.shuffle(starts)
        for first in starts:
            last = min(first + self.chunk, end)
            headers = {
                "X-Upload-Id": self.upload_id,
                "Content-Range": f"bytes {first}-{last - 1}/{len(self.data)}",
            }
            self._persist("PUT", "/upload-chunk", self.data[first:last], headers)
            self.acknowledged.add((first, last))

    def _missing(self) -> list[tuple[int, int]]:
        status = self._persist("GET", f"/upload-status/{self.upload_id}", None, {}, also=(404,))
        if "missing" not in status:
            self.lost |= self.acknowledged
            return [(0, len(self.data))]
        gaps = [(start, len(self.data) if end is None else end) for start, end in status["missing"]]
        for first, last in self.acknowledged:
            if any(start < last and end > first for start, end in gaps):
                self.lost.add((first, last))
        return gaps

    def _persist(
        self,
        method: str,
        path: str,
        body: bytes | None,
        headers: dict[str, str],
        also: tuple[int, ...] = (),
    ) -> dict[str, Any]:
        """Send until there is an answer that is not about passing trouble."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                status, answer = self._once(method, path, body, headers)
            except TROUBLE:
                status, answer = 0, b""
            if status == 200 or status in also:
                document: dict[str, Any] = json.loads(answer)
                return document
            if 400 <= status < 500 and status != 408:
                raise AssertionError(f"{method} {path}: {status} {answer!r}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"{method} {path}: {status} {answer!r}")
            self.retries += 1
            time.sleep(self._random.uniform(0.01, 0.1))

    def _once(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[int, bytes]:
        host, port = self._random.choice(self.addresses)
        connection = http.client.HTTPConnection(host, port, timeout=20)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()
