"""A small, correct tus 1.0.0 server in memory, with a switch for each fault that rows must find.

`Reference(faults={"no-version-on-412"})` is that server with one thing wrong.
"""

from __future__ import annotations

import binascii
import re
import secrets
import threading
import time
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from hashlib import md5, sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import urlsplit

OFFSET_TYPE = "application/offset+octet-stream"
EXTENSIONS = (
    "creation,creation-defer-length,creation-with-upload,expiration,checksum,"
    "checksum-trailer,termination,concatenation,concatenation-unfinished"
)
SUMS: dict[str, tuple[Callable[[bytes], bytes], int]] = {
    "sha1": (lambda body: sha1(body).digest(), 20),
    "md5": (lambda body: md5(body).digest(), 16),
}
HEADERS = (
    "Tus-Resumable,Upload-Length,Upload-Offset,Upload-Metadata,Upload-Defer-Length,Upload-Concat,"
    "Upload-Checksum,Upload-Expires,Content-Type,X-HTTP-Method-Override,X-Requested-With,Location"
)


class Refused(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, **headers: str) -> None:
        super().__init__(status)
        self.status = status
        self.headers = headers


@dataclass
class Upload:
    """Bytes and what was said of them. A final upload has parts in place of bytes."""

    length: int | None
    metadata: str | None = None
    concat: str | None = None
    parts: list[Upload] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    expires: float = 0.0

    @property
    def joined(self) -> bool:
        return all(len(part.body) == part.length for part in self.parts)


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
        self.asked: set[str] = set()
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

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is what rows do."""


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: Reference

    def bad(self, fault: str) -> bool:
        """Whether this server has this fault."""
        self.server.asked.add(fault)
        return fault in self.server.faults

    def offers(self, extension: str) -> bool:
        return extension in self.server.extensions.split(",")

    def log_message(self, format: str, *args: object) -> None:
        """Silence."""

    def handle_expect_100(self) -> bool:
        return True

    # ------------------------------------------------------------ one request

    def handle_request_of(self) -> None:
        self.unread: int | None = self._announced()
        self.waits = "100-continue" in (self.headers.get("Expect") or "")
        method = self.command
        if not self.bad("override-ignored"):
            method = (self.headers.get("X-HTTP-Method-Override") or method).upper()
        try:
            self._admit(method)
            answer = getattr(self, f"tus_{method.lower()}", self._unknown)()
        except Refused as refused:
            answer = refused.status, refused.headers, b""
        self._drain()
        self._send(method, *answer)

    do_OPTIONS = do_POST = do_HEAD = do_PATCH = do_DELETE = do_GET = do_PUT = handle_request_of

    def _announced(self) -> int | None:
        if self.headers.get("Transfer-Encoding"):
            return None
        return int(self.headers.get("Content-Length") or 0)

    def _admit(self, method: str) -> None:
        token = self.server.token
        if token and self.headers.get("Authorization") != token:
            raise Refused(401)
        version = self.headers.get("Tus-Resumable")
        if method == "OPTIONS":
            if version not in (None, "1.0.0") and self.bad("options-checks-version"):
                raise Refused(412, **{"Tus-Version": "1.0.0"})
            return
        if version is None and method in ("HEAD", "GET") and not self.bad("head-needs-version"):
            return
        if version is None and self.bad("version-not-needed"):
            return
        if version != "1.0.0" and not self.bad("version-not-checked"):
            if self.bad("412-after-processing"):
                with suppress(Refused):
                    getattr(self, f"tus_{method.lower()}")()
            if self.bad("400-for-version"):
                raise Refused(400, **{"Tus-Version": "1.0.0"})
            raise Refused(412, **{} if self.bad("no-version-on-412") else {"Tus-Version": "1.0.0"})

    def _unknown(self) -> tuple[int, dict[str, str], bytes]:
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
        self.close_connection = True
        with suppress(OSError):
            self.end_headers()
            # An overridden POST has the body of a POST's answer, which is none here.
            if self.command != "HEAD" or self.bad("head-has-body"):
                self.wfile.write(body or (b"surprise" if self.bad("head-has-body") else b""))

    # ------------------------------------------------------------ bodies

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
            piece = self.rfile.read1(min(self.unread, 65536))
            if not piece:
                self.unread = 0
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
            self.headers[name] = value.strip()

    def _drain(self) -> None:
        if not self.waits:
            with suppress(Refused, OSError, ValueError):
                for _ in self.pieces():
                    pass

    # ------------------------------------------------------------ words

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

    def found(self) -> Upload:
        """The upload that the URL names. Raises Refused."""
        upload = self.server.uploads.get(urlsplit(self.path).path)
        if upload is None or upload.expires < time.time():
            raise Refused(500 if self.bad("500-for-missing") else 404)
        return upload

    def metadata(self) -> str | None:
        """Upload-Metadata as it was sent. Raises Refused."""
        lines = self.headers.get_all("Upload-Metadata") or []
        text = ",".join(lines)
        if not text:
            if lines and self.bad("empty-metadata-refused"):
                raise Refused(400)
            return None
        if "\n" in text or self.bad("metadata-unchecked"):
            return text
        pairs = [pair.strip(" ") for pair in text.split(",")]
        if text != ",".join(pairs) and self.bad("spaces-refused"):
            raise Refused(400)
        if not self.bad("duplicates-taken") and len({p.split(" ")[0] for p in pairs}) < len(pairs):
            raise Refused(400)
        for pair in pairs:
            self._check_pair(pair)
        if self.bad("metadata-sorted"):
            return ",".join(sorted(pairs))
        return text

    def _check_pair(self, pair: str) -> None:
        key, space, value = pair.partition(" ")
        if not space and self.bad("valueless-refused"):
            raise Refused(400)
        if not key and not self.bad("empty-keys-taken"):
            raise Refused(400)
        try:
            decoded = b64decode(value, validate=not self.bad("base64-unchecked"))
        except binascii.Error:
            if self.bad("base64-unchecked"):
                return
            raise Refused(400) from None
        if self.bad("utf8-only"):
            try:
                decoded.decode()
            except UnicodeDecodeError:
                raise Refused(400) from None

    # ------------------------------------------------------------ methods

    def tus_options(self) -> tuple[int, dict[str, str], bytes]:
        listed = self.server.extensions
        for name in ("creation", "termination", "checksum", "concatenation", "expiration"):
            if self.bad(f"{name}-unlisted"):
                listed = ",".join(each for each in listed.split(",") if each != name)
        headers = {
            "Tus-Version": "1" if self.bad("odd-version") else "1.0.0",
            "Tus-Extension": listed,
            "Tus-Checksum-Algorithm": "SHA1,md5" if self.bad("upper-case-sha1") else "sha1,md5",
            "Access-Control-Allow-Methods": "POST, HEAD, PATCH, DELETE, GET, OPTIONS",
            "Access-Control-Allow-Headers": HEADERS,
        }
        if self.server.max_size is not None:
            most = str(self.server.max_size)
            headers["Tus-Max-Size"] = "6 MB" if self.bad("max-size-in-words") else most
        if self.bad("no-version-list"):
            del headers["Tus-Version"]
        if not listed or self.bad("empty-extension-list"):
            headers["Tus-Extension"] = ""
        return (404 if self.bad("options-404") else 204), headers, b""

    def tus_head(self) -> tuple[int, dict[str, str], bytes]:
        try:
            upload = self.found()
        except Refused as refused:
            if self.bad("offset-of-missing"):
                refused.headers["Upload-Offset"] = "0"
            if self.bad("redirect-for-missing"):
                raise Refused(302, Location="/login") from None
            raise
        with self.server.mutex:
            headers = self._state(upload)
        return 200, headers, b""

    def _state(self, upload: Upload) -> dict[str, str]:
        self._join(upload)
        headers = {"Upload-Expires": formatdate(upload.expires, usegmt=True)}
        wrong = self.bad("offset-one-more") and upload.body
        headers["Upload-Offset"] = str(len(upload.body) + bool(wrong))
        complete = len(upload.body) == upload.length
        if complete and self.bad("no-offset-when-complete"):
            del headers["Upload-Offset"]
        if upload.parts and not complete and not self.bad("final-offset-early"):
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
        if upload.concat is not None and not self.bad("concat-forgotten"):
            absolute = self.bad("concat-rewritten") and ";/" in upload.concat
            headers["Upload-Concat"] = (
                upload.concat.replace("/files", "http://x/files") if absolute else upload.concat
            )
        return headers

    def _join(self, upload: Upload) -> None:
        if upload.parts and upload.joined and not upload.body:
            parts = reversed(upload.parts) if self.bad("joined-backwards") else upload.parts
            upload.body += b"".join(bytes(part.body) for part in parts)

    def tus_get(self) -> tuple[int, dict[str, str], bytes]:
        upload = self.found()
        with self.server.mutex:
            self._join(upload)
            if len(upload.body) != upload.length:
                raise Refused(404)
            body = bytes(upload.body)
        return 200, {}, body[::-1] if self.bad("reversed-bytes") else body

    def tus_delete(self) -> tuple[int, dict[str, str], bytes]:
        if not self.offers("termination"):
            raise Refused(405)
        if self.bad("delete-unknown-204") and urlsplit(self.path).path not in self.server.uploads:
            return 204, {}, b""
        upload = self.found()
        with self.server.mutex:
            if not self.bad("delete-keeps"):
                self.server.uploads.pop(urlsplit(self.path).path, None)
            if not self.bad("patch-revives"):
                upload.expires = 0.0
            if self.bad("delete-hurts-finals"):
                upload.body.clear()
        return (200 if self.bad("200-for-delete") else 204), {}, b""

    def tus_post(self) -> tuple[int, dict[str, str], bytes]:
        creating = ("/files",) if self.bad("no-slash") else ("/files", "/files/")
        if urlsplit(self.path).path not in creating:
            if self.bad("post-anywhere"):
                return self._created(Upload(self.number("Upload-Length"), expires=time.time() + 9))
            raise Refused(405 if urlsplit(self.path).path in self.server.uploads else 404)
        metadata = self.metadata()
        upload = self._final(metadata) or Upload(self._new_length(), metadata)
        upload.expires = time.time() + self.server.lifetime
        if self.headers.get("Upload-Concat") == "partial":
            upload.concat = "partial"
        return self._created(upload)

    def _created(self, upload: Upload) -> tuple[int, dict[str, str], bytes]:
        path = f"/files/{secrets.token_hex(8)}"
        headers = {"Location": path, "Upload-Expires": formatdate(upload.expires, usegmt=True)}
        if self.bad("lost-location"):
            headers["Location"] = f"{path}-elsewhere"
        if self.bad("no-expiry-at-creation"):
            del headers["Upload-Expires"]
        if self.bad("expiry-in-iso"):
            headers["Upload-Expires"] = "2026-11-24T20:00:00Z"
        typed = (self.headers.get("Content-Type") or "").partition(";")[0] == OFFSET_TYPE
        self.server.uploads[path] = upload
        if (typed or self.bad("any-body-stored")) and self.offers("creation-with-upload"):
            try:
                self._append(upload, 0)
            except Refused:
                del self.server.uploads[path]
                raise
            headers["Upload-Offset"] = str(len(upload.body))
            if self.bad("no-offset-at-creation"):
                del headers["Upload-Offset"]
        return (200 if self.bad("200-for-creation") else 201), headers, b""

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
        if text is None or not self.offers("concatenation"):
            return None
        word, _, rest = text.partition(";")
        if text == "partial":
            return None
        urls = rest.split()
        if (word != "final" or not urls) and not self.bad("odd-concat-taken"):
            raise Refused(400)
        if self.headers.get("Upload-Length") and not self.bad("length-with-final"):
            raise Refused(400)
        if self.unread and not self.bad("body-on-final"):
            raise Refused(403)
        parts = [self._part(url) for url in urls]
        if self.bad("parts-used-once") and len(parts) != len(set(map(id, parts))):
            raise Refused(400)
        length = sum(part.length or 0 for part in parts)
        self._within_maximum(length)
        if self.bad("metadata-of-parts"):
            metadata = next((part.metadata for part in parts if part.metadata), metadata)
        return Upload(length + self.bad("sum-plus-one"), metadata, text, parts)

    def _part(self, url: str) -> Upload:
        if url.startswith("http") and self.bad("relative-parts-only"):
            raise Refused(400)
        if url.startswith("/") and self.bad("absolute-parts-only"):
            raise Refused(400)
        part = self.server.uploads.get(urlsplit(url).path)
        if part is None:
            raise Refused(404)
        if part.concat != "partial" and not self.bad("any-part"):
            raise Refused(400)
        unfinished = self.offers("concatenation-unfinished") or self.bad("unfinished-parts-taken")
        if len(part.body) != part.length and not unfinished:
            raise Refused(400)
        return part

    # ------------------------------------------------------------ PATCH

    def tus_patch(self) -> tuple[int, dict[str, str], bytes]:
        try:
            upload = self.found()
        except Refused as refused:
            raise Refused(403 if self.bad("403-for-missing") else refused.status) from None
        expires = {"Upload-Expires": formatdate(upload.expires, usegmt=True)}
        try:
            self._patch(upload)
        except Refused as refused:
            refused.headers.update({} if self.bad("no-expiry-on-errors") else expires)
            raise
        if self.bad("no-expiry-on-patch"):
            expires = {}
        offset = {} if self.bad("no-offset-on-patch") else {"Upload-Offset": str(len(upload.body))}
        return (200 if self.bad("200-for-patch") else 204), {**offset, **expires}, b""

    def _patch(self, upload: Upload) -> None:
        if upload.parts and not self.bad("patch-on-final"):
            raise Refused(400 if self.bad("400-for-final") else 403)
        kind = (self.headers.get("Content-Type") or "").partition(";")[0]
        exact = self.headers.get("Content-Type") != kind and self.bad("type-compared-whole")
        if (kind != OFFSET_TYPE or exact) and not self.bad("any-type"):
            raise Refused(400 if self.bad("400-for-type") else 415)
        offset = self.number("Upload-Offset")
        if offset is None:
            raise Refused(400)
        if offset != len(upload.body) and not self.bad("any-offset"):
            raise Refused(400 if self.bad("400-for-offset") else 409)
        if self.bad("empty-refused") and self.unread == 0:
            raise Refused(400)
        length = self._late_length(upload)
        if length is not None and self.bad("length-recorded-early"):
            upload.length = length
        self._append(upload, len(upload.body), length)
        upload.length = upload.length if length is None else length

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

    def _append(self, upload: Upload, position: int, late: int | None = None) -> None:
        limits = (upload.length, late, self.server.max_size)
        end = min((limit for limit in limits if limit is not None), default=2**63)
        if self.unread is not None and position + self.unread > end and not self.bad("overlong"):
            raise Refused(413)
        checked = self.headers.get("Upload-Checksum") is not None or self.headers.get("Trailer")
        if checked and not self.bad("checksum-ignored"):
            self._verified(upload, position, end)
            return
        pieces = (
            self.pieces() if not self.bad("whole-bodies-only") else iter([b"".join(self.pieces())])
        )
        begun = position
        for piece in pieces:
            with self.server.mutex:
                position = self._write(upload, position, piece, end)
        if self.bad("offset-forgets") and position > begun:
            del upload.body[-1:]

    def _write(self, upload: Upload, position: int, piece: bytes, end: int) -> int:
        """Adds a piece where nobody else has been meanwhile; the new end."""
        if not upload.expires:
            raise Refused(404)
        if len(upload.body) != position and not self.bad("no-order"):
            raise Refused(409)
        taken = piece if self.bad("overlong") else piece[: end - position]
        upload.body += taken
        if len(taken) < len(piece):
            raise Refused(413)
        return len(upload.body)

    def _verified(self, upload: Upload, position: int, end: int) -> None:
        """The whole body, or none of it."""
        if self.headers.get("Upload-Checksum") is not None:
            self._sum_and_digest()
        held = bytearray()
        try:
            for piece in self.pieces():
                held += piece
        except Refused:
            if self.bad("unverified-kept"):
                upload.body += held
            raise
        name, digest = self._sum_and_digest()
        if SUMS[name][0](bytes(held)) != digest and not self.bad("digest-unchecked"):
            if self.bad("mismatch-stored"):
                upload.body += held
            raise Refused(400 if self.bad("400-for-mismatch") else 460)
        if position + len(held) > end:
            raise Refused(413)
        with self.server.mutex:
            self._write(upload, position, bytes(held), end)

    def _sum_and_digest(self) -> tuple[str, bytes]:
        name, space, text = (self.headers.get("Upload-Checksum") or "").partition(" ")
        if name not in SUMS and self.bad("unknown-sum-is-md5"):
            return "md5", md5(b"abc").digest()
        if name not in SUMS or not space:
            raise Refused(400)
        try:
            digest = b64decode(text, validate=True)
        except binascii.Error:
            raise Refused(400) from None
        if len(digest) != SUMS[name][1]:
            raise Refused(400)
        return name, digest
