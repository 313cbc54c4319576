"""A client comes back while its old connection hangs: it is answered at once, wherever it asks."""

from __future__ import annotations

import http.client
import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from resumable.model import MIB
from tests.reliability import Record
from tests.servers.raw_client import RawConnection, head
from tests.servers.running import Server, missing, run_server

KIND = "gunicorn-gthread"
VERSION = ("Tus-Resumable: 1.0.0", "Content-Type: application/offset+octet-stream")
LENGTH = 20 * MIB
# Nobody is to wait for the idle time of a connection that hangs, which is a minute.
AT_ONCE = 20.0


@contextmanager
def two_hosts(env: dict[str, str]) -> Iterator[list[Server]]:
    """Two masters with two workers each, on one storage."""
    with ExitStack() as life:
        yield [
            life.enter_context(
                run_server(
                    KIND,
                    "tests.killed_app:app",
                    env=env,
                    workers=2,
                    ready_path="/upload-config",
                )
            )
            for _ in range(2)
        ]


@pytest.fixture(params=["disk", "bucket"])
def hosts(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[Server]]:
    reason = missing(KIND)
    if reason:
        pytest.skip(reason)
    env = {"KILLS_ROOT": str(tmp_path / "storage")}
    if request.param == "bucket":
        storage = request.getfixturevalue("ceph").fresh()
        options = json.dumps(dict(storage.options))
        env = {"KILLS_ROOT": f"{storage.url}/prefix", "KILLS_OPTIONS": options}
    with two_hosts(env) as servers:
        yield servers


class Client:
    """tus by hand, one connection a request; it notes how long the longest answer took."""

    def __init__(self, host: Server) -> None:
        self.host = host
        self.longest = 0.0

    def ask(
        self, method: str, path: str, body: bytes = b"", **headers: str
    ) -> tuple[int, Any, bytes]:
        connection = http.client.HTTPConnection(self.host.host, self.host.port, timeout=AT_ONCE)
        fields = {"Tus-Resumable": "1.0.0", **{k.replace("_", "-"): v for k, v in headers.items()}}
        began = time.monotonic()
        try:
            connection.request(method, path, body or None, fields)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            self.longest = max(self.longest, time.monotonic() - began)
            connection.close()

    def create(self) -> str:
        status, headers, _ = self.ask("POST", "/files/", Upload_Length=str(LENGTH))
        assert status == 201
        return "/files/" + headers["Location"]

    def offset(self, path: str) -> int:
        status, headers, _ = self.ask("HEAD", path)
        assert status == 200
        return int(headers["Upload-Offset"])

    def patch(self, path: str, offset: int, data: bytes) -> int:
        kind = "application/offset+octet-stream"
        return self.ask("PATCH", path, data, Upload_Offset=str(offset), Content_Type=kind)[0]


@contextmanager
def hanging(host: Server, path: str, offset: int, data: bytes) -> Iterator[RawConnection]:
    """A PATCH up to the end of the file of which only `data` has come."""
    with RawConnection(host.host, host.port) as connection:
        left = f"Content-Length: {LENGTH - offset}"
        fields = (*VERSION, f"Upload-Offset: {offset}", left)
        connection.send(head("PATCH", path, *fields) + data)
        yield connection


def test_who_comes_back_goes_on_at_once(
    hosts: list[Server], request: pytest.FixtureRequest, record_figure: Record
) -> None:
    here, there = (Client(host) for host in hosts)
    data = os.urandom(LENGTH)
    path = here.create()
    with hanging(hosts[0], path, 0, data[: 9 * MIB]) as old:
        # On the other host and on both workers of the same one.
        offsets = [client.offset(path) for client in (there, here, here, here)]
        assert offsets == sorted(offsets)
        assert there.patch(path, there.offset(path), data[there.offset(path) : 12 * MIB]) == 204
        assert here.offset(path) == 12 * MIB
        assert here.patch(path, 12 * MIB, data[12 * MIB :]) == 204
        assert there.offset(path) == LENGTH
        # The old one wakes, with bytes that nobody wants any more.
        with suppress(OSError):
            old.socket.sendall(bytes(LENGTH - 9 * MIB))
            assert old.answer()[0] not in (200, 204)
    status, _, stored = there.ask("GET", path)
    assert status == 200
    assert stored == data
    storage = "a disk" if request.node.callspec.params["hosts"] == "disk" else "Ceph RGW"
    longest = max(here.longest, there.longest) * 1000
    record_figure(
        f"A tus client that comes back while its old connection hangs (2 hosts on {storage})",
        f"every answer within {longest:.0f} ms, 8 MiB of bytes included",
    )


@pytest.mark.parametrize("round", range(3))
def test_two_bodies_for_one_place(hosts: list[Server], round: int) -> None:
    """Never a mixture, and never both: the loser is told."""
    clients = [Client(host) for host in hosts]
    path = clients[0].create()
    bodies = [os.urandom(LENGTH) for _ in clients]
    with ThreadPoolExecutor(2) as pool:
        statuses = list(
            pool.map(lambda n: clients[n].patch(path, 0, bodies[n][: 3 * MIB]), range(2))
        )
    winners = [n for n, status in enumerate(statuses) if status == 204]
    assert len(winners) <= 1, statuses
    assert set(statuses) <= {204, 409, 423, 503}
    offset = clients[0].offset(path)
    assert offset == 3 * MIB or not winners
    # Of two that both lost, any one may have left its beginning.
    for body in [bodies[winners[0]]] if winners else bodies:
        if clients[1].patch(path, offset, body[offset:]) == 204:
            assert clients[0].ask("GET", path)[2] == body or not winners
            return
    raise AssertionError("nobody can go on")
