"""A WSGI app that writes every piece of a body to a file as it comes, then its verdict.

RECORDING_FOLDER takes, for a request to /NAME: NAME.bytes, made when the app is called, and
NAME.json, which appears complete when the body has ended in any way. The query may say
`idle` (seconds), `piece` (bytes), `stop` (leave the body after so many bytes), `drain` (=1).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from resumable.body import PIECE_SIZE, Body, open_body, server_warning
from resumable.errors import UploadError


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    name = environ["PATH_INFO"].strip("/")
    if not name:
        return _answer(start_response, 200, {})
    facts: dict[str, Any] = {
        "warning": server_warning(environ),
        "length": environ.get("CONTENT_LENGTH"),
        "coding": environ.get("HTTP_TRANSFER_ENCODING"),
        "protocol": environ.get("SERVER_PROTOCOL"),
    }
    folder = Path(os.environ["RECORDING_FOLDER"])
    status = 500
    try:
        status = _record(environ, folder / f"{name}.bytes", facts)
    except UploadError as error:
        status = error.status
        facts["refused"] = error.code
    except BaseException as error:
        facts["raised"] = repr(error)
        raise
    finally:
        _publish(folder / f"{name}.json", facts)
    return _answer(start_response, status, facts)


def _record(environ: dict[str, Any], path: Path, facts: dict[str, Any]) -> int:
    wish = dict(parse_qsl(environ.get("QUERY_STRING", "")))
    with path.open("wb", buffering=0) as file:
        body = open_body(
            environ,
            idle_timeout=float(wish.get("idle", "60")),
            piece_size=int(wish.get("piece", PIECE_SIZE)),
        )
        facts["reader"] = type(body._reader).__name__
        try:
            for piece in body:
                file.write(piece)
                if "stop" in wish and body.received >= int(wish["stop"]):
                    break
        finally:
            facts.update(received=body.received, whole=body.whole, cut=_code(body))
    if "drain" in wish:
        body.drain()
    return body.cut.status if body.cut else 200


def _code(body: Body) -> str | None:
    return body.cut.code if body.cut else None


def _publish(path: Path, facts: dict[str, Any]) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(facts))
    temporary.rename(path)


def _answer(start_response: Callable[..., Any], status: int, facts: Any) -> list[bytes]:
    content = json.dumps(facts).encode()
    start_response(
        f"{status} Answer",
        [("Content-Type", "application/json"), ("Content-Length", str(len(content)))],
    )
    return [content]
