"""tus 1.0.0: uploads that grow by PATCH, with all extensions that a WSGI server can hold.

POST   /files/       a new upload, partial or final too, with its first bytes if it has some
HEAD   /files/{id}   how far it is
PATCH  /files/{id}   the next bytes; the last ones finish it
DELETE /files/{id}   forget it
GET    /files/{id}   the finished file
"""

from __future__ import annotations

from email.utils import formatdate
from typing import Any
from urllib.parse import quote

from resumable.dialects import tus_words as words
from resumable.errors import BadRequest, Forbidden, UploadError
from resumable.http import Request, Response, json_response
from resumable.model import Status
from resumable.operations import (
    Append,
    ById,
    Cancel,
    Cancelled,
    Concatenate,
    Create,
    Inspect,
    Known,
    Operation,
    Outcome,
    Retrieve,
)

Headers = tuple[tuple[str, str], ...]
EXTENSIONS = (
    "creation",
    "creation-defer-length",
    "creation-with-upload",
    "expiration",
    "checksum",
    "termination",
    "concatenation",
    "concatenation-unfinished",
)
_METHODS = ("HEAD", "PATCH", "DELETE", "GET")
# wsgiref.validate, under which many an app is developed, demands a type for no bytes too.
_NO_CONTENT = ("Content-Type", "text/plain")
_OVERRIDE = "x-http-method-override"
# Its clients give up at most 4xx, and are told elsewhere that nothing arrives any more.
_STATUS = {499: 400, 408: 503}


class TusDialect:
    """tus below `path`. `max_size` (bytes) and `expiry` (seconds) are the limits in force.

    With `downloads` a GET gives the finished bytes, which the protocol does not know.
    """

    name = "tus"
    always: Headers = (("Tus-Resumable", words.VERSION),)
    file_parts: frozenset[str] = frozenset()

    def __init__(
        self,
        *,
        path: str = "/files",
        max_size: int | None = None,
        expiry: int = 0,
        downloads: bool = True,
    ) -> None:
        self._path = path
        self._expiry = expiry
        self._methods = _METHODS if downloads else _METHODS[:-1]
        self.heads = frozenset({path.split("/")[1]})
        most: Headers = () if max_size is None else (("Tus-Max-Size", str(max_size)),)
        self.discovery: Headers = (
            ("Tus-Version", words.VERSION),
            ("Tus-Extension", ",".join(EXTENSIONS)),
            ("Tus-Checksum-Algorithm", ",".join(words.ALGORITHMS)),
            *most,
        )

    def meant(self, request: Request) -> Request:
        method = request.headers.get(_OVERRIDE)
        return request if method is None else request.with_method(method.strip().upper())

    def routes(self, request: Request) -> bool:
        return self._id(request) is not None

    def methods(self, request: Request) -> tuple[str, ...]:
        return self._methods if self._id(request) else ("POST",)

    def body(self, request: Request) -> str:
        return "raw" if request.method in ("POST", "PATCH") else "none"

    def _id(self, request: Request) -> str | None:
        """The id in the path; empty for the route of new uploads, None for no route of ours."""
        if request.path in (self._path, self._path + "/"):
            return ""
        id = request.path.removeprefix(self._path + "/")
        return None if "/" in id else id

    # ------------------------------------------------------------ words to operations

    def parse(self, request: Request, document: Any = None) -> Operation | None:
        words.check_version(request)
        id = self._id(request)
        if not id:
            return self._creation(request)
        reference = ById(id)
        match request.method:
            case "PATCH":
                return _append(request, reference)
            case "DELETE":
                return Cancel(reference, finished=True)
            case "GET":
                return Retrieve(reference)
            case _:
                return Inspect(reference, sequential=True)

    def _creation(self, request: Request) -> Operation:
        concat = words.concat(request, self._path)
        told = words.metadata(request)
        said = {"metadata": told.raw, "concat": None if concat is None else concat.raw}
        kept = {name: raw for name, raw in said.items() if raw is not None}
        if concat is not None and not concat.partial:
            _check_final(request)
            return Concatenate(
                partials=tuple(ById(id) for id in concat.ids),
                filename=told.filename,
                content_type=told.content_type,
                metadata=told.values,
                words=kept,
            )
        return Create(
            length=words.length(request),
            filename=told.filename,
            content_type=told.content_type,
            metadata=told.values,
            partial=concat is not None,
            words=kept,
            append=_brings_bytes(request),
            sequential=True,
            digest=words.digest(request) if _brings_bytes(request) else None,
        )

    # ------------------------------------------------------------ outcomes to words

    def render(self, request: Request, outcome: Outcome) -> Response:
        if isinstance(outcome, Cancelled):
            return Response(204)
        assert isinstance(outcome, Known)
        status = outcome.status
        expires = self._expires(status)
        if request.method == "PATCH":
            return Response(204, (*_offset(status), *expires))
        if request.method == "POST":
            offset = _offset(status) if _brings_bytes(request) else ()
            location = ("Location", self._location(request, status))
            return Response(201, (_NO_CONTENT, location, *offset, *expires))
        return Response(
            200,
            (
                _NO_CONTENT,
                *_offset(status),
                *_length(status),
                *_words(status),
                *expires,
                ("Cache-Control", "no-store"),
            ),
        )

    def refuse(self, request: Request, error: UploadError) -> Response:
        headers: Headers = ()
        if error.retry_after is not None:
            headers = (("Retry-After", str(error.retry_after)),)
        if error.status == 405:
            headers = (*headers, ("Allow", ", ".join((*self.methods(request), "OPTIONS"))))
        if error.status == 412:
            headers = (*headers, ("Tus-Version", words.VERSION))
        if isinstance(error.known, Status) and error.status in (409, 413, 460):
            headers = (*headers, *_offset(error.known), *self._expires(error.known))
        told = {"error": error.message, "code": error.code}
        if error.request_id is not None:
            told["request_id"] = error.request_id
        # A length that is fixed is no matter of time and turns, as a 409 is here.
        contradicts = error.code == "total-conflict"
        status = 400 if contradicts else _STATUS.get(error.status, error.status)
        return json_response(status, told, headers)

    def _location(self, request: Request, status: Status) -> str:
        """Without a host, which no server behind a proxy knows (RFC 3986, 4.2).

        What is relative to the request's own URL is right even where a proxy strips a prefix and
        says nothing of it, and is all that aiotus resolves beside whole URLs. tus-js-client
        resolves it only against an endpoint with a host; pages say "/files/", so they get a path
        from the root.
        """
        if _is_from_a_page(request):
            return f"{quote(request.root, safe='/~')}{self._path}/{status.upload.id}"
        below = "" if request.path.endswith("/") else self._path.rpartition("/")[2] + "/"
        return below + status.upload.id

    def _expires(self, status: Status) -> Headers:
        if status.finished is not None and not status.upload.partial:
            return ()
        moment = formatdate(status.touched + self._expiry, usegmt=True)
        return (("Upload-Expires", moment),)


