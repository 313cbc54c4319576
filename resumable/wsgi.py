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
from resumable.body import Body, open_body, server_warning
from resumable.connect import connect
from resumable.cors import Cors
from resumable.dialects.chunks import ChunkDialect
from resumable.dialects.tus import TusDialect
from resumable.engine import Engine
from resumable.errors import BadRequest, HeadersTooLarge
from resumable.handler import Handler
from resumable.http import Headers, Request, Response, whole_number
from resumable.interfaces import Dialect
from resumable.jobs.settings import Processing
from resumable.model import KIB, Finished, Limits, Objects, Upload
from resumable.operations import Caller
from resumable.uploads import Uploads

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

Owner = Callable[[Mapping[str, Any]], str | None]
Authorize = Callable[[Caller, str, Upload | Finished | None], bool]

ASSETS = "/resumable/static/"
_LONGEST_HEADER = 8 * KIB
# Logins and proxies may put long things there, and no dialect reads them.
_ANY_LENGTH = frozenset({"cookie", "authorization"})
_REASONS = {460: "Checksum Mismatch", 499: "Client Closed Request"}


class ResumableUploads:
    """Gives a WSGI application resumable uploads.

    `app` is the application to wrap, or None to serve uploads alone. `storage` is an fsspec URL
    or a directory; `storage_options` are the backend's own options. All else is keyword-only:

    prefix          where the routes are mounted ("" = at the root of the wrapped app)
    durability      "full": acknowledged bytes survive a power cut; "process": a killed process
    objects         what finished objects are called and carry in object storage; see `Objects`
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
    deleting        lets a caller delete a finished file at its path, whoever may read it
    processing      what is made of finished recordings; see `Processing`. None: nothing
    tus             where tus clients find their uploads, below `prefix`; None: nowhere
    redirect_downloads  seconds for which a download's redirect to the object storage is signed;
                    None, or a storage that cannot sign: the bytes come through this server

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
        objects: Objects | None = None,
        limits: Limits | None = None,
        owner: Owner | None = None,
        authorize: Authorize | None = None,
        created: Callable[[Upload], object] | None = None,
        completed: Callable[[Finished], object] | None = None,
        cancelled: Callable[[Upload], object] | None = None,
        cors: Collection[str] = (),
        cors_credentials: bool = False,
        listing: bool = False,
        deleting: bool = False,
        processing: Processing | None = None,
        tus: str | None = "/files",
        redirect_downloads: int | None = None,
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
            objects=objects,
        )
        hooks = _HostHooks(authorize, created, completed, cancelled)
        engine = Engine(
            store,
            hooks,
            limits=self._limits,
            listing=listing,
            deleting=deleting,
            processing=processing,
        )
        self._desk = engine.desk
        chunks = ChunkDialect(listing=listing, deleting=deleting, jobs=processing is not None)
        dialects: list[Dialect] = [chunks]
        if tus is not None:
            dialects.append(_tus(tus, self._limits))
        self._heads = frozenset({ASSETS.split("/")[1]}).union(*(d.heads for d in dialects))
        self._handler = Handler(
            engine,
            dialects,
            Cors(cors, credentials=cors_credentials),
            redirect=redirect_downloads,
        )
        self._warned = threading.Event()
        self.uploads = Uploads(engine, self._prefix)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ["resumable.uploads"] = self.uploads
        if self._desk is not None:
            self._desk.start()
        path = environ.get("PATH_INFO", "")
        if path.startswith(self._prefix):
            below = path[len(self._prefix) :]
            if below[1:].partition("/")[0] in self._heads:
                return self._serve(below, environ, start_response)
        return self._app(environ, start_response)

    def _serve(
        self, below: str, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """A request that may be ours; nothing of it has been read or judged if it is not."""
        outline = Request(environ["REQUEST_METHOD"], below, headers=_headers(environ))
        response = _asset(outline) if below.startswith(ASSETS) else None
        if response is not None:
            return _respond(response, start_response)
        dialect = self._handler.dialect_of(outline)
        if dialect is None:
            return self._app(environ, start_response)
        self._warn_once(environ)
        incoming = _Incoming(environ, outline, self._prefix, self._limits, self._owner)
        return _respond(self._handler.respond(dialect, outline, incoming), start_response)

    def _warn_once(self, environ: WSGIEnvironment) -> None:
        if self._warned.is_set():
            return
        self._warned.set()
        warning = server_warning(environ)
        if warning is not None:
            print(f"resumable: {warning}", file=environ["wsgi.errors"])


@dataclass(frozen=True, slots=True)
class _Incoming:
    """One request in an environ."""

    environ: WSGIEnvironment
    outline: Request
    prefix: str
    limits: Limits
    owner: Owner | None

    def body(self) -> Body:
        return open_body(
            self.environ,
            idle_timeout=self.limits.idle_timeout,
            minimum_rate=self.limits.minimum_rate,
        )

    def request(self) -> Request:
        environ = self.environ
        return Request(
            self.outline.method,
            _text(self.outline.path),
            root=_text(environ.get("SCRIPT_NAME", "") + self.prefix),
            query=_query(environ.get("QUERY_STRING", "")),
            headers=_checked(self.outline.headers),
            content_length=_content_length(environ),
        )

    def caller(self) -> Caller:
        owner = self.owner(self.environ) if self.owner else None
        if not isinstance(owner, str | None):
            raise TypeError(f"owner must return a str or None, not {type(owner).__name__}.")
        # Many an environ has an empty name for nobody, who must not own things in common.
        return Caller(owner or None, environ=self.environ)


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


def _tus(path: str, limits: Limits) -> TusDialect:
    if not path or _checked_prefix(path) != path:
        raise ValueError(f"tus must look like '/files', not {path!r}.")
    return TusDialect(path=path, max_size=limits.max_size, expiry=limits.expiry)


def _checked_prefix(prefix: str) -> str:
    if prefix and (not prefix.startswith("/") or prefix.endswith("/")):
        raise ValueError(f"prefix must look like '/files', not {prefix!r}.")
    return prefix


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
    return Headers(fields)


def _checked(headers: Headers) -> Headers:
    for name, value in headers.items():
        if len(value) > _LONGEST_HEADER and name not in _ANY_LENGTH:
            raise HeadersTooLarge(f"The header {name:.40} is longer than 8 KiB.")
    return headers


def _content_length(environ: WSGIEnvironment) -> int | None:
    text = environ.get("CONTENT_LENGTH")
    return whole_number(text, "Content-Length") if text else None


def _asset(request: Request) -> Response | None:
    if request.method not in ("GET", "HEAD"):
        return None
    response = assets.serve(request, request.path.removeprefix(ASSETS))
    if response is not None and request.method == "HEAD":
        return response.without_body()
    return response


def _respond(response: Response, start_response: StartResponse) -> Iterable[bytes]:
    """Hand a response to the server, in the forms that all of them take."""
    headers = list(response.headers)
    if response.status not in (204, 304) and not response.open_end:
        headers.append(("Content-Length", str(response.size)))
    try:
        start_response(f"{response.status} {_reason(response.status)}", headers)
    except BaseException:
        response.close()
        raise
    if isinstance(response.body, bytes):
        return [response.body]
    if response.size or response.open_end:
        return response.body
    # hypercorn answers 500 to an iterable that gives nothing.
    response.close()
    return [b""]


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
