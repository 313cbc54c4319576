"""Resumable uploads of the double of Google's storage: one writer, pieces in order."""

from __future__ import annotations

import re
import secrets
import threading

from werkzeug.wrappers import Request, Response

from tests.storage.gcs_objects import Bucket, Conditions, Facts, Refused
from tests.storage.gcs_words import described

GRAIN = 256 * 1024
"""Bytes; every piece but the last is a multiple of it."""


class Session:
    def __init__(self, bucket: Bucket, name: str, facts: Facts, conditions: Conditions) -> None:
        self.bucket = bucket
        self.name = name
        self.facts = facts
        self.conditions = conditions
        self.content = bytearray()
        self.finished = False
        self.guard = threading.Lock()


class Sessions:
    def __init__(self) -> None:
        self._open: dict[str, Session] = {}

    def begun(
        self, bucket: Bucket, name: str, facts: Facts, conditions: Conditions, request: Request
    ) -> Response:
        bucket.check(name, conditions)
        key = secrets.token_hex(16)
        self._open[key] = Session(bucket, name, facts, conditions)
        query = f"uploadType=resumable&upload_id={key}"
        return Response(headers={"Location": f"{request.base_url}?{query}"})

    def continued(self, request: Request) -> Response:
        key = request.args["upload_id"]
        if key not in self._open:
            raise Refused(404, "notFound", "No such upload session.")
        if request.method == "DELETE":
            del self._open[key]
            return Response(status=499)
        session = self._open[key]
        with session.guard:
            if not session.finished:
                _take(session, request)
            return _state(session)


def _take(session: Session, request: Request) -> None:
    body = request.get_data()
    told = request.headers.get("Content-Range", f"bytes 0-{len(body) - 1}/{len(body)}")
    parsed = re.fullmatch(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)", told)
    if parsed is None:
        raise Refused(400, "invalid", f"Cannot read Content-Range {told}.")
    start, whole = int(parsed[1] or 0), None if parsed[3] == "*" else int(parsed[3])
    if parsed[1] is not None:
        last = whole == start + len(body)
        if start > len(session.content) or not (last or len(body) % GRAIN == 0):
            raise Refused(400, "invalid", f"A piece at {start} with {len(body)} bytes is wrong.")
        session.content += body[len(session.content) - start :]
    if whole == len(session.content):
        content = bytes(session.content)
        session.bucket.put(session.name, content, session.facts, session.conditions)
        session.finished = True


def _state(session: Session) -> Response:
    if session.finished:
        return described(session.bucket, session.bucket.get(session.name, Conditions({})))
    response = Response(status=308)
    if session.content:
        response.headers["Range"] = f"bytes=0-{len(session.content) - 1}"
    return response
