"""One client beside all other tus servers that can be installed here, in one run, as Markdown.

python -m tests.bench.peers [--scale F] [NAME...]
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from tests.bench import client as clients
from tests.bench.client import MIB, Client
from tests.conformance.peers import PEERS, Peer, Process

_START = (
    "env PYTHONPATH={here}/../../.. BENCH_ROOT={data}/files BENCH_DURABILITY=%s "
    f"{sys.executable} -m gunicorn --worker-class gthread --threads 16 --no-control-socket "
    "-b 127.0.0.1:{port} tests.bench.apps:ours"
)
OURS = tuple(
    Peer(f"wsgi-resumable, {durability}", "", (), _START % durability, "/files/")
    for durability in ("process", "full")
)
Work = Callable[[Client], object]


@dataclass(frozen=True)
class Load:
    """What each of `parallel` connections sends; `amount` in all, in the unit of the column."""

    column: str
    amount: float
    work: Callable[[str], Work]
    parallel: int = 1


def loads(scale: float) -> list[Load]:
    big = max(1, int(64 * scale)) * 8 * MIB
    each, count = max(8 * MIB, big // 8 // (8 * MIB) * 8 * MIB), max(8, int(400 * scale))
    small = 64 * 1024
    return [
        Load(
            "PATCHes of 8 MiB, MiB/s",
            big / MIB,
            lambda path: lambda c: clients.patches(c, big, 8 * MIB, path),
        ),
        Load(
            "one PATCH, MiB/s", big / MIB, lambda path: lambda c: clients.patches(c, big, big, path)
        ),
        Load(
            "8 at once, MiB/s",
            8 * each / MIB,
            lambda path: lambda c: clients.patches(c, each, 8 * MIB, path),
            8,
        ),
        Load(
            "64 KiB, requests/s",
            2 * count,
            lambda path: lambda c: clients.patched_files(c, count, small, path),
        ),
        Load(
            "64 KiB, 8 at once, requests/s",
            8 * 2 * (count // 8),
            lambda path: lambda c: clients.patched_files(c, count // 8, small, path),
            8,
        ),
    ]


class Usage:
    """What a server and its children use: seconds of processor, and the largest resident size."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.peak = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _family(self) -> list[psutil.Process]:
        found = {
            one.pid
            for one in psutil.net_connections("tcp")
            if one.laddr and one.laddr.port == self._port and one.status == psutil.CONN_LISTEN
        }
        family: dict[int, psutil.Process] = {}
        for pid in found:
            with suppress(psutil.Error, TypeError):
                process = psutil.Process(pid)
                for one in (process, *process.children(recursive=True)):
                    family[one.pid] = one
        return list(family.values())

    def seconds(self) -> float:
        total = 0.0
        for one in self._family():
            with suppress(psutil.Error):
                spent = one.cpu_times()
                total += spent.user + spent.system
        return total

    def _watch(self) -> None:
        family = self._family()
        while not self._over.wait(0.02):
            for one in family:
                with suppress(psutil.Error):
                    self.peak = max(self.peak, one.memory_info().rss)

    def __enter__(self) -> Usage:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()


@contextmanager
def running(peer: Peer, rubbish: ExitStack) -> Iterator[Process]:
    """Its files go with `rubbish`: where many were deleted lately, ext4 makes new ones slowly."""
    data = Path(rubbish.enter_context(TemporaryDirectory(prefix=".bench-", dir=Path.cwd())))
    process = Process(peer, data)
    try:
        yield process
    finally:
        process.stop()


def measured(peer: Peer, load: Load, rubbish: ExitStack) -> tuple[float, float, float]:
    """Amount per second, seconds of processor, MiB of the largest process. Its server is new."""
    with running(peer, rubbish) as process:
        work, usage = load.work(peer.path), Usage(process.port)
        everyone = [Client("127.0.0.1", process.port) for _ in range(load.parallel)]
        clients.patches(everyone[0], 64 * 1024, 64 * 1024, peer.path)
        before, began = usage.seconds(), time.perf_counter()
        with usage, ThreadPoolExecutor(load.parallel) as pool:
            list(pool.map(work, everyone))
        seconds = time.perf_counter() - began
        spent = usage.seconds() - before
        for one in everyone:
            one.close()
        return load.amount / seconds, spent, usage.peak / MIB


def row(peer: Peer, scale: float, rubbish: ExitStack) -> str:
    cells: list[str] = []
    processor = memory = "-"
    for number, load in enumerate(loads(scale)):
        try:
            rate, spent, peak = measured(peer, load, rubbish)
        except (OSError, RuntimeError) as error:
            print(f"{peer.name}, {load.column}: {error}", file=sys.stderr)
            cells.append("fails")
            continue
        cells.append(f"{rate:,.0f}")
        if number == 0:
            processor = f"{spent / load.amount * 1024:.1f}"
        if number == 1:
            memory = f"{peak:,.0f}"
    name = f"{peer.name} {peer.version}".strip()
    return f"| {name} | {' | '.join(cells)} | {processor} | {memory} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="some of them; without any, all")
    parser.add_argument("--scale", type=float, default=1.0, help="part of the full amounts")
    given = parser.parse_args()
    columns = [load.column for load in loads(given.scale)]
    print(f"| server | {' | '.join(columns)} | processor, s/GiB | memory, MiB |")
    print(f"|---|{'---|' * (len(columns) + 2)}")
    others = [peer for peer in PEERS if peer.name != "wsgi-resumable"]
    wanted = [
        peer
        for peer in (*OURS, *others)
        if not given.names or peer.name.partition(",")[0] in given.names
    ]
    with ExitStack() as rubbish:
        for peer in wanted:
            print(row(peer, given.scale, rubbish), flush=True)


if __name__ == "__main__":
    main()
