"""From request to response: picks the dialect, reads the body its way, turns errors into HTTP."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from resumable import downloads
from resumable.body import Body
from resumable.cors import Cors
from resumable.engine import Engine
from resumable.errors import BadRequest, Broken, MethodNotAllowed, UploadError
from resumable.forms import FilePart, Form, boundary_of
from resumable.holding import Holding
from resumable.http import Request, Response
from resumable.interfaces import Dialect, Payload
from resumable.model import KIB
from resumable.operations import Caller, Found, Operation, Outcome

MOST_JSON = 64 * KIB
_log = logging.getLogger("resumable")


class Handler:
    """Answers the requests of all dialects with one engine."""

    def __init__(self, engine: Engine, dialects: Sequence[Dialect], cors: Cors) -> None:
        self._engine = engine
        self._dialects = tuple(dialects)
        self._cors = cors
        self._holding = Holding(
            engine.store,
            budget=engine.limits.memory,
            each=engine.store.capabilities.part_size,
        )

    def dialect_of(self, request: Request) -> Dialect | None:
        """The dialect whose route this is, if any."""
        return next((d for d in self._dialects if d.routes(request)), None)

    def respond(self, dialect: Dialect, request: Request, body: Body, caller: Caller) -> Response:
        """The answer, whatever happens; only what ends the process itself gets out."""
        try:
            response = self._answer(dialect, request, body, caller)
        except UploadError as error:
            response = self._refusal(dialect, request, body, error)
        except Exception:
            _log.exception("unexpected trouble with %s %s", request.method, request.path)
            broken = Broken("Something went wrong here; it has been logged.")
            response = self._refusal(dialect, request, body, broken)
        response = self._cors.apply(request, response)
        if request.method == "HEAD" or response.status in (204, 304):
            response = response.without_body()
        return response

    def _refusal(
        self, dialect: Dialect, request: Request, body: Body, error: UploadError
    ) -> Response:
        # Behind a proxy an answer before the end of the body arrives as 502 most of the time.
        body.drain()
        return dialect.refuse(request, error)

    def _answer(self, dialect: Dialect, request: Request, body: Body, caller: Caller) -> Response:
        methods = dialect.methods(request)
        if request.method == "OPTIONS":
            return self._cors.preflight(request, methods)
        if request.method not in methods:
            raise MethodNotAllowed(f"Use {' or '.join(methods)} here.")
        self._cors.check(request)
        request, outcome = self._performed(dialect, request, body, caller)
        if isinstance(outcome, Found):
            return downloads.serve(request, outcome.finished, self._engine.store)
        return dialect.render(request, outcome)

    def _performed(
        self, dialect: Dialect, request: Request, body: Body, caller: Caller
    ) -> tuple[Request, Outcome]:
        kind = dialect.body(request)
        if kind == "form":
            request, outcome = self._perform_form(dialect, request, body, caller)
        else:
            document = _json(body.read_all(MOST_JSON)) if kind == "json" else None
            operation = _decided(dialect.parse(request, document))
            outcome = self._engine.perform(operation, caller, body)
        following = dialect.follow(request, outcome)
        if following is not None:
            outcome = self._engine.perform(following, caller, body)
        return request, outcome

    def _perform_form(
        self, dialect: Dialect, request: Request, body: Body, caller: Caller
    ) -> tuple[Request, Outcome]:
        """Straight into place where the fields before the file say enough; else hold the file."""
        boundary = boundary_of(request.headers.get("content-type", ""))
        form = Form(body, boundary, file_parts=dialect.file_parts)
        part = form.to_file()
        if part is None:
            request = request.with_form(form.fields, file_name=None, complete=True)
            operation = _decided(dialect.parse(request))
            return request, self._engine.perform(operation, caller, body)
        asked = request.with_form(form.fields, file_name=part.name, complete=False)
        early = dialect.parse(asked)
        if early is not None:
            part.then = lambda: _check_same(early, dialect.parse(self._told(asked, form, part)))
            outcome = self._engine.perform(early, caller, part)
            return self._told(asked, form, part), outcome
        with closing(self._holding.hold(part)) as held:
            return self._perform_held(dialect, self._told(asked, form, part), held, caller)

    def _perform_held(
        self, dialect: Dialect, request: Request, held: Payload, caller: Caller
    ) -> tuple[Request, Outcome]:
        if not held.whole and held.cut is not None:
            raise held.cut
        operation = _decided(dialect.parse(request))
        return request, self._engine.perform(operation, caller, held)

    def _told(self, request: Request, form: Form, part: FilePart) -> Request:
        return request.with_form(form.fields, file_name=part.name, complete=True)


def _decided(operation: Operation | None) -> Operation:
    if operation is None:
        raise BadRequest("The request does not say what it is about.")
    return operation


def _check_same(early: Operation, late: Operation | None) -> None:
    if early != late:
        raise BadRequest(
            "Fields behind the file contradict those before it; send all fields before the file.",
            code="bad-form",
        )


def _json(text: bytes) -> Any:
    """A JSON document; raises BadRequest, also for one that is nested without end."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise BadRequest("The body is not JSON.", code="bad-json") from None
