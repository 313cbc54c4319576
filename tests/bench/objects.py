"""Uploads into a real S3 server beside a bare loop of `upload_part`, and what a finish takes there.

python -m tests.bench.objects [--rounds N] [--scale F]
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import fsspec

from tests.bench import client as clients
from tests.bench.__main__ import Memory
from tests.bench.client import MIB, Client
from tests.servers.running import Server, run_server
from tests.storage import ceph
from tests.storage.server import StorageServer

PART = 8 * MIB
BUDGET = 128 * MIB
# What is finished stays to the end of the run.
_STORAGE = 16 * 1024 * MIB
_DATA = os.urandom(PART)


def bare_parts(storage: StorageServer, total: int, threads: int, uploads: int = 1) -> float:
    """MiB per second of `upload_part` by s3fs alone, in so many threads, into so many uploads."""
    fs, root = fsspec.core.url_to_fs(storage.url, **storage.options)
    targets = [{"Bucket": root, "Key": f"bare-{number}"} for number in range(uploads)]
    begun = [
        {**target, "UploadId": fs.call_s3("create_multipart_upload", **target)["UploadId"]}
        for target in targets
    ]

    def send(number: int) -> None:
        part, upload = divmod(number, uploads)
        fs.call_s3("upload_part", **begun[upload], PartNumber=part + 1, Body=io.BytesIO(_DATA))

    began = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(send, range(total // PART)))
    seconds = time.perf_counter() - began
    for upload in begun:
        fs.call_s3("abort_multipart_upload", **upload)
    return total / MIB / seconds


@contextmanager
def served(storage: StorageServer) -> Iterator[Server]:
    env = {
        "BENCH_ROOT": f"{storage.url}/bench",
        "BENCH_OPTIONS": json.dumps({**storage.options, "memory": BUDGET}),
    }
    with run_server("gunicorn-gthread", "tests.bench.apps:ours", env=env, threads=40) as server:
        clients.raw_chunks(Client(server.host, server.port), PART, PART)
        yield server


def through(server: Server, total: int, chunk: int, parallel: int) -> float:
    """MiB per second of uploads through the middleware, their finishes not counted."""
    each = total // parallel

    def upload(number: int) -> float:
        client = Client(server.host, server.port)
        try:
            return clients.raw_chunks(client, each, chunk)
        finally:
            client.close()

    began = time.perf_counter()
    with ThreadPoolExecutor(parallel) as pool:
        finishing = max(pool.map(upload, range(parallel)))
    return total / MIB / (time.perf_counter() - began - finishing)


def compare(
    name: str, rounds: int, ours: Callable[[], float], bare: Callable[[], float], aim: float
) -> None:
    pairs = [(ours(), bare()) for _ in range(rounds)]
    mine, ceiling = (statistics.median(side) for side in zip(*pairs, strict=True))
    print(
        f"| {name} | {mine:,.0f} MiB/s | {ceiling:,.0f} MiB/s | {mine / ceiling:.2f} | {aim} |",
        flush=True,
    )


def report_finish(server: Server, scale: float) -> None:
    times = {}
    for size in (2 * PART, int(256 * scale) * MIB):
        one = Client(server.host, server.port)
        taken = [clients.raw_chunks(one, size, PART) for _ in range(3)]
        times[size] = statistics.median(taken) * 1000
    small, large = times.values()
    print(
        f"\nFinish: {small:.0f} ms for 16 MiB, {large:.0f} ms for {int(256 * scale)} MiB "
        "(aim: below 150)."
    )


def report_memory(server: Server) -> None:
    with Memory(server) as memory:
        through(server, 32 * 2 * PART, PART, 32)
    grown = (memory.peak - memory.before) / MIB
    print(
        f"Memory: a worker at {memory.before / MIB:.0f} MiB grew by {grown:.0f} MiB with 32 "
        f"uploads at once; its budget for buffers is {BUDGET // MIB} MiB."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="part of the full amounts")
    given = parser.parse_args()
    reason = ceph.missing()
    if reason is not None:
        raise SystemExit(reason)
    total = int(256 * given.scale) // 64 * 64 * MIB
    with (
        tempfile.TemporaryDirectory() as folder,
        ceph.given_or_own(Path(folder), memory=_STORAGE) as server,
    ):
        storage = server.fresh()
        print("| workload | ours | bare upload_part | ratio | aim |\n|---|---|---|---|---|")
        with served(storage) as web:
            for each in (total // 2, total // 8):
                compare(
                    f"8 uploads of {each // MIB} MiB at once, raw chunks of 8 MiB, 4 threads",
                    given.rounds,
                    lambda each=each: through(web, 8 * each, PART, 8),  # type: ignore[misc]
                    lambda each=each: bare_parts(storage, 8 * each, 4, 8),  # type: ignore[misc]
                    0.9,
                )
            compare(
                "one long stream, 1 thread",
                given.rounds,
                lambda: through(web, total, total, 1),
                lambda: bare_parts(storage, total, 1),
                0.9,
            )
            report_finish(web, given.scale)
            report_memory(web)


if __name__ == "__main__":
    main()
