"""The command line: its words by themselves, and as the processes that people start."""

from __future__ import annotations

import http.client
import json
import logging
import os
import re
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from resumable import ResumableUploads, Unavailable
from resumable.cli import main
from resumable.model import DAY
from resumable.serve import parse_bind, sweep_regularly
from tests.calls import call, file, snapshot
from tests.servers.running import missing, run_server

START_SECONDS = 30.0


def resumable(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    """One finished file and one open upload."""
    root = tmp_path / "store"
    app = ResumableUploads(None, root)
    form = [file("file", b"x" * 1234, "film.webm")]
    assert call(app, "POST", "/process-video-chunks", form=form).status == 200
    words = "?uploadId=waiting&chunkIndex=0&totalSize=5000"
    assert call(app, "PUT", f"/upload-chunk{words}", b"y" * 1000).status == 200
    return root


# ---------------------------------------------------------------- help


@pytest.mark.parametrize("words", [["-h"], ["--help"], ["serve", "-h"], ["sweep", "--help"]])
def test_help(words: list[str]) -> None:
    result = resumable(*words)
    assert result.exit_code == 0
    assert "Usage:" in result.output


def test_version() -> None:
    assert re.search(r"\d+\.\d+\.\d+", resumable("--version").output)


@pytest.mark.parametrize("words", [["nothing"], ["serve", "--nothing"], ["ls", "a", "b"]])
def test_words_that_are_none(words: list[str]) -> None:
    assert resumable(*words).exit_code == 2


# ---------------------------------------------------------------- addresses


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8000", ("127.0.0.1", 8000)),
        ("127.0.0.1:0", ("127.0.0.1", 0)),
        ("localhost:65535", ("localhost", 65535)),
        (":80", ("0.0.0.0", 80)),
        ("[::1]:80", ("::1", 80)),
        ("[::]:80", ("::", 80)),
    ],
)
def test_addresses(text: str, address: tuple[str, int]) -> None:
    assert parse_bind(text) == address


NO_ADDRESSES = ["", ":", "8000", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "::1:80", "[::1]"]
NO_PORTS = ["65536", "-1", "٨٠", "8_0", "9" * 5000]


@pytest.mark.parametrize("text", [*NO_ADDRESSES, *(f"127.0.0.1:{port}" for port in NO_PORTS)])
def test_no_addresses(text: str) -> None:
    with pytest.raises(ValueError, match="Write the address as HOST:PORT"):
        parse_bind(text)
    result = resumable("serve", "--bind", text)
    assert result.exit_code == 2
    assert "HOST:PORT" in result.output


@pytest.mark.parametrize("host", ["no.such.host.invalid", "a" * 300, "a..b"])
def test_hosts_that_are_not_there(host: str) -> None:
    with pytest.raises(ValueError, match="There is no host"):
        parse_bind(f"{host}:80")


# ---------------------------------------------------------------- ls


def test_ls(storage: Path) -> None:
    result = resumable("ls", str(storage))
    assert result.exit_code == 0
    finished, waiting = result.output.splitlines()
    assert re.search(r"1,234  [A-Za-z0-9_-]{22}  film.webm$", finished)
    assert waiting.endswith("1,000  of 5,000 bytes, receiving waiting")


def test_ls_for_machines(storage: Path) -> None:
    result = resumable("ls", str(storage), "--json")
    finished, waiting = map(json.loads, result.output.splitlines())
    assert (finished["state"], finished["size"]) == ("complete", 1234)
    assert (waiting["state"], waiting["client_id"]) == ("receiving", "waiting")
    assert (waiting["received"], waiting["length"]) == (1000, 5000)


def test_ls_of_nothing(tmp_path: Path) -> None:
    result = resumable("ls", str(tmp_path / "none"))
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "Nothing has been uploaded here yet.\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["ls", "sweep", "doctor"])
def test_a_storage_that_is_none(command: str) -> None:
    result = resumable(command, "nope://x")
    assert result.exit_code == 1
    assert result.output.startswith("Error: No store for nope:// URLs")


# ---------------------------------------------------------------- sweep


def age(root: Path, seconds: float) -> None:
    then = time.time() - seconds
    for path in root.rglob("*"):
        os.utime(path, (then, then))


