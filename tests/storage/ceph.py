"""A real S3 server of one's own: Ceph's gateway over one monitor and one store in memory.

    with run_ceph(tmp_path) as server: ...

`python -m tests.storage.ceph` starts one by hand and prints the settings that make tests use it.
A server that runs already is taken from RESUMABLE_TEST_S3_ENDPOINT, _KEY, _SECRET, _BUCKET and
_SMALLEST_PART (bytes; S3's own 5 MiB by default).
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.servers.running import HOST
from tests.storage import ceph_programs
from tests.storage.ceph_programs import plugins, program
from tests.storage.daemon import Daemon, free_ports, run, wait_for_answer, wait_until
from tests.storage.server import S3_SMALLEST_PART, StorageServer, s3_server

KEY, SECRET, BUCKET = "test-key", "test-secret", "resumable-test"
SMALL_PART = 64 * 1024
MEMORY = 4 * 1024**3
"""Bytes; when they are full, writes do not fail but wait for ever."""
GIVEN = "RESUMABLE_TEST_S3_"

CAPABILITIES = {
    "mon.": {"mon": "allow *"},
    "client.admin": {"mon": "allow *", "osd": "allow *", "mgr": "allow *"},
    "client.gateway": {"mon": "allow *", "osd": "allow *", "mgr": "allow *"},
    "osd.0": {"mon": "allow profile osd", "osd": "allow *", "mgr": "allow profile osd"},
}


def missing() -> str | None:
    """Why Ceph cannot run here and how to get it, or `None`."""
    return None if f"{GIVEN}ENDPOINT" in os.environ else ceph_programs.missing()


@contextmanager
def run_ceph(
    folder: Path, smallest_part: int = SMALL_PART, *, memory: int = MEMORY
) -> Iterator[StorageServer]:
    """A Ceph of its own below the empty `folder`; its parts may be as small as asked, in bytes."""
    ports = free_ports(3)
    monitor = f"[v2:{HOST}:{ports[0]},v1:{HOST}:{ports[1]}]"
    _prepare(folder, monitor, ports[2], smallest_part, memory)
    with ExitStack() as daemons:
        _start(folder, ports[2], daemons)
        endpoint = f"http://{HOST}:{ports[2]}"
        yield daemons.enter_context(s3_server("ceph", endpoint, KEY, SECRET, BUCKET, smallest_part))


@contextmanager
def given_or_own(folder: Path, *, memory: int = MEMORY) -> Iterator[StorageServer]:
    """The running server that the environment names, else `run_ceph`.

    Raises `KeyError` when the environment names an endpoint without key, secret and bucket.
    """
    given = f"{GIVEN}ENDPOINT" in os.environ
    with given_server() if given else run_ceph(folder, memory=memory) as server:
        yield server


@contextmanager
def given_server() -> Iterator[StorageServer]:
    endpoint, key, secret, bucket = (
        os.environ[GIVEN + name] for name in ("ENDPOINT", "KEY", "SECRET", "BUCKET")
    )
    smallest_part = int(os.environ.get(f"{GIVEN}SMALLEST_PART", S3_SMALLEST_PART))
    with s3_server("ceph", endpoint, key, secret, bucket, smallest_part) as server:
        yield server


def _prepare(folder: Path, monitor: str, port: int, smallest_part: int, memory: int) -> None:
    cluster = str(uuid.uuid4())
    for name in ("monitor", "store", "gateway"):
        (folder / name).mkdir()
    settings = _settings(folder, cluster, monitor, port, smallest_part, memory) | plugins()
    lines = ["[global]", *(f"{name} = {value}" for name, value in settings.items())]
    (folder / "ceph.conf").write_text("\n".join(lines) + "\n")
    _make_keys(folder)
    _call(folder, "monmaptool", "--create", "--fsid", cluster, "--addv", "a", monitor, "monmap")
    _call(folder, "osdmaptool", "--createsimple", "1", "osdmap")
    made = ("--mkfs", "-c", "ceph.conf", "--keyring", "keyring")
    _call(folder, "ceph-mon", "-i", "a", *made, "--monmap", "monmap", "--osdmap", "osdmap")
    store = ("--osd-uuid", str(uuid.uuid4()), "--no-mon-config")
    _call(folder, "ceph-osd", "-i", "0", *made, *store)


def _settings(
    folder: Path, cluster: str, monitor: str, port: int, smallest_part: int, memory: int
) -> dict[str, object]:
    return {
        "fsid": cluster,
        "mon host": monitor,
        "public addr": HOST,
        "cluster addr": HOST,
        "ms bind ipv6": "false",
        "keyring": folder / "keyring",
        "run dir": folder,
        "log file": folder / "$name.log",
        "mon data": folder / "monitor",
        "osd data": folder / "store",
        "rgw data": folder / "gateway",
        "pid file": "",
        "admin socket": "",  # A socket's path has at most 107 bytes.
        "chdir": "",
        "auth allow insecure global id reclaim": "false",
        "mon data avail crit": 1,  # Else the monitor ends itself on a disk that is nearly full.
        "paxos propose interval": 0.1,  # Else each new pool takes a second.
        "paxos min wait": 0.01,
        "mon allow pool size one": "true",
        "osd pool default size": 1,
        "osd pool default min size": 1,
        "osd pool default pg num": 8,
        "osd pool default pgp num": 8,
        "osd pool default pg autoscale mode": "off",
        "osd crush chooseleaf type": 0,
        "osd objectstore": "memstore",
        "memstore device bytes": memory,
        "osd max object name len": 460,
        "osd max object namespace len": 64,
        "rgw frontends": f"beast endpoint={HOST}:{port} tcp_nodelay=1",
        "rgw enable usage log": "false",
        "rgw multipart min part size": smallest_part,
        "rgw gc obj min wait": 1,  # Else deleted parts stay in memory for hours.
        "rgw gc processor period": 3,
        "rgw gc processor max time": 3,
    }


def _make_keys(folder: Path) -> None:
    (folder / "keyring").touch(0o600)
    for name, capabilities in CAPABILITIES.items():
        words = [word for each in capabilities.items() for word in ("--cap", *each)]
        _call(folder, "ceph-authtool", "keyring", "--gen-key", "-n", name, *words)


def _start(folder: Path, port: int, daemons: ExitStack) -> None:
    def begin(name: str, *words: str) -> Daemon:
        return daemons.enter_context(run(name, program(name, *words, "-c", "ceph.conf"), folder))

    place = ("--crush-location", "root=default host=localhost")
    running = [begin("ceph-mon", "-f", "-i", "a"), begin("ceph-osd", "-f", "-i", "0", *place)]
    keys = ("--access-key", KEY, "--secret-key", SECRET)
    # Before the gateway starts: both would make the same first pools.
    user = ("user", "create", "--uid", KEY, "--display-name", KEY, *keys)
    admin = begin("radosgw-admin", "-n", "client.gateway", *user)
    wait_until("the first user", lambda: admin.process.poll() is not None, running)
    if admin.process.returncode:
        admin.require()
    wait_for_answer(begin("radosgw", "-f", "-n", "client.gateway"), port)


def _call(folder: Path, name: str, *words: str) -> None:
    """Runs one program to its end; raises `RuntimeError` with what it printed when it fails."""
    done = subprocess.run(
        program(name, *words), cwd=folder, capture_output=True, text=True, timeout=60
    )
    if done.returncode:
        raise RuntimeError(f"{name} failed with {done.returncode}:\n{done.stdout}{done.stderr}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.storage.ceph", description=__doc__)
    parser.add_argument("--smallest-part", type=int, default=SMALL_PART, help="bytes")
    smallest_part = parser.parse_args().smallest_part
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with (
        tempfile.TemporaryDirectory(prefix="resumable-ceph-") as folder,
        run_ceph(Path(folder), smallest_part) as server,
    ):
        values = (server.endpoint, KEY, SECRET, BUCKET, smallest_part)
        names = ("ENDPOINT", "KEY", "SECRET", "BUCKET", "SMALLEST_PART")
        for name, value in zip(names, values, strict=True):
            print(f"export {GIVEN}{name}={value}", flush=True)
        try:
            signal.pause()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
