"""Calls a WSGI application as a strict server would, and holds each answer against the rules.

    answer = call(app, "POST", "/finalize-upload", json={"uploadId": "a"})
    answer = call(app, "POST", "/upload-chunk", form=[file("chunk", b"..."), ("uploadId", "a")])

A file part stands where it is put. `snapshot` remembers a directory with all that is in it.
"""

from __future__ import annotations

import hashlib
import io
import json as json_module
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes
from wsgiref.validate import validator

BOUNDARY = "----boundary0123456789"
ROOMS = frozenset({"uploads", "finished", "new", "partials", "spool"})
HOP_BY_HOP = {"connection", "keep-alive", "proxy-authenticate", "te", "trailer", "upgrade"}
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

Part = tuple[str, str] | bytes


@dataclass(frozen=True)
class Answer:
    """What came back; `headers` by lower-case name."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        assert self.headers["content-type"] == "application/json", self
        return json_module.loads(self.body)


def call(
    app: Any,
    method: str,
    target: str,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    *,
    form: Sequence[Part] | None = None,
    json: Any = None,
    environ: Mapping[str, Any] | None = None,
) -> Answer:
    """One request. `target` is percent-encoded; `environ` overrides, None removes a key."""
    headers = dict(headers or {})
    if form is not None:
        body = multipart(form)
        headers.setdefault("Content-Type", f"multipart/form-data; boundary={BOUNDARY}")
    if json is not None:
        body = json_module.dumps(json).encode()
    asked = _environ(method, target, body, headers)
    asked |= environ or {}
    asked = {name: value for name, value in asked.items() if value is not None}
    return answer_of(app, asked)


def answer_of(app: Any, environ: dict[str, Any]) -> Answer:
    """The answer to an environ, checked as wsgiref's validator and all servers want it."""
    got: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], *trouble: Any) -> Any:
        got[:] = [status, headers]
        return lambda data: None

    def with_own_environ(_: dict[str, Any], start_response: Any) -> Any:
        # The validator looks at the answer only: a request may be as bad as it likes.
        return app(environ, start_response)

    result = validator(with_own_environ)(_environ("GET", "/", b"", {}), start_response)
    try:
        pieces = list(result)
    finally:
        result.close()
    answer = Answer(int(got[0][:3]), _headers(got[1]), b"".join(pieces))
    _check(environ["REQUEST_METHOD"], answer, pieces)
    return answer


def _environ(method: str, target: str, body: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
    path, _, query = target.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "testserver",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    if body or method not in ("GET", "HEAD", "OPTIONS", "DELETE"):
        environ["CONTENT_LENGTH"] = str(len(body))
    for name, value in headers.items():
        key = name.upper().replace("-", "_")
        environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value
    return environ


def _headers(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in pairs:
        assert _TOKEN.fullmatch(name), name
        assert all(" " <= character <= "~" for character in value), (name, value)
        assert name.lower() not in HOP_BY_HOP, name
        assert name.lower() not in headers, f"{name} is given twice"
        headers[name.lower()] = value
    return headers


def _check(method: str, answer: Answer, pieces: list[bytes]) -> None:
    assert pieces, "an empty iterable is a 500 on some servers"
    if answer.status in (204, 304):
        assert "content-length" not in answer.headers
        assert answer.body == b""
    elif method == "HEAD":
        assert answer.body == b""
        assert "content-length" in answer.headers
    elif answer.headers["content-type"].startswith("text/event-stream"):
        assert "content-length" not in answer.headers
    else:
        assert int(answer.headers["content-length"]) == len(answer.body)


# ---------------------------------------------------------------- bodies


def file(
    name: str, content: bytes, filename: str | None = "blob", content_type: str | None = None
) -> bytes:
    """A file part, ready for `form`; `filename` None leaves the word out."""
    disposition = f'form-data; name="{name}"'
    if filename is not None:
        disposition += f'; filename="{filename}"'
    lines = [f"Content-Disposition: {disposition}"]
    lines.append(f"Content-Type: {content_type or 'application/octet-stream'}")
    return "\r\n".join([*lines, "", ""]).encode("utf-8") + content


def multipart(parts: Sequence[Part], boundary: str = BOUNDARY) -> bytes:
    """A form of (name, value) fields and file parts, in this order."""
    delimiter = f"--{boundary}".encode()
    lines = []
    for part in parts:
        content = part if isinstance(part, bytes) else _field(*part)
        lines += [delimiter, content]
    return b"\r\n".join([*lines, delimiter + b"--", b""])


def _field(name: str, value: str) -> bytes:
    return f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}'.encode()


# ---------------------------------------------------------------- what is on the disk


def snapshot(root: Path) -> dict[str, str]:
    """Every name below `root` with what it is, but not the empty rooms of a store."""
    return {
        str(path.relative_to(root)): _kind(path)
        for path in sorted(root.rglob("*"))
        if not _is_room(path)
    }


def _is_room(path: Path) -> bool:
    return path.name == ".resumable" or (path.parent.name == ".resumable" and path.name in ROOMS)


def _kind(path: Path) -> str:
    if path.is_symlink():
        return f"link to {path.readlink()}"
    if path.is_dir():
        return "directory"
    return hashlib.sha256(path.read_bytes()).hexdigest()
