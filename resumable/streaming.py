"""A job's progress as server-sent events, for as long as one answer may last."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from resumable.errors import UploadError
from resumable.http import Request, Response
from resumable.interfaces import Dialect
from resumable.operations import Caller, Outcome, Working

_SECONDS = 30.0
_LOOK_SECONDS = 0.5
_SILENCE_SECONDS = 10.0


def is_wished(request: Request, caller: Caller) -> bool:
    """Whether the client asks for events and the server can do something else meanwhile."""
    if request.method != "GET" or "text/event-stream" not in request.headers.get("accept", ""):
        return False
    return bool(caller.environ.get("wsgi.multithread"))


def events(dialect: Dialect, look: Callable[[], tuple[Request, Outcome]]) -> Response:
    """An answer that goes on while the job does, 30 seconds at most: an EventSource comes again."""
    headers = (
        ("Content-Type", "text/event-stream; charset=utf-8"),
        ("Cache-Control", "no-store"),
        # nginx would hold it back until it is whole.
        ("X-Accel-Buffering", "no"),
    )
    return Response(200, headers, _stream(dialect, look), open_end=True)


def _stream(dialect: Dialect, look: Callable[[], tuple[Request, Outcome]]) -> Iterator[bytes]:
    began = said = time.monotonic()
    told = b""
    while time.monotonic() - began < _SECONDS:
        try:
            request, outcome = look()
        except UploadError:
            return
        if not isinstance(outcome, Working):
            return
        body = dialect.render(request, outcome).body
        if body != told and isinstance(body, bytes):
            yield b"data: " + body + b"\n\n"
            told, said = body, time.monotonic()
        if outcome.job.state.ended:
            return
        if time.monotonic() - said > _SILENCE_SECONDS:
            # Whoever has gone is noticed by writing.
            yield b": still at work\n\n"
            said = time.monotonic()
        time.sleep(_LOOK_SECONDS)
