"""Runs the kit against other tus servers and prints the table of `docs/conformance.md`.

    python -m tests.conformance.peers [NAME...]      all, or those named
    python -m tests.conformance.peers --url NAME=URL also a server that runs already

Each peer is installed in a folder of its own under ~/.cache/resumable-peers, never in the project.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from resumable.conformance import ROWS, Level, Outcome, Result, Tus, examine
from resumable.conformance.report import as_json, counts, failed_musts, line

HERE = Path(__file__).parent / "peers_apps"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "resumable-peers"
START_SECONDS = 30.0
_ADVICE = (Level.RECOMMENDED, Level.MAY)


@dataclass(frozen=True)
class Peer:
    """One server: how it is installed into `{home}`, and started at `{port}` with `{data}`."""

    name: str
    version: str
    install: tuple[str, ...]
    start: str
    path: str = "/files"


def _pip(*packages: str) -> tuple[str, ...]:
    return (
        f"{sys.executable} -m venv {{home}}",
        "{home}/bin/pip install -q --disable-pip-version-check " + " ".join(packages),
    )


PEERS = (
    Peer(
        "tusd",
        "2.9.1",
        ("env GOBIN={home} go install github.com/tus/tusd/v2/cmd/tusd@v2.9.1",),
        "{home}/tusd -host 127.0.0.1 -port {port} -upload-dir {data}",
        "/files/",
    ),
    Peer(
        "@tus/server",
        "2.4.5",
        ("npm install --silent --prefix {home} @tus/server@2.4.5 @tus/file-store@2.1.1",),
        "node {here}/tus_server.mjs {home} {port} {data}",
    ),
    Peer(
        "tuspyserver",
        "4.4.3",
        _pip("tuspyserver==4.4.3", "uvicorn==0.54.0"),
        "env DATA={data} {home}/bin/uvicorn --app-dir {here} --port {port} tuspyserver_app:app",
    ),
    Peer(
        "resumable-upload",
        "0.3.0",
        _pip("resumable-upload==0.3.0"),
        "{home}/bin/resumable-upload serve --host 127.0.0.1 --port {port} --upload-dir {data}/files"
        " --db-path {data}/uploads.db --enable-downloads",
    ),
    Peer(
        "tuswsgi",
        "0.5.5",
        _pip("tuswsgi==0.5.5", "gunicorn==23.0.0"),
        "env DATA={data} {home}/bin/gunicorn --chdir {here} -b 127.0.0.1:{port}"
        " --threads 8 tuswsgi_app:app",
    ),
)


def installed(peer: Peer) -> Path:
    """The peer's folder, filled the first time. Raises CalledProcessError."""
    home = CACHE / f"{peer.name.strip('@').replace('/', '-')}-{peer.version}"
    done = home / ".installed"
    if not done.exists():
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        for command in peer.install:
            subprocess.run(_words(command, home=home), check=True)
        done.touch()
    return home


def _words(command: str, **places: object) -> list[str]:
    return [word.format(**places) for word in command.split()]


@contextmanager
def running(peer: Peer) -> Iterator[str]:
    """The peer's creation URL, while it runs with an empty folder."""
    home, port = installed(peer), _free_port()
    with TemporaryDirectory(prefix="resumable-peer-") as data:
        log = Path(data, "server.log").open("wb")  # noqa: SIM115 - closed when the server has ended
        words = _words(peer.start, home=home, here=HERE, port=port, data=data)
        process = subprocess.Popen(
            words, cwd=data, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            _wait(process, port, Path(data, "server.log"))
            yield f"http://127.0.0.1:{port}{peer.path}"
        finally:
            _stop(process)
            log.close()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    give_up = time.monotonic() + START_SECONDS
    while True:
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        if process.poll() is not None or time.monotonic() > give_up:
            raise RuntimeError(f"It does not start:\n{log.read_text(errors='replace')}")
        time.sleep(0.1)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(5)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def judged(url: str) -> list[Result]:
    """All results for one server."""
    return list(examine(Tus(url, timeout=10.0), ROWS))


def as_row(title: str, results: Sequence[Result]) -> str:
    """One server's line of the table."""
    cells = [title]
    for level in Level:
        found = next(count.by_outcome for count in counts(results) if count.level is level)
        cells.append(f"{found[Outcome.PASSED]} / {found[Outcome.FAILED]}")
    skipped = sum(r.outcome is Outcome.NOT_OFFERED for r in results)
    unclear = sum(r.outcome is Outcome.UNCLEAR for r in results)
    musts = ", ".join(result.row.number for result in failed_musts(results))
    return f"| {' | '.join([*cells, str(skipped), str(unclear), musts or 'none'])} |"


def header() -> str:
    """The table's first two lines."""
    levels = " | ".join(f"{level}" for level in Level)
    return (
        f"| server | {levels} | not offered | unclear | MUST rows that fail |\n"
        f"|---|{'---|' * (len(Level) + 3)}"
    )


def reasons(title: str, results: Sequence[Result]) -> Iterator[str]:
    """Why each MUST and SHOULD fails, for the list below the table."""
    yield f"**{title}**\n"
    for result in results:
        if result.outcome is Outcome.FAILED and result.level not in _ADVICE:
            yield f"* {result.row.number} ({result.level}): {result.reason}."
    yield ""


def main() -> None:
    """Prints the table, and the reasons below it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="peers; without any, all of them")
    parser.add_argument("--url", action="append", default=[], metavar="NAME=URL")
    parser.add_argument("--logs", type=Path, help="a folder for every row, as text and JSON")
    words = parser.parse_args()
    found: dict[str, list[Result]] = {}
    for pair in words.url:
        name, _, url = pair.partition("=")
        found[name] = _told(name, url, words.logs)
    for peer in PEERS:
        if peer.name in words.names or not (words.names or words.url):
            with running(peer) as url:
                found[f"{peer.name} {peer.version}"] = _told(peer.name, url, words.logs)
    python = platform.python_version()
    print(f"Run on {datetime.now(UTC):%Y-%m-%d}, {len(ROWS)} rows, Python {python}, Linux.\n")
    print(header())
    for title, results in found.items():
        print(as_row(title, results))
    print()
    for title, results in found.items():
        print("\n".join(reasons(title, results)))


def _told(name: str, url: str, logs: Path | None) -> list[Result]:
    print(f"{name} …", file=sys.stderr)
    results = judged(url)
    if logs:
        logs.mkdir(parents=True, exist_ok=True)
        to = logs / name.strip("@").replace("/", "-")
        to.with_suffix(".txt").write_text("\n".join(line(r, verbose=True) for r in results))
        to.with_suffix(".json").write_text(as_json(url, results))
    return results


if __name__ == "__main__":
    main()
