"""`resumable upload`, `status`, `cancel` and `ls URL` as people and programs run them."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import pytest

from resumable.stores.local import LocalStore
from tests.clients.conftest import MakeFile
from tests.clients.world import MIB, World
from tests.conformance import peers
from tests.servers.fault_proxy import FaultProxy
from tests.servers.running import run_server

PATIENCE = 60.0
COMMAND = (sys.executable, "-m", "resumable")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    state = str(tmp_path / "state")
    return {**os.environ, "XDG_STATE_HOME": state, "COLUMNS": "100", "TERM": "xterm-256color"}


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(environment: dict[str, str]) -> Run:
    """The command with these words, its output in pipes."""

    def run(
        *words: object, stdin: str | None = None, code: int = 0
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*COMMAND, *map(str, words)],
            env=environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return run


def bytes_at(world: World, url: str) -> bytes:
    return world.ask("GET", urlsplit(url.strip()).path).body


def interrupted(
    words: list[object], environment: dict[str, str], number: int = signal.SIGINT
) -> tuple[int, str, str]:
    """The command, ended by a signal once something is safe: its exit code, stdout and stderr."""
    process = subprocess.Popen(
        [*COMMAND, *map(str, words)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    state = Path(environment["XDG_STATE_HOME"])
    give_up = time.monotonic() + PATIENCE
    while not list(state.rglob("*.json")):
        assert time.monotonic() < give_up, process.poll()
        time.sleep(0.02)
    time.sleep(1)
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


# ---------------------------------------------------------------- in a pipe


@pytest.mark.parametrize("path", ["", "/files/"])
def test_the_address_alone_is_on_stdout(
    world: World, run: Run, make_file: MakeFile, path: str
) -> None:
    file = make_file(MIB + 1)
    done = run("upload", file, world.server.url + path)
    assert re.fullmatch(r"http://\S+\n", done.stdout)
    assert done.stderr == ""
    assert bytes_at(world, done.stdout) == file.read_bytes()


def test_several_files_and_a_folder(world: World, run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "album"
    (folder / "deep").mkdir(parents=True)
    contents = {"one": b"1" * 10, "deep/two": b"2" * 20, "deep/three": b""}
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    refused = run("upload", folder, world.server.url, code=2)
    assert "say -r" in refused.stderr
    done = run("upload", "-r", folder, world.server.url, "-j", 3, "-m", "album=7")
    assert {bytes_at(world, url) for url in done.stdout.split()} == set(contents.values())
    told = [one.metadata for one in world.everything() if one.metadata.get("album") == "7"]
    assert {one["relativePath"] for one in told} == {f"album/{name}" for name in contents}


def test_stdin(world: World, run: Run) -> None:
    for endpoint in (world.server.url, world.endpoint):
        done = run("upload", "-", endpoint, "--name", "note.txt", stdin="from a pipe")
        assert bytes_at(world, done.stdout) == b"from a pipe"
    assert {one.filename for one in world.everything() if one.size == 11} == {"note.txt"}


def test_a_file_that_fails_does_not_stop_the_others(
    world: World, run: Run, make_file: MakeFile
) -> None:
    file = make_file(100)
    done = run("upload", "/nowhere/film", file, world.server.url, code=1)
    assert "/nowhere/film: Cannot read /nowhere/film: No such file or directory." in done.stderr
    assert bytes_at(world, done.stdout) == file.read_bytes()
    # What was finished in a batch that failed is not sent again.
    again = run("upload", "/nowhere/film", file, world.server.url, code=1)
    assert again.stdout == done.stdout
    assert "was finished before" in again.stderr


def test_a_folder_with_links_and_what_is_no_file(world: World, run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "one").write_bytes(b"one")
    (tmp_path / "outside").write_bytes(b"outside")
    (folder / "link").symlink_to(tmp_path / "outside")
    (folder / "inner").symlink_to(folder / "sub" / "one")
    (folder / "gone").symlink_to("/nowhere")
    (folder / "all").symlink_to(folder / "sub")
    os.mkfifo(folder / "pipe")
    done = run("upload", "-r", folder, world.server.url, "-m", "album=odd", code=1)
    assert sorted(bytes_at(world, url) for url in done.stdout.split()) == [
        b"one",
        b"one",
        b"outside",
    ]
    for name in ("gone", "all", "pipe"):
        assert f"{folder / name}: It is " in done.stderr
    told = [one.metadata for one in world.everything() if one.metadata.get("album") == "odd"]
    assert {one["relativePath"] for one in told} == {"odd/sub/one", "odd/link", "odd/inner"}


def test_the_same_file_twice_is_one(world: World, run: Run, make_file: MakeFile) -> None:
    file = make_file(100)
    assert len(run("upload", file, file, world.server.url).stdout.split()) == 1


def test_stdin_twice_or_not_at_all(run: Run) -> None:
    assert "one stdin" in run("upload", "-", "-", "http://127.0.0.1:1/", code=2).stderr
    closed = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m resumable upload - http://127.0.0.1:1/ <&-"],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert (closed.returncode, "one stdin" in closed.stderr) == (2, True), closed.stderr


def test_of_many_files_one_waits_for_a_server_that_is_gone(run: Run, make_file: MakeFile) -> None:
    files = [make_file(size) for size in range(1, 7)]
    began = time.monotonic()
    done = run("upload", "-j1", "--patience", "3", *files, "http://127.0.0.1:1/", code=1)
    assert time.monotonic() - began < 15
    assert all(f"{file}: Nobody answers" in done.stderr for file in files)


def test_secrets_of_the_address_are_not_shown(
    world: World, run: Run, make_file: MakeFile, environment: dict[str, str]
) -> None:
    address = world.endpoint.replace("http://", "http://me:hidden@")
    file = make_file(4 * MIB)
    words: list[object] = ["upload", "--limit-rate", "1M", file, address]
    _, out, err = interrupted(words, environment)
    state = Path(environment["XDG_STATE_HOME"])
    kept = [one.read_text() for one in state.rglob("*") if one.is_file()]
    done = run(*words[:1], *words[3:])
    assert "hidden" not in "".join((out, err, *kept, done.stdout, done.stderr))
    assert kept
    assert bytes_at(world, done.stdout) == file.read_bytes()


def test_a_full_stdout(world: World, make_file: MakeFile) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*COMMAND, "upload", str(make_file(10)), world.server.url],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
    assert done.returncode == 1
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


def test_events_for_programs(world: World, run: Run, make_file: MakeFile) -> None:
    file = make_file(MIB)
    done = run("upload", "--json", file, "/nowhere/film", world.server.url, code=1)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    mine = [one for one in events if one["file"] == str(file)]
    assert mine[-1]["event"] == "done"
    assert mine[-1]["size"] == MIB
    assert bytes_at(world, mine[-1]["url"]) == file.read_bytes()
    phases = [one["phase"] for one in mine if one["event"] == "progress"]
    assert list(dict.fromkeys(phases)) == ["starting", "uploading", "finishing", "done"]
    (failed,) = [one for one in events if one["event"] == "failed"]
    assert failed["file"] == "/nowhere/film"


def test_a_line_every_ten_seconds(
    world: World, run: Run, make_file: MakeFile, environment: dict[str, str]
) -> None:
    file = make_file(3 * MIB)
    done = run("upload", "--limit-rate", "250K", file, world.server.url)
    lines = done.stderr.splitlines()
    assert len(lines) == 1
    assert re.fullmatch(rf"{re.escape(str(file))}: \d+ %  \S+ \S+ of 3.0 MiB.*uploading", lines[0])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["file"], "Name one file or more"),
        (["http://127.0.0.1:1/"], "Name one file or more"),
        (["a", "b", "http://127.0.0.1:1/", "--name", "x"], "--name is for a single file"),
        (["a", "http://127.0.0.1:1/", "--chunk-size", "much"], "is no size"),
        (["a", "http://127.0.0.1:1/", "--limit-rate", "0"], "is no size"),
        (["a", "http://127.0.0.1:1/", "-m", "novalue"], "write KEY=VALUE"),
        (["a", "http://127.0.0.1:1/", "-H", "NoColon"], "write 'NAME: VALUE'"),
        (["a", "http://"], "is no http:// or https:// address"),
    ],
)
def test_words_that_make_no_sense(run: Run, words: list[str], said: str) -> None:
    assert said in run("upload", *words, code=2).stderr


def test_nobody_there(run: Run, make_file: MakeFile) -> None:
    done = run("upload", "--patience", "0.1", make_file(1), "http://127.0.0.1:1/", code=1)
    assert "Nobody answers" in done.stderr
    assert done.stdout == ""


# ---------------------------------------------------------------- interrupted


@pytest.mark.parametrize("path", ["/", "/files/"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_same_command_goes_on(
    world: World,
    run: Run,
    make_file: MakeFile,
    environment: dict[str, str],
    path: str,
    number: int,
) -> None:
    file = make_file(6 * MIB)
    with FaultProxy(world.server.host, world.server.port) as proxy:
        address = f"http://{proxy.host}:{proxy.port}{path}"
        words: list[object] = ["upload", "--chunk-size", "256K", file, address]
        code, out, err = interrupted([*words, "--limit-rate", "2M"], environment, number)
        assert (code, out) == (128 + number, "")
        paused = re.search(r"paused at (\d+) %, ([\d,]+) of 6,291,456 bytes", err)
        assert paused, err
        assert "Run the same command again to go on." in err
        safe = int(paused[2].replace(",", ""))
        assert 256 * 1024 <= safe < 6 * MIB
        status = run("status", address)
        # The chunk that was on its way at the signal may have landed after all.
        shown = re.search(r" (\d+) % of 6\.0 MiB", status.stdout)
        assert shown, status.stdout
        assert safe * 100 // (6 * MIB) <= int(shown[1]) < 100
        told = json.loads(run("status", "--json", file, address).stdout)
        assert told["file"] == str(file)
        assert safe <= told["acknowledged"] < 6 * MIB
        before = len(proxy.log)
        done = run(*words)
        crossed = sum(passed.sent for passed in proxy.log[before:])
        assert bytes_at(world, done.stdout) == file.read_bytes()
        assert crossed < 6 * MIB - safe + 100 * 1024
        assert "Nothing is unfinished" in run("status", address).stderr


@pytest.mark.parametrize("path", ["/", "/files/"])
def test_a_client_that_is_killed(
    world: World, run: Run, make_file: MakeFile, environment: dict[str, str], path: str
) -> None:
    file = make_file(4 * MIB)
    words: list[object] = ["upload", "--chunk-size", "256K", file, world.server.url + path]
    code, _, _ = interrupted([*words, "--limit-rate", "1M"], environment, signal.SIGKILL)
    assert code == -signal.SIGKILL
    told = json.loads(run("status", "--json", world.server.url + path).stdout)
    assert told["acknowledged"] > 0
    assert bytes_at(world, run(*words).stdout) == file.read_bytes()


def test_cancel_and_ls(
    world: World, run: Run, make_file: MakeFile, environment: dict[str, str]
) -> None:
    file = make_file(4 * MIB)
    words: list[object] = ["upload", "--limit-rate", "1M", file, world.server.url]
    interrupted(words, environment)
    assert "Name files, or say --all" in run("cancel", world.server.url, code=2).stderr
    assert f"{file}: deleted." in run("cancel", file, world.server.url).stderr
    assert "Nothing is unfinished" in run("cancel", "--all", world.server.url, code=1).stderr
    assert "does not list its files" in run("ls", world.server.url).stderr
    interrupted(words, environment)
    listed = run("ls", "-H", "X-Key: k", world.server.url)
    assert str(file) in listed.stdout


# ---------------------------------------------------------------- on a terminal


@contextmanager
def terminal(words: list[object], environment: dict[str, str]) -> Iterator[Terminal]:
    """The command on a terminal of its own, 100 columns wide."""
    pid, descriptor = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [*COMMAND, *map(str, words)], environment)
    shown = Terminal(pid, descriptor)
    try:
        yield shown
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.close(descriptor)


class Terminal:
    def __init__(self, pid: int, descriptor: int) -> None:
        self._pid = pid
        self._descriptor = descriptor
        self.text = ""

    def until(self, pattern: str) -> None:
        give_up = time.monotonic() + PATIENCE
        while not re.search(pattern, self.text):
            assert time.monotonic() < give_up, self.text
            assert self._read(), self.text

    def press_ctrl_c(self) -> None:
        os.write(self._descriptor, b"\x03")

    def end(self) -> int:
        """Its exit code."""
        while self._read():
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])

    def _read(self) -> bool:
        if not select.select([self._descriptor], [], [], PATIENCE)[0]:
            return False
        try:
            block = os.read(self._descriptor, 65536)
        except OSError:
            return False
        self.text += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", block.decode("utf-8", "replace"))
        return bool(block)


def test_a_bar_and_ctrl_c_and_again(
    world: World, make_file: MakeFile, environment: dict[str, str]
) -> None:
    file = make_file(6 * MIB)
    words: list[object] = ["upload", "--chunk-size", "256K", file, world.server.url]
    with terminal([*words, "--limit-rate", "2M"], environment) as shown:
        shown.until(r"━.*[1-9]\d? %  \S+ MiB of 6.0 MiB  \S+ MiB/s  \d:\d\d left  uploading")
        shown.press_ctrl_c()
        assert shown.end() == 130
        assert re.search(r"paused at [1-9]\d? %", shown.text)
        assert "Run the same command again to go on." in shown.text
        assert "Traceback" not in shown.text
    with terminal(words, environment) as shown:
        assert shown.end() == 0
        assert "100 %  6.0 MiB of 6.0 MiB  done" in shown.text
        (url,) = set(re.findall(r"http://\S+/recordings/\S+", shown.text))
    assert bytes_at(world, url) == file.read_bytes()


def test_two_bars_and_one_of_all(
    world: World, make_file: MakeFile, environment: dict[str, str]
) -> None:
    files = [make_file(MIB), make_file(2 * MIB)]
    with terminal(["upload", *files, "/nowhere/x", world.server.url], environment) as shown:
        assert shown.end() == 1
    assert "3 of 3" in shown.text
    assert "Cannot read /nowhere/x" in shown.text
    assert len(set(re.findall(r"http://\S+/recordings/\S+", shown.text))) == 2


# ---------------------------------------------------------------- what is made of it


def test_wait_for_the_processing(run: Run, make_file: MakeFile, tmp_path: Path) -> None:
    """The facts that the job found are in the last event."""
    file = make_file(1000)
    env = {"JOBS_ROOT": str(tmp_path / "data")}
    with run_server("gunicorn-gthread", "tests.clients.digesting_app:app", env=env) as server:
        done = run("upload", "--json", "--wait", "-o", "sha256=true", file, server.url)
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["event"] == "done"
    assert last["job"]["state"] == "done"
    assert hashlib.sha256(file.read_bytes()).hexdigest() in json.dumps(last["job"]["facts"])
    phases = [json.loads(line).get("phase") for line in done.stdout.splitlines()]
    assert "processing" in phases


def test_the_wait_for_the_processing_goes_on(
    run: Run, make_file: MakeFile, tmp_path: Path, environment: dict[str, str]
) -> None:
    """Nobody does the jobs at first; the file is not sent a second time."""
    file = make_file(1000)
    env = {"JOBS_ROOT": str(tmp_path / "data"), "JOBS_THREADS": "0"}
    with run_server("gunicorn-gthread", "tests.clients.digesting_app:app", env=env) as server:
        words: list[object] = ["upload", "--wait", "-o", "sha256=true", file, server.url]
        code, out, _ = interrupted(words, environment)
        assert (code, out) == (130, "")
        port = server.port
    env["JOBS_THREADS"] = "1"
    with run_server(
        "gunicorn-gthread", "tests.clients.digesting_app:app", env=env, port=port
    ) as server:
        done = run("upload", "--json", *words[1:])
    last = json.loads(done.stdout.splitlines()[-1])
    assert (last["already"], last["job"]["state"]) == (True, "done")
    store = LocalStore(tmp_path / "data")
    assert len([one for one in store.list_finished() if one.filename == file.name]) == 1


# ---------------------------------------------------------------- servers of others


@pytest.mark.parametrize("name", ["@tus/server", "tuspyserver"])
def test_any_tus_server(
    run: Run, make_file: MakeFile, environment: dict[str, str], name: str
) -> None:
    """Whole, interrupted, in parts where it can, from a pipe where it can."""
    peer = peers.named(name)
    if reason := peers.missing(peer):
        pytest.skip(reason)
    file = make_file(6 * MIB)
    with TemporaryDirectory(prefix="resumable-peer-") as data:
        process = peers.Process(peer, Path(data))
        try:
            words: list[object] = ["upload", "--chunk-size", "512K", file, process.url]
            code, _, err = interrupted([*words, "--limit-rate", "2M"], environment)
            assert (code, "paused at" in err) == (130, True), err
            run(*words)
            run("upload", "-", process.url, stdin="from a pipe")
            # Not all of them give files out again.
            stored = [one.read_bytes() for one in Path(data).rglob("*") if one.is_file()]
            assert file.read_bytes() in stored
            assert b"from a pipe" in stored
        finally:
            process.stop()
