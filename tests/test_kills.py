"""Workers die by SIGKILL while chunks fly: nothing acknowledged is lost, every file is exact."""

from __future__ import annotations

import hashlib
import http.client
import os
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from resumable.stores.local import LocalStore
from tests.reliability import Record
from tests.resuming_client import ResumingClient
from tests.servers.running import Server, run_server

MIB = 1024 * 1024


class Killer:
    """Kills all workers of one server after the other, at random, until it is told to stop.

    `pause` is the least and the greatest time that a server lives when it has begun to answer, in
    seconds: dead ones are not killed, however slow the machine.
    """

    def __init__(
        self, servers: list[Server], seed: int, pause: tuple[float, float] = (0.05, 0.4)
    ) -> None:
        self._pause = pause
        self.kills = 0
        self._servers = servers
        self._random = random.Random(seed)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._done.is_set():
            server = self._random.choice(self._servers)
            if not _answers(server):
                self._done.wait(0.02)
                continue
            self._done.wait(self._random.uniform(*self._pause))
            for pid in server.pids[1:]:
                try:
                    psutil.Process(pid).kill()
                except psutil.NoSuchProcess:
                    continue
                self.kills += 1

    def __enter__(self) -> Killer:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._thread.join()


def _answers(server: Server) -> bool:
    connection = http.client.HTTPConnection(server.host, server.port, timeout=5)
    try:
        connection.request("GET", "/upload-config")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[list[Server]]:
    """Two masters with two workers each, as two hosts on one storage."""
    env = {"KILLS_ROOT": str(tmp_path / "data")}
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                run_server(
                    "gunicorn-gthread", "tests.killed_app:app", env=env, workers=2, threads=8
                )
            )
            for _ in range(2)
        ]


def _run(
    servers: list[Server], tmp_path: Path, *, uploads: int, kills: int, size: int, chunk: int
) -> tuple[int, int, int]:
    """Upload until enough workers have died; kills, files and requests sent again."""
    addresses = [(server.host, server.port) for server in servers]
    retries = files = round_ = 0
    with Killer(servers, seed=7) as killer:
        while round_ == 0 or killer.kills < kills:
            round_ += 1
            clients = [
                ResumingClient(
                    addresses, os.urandom(size + number), chunk, seed=round_ * 100 + number
                )
                for number in range(uploads)
            ]
            with ThreadPoolExecutor(uploads) as pool:
                list(pool.map(lambda client: client.run(), clients))
            for client in clients:
                assert client.lost == set()
                assert client.download_digest() == hashlib.sha256(client.data).hexdigest()
                retries += client.retries
            files += len(clients)
    return killer.kills, files, retries


def test_sigkill_while_chunks_fly(servers: list[Server], tmp_path: Path) -> None:
    kills, files, _ = _run(servers, tmp_path, uploads=4, kills=10, size=4 * MIB, chunk=256 * 1024)
    assert kills >= 10
    assert len(list(LocalStore(tmp_path / "data").list_finished())) == files


@pytest.mark.chaos
def test_hundreds_of_sigkills(servers: list[Server], tmp_path: Path, record_figure: Record) -> None:
    kills, files, retries = _run(
        servers, tmp_path, uploads=6, kills=300, size=6 * MIB, chunk=256 * 1024
    )
    assert kills >= 300
    record_figure(
        "SIGKILL of workers while chunks fly (2 masters, 4 workers, `-k sigkill`)",
        f"{kills} kills, {files} files, {retries} requests sent again: "
        "0 acknowledged bytes lost, 0 wrong files",
    )
