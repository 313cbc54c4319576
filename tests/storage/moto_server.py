"""moto as "AWS", and two doubles made of it; each in a process of its own.

    with run_moto(tmp_path) as server: ...
    with run_strict_r2(tmp_path) as server: server.fail_part(2)
    with run_weak(tmp_path) as server: ...

moto decides conditions as AWS does, but checks no signature and joins parts in memory.
The double of Cloudflare's R2 adds what that documents: all parts of an upload have one size, only
the last may be smaller, and sending a part again destroys the one that is stored when that fails.
The weak one ignores conditions, and knows no copying by the server.
"""

from __future__ import annotations

import secrets
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.servers.running import HOST, REPOSITORY
from tests.storage.daemon import free_ports, run, wait_for_answer
from tests.storage.server import StorageServer, s3_server

KEY, SECRET, BUCKET = "test-key", "test-secret", "resumable-test"
SMALL_PART = 64 * 1024


@dataclass(frozen=True)
class StrictR2(StorageServer):
    """The double of R2; `orders` is the folder by which a test tells it what to fail."""

    orders: Path

    def fail_part(self, number: int, times: int = 1) -> None:
        """The next so many uploads of a part with this number end in 500, and the part is gone."""
        for _ in range(times):
            (self.orders / f"{number}-{secrets.token_hex(4)}").touch()


def missing() -> str | None:
    """Why moto cannot run here and how to get it, or `None`."""
    if find_spec("moto") and find_spec("flask_cors"):
        return None
    return "moto is not installed: pip install -e '.[test]'"


@contextmanager
def run_moto(folder: Path, smallest_part: int = SMALL_PART) -> Iterator[StorageServer]:
    """A moto of its own whose parts may be as small as asked, in bytes."""
    with _run("moto", folder, smallest_part) as server:
        yield server


@contextmanager
def run_strict_r2(folder: Path, smallest_part: int = SMALL_PART) -> Iterator[StrictR2]:
    """A double of R2 whose parts may be as small as asked, in bytes."""
    orders = folder / "orders"
    orders.mkdir()
    with _run("strict-r2", folder, smallest_part, "strict", str(orders)) as server:
        values = {each.name: getattr(server, each.name) for each in fields(server)}
        yield StrictR2(**values, orders=orders)


@contextmanager
def run_weak(folder: Path, smallest_part: int = SMALL_PART) -> Iterator[StorageServer]:
    """A moto that answers 200 to a condition and does not look at it, as rclone does."""
    with _run("weak", folder, smallest_part, "weak") as server:
        yield server


@contextmanager
def _run(name: str, folder: Path, smallest_part: int, *words: str) -> Iterator[StorageServer]:
    (port,) = free_ports(1)
    env = {
        "PYTHONPATH": str(REPOSITORY),
        "S3_UPLOAD_PART_MIN_SIZE": str(smallest_part),
        "MOTO_S3_DEFAULT_KEY_BUFFER_SIZE": str(64 * 1024 * 1024),  # Else parts become files.
    }
    command = [sys.executable, "-m", "tests.storage.moto_server", str(port), *words]
    with run(name, command, folder, env) as daemon:
        wait_for_answer(daemon, port)
        endpoint = f"http://{HOST}:{port}"
        with s3_server(name, endpoint, KEY, SECRET, BUCKET, smallest_part) as server:
            yield server


def serve(port: int) -> None:
    from moto.server import ThreadedMotoServer

    ThreadedMotoServer(HOST, port, verbose=False).start()
    signal.pause()


def become_strict(orders: Path) -> None:
    """Changes this process's moto; that is why it is a process of its own."""
    from moto.s3 import models
    from moto.s3.exceptions import S3ClientError

    multipart: Any = models.FakeMultipart
    complete, set_part = multipart.complete, multipart.set_part

    class UnequalParts(S3ClientError):
        code: Any = 400

    class PartLost(S3ClientError):
        code: Any = 500

    def strict_complete(upload: Any, body: Iterator[tuple[int, str]]) -> Any:
        named = list(body)
        stored = [upload.parts[int(number)].size for number, _ in named if number in upload.parts]
        if not _are_equal(stored):
            raise UnequalParts("InvalidPart", "All non-trailing parts must have the same length.")
        return complete(upload, iter(named))

    def fragile_set_part(upload: Any, number: int, value: bytes) -> Any:
        if not _is_ordered(orders, number):
            return set_part(upload, number, value)
        upload.parts.pop(number, None)
        if number in upload.partlist:
            upload.partlist.remove(number)
        raise PartLost("InternalError", "We encountered an internal error. Please try again.")

    multipart.complete = strict_complete
    multipart.set_part = fragile_set_part


def become_weak() -> None:
    """Conditions are taken out of each request, and a copy is answered as rclone does."""
    from moto.moto_server import werkzeug_app

    application: Any = werkzeug_app.DomainDispatcherApplication
    call = application.__call__

    def blind_call(self: Any, environ: dict[str, Any], start_response: Any) -> Any:
        if "HTTP_X_AMZ_COPY_SOURCE" in environ:
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start_response("501 Not Implemented", [("Content-Type", "application/xml")])
            return [b"<Error><Code>NotImplemented</Code></Error>"]
        for condition in ("HTTP_IF_NONE_MATCH", "HTTP_IF_MATCH"):
            environ.pop(condition, None)
        return call(self, environ, start_response)

    application.__call__ = blind_call


def _are_equal(sizes: list[int]) -> bool:
    return len(set(sizes[:-1])) <= 1 and sizes[-1:] <= sizes[:1]


def _is_ordered(orders: Path, number: int) -> bool:
    """Whether this upload shall fail; an order is good for one."""
    for order in orders.glob(f"{number}-*"):
        try:
            order.unlink()
        except FileNotFoundError:
            continue
        return True
    return False


if __name__ == "__main__":
    if sys.argv[2:3] == ["strict"]:
        become_strict(Path(sys.argv[3]))
    if sys.argv[2:3] == ["weak"]:
        become_weak()
    serve(int(sys.argv[1]))
