"""From request to response: picks the dialect, reads the body its way, turns errors into HTTP."""

from __future__ import annotations

import json
import logging
import re
import secrets
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from typing import Any, Protocol

from resumable import downloads, streaming
from resumable.body import Body
from resumable.cors import Cors
from resumable.engine import Engine
from resumable.errors import BadRequest, Broken, MethodNotAllowed, TooLarge, UploadError
from resumable.forms import MOST_FIELD_BYTES, MOST_OVERHEAD, FilePart, Form, boundary_of
from resumable.holding import Holding
from resumable.http import Request, Response
from resumable.interfaces import Dialect, Payload
from resumable.model import KIB
from resumable.operations import Caller, Found, Operation, Outcome, Working

MOST_JSON = 64 * KIB
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_log = logging.getLogger("resumable")


class Incoming(Protocol):
    """A request as its server holds it. Each part is checked when it is asked for.

    All raise UploadError for what is malformed.
    """

    def body(self) -> Body:
        """Its bytes, unread."""

    def request(self) -> Request:
        """Its words."""

    def caller(self) -> Caller:
        """Who sent it."""


class Handler:
    """Answers the requests of all dialects with one engine.

    `redirect` sends downloads to the storage's own URL, signed for that many seconds.
    """

    def __init__(
        self,
        engine: Engine,
        dialects: Sequence[Dialect],
        cors: Cors,
        *,
        redirect: int | None = None,
    ) -> None:
        self._redirect = redirect
        self._engine = engine
        self._dialects = tuple(dialects)
        self._cors = cors
        self._most = _least(engine.limits.max_size, engine.limits.max_chunk_size)
        self._holding = Holding(
            engine.store,
            budget=engine.limits.memory,
            each=engine.store.capabilities.part_size,
            most=self._most,
        )

    def dialect_of(self, request: Request) -> Dialect | None:
        """The dialect whose route this is, if any."""
        return next((d for d in self._dialects if d.routes(request)), None)

    def respond(self, dialect: Dialect, outline: Request, incoming: Incoming) -> Response:
        """The answer, whatever happens; only what ends the process itself gets out.

        `outline` is the request as far as it can be told unchecked: method, path, headers.
        """
        bodiless = outline.method == "HEAD"
        body: Body | None = None
        outline = dialect.meant(outline)
        try:
            body = incoming.body()
            request = dialect.meant(incoming.request())
            response = self._answer(dialect, request, body, incoming.caller)
        except UploadError as error:
            if error.status >= 500:
                error.request_id = _request_id(outline)
                _log.warning(
                    "request %s: %s was answered %d: %s",
                    error.request_id,
                    outline.method,
                    error.status,
                    error.message,
                    exc_info=error.__cause__,
                )
            response = self._refusal(dialect, outline, body, error)
        except Exception:
            # The rest of the path may be somebody's secret.
            broken = Broken("Something went wrong here; it has been logged.")
            broken.request_id = _request_id(outline)
            _log.exception(
                "request %s: unexpected trouble with %s %.20r",
                broken.request_id,
                outline.method,
                outline.path,
            )
            response = self._refusal(dialect, outline, body, broken)
        response = self._cors.apply(outline, response.with_headers(*dialect.always))
        if bodiless or response.status in (204, 304):
            response = response.without_body()
        return response

    def _refusal(
        self, dialect: Dialect, request: Request, body: Body | None, error: UploadError
    ) -> Response:
        # Behind a proxy an answer before the end of the body arrives as 502 most of the time.
        if body is not None:
            body.drain()
        return dialect.refuse(request, error)

    def _answer(
        self, dialect: Dialect, request: Request, body: Body, caller: Callable[[], Caller]
    ) -> Response:
        methods = dialect.methods(request)
        if request.method == "OPTIONS":
            return self._cors.preflight(request, methods).with_headers(*dialect.discovery)
        if request.method not in methods:
            raise MethodNotAllowed(f"Use {' or '.join(methods)} here.")
        self._cors.check(request)
        asking = caller()
        request, outcome = self._performed(dialect, request, body, asking)
        if isinstance(outcome, Working) and streaming.is_wished(request, asking):
            look = partial(self._performed, dialect, request, body, asking)
            return streaming.events(dialect, look)
        if isinstance(outcome, Found):
            finished, store = outcome.finished, self._engine.store
            elsewhere = downloads.redirect(request, finished, store, self._redirect)
            return elsewhere or downloads.serve(request, finished, store)
        return dialect.render(request, outcome)

    def _performed(
        self, dialect: Dialect, request: Request, body: Body, caller: Caller
    ) -> tuple[Request, Outcome]:
        kind = dialect.body(request)
        if kind == "form":
            return self._perform_form(dialect, request, body, caller)
        document = _json(body.read_all(MOST_JSON)) if kind == "json" else None
        operation = _decided(dialect.parse(request, document))
        return request, self._engine.perform(operation, caller, body)

    # ------------------------------------------------------------ forms

    def _perform_form(
        self, dialect: Dialect, request: Request, body: Body, caller: Caller
    ) -> tuple[Request, Outcome]:
        """Straight into place where the fields before the file say enough; else hold the file."""
        boundary = boundary_of(request.headers.get("content-type", ""))
        self._check_announced(body)
        with closing(Form(body, boundary, file_parts=dialect.file_parts)) as form:
            part = form.to_file()
            name = None if part is None else part.name
            asked = request.with_form(form.fields, file_name=name, complete=part is None)
            operation = dialect.parse(asked)
            if part is None:
                return asked, self._engine.perform(_decided(operation), caller, body)
            if operation is None or self._engine.prefers_held(operation, body.length):
                return self._perform_held(dialect, asked, form, part, caller, operation)
            return self._perform_early(dialect, asked, form, part, caller, operation)

    def _check_announced(self, body: Body) -> None:
        """Refuse a form whose file cannot but be too large before a byte of it is written."""
        most, announced = self._most, body.length
        if most is None or announced is None:
            return
        if announced > most + MOST_OVERHEAD + MOST_FIELD_BYTES:
            raise TooLarge(f"A file in a form may have at most {most} bytes.")

    def _perform_early(
        self,
        dialect: Dialect,
        asked: Request,
        form: Form,
        part: FilePart,
        caller: Caller,
        early: Operation,
    ) -> tuple[Request, Outcome]:
        """The file goes into place as it comes; what follows it must not say otherwise."""

        def told() -> Request:
            return asked.with_form(form.fields, file_name=part.name, complete=True)

        def late() -> Operation:
            return _checked_same(early, dialect.parse(told()))

        # The words are all checked before the bytes count.
        part.then = late
        outcome = self._engine.perform(early, caller, part, late)
        return told(), outcome

    def _perform_held(
        self,
        dialect: Dialect,
        asked: Request,
        form: Form,
        part: FilePart,
        caller: Caller,
        early: Operation | None,
    ) -> tuple[Request, Outcome]:
        held: Payload
        with closing(self._holding.hold(part)) as held:
            if held.cut is not None:
                raise held.cut
            if early is not None and len(form.fields) == len(asked.fields):
                # Nothing came behind the file, so the words are those that were read before it.
                return asked, self._engine.perform(early, caller, held)
            told = asked.with_form(form.fields, file_name=part.name, complete=True)
            operation = _decided(dialect.parse(told))
            return told, self._engine.perform(operation, caller, held)


def _request_id(request: Request) -> str:
    """What joins an answer to its lines in the log: the proxy's own name for it, or a new one."""
    given = request.headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)


def _least(*limits: int | None) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)


def _decided(operation: Operation | None) -> Operation:
    if operation is None:
        raise BadRequest("The request does not say what it is about.")
    return operation


def _checked_same(early: Operation, late: Operation | None) -> Operation:
    if late is None or early != late:
        raise BadRequest(
            "Fields behind the file contradict those before it; send all fields before the file.",
            code="bad-form",
        )
    return late


def _json(text: bytes) -> Any:
    """A JSON document; raises BadRequest, also for one that is nested without end."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise BadRequest("The body is not JSON.", code="bad-json") from None
