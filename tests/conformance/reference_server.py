"""A small, correct tus 1.0.0 server in memory, with a switch for each fault that rows must find.

`Reference({"no-version-on-412"})` is that server with one thing wrong.
"""

from __future__ import annotations

import secrets
import socket
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.conformance.reference_words import Refused, Words

OFFSET_TYPE = "application/offset+octet-stream"
EXTENSIONS = (
    "creation,creation-defer-length,creation-with-upload,expiration,checksum,"
    "checksum-trailer,termination,concatenation,concatenation-unfinished"
)
HEADERS = (
    "Tus-Resumable,Upload-Length,Upload-Offset,Upload-Metadata,Upload-Defer-Length,Upload-Concat,"
    "Upload-Checksum,Upload-Expires,Content-Type,X-HTTP-Method-Override,X-Requested-With,Location"
)
Reply = tuple[int, dict[str, str], bytes]


@dataclass(eq=False)
class Upload:
    """Bytes and what was said of them. A final upload is filled from its parts."""

    length: int | None
    metadata: str | None = None
    concat: str | None = None
    parts: list[Upload] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    expires: float = 0.0
    writers: int = 0
    broken: bool = False

    @property
    def complete(self) -> bool:
        return len(self.body) == self.length


class Reference(ThreadingHTTPServer):
    """The server; `with Reference() as server:` serves at `server.url` on a free port."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(
        self,
        faults: Iterable[str] = (),
        *,
        extensions: str = EXTENSIONS,
        max_size: int | None = 6 * 1024 * 1024,
        lifetime: float = 3600.0,
        token: str | None = None,
    ) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.faults = frozenset(faults)
        self.extensions = extensions
        self.max_size = max_size
        self.lifetime = lifetime
        self.token = token
        self.uploads: dict[str, Upload] = {}
        self.mutex = threading.RLock()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/files"

    def __enter__(self) -> Reference:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is what rows do."""