def test_sweep_leaves_what_is_alive(storage: Path) -> None:
    before = snapshot(storage)
    result = resumable("sweep", str(storage))
    assert result.exit_code == 0
    assert result.output == (
        "0 expired, 0 completed, 0 told again, 0 forgotten, 0 leftovers removed.\n"
    )
    assert snapshot(storage) == before


@pytest.mark.parametrize(
    ("days", "words", "expired"),
    [
        (6.5, [], 0),
        (7.5, [], 1),
        (2.5, ["--expiry-days", "1"], 1),
        (1.5, ["--expiry-days", "1"], 0),
    ],
)
def test_sweep_takes_what_is_expired(
    storage: Path, days: float, words: list[str], expired: int
) -> None:
    """A day of grace comes on top."""
    age(storage, days * DAY)
    result = resumable("sweep", str(storage), "--json", *words)
    assert json.loads(result.output)["expired"] == expired
    listed = resumable("ls", str(storage), "--json").output
    assert ("waiting" not in listed) is bool(expired)
    assert "film.webm" in listed


APP = """
import os
from resumable import ResumableUploads

told = []

def page(environ, start_response):
    raise NotImplementedError

def cancelled(upload):
    with open("told", "a") as file:
        file.write(upload.client_id)

app = ResumableUploads(page, {root!r}, durability="process", cancelled=cancelled)

class Outer:
    def __init__(self, app):
        self.app = app

    def __call__(self, environ, start_response):
        return self.app(environ, start_response)

class Flask:
    wsgi_app = Outer(Outer(app))

flask = Flask()
nothing = page
bare = Outer(page)
"""