def _is_from_a_page(request: Request) -> bool:
    """Browsers label what their pages send; programs do not."""
    return "origin" in request.headers or "sec-fetch-site" in request.headers


def _append(request: Request, reference: ById) -> Append:
    words.check_type(request)
    offset = words.number(request, "Upload-Offset")
    if offset is None:
        raise BadRequest("Upload-Offset is missing.")
    return Append(
        reference=reference,
        offset=offset,
        length=words.number(request, "Upload-Length"),
        digest=words.digest(request),
    )


def _brings_bytes(request: Request) -> bool:
    """Any other content type means that the body is not the file's."""
    return request.content_type == words.BYTES


def _check_final(request: Request) -> None:
    if "upload-length" in request.headers or "upload-defer-length" in request.headers:
        raise BadRequest("A final upload has the length of its parts; leave Upload-Length out.")
    if request.content_length or "transfer-encoding" in request.headers:
        raise Forbidden("A final upload takes no bytes itself.", code="concatenation")


def _offset(status: Status) -> Headers:
    """Of an upload that is still to be put together nobody knows how far it is."""
    if status.finished is not None:
        return (("Upload-Offset", str(status.finished.size)),)
    return () if status.upload.partials else (("Upload-Offset", str(status.offset)),)


def _length(status: Status) -> Headers:
    length = status.length if status.finished is None else status.finished.size
    if length is not None:
        return (("Upload-Length", str(length)),)
    return () if status.upload.partials else (("Upload-Defer-Length", "1"),)


def _words(status: Status) -> Headers:
    """What the client said, as it said it."""
    names = {"metadata": "Upload-Metadata", "concat": "Upload-Concat"}
    said = status.upload.words
    return tuple((header, said[name]) for name, header in names.items() if name in said)
