"""Runs the workloads on local disk beside their ceilings and prints one table in Markdown.

python -m tests.bench [--rounds N] [--scale F] [--server gunicorn-gthread]
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.bench import client as clients
from tests.bench.client import MIB, Client
from tests.servers.running import Server, run_server

Work = Callable[[Client], object]


@dataclass(frozen=True)
class Workload:
    """What is sent to us and to the ceiling; `unit` of the figure; `parallel` connections."""

    name: str
    unit: str
    amount: float
    ours: Work
    bare: Work
    aim: float
    parallel: int = 1


def workloads(scale: float) -> list[Workload]:
    big = int(1024 * scale) * MIB
    each = max(8, int(128 * scale)) // 8 * 8 * MIB
    count = int(2000 * scale)
    return [
        Workload(
            "1 GiB in raw chunks of 8 MiB",
            "MiB/s",
            big / MIB,
            lambda c: clients.raw_chunks(c, big, 8 * MIB),
            lambda c: clients.bare_chunks(c, big, 8 * MIB),
            0.9,
        ),
        Workload(
            "1 GiB in form chunks of 1 MiB",
            "MiB/s",
            big / MIB,
            lambda c: clients.form_chunks(c, big, MIB),
            lambda c: clients.bare_chunks(c, big, MIB),
            0.75,
        ),
        Workload(
            "1 GiB by tus in PATCHes of 8 MiB",
            "MiB/s",
            big / MIB,
            lambda c: clients.patches(c, big, 8 * MIB),
            lambda c: clients.bare_chunks(c, big, 8 * MIB),
            0.9,
        ),
        Workload(
            "1 GiB by tus in one PATCH",
            "MiB/s",
            big / MIB,
            lambda c: clients.patches(c, big, big),
            lambda c: clients.bare_request(c, big),
            0.9,
        ),
        Workload(
            "8 parallel uploads of 128 MiB, raw chunks of 8 MiB",
            "MiB/s",
            8 * each / MIB,
            lambda c: clients.raw_chunks(c, each, 8 * MIB),
            lambda c: clients.bare_chunks(c, each, 8 * MIB),
            0.9,
            parallel=8,
        ),
        Workload(
            "2,000 files of 64 KiB, one form each",
            "files/s",
            count,
            lambda c: clients.form_files(c, count // 8, 64 * 1024),
            lambda c: clients.bare_files(c, count // 8, 64 * 1024),
            0.6,
            parallel=8,
        ),
    ]


@contextmanager
def served(
    kind: str, app: str, durability: str, rubbish: ExitStack | None = None
) -> Iterator[tuple[Server, Path]]:
    """A server of one worker on a fresh directory of the working disk; removed with `rubbish`.

    ext4 passes over inodes that were freed lately: whoever makes many files just after many were
    deleted waits up to ten times as long for each.
    """
    root = Path(tempfile.mkdtemp(prefix=".bench-", dir=Path.cwd()))
    env = {"BENCH_ROOT": str(root), "BENCH_DURABILITY": durability}
    with ExitStack() as mine:
        (rubbish or mine).callback(shutil.rmtree, root, ignore_errors=True)
        with run_server(kind, f"tests.bench.apps:{app}", env=env, threads=16) as server:
            yield server, root


def rate(server: Server, work: Work, load: Workload) -> float:
    """The workload's amount per second, over all its connections."""
    everyone = [Client(server.host, server.port) for _ in range(load.parallel)]
    began = time.perf_counter()
    with ThreadPoolExecutor(load.parallel) as pool:
        list(pool.map(work, everyone))
    seconds = time.perf_counter() - began
    for one in everyone:
        one.close()
    return load.amount / seconds


class Memory:
    """The greatest resident size of the server's worker while something runs."""

    def __init__(self, server: Server) -> None:
        self._worker = psutil.Process(server.worker_pids[-1])
        self.before = self.peak = self._worker.memory_info().rss
        self._done = threading.Event()
        self._watching = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._done.wait(0.005):
            self.peak = max(self.peak, self._worker.memory_info().rss)

    def __enter__(self) -> Memory:
        self._watching.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._watching.join()


def compare(kind: str, load: Workload, durability: str, rounds: int) -> tuple[float, float]:
    """Median rates of us and of the ceiling, taken in turn."""
    mine: list[float] = []
    ceiling: list[float] = []
    with ExitStack() as later:
        rubbish = later if load.unit == "files/s" else None
        for _ in range(rounds):
            with served(kind, "bare", durability, rubbish) as (server, _root):
                ceiling.append(rate(server, load.bare, load))
            with served(kind, "ours", durability, rubbish) as (server, _root):
                mine.append(rate(server, load.ours, load))
    return statistics.median(mine), statistics.median(ceiling)


def report_memory(kind: str, scale: float) -> None:
    with served(kind, "ours", "process") as (server, _root):
        warm = Client(server.host, server.port)
        clients.raw_chunks(warm, 16 * MIB, 8 * MIB)
        each = max(8, int(128 * scale)) // 8 * 8 * MIB
        everyone = [Client(server.host, server.port) for _ in range(8)]
        with Memory(server) as memory, ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda c: clients.raw_chunks(c, each, 8 * MIB), everyone))
        grown = (memory.peak - memory.before) / MIB
        print(
            f"\nMemory: a worker at {memory.before / MIB:.0f} MiB grew by {grown:.1f} MiB with "
            f"8 requests at once, {grown / 8:.1f} MiB each (aim: below 4)."
        )


def report_finish(kind: str, scale: float) -> None:
    for durability in ("process", "full"):
        times = {}
        for size in (MIB, int(1024 * scale) * MIB):
            with served(kind, "ours", durability) as (server, _root):
                one = Client(server.host, server.port)
                taken = [clients.raw_chunks(one, size, min(size, 8 * MIB)) for _ in range(5)]
                times[size] = statistics.median(taken) * 1000
        small, large = times.values()
        print(
            f"Finish ({durability}): {small:.1f} ms for 1 MiB, {large:.1f} ms for "
            f"{int(1024 * scale)} MiB: {large / small:.2f}x (aim: within 2x)."
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="part of the full amounts")
    parser.add_argument("--server", default="gunicorn-gthread")
    parser.add_argument("--only", default="", help="workloads whose name holds this")
    given = parser.parse_args()
    print(f"{given.server}, 1 worker, 16 threads; medians of {given.rounds} rounds in turn.\n")
    print("| workload | durability | ours | ceiling | ratio | aim |")
    print("|---|---|---|---|---|---|")
    for load in workloads(given.scale):
        if given.only not in load.name:
            continue
        for durability in ("process", "full"):
            mine, ceiling = compare(given.server, load, durability, given.rounds)
            print(
                f"| {load.name} | {durability} | {mine:,.0f} {load.unit} | {ceiling:,.0f} "
                f"{load.unit} | {mine / ceiling:.2f} | {load.aim} |",
                flush=True,
            )
    report_memory(given.server, given.scale)
    report_finish(given.server, given.scale)


if __name__ == "__main__":
    main()
