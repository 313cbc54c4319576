"""The middleware: environ in, start_response out, everything that is not an upload passed on."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from resumable import assets
from resumable.body import Body, empty_body, open_body, server_warning
from resumable.connect import connect
from resumable.cors import Cors
from resumable.dialects.chunks import ChunkDialect
from resumable.engine import Engine
from resumable.errors import BadRequest, HeadersTooLarge, UploadError
from resumable.handler import Handler
from resumable.http import Headers, Request, Response, check_header, whole_number
from resumable.interfaces import Dialect
from resumable.model import KIB, Finished, Limits, Upload
from resumable.operations import Caller
from resumable.uploads import Uploads

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

Owner = Callable[[Mapping[str, Any]], str | None]
Authorize = Callable[[Caller, str, Upload | Finished | None], bool]

ASSETS = "/resumable/static/"
_LONGEST_HEADER = 8 * KIB
_REASONS = {460: "Checksum Mismatch", 499: "Client Closed Request"}


class ResumableUploads:
    """Gives a WSGI application resumable uploads.

    `app` is the application to wrap, or None to serve uploads alone. `storage` is an fsspec URL
    or a directory; `storage_options` are the backend's own options. All else is keyword-only:

    prefix          where the routes are mounted ("" = at the root of the wrapped app)
    durability      "full": acknowledged bytes survive a power cut; "process": a killed process
    limits          sizes in bytes, times in seconds; see `Limits`
    owner           environ -> the name of who asks, or None; binds uploads to their owner
    authorize       (caller, action, upload) -> may they? Asked for every verb. Default: yes, who
                    has an unguessable id or path may use it
    created         called with each new `Upload`
    completed       called with each `Finished` object, at least once, after it is durable
    cancelled       called with each `Upload` that was cancelled or has expired
    cors            origins whose pages may upload ("https://app.example"), or "*"
    cors_credentials  send cookies across origins (not with "*")
    listing         lets a caller list their finished files at /recordings

    Nothing is opened or connected before the first request, so that it may be made before a fork.
    """

    def __init__(
        self,
        app: WSGIApplication | None,
        storage: str | os.PathLike[str],
        *,
        storage_options: Mapping[str, Any] | None = None,
        prefix: str = "",
        durability: str = "full",
        limits: Limits | None = None,
        owner: Owner | None = None,
        authorize: Authorize | None = None,
        created: Callable[[Upload], object] | None = None,
        completed: Callable[[Finished], object] | None = None,
        cancelled: Callable[[Upload], object] | None = None,
        cors: Collection[str] = (),
        cors_credentials: bool = False,
        listing: bool = False,
    ) -> None:
        self._app = app or _not_found
        self._limits = limits or Limits()
        self._prefix = _checked_prefix(prefix)
        self._owner = owner
        store = connect(
            storage,
            storage_options,
            durability=durability,
            free_space=self._limits.free_space,
        )
        hooks = _HostHooks(authorize, created, completed, cancelled)
        engine = Engine(store, hooks, limits=self._limits, listing=listing)
        dialects: list[Dialect] = [ChunkDialect(listing=listing)]
        self._handler = Handler(engine, dialects, Cors(cors, credentials=cors_credentials))
        self._warned = threading.Event()
        self.uploads = Uploads(engine)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ["resumable.uploads"] = self.uploads
        path = environ.get("PATH_INFO", "")
        if not path.startswith(self._prefix):
            return self._app(environ, start_response)
        return self._serve(path, environ, start_response)

    def _serve(
        self, path: str, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        below = path[len(self._prefix) :]
        head = below[1:].partition("/")[0]
        if head not in _HEADS or below[:1] != "/":
            return self._app(environ, start_response)
        try:
            request = _request(environ, self._prefix, below)
        except UploadError as error:
            return _respond(_malformed(error), start_response)
        if below.startswith(ASSETS) and request.method in ("GET", "HEAD"):
            return _respond(_asset(request, below.removeprefix(ASSETS)), start_response)
        dialect = self._handler.dialect_of(request)
        if dialect is None:
            return self._app(environ, start_response)
        self._warn_once(environ)
        try:
            body = self._body(environ)
        except UploadError as error:
            return _respond(dialect.refuse(request, error), start_response)
        response = self._handler.respond(dialect, request, body, self._caller(environ))
        return _respond(response, start_response)

    def _body(self, environ: WSGIEnvironment) -> Body:
        if environ["REQUEST_METHOD"] in ("GET", "HEAD", "OPTIONS", "DELETE"):
            return empty_body()
        return open_body(
            environ,
            idle_timeout=self._limits.idle_timeout,
            minimum_rate=self._limits.minimum_rate,
        )

    def _caller(self, environ: WSGIEnvironment) -> Caller:
        return Caller(self._owner(environ) if self._owner else None, environ)

    def _warn_once(self, environ: WSGIEnvironment) -> None:
        if self._warned.is_set():
            return
        self._warned.set()
        warning = server_warning(environ)
        if warning is not None:
            print(f"resumable: {warning}", file=environ["wsgi.errors"])


# First path segments that may be ours; everything else costs one look-up.
_HEADS = frozenset(
    {
        "upload-chunk",
        "finalize-upload",
        "upload-status",
        "process-video-chunks",
        "upload-config",
        "recordings",
        "resumable",
    }
)


@dataclass(frozen=True, slots=True)
class _HostHooks:
    """The host's callables as the engine's hooks."""

    ask: Authorize | None
    on_created: Callable[[Upload], object] | None
    on_completed: Callable[[Finished], object] | None
    on_cancelled: Callable[[Upload], object] | None

    def listens(self, event: str) -> bool:
        return getattr(self, f"on_{event}") is not None

    def authorize(self, caller: Caller, action: str, upload: Upload | Finished | None) -> bool:
        return self.ask is None or bool(self.ask(caller, action, upload))

    def created(self, upload: Upload) -> None:
        if self.on_created is not None:
            self.on_created(upload)

    def completed(self, finished: Finished) -> None:
        if self.on_completed is not None:
            self.on_completed(finished)

    def cancelled(self, upload: Upload) -> None:
        if self.on_cancelled is not None:
            self.on_cancelled(upload)


def _checked_prefix(prefix: str) -> str:
    if prefix and (not prefix.startswith("/") or prefix.endswith("/")):
        raise ValueError(f"prefix must look like '/files', not {prefix!r}.")
    return prefix


def _request(environ: WSGIEnvironment, prefix: str, below: str) -> Request:
    """The request as plain values; raises BadRequest for what no text can mean."""
    return Request(
        method=environ["REQUEST_METHOD"],
        path=_text(below),
        root=_text(environ.get("SCRIPT_NAME", "") + prefix),
        query=_query(environ.get("QUERY_STRING", "")),
        headers=_headers(environ),
        content_length=_content_length(environ),
    )


def _text(mangled: str) -> str:
    """A path as people write it: WSGI hands over UTF-8 read as latin-1 (PEP 3333)."""
    try:
        text = mangled.encode("latin-1").decode("utf-8")
    except UnicodeError:
        raise BadRequest("The path is not UTF-8.", code="bad-path") from None
    if "\x00" in text:
        raise BadRequest("The path holds a NUL character.", code="bad-path")
    return text


def _query(text: str) -> Mapping[str, str]:
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=64, errors="strict")
    except (ValueError, UnicodeError):
        raise BadRequest("The query is malformed.", code="bad-query") from None
    query = dict(pairs)
    if len(query) < len(pairs):
        raise BadRequest("The query names a field twice.", code="bad-query")
    return query


def _headers(environ: WSGIEnvironment) -> Headers:
    fields = {
        name[5:].replace("_", "-"): value
        for name, value in environ.items()
        if name.startswith("HTTP_") and isinstance(value, str)
    }
    if environ.get("CONTENT_TYPE"):
        fields["content-type"] = environ["CONTENT_TYPE"]
    for name, value in fields.items():
        if len(value) > _LONGEST_HEADER and name.lower() != "cookie":
            raise HeadersTooLarge(f"The header {name.lower()} is longer than 8 KiB.")
    return Headers(fields)


def _content_length(environ: WSGIEnvironment) -> int | None:
    text = environ.get("CONTENT_LENGTH")
    return whole_number(text, "Content-Length") if text else None


def _malformed(error: UploadError) -> Response:
    return ChunkDialect().refuse(Request("GET", "/"), error)


def _asset(request: Request, name: str) -> Response:
    try:
        response = assets.serve(request, name)
    except UploadError as error:
        response = _malformed(error)
    return response.without_body() if request.method == "HEAD" else response


def _respond(response: Response, start_response: StartResponse) -> Iterable[bytes]:
    """Hand a response to the server, in the forms that all of them take."""
    headers = list(response.headers)
    size = len(response.body) if isinstance(response.body, bytes) else response.length
    if response.length is not None:
        size = response.length
    if response.status not in (204, 304):
        headers.append(("Content-Length", str(size or 0)))
    for name, value in headers:
        check_header(name, value)
    start_response(f"{response.status} {_reason(response.status)}", headers)
    # hypercorn answers 500 to an empty list.
    return [response.body] if isinstance(response.body, bytes) else response.body


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return _REASONS.get(status, "Unknown")


def _not_found(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    body = b"Not Found"
    headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))]
    start_response("404 Not Found", headers)
    return [b"" if environ["REQUEST_METHOD"] == "HEAD" else body]
