"""Two masters as two hosts on one real S3 server: sprayed chunks, racing finishes, SIGKILLs."""

from __future__ import annotations

import hashlib
import json
import os
import random
import secrets
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from resumable.connect import connect
from resumable.model import DAY, KIB, MIB, State
from resumable.stores.objects.store import ObjectStore
from tests.reliability import Record
from tests.resuming_client import ResumingClient
from tests.servers.running import Server, run_server
from tests.storage.server import StorageServer
from tests.test_kills import Killer

PART = 256 * KIB


@dataclass
class Hosts:
    """Both of them, the storage below, and what each has heard."""

    servers: list[Server]
    storage: StorageServer
    options: Mapping[str, Any]
    heard_paths: list[Path]

    @property
    def addresses(self) -> list[tuple[str, int]]:
        return [(server.host, server.port) for server in self.servers]

    def store(self) -> ObjectStore:
        store = connect(f"{self.storage.url}/prefix", self.options)
        assert isinstance(store, ObjectStore)
        return store

    def heard(self) -> list[Counter[str]]:
        """How often each host heard of each upload."""
        return [
            Counter(line.split()[0] for line in path.read_text().splitlines())
            if path.exists()
            else Counter()
            for path in self.heard_paths
        ]

    def objects(self) -> list[str]:
        """The keys of all that is stored but the library's own."""
        return [key for key in self.keys() if "/.resumable/" not in key]

    def keys(self) -> list[str]:
        pages = self.storage.client().get_paginator("list_objects_v2")
        return [
            one["Key"]
            for page in pages.paginate(Bucket=self.storage.bucket)
            for one in page.get("Contents", ())
        ]

    def check_nothing_left(self) -> None:
        """Once all is old, only finished objects and what is known of them are there."""
        store = self.store()
        for status in store.each():
            assert status.state is State.COMPLETE, status
            store.remove(status.upload)
        store.tidy(status.touched + 30 * DAY)
        left = [key for key in self.keys() if "/.resumable/uploads/" in key]
        assert left == []
        assert (
            not self.storage.client()
            .list_multipart_uploads(Bucket=self.storage.bucket)
            .get("Uploads")
        )


@pytest.fixture
def hosts(ceph: StorageServer, tmp_path: Path) -> Iterator[Hosts]:
    storage = ceph.fresh()
    options = {
        **storage.options,
        "part_size": PART,
        "least_part": PART,
        "largest_part": 4 * PART,
    }
    heard = [tmp_path / f"heard-{number}" for number in range(2)]
    with ExitStack() as stack:
        servers = [
            stack.enter_context(
                run_server(
                    "gunicorn-gthread",
                    "tests.killed_app:app",
                    env={
                        "KILLS_ROOT": f"{storage.url}/prefix",
                        "KILLS_OPTIONS": json.dumps(options),
                        "KILLS_HEARD": str(path),
                    },
                    workers=2,
                    threads=8,
                )
            )
            for path in heard
        ]
        yield Hosts(servers, storage, options, heard)


def spray(hosts: Hosts, *, chunk: int, sized: bool, seed: int) -> None:
    """Chunks of one upload over both hosts: out of order, in parallel, twice; both finish it."""
    client = ResumingClient(hosts.addresses, os.urandom(2 * MIB + 12_345), chunk, seed=seed)
    starts = list(range(0, len(client.data), chunk))
    again = random.Random(seed).sample(starts, 3)
    order = [*starts, *again]
    random.Random(seed + 1).shuffle(order)

    def send(start: int) -> None:
        words = {"uploadId": client.upload_id, "chunkIndex": start // chunk}
        words |= {"totalChunks": len(starts)}
        if sized:
            words |= {"chunkSize": chunk, "totalSize": len(client.data)}
        query = "&".join(f"{name}={value}" for name, value in words.items())
        client._persist("PUT", f"/upload-chunk?{query}", client.data[start : start + chunk], {})

    def finish(_: int) -> str:
        path = client._persist("POST", "/finalize-upload", client._finalize(), {})["path"]
        assert isinstance(path, str)
        return path

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(send, order))
        paths = set(pool.map(finish, range(4)))
    assert len(paths) == 1
    client.path = paths.pop()
    assert client.download_digest() == hashlib.sha256(client.data).hexdigest()


@pytest.mark.parametrize("sized", [True, False], ids=["sized", "old client"])
@pytest.mark.parametrize("chunk", [PART, 100_000])
def test_two_hosts_take_one_upload(hosts: Hosts, chunk: int, sized: bool) -> None:
    for seed in range(2):
        spray(hosts, chunk=chunk, sized=sized, seed=seed)
    assert len(hosts.objects()) == 2
    heard = hosts.heard()
    assert len(heard[0] | heard[1]) == 2
    # However many workers finish it in the same moment.
    assert all(count == 1 for host in heard for count in host.values())
    hosts.check_nothing_left()


def run_kills(hosts: Hosts, *, uploads: int, kills: int, size: int) -> tuple[int, int, int]:
    """Upload until enough workers have died; kills, files and requests sent again."""
    retries = files = 0
    with Killer(hosts.servers, seed=11, pause=(2.0, 4.0)) as killer:
        while files == 0 or killer.kills < kills:
            clients = [
                ResumingClient(
                    hosts.addresses, os.urandom(size + number), PART, seed=files + number
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
    assert len(hosts.objects()) == files
    assert len({id for host in hosts.heard() for id in host}) == files
    hosts.check_nothing_left()
    return killer.kills, files, retries


def test_sigkills_while_parts_fly(hosts: Hosts) -> None:
    kills, _, _ = run_kills(hosts, uploads=4, kills=4, size=3 * MIB)
    assert kills >= 4


@pytest.mark.chaos
def test_hundreds_of_sigkills_on_object_storage(hosts: Hosts, record_figure: Record) -> None:
    kills, files, retries = run_kills(hosts, uploads=6, kills=200, size=4 * MIB)
    assert kills >= 200
    assert files >= 40
    record_figure(
        "SIGKILL of workers on Ceph RGW (2 hosts, 4 workers, `-k sigkills`)",
        f"{kills} kills, {files} files, {retries} requests sent again: "
        "0 acknowledged bytes lost, 0 wrong files, nothing left after the sweep",
    )


def test_an_id_that_only_one_host_has_seen(hosts: Hosts) -> None:
    """What one host has acknowledged the other knows."""
    first, second = hosts.addresses
    id = "upload_" + secrets.token_urlsafe(24)
    data = os.urandom(PART + 1000)
    sending = ResumingClient([first], data, PART, upload_id=id)
    sending._send_range(0, len(data))
    looking = ResumingClient([second], data, PART, upload_id=id)
    assert looking._missing() == []
