"""Workers and whole hosts die by SIGKILL at the steps of writes and finishes on a real S3 server.

`test_hosts` kills at random moments; here death comes right before and after storage requests.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest

from resumable.connect import connect
from resumable.engine import Engine
from resumable.model import DAY, KIB, Limits
from resumable.testing.crash_points import Host as Listener
from resumable.testing.faults import Faults as NoFaults
from tests.reliability import Record
from tests.resuming_client import ResumingClient
from tests.servers.running import HOST, Server, free_port, run_server
from tests.storage.server import StorageServer

PART = 64 * KIB
CHUNKS = (PART, 50_000)
LATE = 30 * DAY


class Phoenix:
    """A host that can lose its master with all its workers, and comes back at the same address."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self._life = ExitStack()
        self.address = (HOST, free_port())
        self.server = self._rise()

    def _rise(self) -> Server:
        return self._life.enter_context(
            run_server(
                "gunicorn-gthread",
                "tests.storage.dying_app:app",
                env=self._env,
                workers=2,
                threads=8,
                port=self.address[1],
                # It is answered without a request to the storage, before which one may die.
                ready_path="/upload-config",
            )
        )

    def burn(self) -> None:
        self.server.kill()
        self._life.close()
        self.server = self._rise()

    def end(self) -> None:
        self._life.close()


class Burning:
    """Kills one host after the other, all of it, until it is told to stop."""

    def __init__(self, hosts: list[Phoenix], seconds: float) -> None:
        self.count = 0
        self._hosts = hosts
        self._seconds = seconds
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._over.wait(self._seconds):
            self._hosts[self.count % len(self._hosts)].burn()
            self.count += 1

    def __enter__(self) -> Burning:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()


class World:
    """One bucket, two hosts on it, and what is known of deaths and of what was heard."""

    def __init__(self, storage: StorageServer, folder: Path) -> None:
        self.storage = storage
        self.options = {
            **storage.options,
            "part_size": PART,
            "least_part": PART,
            "largest_part": 4 * PART,
        }
        self.notes, self.heard = folder / "deaths", folder / "heard"
        env = {
            "KILLS_ROOT": f"{storage.url}/prefix",
            "KILLS_OPTIONS": json.dumps(self.options),
            "KILLS_HEARD": str(self.heard),
            "DYING_NOTES": str(self.notes),
            "DYING": "0.006",
            "DYING_IN_FINISH": "0.06",
        }
        self.hosts = [Phoenix(env) for _ in range(2)]

    def deaths(self) -> list[str]:
        return self.notes.read_text().splitlines() if self.notes.exists() else []

    def clients(self, count: int, seed: int) -> list[ResumingClient]:
        """Several parts with an end, exactly one part, less than one, and parts without an end."""
        addresses = [host.address for host in self.hosts]
        lengths = (5 * PART + 777, PART, 30_000, 3 * PART)
        return [
            ResumingClient(
                addresses,
                os.urandom(lengths[n % len(lengths)]),
                CHUNKS[n // len(lengths) % len(CHUNKS)],
                seed=seed + n,
            )
            for n in range(count)
        ]

    def stored(self) -> list[str]:
        pages = self.storage.client().get_paginator("list_objects_v2")
        return [
            one["Key"]
            for page in pages.paginate(Bucket=self.storage.bucket)
            for one in page.get("Contents", ())
        ]

    def check_swept(self, files: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """Once all is old, a sweep leaves the finished objects and nothing else."""
        late = SimpleNamespace(time=lambda: time.time() + LATE)
        monkeypatch.setattr("resumable.stores.objects.leftovers.time", late)
        store = connect(f"{self.storage.url}/prefix", self.options)
        engine = Engine(store, Listener(NoFaults()), limits=Limits(), clock=late.time)
        engine.sweep()
        engine.sweep()
        left = Counter(_kind(key) for key in self.stored())
        assert left == {"object": files, "finished": files}
        client = self.storage.client()
        assert not client.list_multipart_uploads(Bucket=self.storage.bucket).get("Uploads")


def _kind(key: str) -> str:
    _, inside, rest = key.partition("/.resumable/")
    return rest.partition("/")[0] if inside else "object"


@pytest.fixture
def world(ceph: StorageServer, tmp_path: Path) -> Iterator[World]:
    world = World(ceph.fresh(), tmp_path)
    yield world
    for host in world.hosts:
        host.end()


def run(
    world: World, monkeypatch: pytest.MonkeyPatch, *, kills: int, each: int, burning: float
) -> tuple[int, int, list[str]]:
    """Upload until enough workers have died; files, hosts that were lost whole, deaths."""
    files = 0
    with Burning(world.hosts, burning) as fire:
        while files == 0 or len(world.deaths()) < kills:
            clients = world.clients(each, random.randrange(10**6))
            with ThreadPoolExecutor(each) as pool:
                list(pool.map(lambda client: client.run(), clients))
            for client in clients:
                assert client.lost == set()
                assert client.download_digest() == hashlib.sha256(client.data).hexdigest()
            files += each
    assert len([key for key in world.stored() if _kind(key) == "object"]) == files
    # A death between the hook and the note of it makes the host hear again, never less.
    assert len({line.split()[0] for line in world.heard.read_text().splitlines()}) == files
    world.check_swept(files, monkeypatch)
    return files, fire.count, world.deaths()


def test_deaths_at_every_step(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, deaths = run(world, monkeypatch, kills=6, each=8, burning=4)
    assert len(deaths) >= 6


@pytest.mark.chaos
def test_hundreds_of_deaths_at_every_step(
    world: World, monkeypatch: pytest.MonkeyPatch, record_figure: Record
) -> None:
    files, burnt, deaths = run(world, monkeypatch, kills=200, each=8, burning=5)
    finishing = sum(line.endswith("finish") for line in deaths)
    assert files >= 40
    assert burnt >= 5
    assert 40 <= finishing <= len(deaths) - 40
    record_figure(
        "SIGKILL right before or after a request to Ceph RGW (2 hosts, `-k deaths`)",
        f"{len(deaths)} workers, {finishing} of them in a finish, and {burnt} times a master with "
        f"all its workers; {files} files: 0 acknowledged bytes lost, 0 wrong files, nothing left "
        "after the sweep",
    )
