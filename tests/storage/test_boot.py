"""What importing, constructing, forking and a wrong kind of worker do before the first request."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from contextlib import closing
from typing import Any

import pytest

from resumable.connect import connect
from resumable.engine import Engine
from resumable.model import KIB, Limits
from resumable.operations import ByClientId, Caller, Completed, Finish, Place
from resumable.stores.objects.store import ObjectStore
from resumable.testing.chunk_client import Body
from resumable.testing.contract.base import some_bytes
from resumable.testing.crash_points import Host
from resumable.testing.faults import Faults as NoFaults
from tests.servers.running import HOST, REPOSITORY, free_port, missing
from tests.storage.server import StorageServer

PART = 64 * KIB
FORKS = 20

# Anything that reaches out of the process, or starts a thread, ends it with a sentence.
WATCHED = """
import os, sys

OUTSIDE = ("socket.connect", "socket.getaddrinfo", "socket.sendto", "subprocess.Popen", "os.mkdir",
           "os.rename", "os.remove", "os.fork", "_thread.start_new_thread")

def watch(event, arguments):
    if event in OUTSIDE:
        os.write(1, f"reached out: {event} {arguments}".encode())
        os._exit(3)
    if event == "open" and isinstance(arguments[2], int) and arguments[2] & (
        os.O_WRONLY | os.O_RDWR | os.O_CREAT
    ):
        os.write(1, f"wrote: {arguments}".encode())
        os._exit(3)

sys.addaudithook(watch)
import resumable
from resumable import ResumableUploads

for url, options in (
    ("s3://bucket/prefix", {"key": "k", "secret": "s"}),
    ("s3://bucket/prefix", {}),
    ("r2://0123456789abcdef0123456789abcdef/bucket/prefix", {}),
    ("gs://bucket/prefix", {}),
    ("az://box/prefix", {"account_name": "a"}),
    ("memory://prefix", {}),
    ("sftp://host/prefix", {}),
    ("/nowhere/at/all", {}),
):
    app = ResumableUploads(None, url, storage_options=options)
    app.uploads
os.write(1, b"quiet")
"""


def run_python(code: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-B", "-W", "ignore", "-c", code],
        cwd=REPOSITORY,
        env={**os.environ, **more},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_import_and_construction_reach_for_nothing() -> None:
    """No socket, no file, no thread: a master forks its workers after it."""
    done = run_python(WATCHED)
    assert done.stdout == "quiet", done.stdout + done.stderr


@pytest.mark.parametrize("worker", ["gevent"])
def test_a_master_of_greenlets_does_not_start(ceph: StorageServer, worker: str) -> None:
    reason = missing(f"gunicorn-{worker}")
    if reason:
        pytest.skip(reason)
    env = {
        **os.environ,
        "KILLS_ROOT": f"{ceph.url}/prefix",
        "KILLS_OPTIONS": json.dumps(dict(ceph.options)),
    }
    words = [sys.executable, "-m", "gunicorn", "-k", worker, "-b", f"{HOST}:{free_port()}"]
    with subprocess.Popen(
        [*words, "--no-control-socket", "tests.killed_app:app"],
        cwd=REPOSITORY,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as master:
        try:
            output, _ = master.communicate(timeout=40)
        except subprocess.TimeoutExpired:
            os.killpg(master.pid, signal.SIGKILL)
            raise AssertionError("it serves, and would hang with the first upload") from None
    assert master.returncode != 0
    assert "does not work under gevent" in output, output
    assert "gunicorn --worker-class gthread" in output


def upload(store: ObjectStore, name: str) -> str:
    """A whole upload of two parts and an end; the digest of what is stored."""
    engine = Engine(store, Host(NoFaults()), limits=Limits())
    reference, data = ByClientId(name, guessable=False), some_bytes(2 * PART + 777, len(name))
    place = Place(reference=reference, start=0, length=len(data))
    engine.perform(place, Caller(None), Body(data, piece=16 * KIB))
    done = engine.perform(Finish(reference=reference), Caller(None), Body(b""))
    assert isinstance(done, Completed)
    with closing(store.read(done.finished, 0, done.finished.size)) as stored:
        assert b"".join(stored) == data
    return hashlib.sha256(data).hexdigest()


def upload_in_child(store: ObjectStore, name: str, answers: Any) -> None:
    answers.put(upload(store, name))


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_forks_in_the_middle_of_uploads(ceph: StorageServer) -> None:
    """Children upload with the store that their parent is using, and neither hangs."""
    bucket = ceph.fresh()
    sizes = {"part_size": PART, "least_part": PART, "largest_part": 2 * PART}
    # A budget of two parts: the children must not inherit what the parent's threads hold of it.
    store = connect(f"{bucket.url}/prefix", {**bucket.options, **sizes, "memory": 2 * PART})
    assert isinstance(store, ObjectStore)
    # Python itself bears no fork while another thread imports.
    upload(store, "before")
    forking = multiprocessing.get_context("fork")
    answers = forking.SimpleQueue()
    over = threading.Event()
    failed: list[BaseException] = []

    def work(thread: int) -> None:
        number = 0
        while not over.is_set() and not failed:
            try:
                upload(store, f"parent {thread} {number}")
            except BaseException as error:
                failed.append(error)
            number += 1

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    try:
        for number in range(FORKS):
            name = f"child {number}"
            child = forking.Process(target=upload_in_child, args=(store, name, answers))
            child.start()
            child.join(30)
            if child.is_alive():
                child.kill()
            assert child.exitcode == 0, f"child {number} hangs or failed"
            data = some_bytes(2 * PART + 777, len(name))
            assert answers.get() == hashlib.sha256(data).hexdigest()
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert failed == []
