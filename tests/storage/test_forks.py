"""Forks: a master that has used its storage, threads in the middle of a request, and gevent."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from resumable import ResumableUploads
from resumable.connect import connect
from tests.resuming_client import ResumingClient
from tests.servers.running import HOST, REPOSITORY, free_port
from tests.storage.server import StorageServer

MIB = 1024 * 1024


def test_a_preloaded_app_serves_from_all_its_workers(ceph: StorageServer, tmp_path: Path) -> None:
    bucket, port = ceph.fresh(), free_port()
    env = {
        **os.environ,
        "PRELOADED_ROOT": f"{bucket.url}/prefix",
        "PRELOADED_OPTIONS": json.dumps(dict(bucket.options)),
    }
    words = [sys.executable, "-m", "gunicorn", "--preload", "-w", "4", "--threads", "16"]
    words += ["-k", "gthread", "-b", f"{HOST}:{port}", "tests.storage.preloaded_app:app"]
    with (tmp_path / "log").open("wb") as log:
        master = subprocess.Popen(words, env=env, cwd=REPOSITORY, stdout=log, stderr=log)
    try:
        wait_for_workers(master, port, 4)
        clients = [
            ResumingClient([(HOST, port)], os.urandom(MIB + n), 128 * 1024, seed=n)
            for n in range(12)
        ]
        with ThreadPoolExecutor(12) as pool:
            list(pool.map(lambda client: client.run(), clients))
        for client in clients:
            assert client.lost == set()
            assert client.download_digest() == hashlib.sha256(client.data).hexdigest()
        status = httpx.get(f"http://{HOST}:{port}/upload-status/before").json()
        assert status["offset"] == len(b"the fork")
    finally:
        master.terminate()
        master.wait(40)
    assert b"fork-safe" not in (tmp_path / "log").read_bytes()


def wait_for_workers(master: subprocess.Popen[bytes], port: int, count: int) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        ready = len(psutil.Process(master.pid).children()) >= count
        try:
            if ready and httpx.get(f"http://{HOST}:{port}/upload-config").status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    raise AssertionError("the workers did not come up")


def look(store: Any, answers: Any) -> None:
    """In a child: the same store object, made and used before the fork."""
    answers.put(store.load("nobody-has-this-id-1234") is None)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_forks_while_threads_are_in_the_middle_of_requests(ceph: StorageServer) -> None:
    bucket = ceph.fresh()
    store = connect(f"{bucket.url}/prefix", bucket.options)
    assert store.load("nobody-has-this-id-1234") is None
    forking = multiprocessing.get_context("fork")
    answers = forking.SimpleQueue()
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            store.load("nobody-has-this-id-1234")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(4):
            child = forking.Process(target=look, args=(store, answers))
            child.start()
            child.join(30)
            assert child.exitcode == 0
            assert answers.get()
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert store.load("nobody-has-this-id-1234") is None


def test_nothing_is_connected_before_the_first_request(
    ceph: StorageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("connected")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    for url in (ceph.url, "r2://0123456789abcdef0123456789abcdef/bucket", "gs://b", "az://box"):
        options = {"account_name": "a"} if url.startswith("az") else {}
        ResumableUploads(None, f"{url}/prefix", storage_options=options)


GEVENT = """
from gevent import monkey
monkey.patch_all()
from resumable import ResumableUploads
try:
    ResumableUploads(None, "s3://bucket/prefix")
except RuntimeError as error:
    print(error)
"""


def test_gevent_is_refused_in_one_sentence() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", GEVENT],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "does not work under gevent" in done.stdout, done.stderr
    assert "gthread" in done.stdout
