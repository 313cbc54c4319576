"""What the tests of real servers share: the bodies they send, and what a server made of them."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.servers.raw_client import RawConnection, head, wait_for
from tests.servers.running import KINDS, Server, missing, run_server

APP = "tests.servers.recording_app:app"
MEBIBYTE = 1024 * 1024
SMALL = bytes(range(200))
LARGE = random.Random(7).randbytes(MEBIBYTE)
ENDINGS = ("fin", "rst")

KEEPS_ALL_TO_ITSELF = {"waitress"}
TELLS_A_CUT = {"gunicorn-gthread", "gunicorn-sync", "gunicorn-gevent", "gevent-pywsgi", "cheroot"}
CANNOT_READ_CHUNKS = {"uwsgi", "wsgiref"}
WAITS_FOR_MORE = {"granian"}
DROPS_WHAT_IS_UNREAD = {"uvicorn-a2wsgi"}
HAS_A_SOCKET = set(KINDS) - {"granian", "waitress", "uvicorn-a2wsgi"}
DIRECT = ("gunicorn-gthread", "gunicorn-gevent")
NEVER_SAYS_CONTINUE = {"uwsgi", "wsgiref"}
CLOSES_EACH_CONNECTION = {"gunicorn-sync", "uwsgi", "werkzeug", "wsgiref"}

_numbers = count()


def next_name() -> str:
    """A name for an upload; all are equally long, so that all heads are."""
    return f"upload-{next(_numbers):06}"


class Recording:
    """A running server with the recording app, and what it has written."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.kind = server.kind
        self.folder = folder

    def connect(self) -> RawConnection:
        return RawConnection(self.server.host, self.server.port)

    def has_started(self, name: str) -> bool:
        return (self.folder / f"{name}.bytes").exists()

    def stored(self, name: str) -> bytes:
        path = self.folder / f"{name}.bytes"
        return path.read_bytes() if path.exists() else b""

    def facts(self, name: str) -> dict[str, Any]:
        """The app's verdict, once the body has ended."""
        path = self.folder / f"{name}.json"
        wait_for(f"{self.kind}'s verdict on {name}", path.exists)
        facts: dict[str, Any] = json.loads(path.read_text())
        return facts

    def forget(self) -> None:
        for path in self.folder.iterdir():
            path.unlink()


@contextmanager
def run_recording(kind: str, folder: Path, **how: Any) -> Iterator[Recording]:
    """The recording app under a server of this kind; `how` goes to `run_server`."""
    if reason := missing(kind):
        pytest.skip(reason)
    env = {"RECORDING_FOLDER": str(folder)}
    with run_server(kind, APP, env=env, **how) as server:
        yield Recording(server, folder)


def skip_unless(condition: bool, reason: str) -> None:
    if not condition:
        pytest.skip(reason)


def upload_head(name: str, length: int, query: str = "") -> bytes:
    return head("PATCH", f"/{name}{query}", f"Content-Length: {length}")


def chunked_head(name: str, *fields: str, query: str = "") -> bytes:
    return head("PATCH", f"/{name}{query}", "Transfer-Encoding: chunked", *fields)


def chunk(content: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(content), content)


def send_whole(recording: Recording, name: str, content: bytes) -> bytes:
    with recording.connect() as connection:
        connection.socket.sendall(upload_head(name, len(content)) + content)
        status, _ = connection.answer()
    assert status == 200
    facts = recording.facts(name)
    assert (facts["whole"], facts["cut"], facts["received"]) == (True, None, len(content))
    return recording.stored(name)


def assert_cut(recording: Recording, name: str, content: bytes, position: int) -> None:
    if recording.kind in KEEPS_ALL_TO_ITSELF:
        assert not recording.has_started(name)
        return
    facts = recording.facts(name)
    assert recording.stored(name) == content[:position], f"cut at {position}: {facts}"
    assert facts["received"] == position
    assert facts["whole"] is False
    assert facts["cut"] == "interrupted"


def sample(bound: int, size: int) -> list[int]:
    """Both ends and positions between them, the same in every run."""
    between = random.Random(bound).sample(range(2, bound - 1), size - 4)
    return sorted({0, 1, bound - 2, bound - 1, *between})
