"""`resumable doctor`: what is between a client and the storage that would defeat resuming?"""

from __future__ import annotations

import os
import secrets
import socket
import ssl
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from json import loads
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from resumable.cli.options import storage_options
from resumable.cli.storage import connected
from resumable.errors import UploadError
from resumable.model import MIB
from resumable.stores.disk import Disk
from resumable.stores.local import LocalStore

_TIMEOUT = 30.0
_CUT_AT = 512 * 1024


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: good or not, and what to do."""

    good: bool
    text: str


@click.command()
@click.argument("target", default="./data")
@storage_options
def doctor(target: str, storage_options: dict[str, Any]) -> None:
    """Examine TARGET: a running server (http://…) or a storage (URL or directory).

    Against a server it really uploads 2 MiB under a secret id, cuts one body in the middle, looks
    what was kept, and cancels. Exit status 1 when something defeats resuming.
    """
    running = target.startswith(("http://", "https://"))
    findings = _server(target) if running else _storage(target, storage_options)
    bad = 0
    for finding in findings:
        bad += not finding.good
        click.echo(f"{'ok  ' if finding.good else 'BAD '} {finding.text}")
    if bad:
        raise SystemExit(1)


# ---------------------------------------------------------------- a running server


class _Client:
    """Requests to one server, each on a connection of its own."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.host = parts.hostname or "127.0.0.1"
        self.secure = parts.scheme == "https"
        self.port = parts.port or (443 if self.secure else 80)
        self.prefix = parts.path.rstrip("/")

    def ask(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[HTTPResponse, bytes]:
        made = HTTPSConnection if self.secure else HTTPConnection
        connection = made(self.host, self.port, timeout=_TIMEOUT)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, self.prefix + path, body, named)
            response = connection.getresponse()
            return response, response.read()
        finally:
            connection.close()

    def send_cut(self, path: str, body: bytes, length: int, **headers: str) -> None:
        """A PUT that announces `length` bytes, sends `body` and hangs up."""
        plain = socket.create_connection((self.host, self.port), _TIMEOUT)
        context = ssl.create_default_context()
        connection = context.wrap_socket(plain, server_hostname=self.host) if self.secure else plain
        with connection:
            lines = [f"PUT {self.prefix}{path} HTTP/1.1", f"Host: {self.host}:{self.port}"]
            lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
            lines.append(f"Content-Length: {length}")
            connection.sendall("\r\n".join([*lines, "", ""]).encode("ascii") + body)
            # The server's side shall read these bytes before it sees the end.
            time.sleep(0.5)


def _server(url: str) -> Iterator[Finding]:
    client = _Client(url)
    id = "upload_" + secrets.token_urlsafe(24)
    try:
        response, text = client.ask("GET", "/upload-config")
        if response.status != 200 or "chunkSize" not in text.decode("utf-8", "replace"):
            yield Finding(False, f"No uploads answer here: /upload-config says {response.status}.")
            return
        yield Finding(True, f"Uploads answer at {url}.")
        for probe in (_keeps_cut_bodies, _takes_chunks, _answers_ranges):
            yield probe(client, id)
        client.ask("DELETE", f"/upload-status/{id}")
    except (OSError, HTTPException) as error:
        yield Finding(False, f"The server does not answer: {error}.")


def _keeps_cut_bodies(client: _Client, id: str) -> Finding:
    body = os.urandom(_CUT_AT)
    content_range = f"bytes 0-{MIB - 1}/{3 * MIB}"
    client.send_cut(
        "/upload-chunk", body, MIB, X_Upload_Id=id, Content_Range=content_range, Connection="close"
    )
    kept = _wait_for(lambda: _offset(client, id), lambda offset: offset == _CUT_AT)
    if kept == _CUT_AT:
        return Finding(True, "A body that is cut keeps every byte that arrived.")
    if kept:
        return Finding(
            False,
            f"A body cut after {_CUT_AT} bytes kept {kept}: this server loses the end of cut "
            "bodies; see the deployment page for its settings.",
        )
    return Finding(
        False,
        "A body that is cut leaves nothing: the server or a proxy before it reads whole bodies "
        "first. With nginx set proxy_request_buffering off; else let clients send small chunks.",
    )


def _takes_chunks(client: _Client, id: str) -> Finding:
    response, _ = client.ask(
        "PUT",
        "/upload-chunk",
        os.urandom(2 * MIB),
        X_Upload_Id=id,
        Content_Range=f"bytes {MIB}-{3 * MIB - 1}/{3 * MIB}",
    )
    if response.status == 200:
        return Finding(True, "A chunk of 2 MiB is taken.")
    if response.status == 413:
        return Finding(
            False,
            "A chunk of 2 MiB is refused as too large. With nginx set client_max_body_size 0, or "
            "set Limits(max_chunk_size=…) to what the proxy allows.",
        )
    return Finding(False, f"A chunk of 2 MiB is answered with {response.status}.")


def _answers_ranges(client: _Client, id: str) -> Finding:
    response, text = client.ask("GET", f"/upload-status/{id}")
    missing = loads(text).get("missing") if response.status == 200 else None
    good = isinstance(missing, list)
    return Finding(good, "The status names what is missing." if good else "The status is unknown.")


def _offset(client: _Client, id: str) -> int:
    response, text = client.ask("GET", f"/upload-status/{id}")
    return int(loads(text)["offset"]) if response.status == 200 else 0


def _wait_for(look: Callable[[], int], enough: Callable[[int], bool]) -> int:
    """Look until it is enough, for three seconds at most; the last look."""
    end = time.monotonic() + 3
    seen = look()
    while not enough(seen) and time.monotonic() < end:
        time.sleep(0.1)
        seen = look()
    return seen


# ---------------------------------------------------------------- a storage


def _storage(target: str, options: dict[str, Any]) -> Iterator[Finding]:
    store = connected(target, options)
    if isinstance(store, LocalStore):
        yield from _local(store.root)
    try:
        if not isinstance(store, LocalStore):
            warnings = store.check()
            yield Finding(True, "Objects can be written, listed, read and deleted.")
            yield from (Finding(False, warning) for warning in warnings)
        count = sum(1 for _ in store.list_finished())
        yield Finding(True, f"{count} finished files can be read.")
    except UploadError as error:
        yield Finding(False, error.message)


def _local(root: Path) -> Iterator[Finding]:
    existing = next(path for path in (root, *root.parents) if path.exists())
    if not os.access(existing, os.W_OK | os.X_OK):
        yield Finding(False, f"{existing} cannot be written by this user.")
        return
    yield Finding(True, f"{existing} can be written.")
    disk = Disk()
    free = disk.free(existing)
    yield Finding(free > 1024 * MIB, f"{free // MIB:,} MiB are free.")
    with tempfile.TemporaryDirectory(dir=existing, prefix=".resumable-doctor-") as folder:
        yield _links(Path(folder))
        yield _syncs(disk, Path(folder))


def _links(folder: Path) -> Finding:
    (folder / "a").write_bytes(b"")
    try:
        os.link(folder / "a", folder / "b")
    except OSError as error:
        return Finding(False, f"No hard links here ({error.strerror}): finishing uses a rename.")
    return Finding(True, "Hard links work: finishing moves no byte.")


def _syncs(disk: Disk, folder: Path) -> Finding:
    descriptor = disk.create(folder / "synced")
    try:
        times: list[Any] = []
        for index in range(5):
            disk.write_at(descriptor, memoryview(bytes(MIB)), index * MIB)
            began = time.perf_counter()
            disk.sync_data(descriptor)
            times.append(time.perf_counter() - began)
    finally:
        disk.close(descriptor)
    median = sorted(times)[2] * 1000
    return Finding(median < 200, f"Making 1 MiB survive a power cut takes {median:.1f} ms.")