class Handler(Words):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: Reference

    def setup(self) -> None:
        super().setup()
        self.faults = self.server.faults

    def log_message(self, format: str, *args: object) -> None:
        """Silence."""

    def handle_expect_100(self) -> bool:
        return True

    @property
    def place(self) -> str:
        return urlsplit(self.path).path

    def offers(self, extension: str) -> bool:
        return extension in self.server.extensions.split(",")

    def expiry(self, upload: Upload) -> dict[str, str]:
        if not self.offers("expiration"):
            return {}
        return {"Upload-Expires": formatdate(upload.expires, usegmt=True)}

    # ------------------------------------------------------------ one request

    def handle_one(self) -> None:
        self.unread = self.announced()
        self.waits = "100-continue" in (self.headers.get("Expect") or "")
        method = self.command
        if not self.bad("override-ignored"):
            method = (self.headers.get("X-HTTP-Method-Override") or method).upper()
        try:
            if self.waits and self.bad("waits-for-the-body"):
                self.drain_waiting()
            self._admit(method)
            answer = getattr(self, f"tus_{method.lower()}", self._unknown)()
        except Refused as refused:
            answer = refused.status, refused.headers, b""
        self.drain()
        self._send(method, *answer)

    do_OPTIONS = do_POST = do_HEAD = do_PATCH = do_DELETE = do_GET = do_PUT = handle_one

    def drain_waiting(self) -> None:
        for _ in self.pieces():
            pass

    def _admit(self, method: str) -> None:
        if self.server.token and self.headers.get("Authorization") != self.server.token:
            raise Refused(401)
        version = self.headers.get("Tus-Resumable")
        reading = method in ("HEAD", "GET") and not self.bad("head-needs-version")
        if method == "OPTIONS":
            version = version if self.bad("options-checks-version") else None
            reading = True
        if version is None and (reading or self.bad("version-not-needed")):
            return
        if version == "1.0.0" or self.bad("version-not-checked"):
            return
        if self.bad("412-after-processing"):
            getattr(self, f"tus_{method.lower()}")()
        told = {} if self.bad("no-version-on-412") else {"Tus-Version": "1.0.0"}
        raise Refused(400 if self.bad("400-for-version") else 412, **told)

    def _unknown(self) -> Reply:
        return (501 if self.bad("501-for-method") else 405), {"Allow": "HEAD, PATCH"}, b""

    def _send(self, method: str, status: int, headers: dict[str, str], body: bytes) -> None:
        said = {"Tus-Resumable": "1.0.0", **headers}
        if self.bad("no-version") or (status >= 400 and self.bad("no-version-on-errors")):
            del said["Tus-Resumable"]
        if method == "HEAD" and not self.bad("cacheable"):
            said["Cache-Control"] = "no-store"
        if method == "HEAD" and self.bad("head-promises-body"):
            said["Content-Length"] = "7"
        if self.headers.get("Origin") and not (status >= 400 and self.bad("no-cors-on-errors")):
            said["Access-Control-Allow-Origin"] = "*"
            said["Access-Control-Expose-Headers"] = HEADERS
        if status != 204 and method != "HEAD":
            said["Content-Length"] = str(len(body))
        self.send_response(status, "Checksum Mismatch" if status == 460 else None)
        for name, value in said.items():
            self.send_header(name, value)
        self.send_header("Connection", "close")
        with suppress(OSError):
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)
            elif self.bad("head-has-body"):
                self.wfile.write(b"surprise")

    # ------------------------------------------------------------ reading

    def found(self) -> Upload:
        """The upload that the URL names. Raises Refused."""
        upload = self.server.uploads.get(self.place)
        if upload is None or (upload.expires < time.time() and not self.bad("never-expires")):
            raise Refused(500 if self.bad("500-for-missing") else 404)
        return upload

    def tus_options(self) -> Reply:
        unlisted = {name for name in EXTENSIONS.split(",") if self.bad(f"{name}-unlisted")}
        names = [name for name in self.server.extensions.split(",") if name not in unlisted]
        headers = {
            "Tus-Version": "1" if self.bad("odd-version") else "1.0.0",
            "Tus-Extension": "" if self.bad("empty-extension-list") else ",".join(names),
            "Tus-Checksum-Algorithm": "SHA1,md5" if self.bad("upper-case-sha1") else "sha1,md5",
            "Access-Control-Allow-Methods": "POST, HEAD, PATCH, DELETE, GET, OPTIONS",
            "Access-Control-Allow-Headers": HEADERS,
        }
        if self.server.max_size is not None:
            most = str(self.server.max_size)
            headers["Tus-Max-Size"] = "6 MB" if self.bad("max-size-in-words") else most
        if self.bad("no-version-list"):
            del headers["Tus-Version"]
        return (404 if self.bad("options-404") else 204), headers, b""

    def tus_head(self) -> Reply:
        try:
            upload = self.found()
        except Refused as refused:
            if self.bad("offset-of-missing"):
                refused.headers["Upload-Offset"] = "0"
            if self.bad("redirect-for-missing"):
                raise Refused(302, Location="/login") from None
            raise
        if upload.writers and self.bad("409-while-writing"):
            raise Refused(409)
        while upload.writers and self.bad("head-waits-for-patch"):
            time.sleep(0.02)
        with self.server.mutex:
            return 200, self._state(upload), b""

    def _state(self, upload: Upload) -> dict[str, str]:
        self._join(upload)
        headers = self.expiry(upload)
        wrong = self.bad("offset-one-more" if upload.body else "begins-at-one")
        headers["Upload-Offset"] = str(len(upload.body) + wrong)
        if self._hides_offset(upload):
            del headers["Upload-Offset"]
        if upload.length is None and not self.bad("defer-not-told"):
            headers["Upload-Defer-Length"] = "1"
        if upload.length is not None and not self.bad("no-length"):
            length = int(float(upload.length)) if self.bad("floats") else upload.length
            headers["Upload-Length"] = str(length)
        if upload.metadata is not None and not self.bad("metadata-forgotten"):
            headers["Upload-Metadata"] = upload.metadata
        if upload.metadata is None and self.bad("empty-metadata-told"):
            headers["Upload-Metadata"] = ""
        if self.bad("metadata-into-headers"):
            headers["Content-Disposition"] = f"filename={self.filename(upload.metadata)}"
        if upload.concat is not None and not self.bad("concat-forgotten"):
            to = "http://tus.example/files" if self.bad("concat-rewritten") else "/files"
            headers["Upload-Concat"] = upload.concat.replace("/files", to)
        return headers

    def _hides_offset(self, upload: Upload) -> bool:
        if upload.parts:
            early = not upload.complete and not self.bad("final-offset-early")
            return early or self.bad("final-offset-missing")
        if upload.concat and self.bad("no-offset-of-partials"):
            return True
        return upload.complete and self.bad("no-offset-when-complete")

    def _join(self, upload: Upload) -> None:
        if upload.parts and not upload.body and all(part.complete for part in upload.parts):
            parts = reversed(upload.parts) if self.bad("joined-backwards") else upload.parts
            upload.body += b"".join(bytes(part.body) for part in parts)

    def tus_get(self) -> Reply:
        upload = self.found()
        with self.server.mutex:
            self._join(upload)
            if not upload.complete:
                raise Refused(404)
            body = bytes(upload.body)
        return 200, {}, body[::-1] if self.bad("reversed-bytes") else body

    def tus_delete(self) -> Reply:
        if not self.offers("termination"):
            raise Refused(405)
        if self.bad("delete-unknown-204") and self.place not in self.server.uploads:
            return 204, {}, b""
        upload = self.found()
        with self.server.mutex:
            if not self.bad("delete-keeps"):
                self.server.uploads.pop(self.place, None)
            if not self.bad("delete-keeps") and not self.bad("patch-revives"):
                upload.expires = 0.0
            if self.bad("delete-hurts-finals"):
                upload.body.clear()
        return (200 if self.bad("200-for-delete") else 204), {}, b""

    # ------------------------------------------------------------ creation

    def tus_post(self) -> Reply:
        creating = ("/files",) if self.bad("no-slash") else ("/files", "/files/")
        if self.place not in creating and not self.bad("post-anywhere"):
            raise Refused(405 if self.place in self.server.uploads else 404)
        if len(self.headers.get("Upload-Concat") or "") > 4096 and self.bad("431-for-long-lists"):
            raise Refused(431)
        metadata = self.metadata()
        upload = self._final(metadata) or Upload(self._new_length(), metadata)
        upload.expires = time.time() + self.server.lifetime
        if self.headers.get("Upload-Concat") == "partial":
            upload.concat = "partial"
            if self.bad("partials-refused"):
                raise Refused(400)
        return self._created(upload)

    def _created(self, upload: Upload) -> Reply:
        path = f"/files/{secrets.token_hex(8)}"
        headers = {"Location": path, **self.expiry(upload)}
        if self.bad("lost-location"):
            headers["Location"] = f"{path}-elsewhere"
        if self.bad("no-expiry-at-creation"):
            del headers["Upload-Expires"]
        if self.bad("expiry-in-iso"):
            headers["Upload-Expires"] = "2026-11-24T20:00:00Z"
        typed = (self.headers.get("Content-Type") or "").partition(";")[0] == OFFSET_TYPE
        if (typed or self.bad("any-body-stored")) and self.offers("creation-with-upload"):
            if upload.length is None and self.bad("no-deferral-with-body"):
                raise Refused(400)
            self._append(upload, 0, verified=not self.bad("creation-unverified"))
            headers["Upload-Offset"] = str(len(upload.body))
            if self.bad("no-offset-at-creation"):
                del headers["Upload-Offset"]
        self.server.uploads[path] = upload
        wrong = self.bad("200-for-creation") or (upload.parts and self.bad("200-for-final"))
        return (200 if wrong else 201), headers, b""

    def _new_length(self) -> int | None:
        length, deferred = self.number("Upload-Length"), self.headers.get("Upload-Defer-Length")
        if deferred is not None and not self.offers("creation-defer-length"):
            raise Refused(400)
        if deferred not in (None, "1") and not self.bad("any-deferral"):
            raise Refused(400)
        if length is None and deferred is None and not self.bad("length-not-needed"):
            raise Refused(400)
        if length is not None and deferred is not None and not self.bad("both-lengths-taken"):
            raise Refused(400)
        if length == 0 and self.bad("empty-uploads-refused"):
            raise Refused(400)
        self._within_maximum(length)
        return length

    def _within_maximum(self, length: int | None) -> None:
        most = self.server.max_size
        over = length is not None and most is not None and length > most
        if over and not self.bad("no-maximum"):
            raise Refused(400 if self.bad("400-for-maximum") else 413)

    def _final(self, metadata: str | None) -> Upload | None:
        text = self.headers.get("Upload-Concat")
        if text in (None, "partial") or not self.offers("concatenation"):
            return None
        assert text is not None
        word, _, rest = text.partition(";")
        urls = rest.split()
        if (word != "final" or not urls) and not self.bad("odd-concat-taken"):
            raise Refused(400)
        if self.headers.get("Upload-Length") and not self.bad("length-with-final"):
            raise Refused(400)
        if self.unread and not self.bad("body-on-final"):
            raise Refused(403)
        parts = [self._part(url) for url in urls]
        if self.bad("parts-counted-once"):
            parts = [part for at, part in enumerate(parts) if part not in parts[:at]]
        length = sum(part.length or 0 for part in parts)
        self._within_maximum(length)
        if self.bad("metadata-of-parts"):
            metadata = next((part.metadata for part in parts if part.metadata), metadata)
        return Upload(length + self.bad("sum-plus-one"), metadata, text, parts)

    def _part(self, url: str) -> Upload:
        if self.bad("relative-parts-only" if url.startswith("http") else "absolute-parts-only"):
            raise Refused(400)
        there = urlsplit(url)
        if there.port not in (None, self.server.server_address[1]) and self.bad("parts-fetched"):
            socket.create_connection((str(there.hostname), there.port)).close()
        path = there.path if self.bad("parts-not-decoded") else unquote(there.path)
        part = self.server.uploads.get(path)
        if part is None:
            raise Refused(404)
        if part.concat != "partial" and not self.bad("any-part"):
            raise Refused(400)
        if not part.complete and not self.offers("concatenation-unfinished"):
            raise Refused(400)
        return part

    # ------------------------------------------------------------ PATCH

    def tus_patch(self) -> Reply:
        try:
            upload = self.found()
        except Refused as refused:
            raise Refused(403 if self.bad("403-for-missing") else refused.status) from None
        try:
            self._patch(upload)
        except Refused as refused:
            upload.broken = True
            refused.headers.update({} if self.bad("no-expiry-on-errors") else self.expiry(upload))
            raise
        headers = {"Upload-Offset": str(len(upload.body)), **self.expiry(upload)}
        if self.bad("no-expiry-on-patch"):
            del headers["Upload-Expires"]
        if self.bad("no-offset-on-patch"):
            del headers["Upload-Offset"]
        return (200 if self.bad("200-for-patch") else 204), headers, b""

    def _patch(self, upload: Upload) -> None:
        if upload.broken and self.bad("lock-never-clears"):
            raise Refused(423)
        if upload.concat and self.headers.get("Upload-Concat") and self.bad("concat-on-patch"):
            raise Refused(400)
        if upload.parts and not self.bad("patch-on-final"):
            raise Refused(400 if self.bad("400-for-final") else 403)
        kind, _, parameters = (self.headers.get("Content-Type") or "").partition(";")
        typed = kind == OFFSET_TYPE and not (parameters and self.bad("type-compared-whole"))
        if not typed and not self.bad("any-type"):
            raise Refused(400 if self.bad("400-for-type") else 415)
        offset = self.number("Upload-Offset")
        if offset is None:
            raise Refused(400)
        careless = self.bad("any-offset") or self.bad("both-patches")
        if offset != len(upload.body) and not careless:
            raise Refused(400 if self.bad("400-for-offset") else 409)
        if self.bad("empty-refused") and self.unread == 0:
            raise Refused(400)
        length = self._late_length(upload)
        if length is not None and self.bad("length-recorded-early"):
            upload.length = length
        self._append(upload, offset if self.bad("both-patches") else len(upload.body), length)
        if length is not None and not self.bad("late-length-ignored"):
            upload.length = length

    def _late_length(self, upload: Upload) -> int | None:
        length = self.number("Upload-Length")
        if length is None:
            if upload.length is None and self.bad("deferred-length-needed"):
                raise Refused(400)
            return None
        other = upload.length is not None and length != upload.length
        if other and not self.bad("length-changes"):
            raise Refused(400)
        if upload.length == length and self.bad("same-length-refused"):
            raise Refused(400)
        if length < len(upload.body) and not self.bad("length-below-offset"):
            raise Refused(400)
        self._within_maximum(length)
        return length

    def _append(
        self, upload: Upload, position: int, late: int | None = None, *, verified: bool = True
    ) -> None:
        most = None if self.bad("unlimited-while-deferred") else self.server.max_size
        limits = [limit for limit in (upload.length, late, most) if limit is not None]
        end = min(limits, default=2**63)
        if self.unread is not None and position + self.unread > end and not self.bad("overlong"):
            raise Refused(413)
        upload.writers += 1
        try:
            if self.has_checksum and verified and self.offers("checksum"):
                self._append_verified(upload, position, end)
            else:
                self._append_pieces(upload, position, end)
        finally:
            upload.writers -= 1

    def _append_pieces(self, upload: Upload, position: int, end: int) -> None:
        whole = self.bad("whole-bodies-only")
        for piece in [b"".join(self.pieces())] if whole else self.pieces():
            position = self._write(upload, position, piece, end)
        if self.bad("offset-forgets"):
            del upload.body[-1:]

    def _write(self, upload: Upload, position: int, piece: bytes, end: int) -> int:
        """Adds a piece where nobody else has been meanwhile; the new end."""
        with self.server.mutex:
            if not upload.expires:
                raise Refused(404)
            if len(upload.body) != position and not self.bad("both-patches"):
                raise Refused(409)
            taken = piece if self.bad("overlong") else piece[: end - position]
            upload.body[position : position + len(taken)] = taken
        if len(taken) < len(piece):
            raise Refused(413)
        return position + len(taken)

    def _append_verified(self, upload: Upload, position: int, end: int) -> None:
        """The whole body, or none of it."""
        if self.headers.get("Upload-Checksum") is not None:
            self.check_checksum()
        held: list[bytes] = []
        try:
            held.extend(self.pieces())
        except Refused:
            if self.bad("unverified-kept"):
                upload.body += b"".join(held)
            raise
        try:
            self.verify(held)
        except Refused:
            if self.bad("mismatch-stored"):
                upload.body += b"".join(held)
            raise
        self._write(upload, position, b"".join(held), end)