@pytest.fixture
def app_module(storage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module in the working directory."""
    working = tmp_path / "working"
    working.mkdir()
    (working / "swept_app.py").write_text(APP.format(root=str(storage)))
    monkeypatch.chdir(working)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield "swept_app"
    sys.modules.pop("swept_app", None)


@pytest.mark.parametrize("name", ["", ":app", ":flask"])
def test_sweep_with_an_app_tells_its_hooks(storage: Path, app_module: str, name: str) -> None:
    age(storage, 8 * DAY)
    result = resumable("sweep", "--app", app_module + name)
    assert result.exit_code == 0, result.output
    assert result.output.startswith("1 expired")
    assert Path("told").read_text() == "waiting"


@pytest.mark.parametrize(
    ("app", "message"),
    [
        ("no_such_module_anywhere", "Cannot load"),
        ("swept_app:none", "Cannot load"),
        ("", "Cannot load"),
        ("swept_app:nothing", "There is no ResumableUploads middleware"),
        ("swept_app:bare", "There is no ResumableUploads middleware"),
        ("swept_app:told", "There is no ResumableUploads middleware"),
    ],
)
def test_sweep_with_an_app_that_is_none(app_module: str, app: str, message: str) -> None:
    result = resumable("sweep", "--app", app)
    assert result.exit_code == 1
    assert message in result.output
    assert "Traceback" not in result.output


def test_sweep_takes_limits_from_one_place(app_module: str) -> None:
    result = resumable("sweep", "--app", app_module, "--expiry-days", "1")
    assert result.exit_code == 2


def test_sweeping_goes_on_after_trouble(caplog: pytest.LogCaptureFixture) -> None:
    swept = threading.Semaphore(0)

    class Uploads:
        count = 0

        def sweep(self) -> None:
            self.count += 1
            swept.release()
            if self.count == 3:
                threading.Event().wait()
            raise Unavailable("not now")

    with caplog.at_level(logging.CRITICAL + 1, "resumable"):
        sweep_regularly(Uploads(), seconds=0.01)  # type: ignore[arg-type]
        for _ in range(3):
            assert swept.acquire(timeout=START_SECONDS)


# ---------------------------------------------------------------- serve and demo


@contextmanager
def started(command: str, *words: str, **environment: str) -> Iterator[tuple[Any, int]]:
    """`resumable serve` or `demo` on a free port, in a group of its own."""
    program = Path(sys.executable).with_name("resumable")
    process = subprocess.Popen(
        [str(program), command, "--bind", "127.0.0.1:0", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, **environment},
    )
    try:
        yield process, _port(process)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def _port(process: Any) -> int:
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        assert selector.select(START_SECONDS), "no line came"
    line = process.stdout.readline()
    match = re.fullmatch(r"Listening on http://127\.0\.0\.1:(\d+)\n", line)
    assert match, line + process.stderr.read()
    return int(match[1])


def ask(
    port: int, method: str, target: str, body: bytes = b"", **headers: str
) -> tuple[int, bytes, http.client.HTTPMessage]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_SECONDS)
    try:
        connection.request(method, target, body, headers)
        response = connection.getresponse()
        return response.status, response.read(), response.headers
    finally:
        connection.close()


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_serve(tmp_path: Path, workers: str, end: signal.Signals) -> None:
    root = tmp_path / "store"
    words = ["--storage", str(root), "--cors", "https://a.example", "--workers", workers]
    words += ["--cors", "https://b.example", "--max-size", "1000", "--durability", "process"]
    with started("serve", *words) as (process, port):
        for index in range(4):
            target = f"/upload-chunk?uploadId=a&chunkIndex={index}&totalChunks=4"
            status, _, headers = ask(port, "PUT", target, b"x" * 9, Origin="https://b.example")
            assert status == 200
            assert headers["Access-Control-Allow-Origin"] == "https://b.example"
        status, body, _ = ask(port, "POST", "/finalize-upload", b'{"uploadId":"a"}')
        assert status == 200
        assert ask(port, "GET", json.loads(body)["path"])[:2] == (200, b"x" * 36)
        target = "/upload-chunk?uploadId=b&chunkIndex=0"
        assert ask(port, "PUT", target, b"x" * 1001)[0] == 413
        assert ask(port, "PUT", target, b"x", Origin="https://c.example")[0] == 403
        assert ask(port, "GET", "/recordings")[0] == 404
        assert ask(port, "GET", "/")[:2] == (404, b"Not Found")
        process.send_signal(end)
        out, errors = process.communicate(timeout=START_SECONDS)
        assert (process.returncode, out) == (0, "")
        assert "Traceback" not in errors


def test_demo(tmp_path: Path) -> None:
    with started("demo", "--storage", str(tmp_path / "store")) as (process, port):
        status, page, headers = ask(port, "GET", "/")
        assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        names = {*re.findall(rb'(?:src|href)="(/?resumable/static/[^"]+)"', page)}
        assert names
        for name in names:
            assert ask(port, "GET", "/" + name.decode().lstrip("/"))[0] == 200
        assert ask(port, "HEAD", "/")[:2] == (200, b"")
        assert ask(port, "GET", "/recordings")[0] == 200
        assert ask(port, "GET", "/elsewhere")[0] == 404
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=START_SECONDS)
        assert process.returncode == 0


def test_serve_processes_where_it_is_told_to(tmp_path: Path) -> None:
    words = ["--storage", str(tmp_path / "store"), "--durability", "process"]
    for more, told in ([], False), (["--processing"], True):
        with started("serve", *words, *more) as (_, port):
            assert json.loads(ask(port, "GET", "/upload-config")[1])["processing"] is told
    missing = {"PATH": "/nowhere", "RESUMABLE_FFMPEG": "/nowhere/ffmpeg"}
    result = CliRunner().invoke(main, ["serve", *words, "--processing"], env=missing)
    assert result.exit_code == 1
    assert "/nowhere/ffmpeg" in result.output


WITHOUT_GUNICORN = """
import sys
sys.modules["gunicorn"] = None
from resumable.cli import main
main()
"""


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_serve_without_gunicorn(tmp_path: Path, end: signal.Signals) -> None:
    words = ["serve", "--bind", "127.0.0.1:0", "--storage", str(tmp_path / "store")]
    process = subprocess.Popen(
        [sys.executable, "-c", WITHOUT_GUNICORN, *words],
        # A shell that starts tests in the background makes them deaf to it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        port = _port(process)
        assert ask(port, "PUT", "/upload-chunk?uploadId=a", b"x")[0] == 200
        process.send_signal(end)
        _, errors = process.communicate(timeout=START_SECONDS)
        assert process.returncode == 0
        assert "wsgi-resumable[serve]" in errors
        assert "Traceback" not in errors
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("command", ["serve", "demo"])
@pytest.mark.parametrize(
    ("storage", "message"),
    [
        ("nope://x", "No store for nope:// URLs"),
        ("", "Name a directory"),
        ("{0}/a-file", "cannot take uploads"),
        ("{0}/a-file/below", "cannot take uploads"),
        ("/proc/resumable", "cannot take uploads"),
    ],
)
def test_serve_refuses_a_storage_that_cannot_be_written(
    tmp_path: Path, command: str, storage: str, message: str
) -> None:
    (tmp_path / "a-file").write_text("")
    result = resumable(command, "--bind", "127.0.0.1:0", "--storage", storage.format(tmp_path))
    assert result.exit_code == 1
    assert message in result.output
    assert result.output.startswith("Error: ")
    assert result.output.count("\n") == 1


def test_serve_on_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        result = resumable("demo", "--bind", address, "--storage", str(tmp_path / "s"))
    assert result.exit_code == 1
    assert result.output == (
        f"Error: Cannot listen on {address}: another program listens there. "
        "Choose another address with --bind.\n"
    )


def test_serve_on_an_address_of_another_machine(tmp_path: Path) -> None:
    result = resumable("serve", "--bind", "192.0.2.1:0", "--storage", str(tmp_path / "s"))
    assert result.exit_code == 1
    assert "no address of this machine" in result.output
    assert result.output.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        ["--cors", "evil"],
        ["--workers", "0"],
        ["--threads", "0"],
        ["--max-size", "-1"],
        ["--chunk-size", "0"],
        ["--durability", "most"],
    ],
)
def test_serve_refuses_options_that_make_no_sense(tmp_path: Path, words: list[str]) -> None:
    result = resumable("serve", "--storage", str(tmp_path / "s"), *words)
    assert result.exit_code in (1, 2)
    assert "Traceback" not in result.output
    assert not (tmp_path / "s").exists()


# ---------------------------------------------------------------- doctor


def test_doctor_of_a_storage(storage: Path) -> None:
    before = snapshot(storage)
    result = resumable("doctor", str(storage))
    assert result.exit_code == 0, result.output
    assert "can be written" in result.output
    assert "1 finished files can be read." in result.output
    assert snapshot(storage) == before


def test_doctor_of_a_storage_that_is_not_there_yet(tmp_path: Path) -> None:
    result = resumable("doctor", str(tmp_path / "a" / "b"))
    assert "can be written" in result.output
    assert list(tmp_path.iterdir()) == []


def test_doctor_of_a_storage_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "a-file").write_text("")
    for target in (tmp_path / "a-file", tmp_path / "a-file" / "below", Path("/proc/resumable")):
        result = resumable("doctor", str(target))
        assert result.exit_code == 1, result.output
        assert "BAD " in result.output
        assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("kind", "code", "says"),
    [
        ("gunicorn-gthread", 0, "keeps every byte that arrived"),
        ("waitress", 1, "leaves nothing: the server or a proxy before it reads whole bodies"),
    ],
)
def test_doctor_of_a_server(tmp_path: Path, kind: str, code: int, says: str) -> None:
    if missing(kind):
        pytest.skip(str(missing(kind)))
    with run_server(kind, "tests.served_app:app", env={"SERVED_ROOT": str(tmp_path)}) as server:
        result = resumable("doctor", server.url)
    assert result.exit_code == code, result.output
    assert says in result.output
    assert "A chunk of 2 MiB is taken." in result.output
    assert snapshot(tmp_path) == {}


def test_doctor_of_what_is_no_server(tmp_path: Path) -> None:
    with run_server("werkzeug", "tests.test_cli:page") as server:
        result = resumable("doctor", server.url)
    assert result.exit_code == 1
    assert "No uploads answer here: /upload-config says 200." in result.output
    result = resumable("doctor", server.url)
    assert result.exit_code == 1
    assert "The server does not answer" in result.output


def page(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/html"), ("Content-Length", "4")])
    return [b"page"]
