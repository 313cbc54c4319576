"""Runs the kit against other tus servers and prints the table of `docs/conformance.md`.

    python -m tests.conformance.peers [NAME...]      all, or those named
    python -m tests.conformance.peers --url NAME=URL only a server that runs already
    python -m tests.conformance.peers --write        into the page itself
    python -m tests.conformance.peers --install NAME nothing but that

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
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from resumable.conformance import ROWS, Level, Outcome, Result, Tus, examine
from resumable.conformance.report import as_json, counts, failed_musts, line
from resumable.conformance.run import examine_row, greet
from tests.conformance import page

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
    metadata: str = ""


def _pip(*packages: str) -> tuple[str, ...]:
    return (
        f"{sys.executable} -m venv {{home}}",
        "{home}/bin/pip install -q --disable-pip-version-check " + " ".join(packages),
    )


_OURS = (
    "env PYTHONPATH={here}/../../.. CONFORMANCE_STORAGE={data}/files "
    f"{sys.executable} -m gunicorn --worker-class gthread --threads 8 --no-control-socket "
    "-b 127.0.0.1:{port} tests.conformance.own_app:app"
)
PEERS = (
    Peer("wsgi-resumable", "0.1.0", (), _OURS, "/files/"),
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
        "/files/",
        # Without a filename and a filetype it answers HEAD with 400.
        metadata="filename YS50eHQ=,filetype dGV4dC9wbGFpbg==",
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


def named(name: str) -> Peer:
    """The peer of this name."""
    (found,) = [peer for peer in PEERS if peer.name == name]
    return found


def missing(peer: Peer) -> str | None:
    """How it is installed, where it is not."""
    if (home_of(peer) / ".installed").exists():
        return None
    return f"{peer.name} is not installed: python -m tests.conformance.peers --install {peer.name}"


def home_of(peer: Peer) -> Path:
    """The folder that it is, or would be, installed in."""
    return CACHE / f"{peer.name.strip('@').replace('/', '-')}-{peer.version}"


def installed(peer: Peer) -> Path:
    """The peer's folder, filled the first time. Raises CalledProcessError."""
    home, done = home_of(peer), home_of(peer) / ".installed"
    if not done.exists():
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        for command in peer.install:
            subprocess.run(_words(command, home=home), check=True)
        done.touch()
    return home


def _words(command: str, **places: object) -> list[str]:
    return [word.format(**places) for word in command.split()]


class Process:
    """A peer that runs with an empty folder, and is started again when it has died."""

    def __init__(self, peer: Peer, data: Path) -> None:
        self.peer = peer
        self.data = data
        self.home = installed(peer)
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}{peer.path}"
        self._process = self._started()

    @property
    def died(self) -> bool:
        """Whether it has ended; one that takes no connections is waited for."""
        if not _takes_connections(self.port):
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(START_SECONDS)
        return self._process.poll() is not None

    def again(self) -> None:
        """Starts it once more, on the same port with the same folder."""
        self.stop()
        self._process = self._started()

    @property
    def last_words(self) -> str:
        """The last line with an error's name that it has printed."""
        lines = (self.data / "server.log").read_text(errors="replace").splitlines()
        return next((line.strip() for line in reversed(lines) if "Error" in line), "no message")

    def stop(self) -> None:
        """Ends it, and whatever it has started."""
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _started(self) -> subprocess.Popen[bytes]:
        words = _words(self.peer.start, home=self.home, here=HERE, port=self.port, data=self.data)
        log_path = self.data / "server.log"
        with log_path.open("ab") as log:
            process = subprocess.Popen(
                words, cwd=self.data, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        give_up = time.monotonic() + START_SECONDS
        while not _takes_connections(self.port):
            if process.poll() is not None or time.monotonic() > give_up:
                raise RuntimeError(f"It does not start:\n{log_path.read_text(errors='replace')}")
            time.sleep(0.1)
        return process


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _takes_connections(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@dataclass(frozen=True)
class Findings:
    """All results of one server, and where and with which words it was found dead."""

    results: list[Result]
    deaths: list[tuple[str, str]]


def examined(peer: Peer) -> Findings:
    """A peer that dies is started again, and the row asked once more: one crash is one finding."""
    results: list[Result] = []
    deaths: list[tuple[str, str]] = []
    with TemporaryDirectory(prefix="resumable-peer-") as data:
        process = Process(peer, Path(data))
        try:
            tus = Tus(process.url, metadata=peer.metadata)
            greet(tus)
            for row in ROWS:
                result = examine_row(tus, row)
                if process.died:
                    deaths.append((row.number, process.last_words))
                    process.again()
                    result = examine_row(tus, row)
                results.append(result)
        finally:
            process.stop()
    return Findings(results, deaths)


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


def reasons(title: str, findings: Findings) -> Iterator[str]:
    """Why each MUST and SHOULD fails, for the list below the table; nothing where none does."""
    failed = [r for r in findings.results if r.outcome is Outcome.FAILED and r.level not in _ADVICE]
    if not failed and not findings.deaths:
        return
    yield f"**{title}**\n"
    if findings.deaths:
        rows = ", ".join(number for number, _ in findings.deaths)
        words = "; ".join(sorted({words for _, words in findings.deaths}))
        yield f"* Its process ended, seen at {rows}, with `{words}`; it was started again."
    yield from (f"* {one.row.number} ({one.level}): {one.reason}." for one in failed)
    yield ""


def main() -> None:
    """Prints the table, and the reasons below it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="peers; without any, all of them")
    parser.add_argument("--url", action="append", default=[], metavar="NAME=URL")
    parser.add_argument("--install", action="store_true", help="nothing else with the peers")
    parser.add_argument("--write", action="store_true", help="replace the table on the page")
    parser.add_argument("--logs", type=Path, help="a folder for every row, as text and JSON")
    words = parser.parse_args()
    if words.install:
        for name in words.names:
            installed(named(name))
        return
    found: dict[str, Findings] = {}
    for pair in words.url:
        name, _, url = pair.partition("=")
        found[name] = Findings(list(examine(Tus(url), ROWS)), [])
    for peer in PEERS:
        if peer.name in words.names or not (words.names or words.url):
            print(f"{peer.name} …", file=sys.stderr)
            found[f"{peer.name} {peer.version}"] = examined(peer)
    text = _as_markdown(found)
    print(text)
    if words.write:
        page.write_section(page.PAGE, "peers", text)
    if words.logs:
        for title, findings in found.items():
            _log(words.logs, title, findings.results)


def _as_markdown(found: dict[str, Findings]) -> str:
    python = platform.python_version()
    lines = [f"Run on {datetime.now(UTC):%Y-%m-%d}, {len(ROWS)} rows, Python {python}, Linux.", ""]
    lines.append(header())
    lines += [as_row(title, findings.results) for title, findings in found.items()]
    lines.append("")
    for title, findings in found.items():
        lines += reasons(title, findings)
    return "\n".join(lines).rstrip()


def _log(folder: Path, title: str, results: list[Result]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    to = folder / title.strip("@").replace("/", "-")
    Path(f"{to}.txt").write_text("\n".join(line(r, verbose=True) for r in results))
    Path(f"{to}.json").write_text(as_json(title, results))


if __name__ == "__main__":
    main()
