"""A real server with its storage, as the clients of these tests meet it."""

from __future__ import annotations

import base64
import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from resumable.model import Finished
from resumable.stores.local import LocalStore
from tests.servers.running import Server, run_server

KIB = 1024
MIB = 1024 * KIB
_TUS = {"Tus-Resumable": "1.0.0"}


@dataclass(frozen=True)
class Reply:
    """What came back; `headers` by lower-case name."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class World:
    """A server on a local storage; `heard` has one line for each `completed`."""

    server: Server
    root: Path
    heard_path: Path

    @property
    def endpoint(self) -> str:
        return f"{self.server.url}/files/"

    def ask(
        self, method: str, url: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> Reply:
        """One request past all proxies, whatever host the URL names."""
        connection = http.client.HTTPConnection(self.server.host, self.server.port, timeout=20)
        try:
            connection.request(method, urlsplit(url).path, body, {**_TUS, **(headers or {})})
            response = connection.getresponse()
            named = {name.lower(): value for name, value in response.getheaders()}
            return Reply(response.status, named, response.read())
        finally:
            connection.close()

    def download(self, url: str) -> bytes:
        """The finished bytes under an upload's URL."""
        reply = self.ask("GET", url)
        assert reply.status == 200, reply
        return reply.body

    def head(self, url: str) -> dict[str, str]:
        reply = self.ask("HEAD", url)
        assert reply.status == 200, reply
        return reply.headers

    def finished(self, url: str) -> Finished:
        """What the host has of the upload with this URL."""
        (found,) = [one for one in self.everything() if one.id == url.rpartition("/")[2]]
        return found

    def everything(self) -> list[Finished]:
        return list(LocalStore(self.root).list_finished())

    def forget(self, url: str) -> None:
        """The finished file goes, so that many fit on the disk."""
        store, known = LocalStore(self.root), set(urlsplit(url).path.split("/"))
        for finished in store.list_finished():
            if known & {finished.id, finished.token}:
                store.delete(finished)

    def heard(self, url: str) -> int:
        """How often the host was told of it."""
        lines = self.heard_path.read_text().splitlines() if self.heard_path.exists() else []
        return sum(line.split()[0] == url.rpartition("/")[2] for line in lines)

    def check(self, url: str, content: bytes) -> Finished:
        """One finished file with these bytes, which the host was told of once."""
        assert self.download(url) == content
        head = self.head(url)
        assert head["upload-offset"] == head["upload-length"] == str(len(content))
        assert self.heard(url) == 1
        finished = self.finished(url)
        assert finished.size == len(content)
        return finished


@contextmanager
def run_world(folder: Path, *, port: int | None = None, workers: int = 2) -> Iterator[World]:
    """A gunicorn of its own. The same folder and port again: the same server after a crash."""
    root, heard = folder / "data", folder / "heard"
    env = {"KILLS_ROOT": str(root), "KILLS_HEARD": str(heard)}
    with run_server(
        "gunicorn-gthread", "tests.killed_app:app", env=env, workers=workers, port=port
    ) as server:
        yield World(server, root, heard)


def metadata(**values: str) -> str:
    """`Upload-Metadata` of these values."""
    return ",".join(f"{k} {base64.b64encode(v.encode()).decode()}" for k, v in values.items())
