"""Each example app takes a file in chunks, hears of it, lists it and gives it back."""

from __future__ import annotations

import hashlib
import http.client
import importlib.util
import json
import os
import random
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType

import pytest

from tests.servers.running import HOST, free_port, missing, run_server

with warnings.catch_warnings():
    # WebOb imports the cgi module wherever Python still has one.
    warnings.simplefilter("ignore", DeprecationWarning)
    from webtest import TestApp as WebTestApp

EXAMPLES = Path(__file__).parents[1] / "examples"
NAMES = ("flask_app", "bottle_app", "django_app", "plain_wsgi")
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
CHUNK = 64 * 1024
CONTENT = random.Random(7).randbytes(3 * CHUNK + 1000)
START_SECONDS = 30.0

# Method, path, headers, body -> status and body.
Ask = Callable[[str, str, dict[str, str], bytes], tuple[int, bytes]]


# ---------------------------------------------------------------- one upload, step by step


def upload_out_of_order(ask: Ask) -> dict[str, object]:
    """The chunks 2, 0, 3, 1, then the finalize; what it answers."""
    for index in (2, 0, 3, 1):
        headers = {"X-Upload-Id": "holiday", "X-Chunk-Index": str(index), "X-Total-Chunks": "4"}
        chunk = CONTENT[index * CHUNK : (index + 1) * CHUNK]
        status, body = ask("PUT", "/upload-chunk", headers, chunk)
        assert status == 200, body
        assert json.loads(body)["chunkIndex"] == index
    order = json.dumps({"uploadId": "holiday", "filename": "holiday.bin"}).encode()
    status, body = ask("POST", "/finalize-upload", {"Content-Type": "application/json"}, order)
    assert status == 200, body
    answer: dict[str, object] = json.loads(body)
    return answer


def check_whole_story(ask: Ask) -> None:
    """Nothing is there before, the app's own hook has seen the file afterwards."""
    assert received(ask) == []
    answer = upload_out_of_order(ask)
    [entry] = received(ask)
    assert entry["name"] == "holiday.bin"
    assert entry["size"] == len(CONTENT)
    assert entry["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    for path in (str(answer["path"]), str(entry["url"])):
        assert ask("GET", path, {}, b"") == (200, CONTENT)


def received(ask: Ask) -> list[dict[str, object]]:
    status, body = ask("GET", "/received", {}, b"")
    assert status == 200, body
    files: list[dict[str, object]] = json.loads(body)["files"]
    return files


def check_page(ask: Ask) -> None:
    """The page and the module that it imports come from the app itself."""
    status, page = ask("GET", "/", {}, b"")
    assert status == 200
    assert b"/resumable/static/chunked-upload.js" in page
    status, module = ask("GET", "/resumable/static/chunked-upload.js", {}, b"")
    assert status == 200
    assert b"export class ChunkedUploader" in module


# ---------------------------------------------------------------- in this process


@pytest.fixture(scope="module", params=NAMES)
def example(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """The example as a module, once: Django takes settings only once per process."""
    name = f"example_{request.param}"
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{request.param}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE", str(tmp_path_factory.mktemp(request.param)))
        spec.loader.exec_module(module)
    return module


def asking_webtest(app: WebTestApp) -> Ask:
    def ask(method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        answer = app.request(path, method=method, headers=headers, body=body, expect_errors=True)
        return answer.status_int, answer.body

    return ask


def test_the_app_in_this_process(example: ModuleType) -> None:
    ask = asking_webtest(WebTestApp(example.app, extra_environ={"HTTP_HOST": "127.0.0.1"}))
    check_page(ask)
    check_whole_story(ask)
    assert ask("GET", "/nowhere", {}, b"")[0] == 404


@pytest.mark.parametrize("name", NAMES)
def test_it_is_short(name: str) -> None:
    assert len((EXAMPLES / f"{name}.py").read_text().splitlines()) < 60


# ---------------------------------------------------------------- over the network


def asking_over_network(host: str, port: int) -> Ask:
    def ask(method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(host, port, timeout=START_SECONDS)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    return ask


@pytest.mark.parametrize("name", NAMES)
def test_the_app_under_a_real_server(name: str, tmp_path: Path) -> None:
    if reason := missing("gunicorn-gthread"):
        pytest.skip(reason)
    env = {"STORAGE": str(tmp_path / "storage")}
    with run_server("gunicorn-gthread", f"examples.{name}:app", env=env) as server:
        ask = asking_over_network(server.host, server.port)
        check_page(ask)
        check_whole_story(ask)


@contextmanager
def running_script(name: str, folder: Path) -> Iterator[str]:
    """The example started as its first line says; its address."""
    port = free_port()
    env = {**os.environ, "PORT": str(port), "STORAGE": str(folder / "storage")}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, str(EXAMPLES / f"{name}.py")],
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until_it_answers(asking_over_network(HOST, port), process, folder / "log")
        yield f"http://{HOST}:{port}"
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
        process.wait()


def wait_until_it_answers(ask: Ask, process: subprocess.Popen[bytes], log: Path) -> None:
    give_up = time.monotonic() + START_SECONDS
    while True:
        try:
            assert ask("GET", "/", {}, b"")[0] == 200
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < give_up, log.read_text()
            time.sleep(0.05)
        else:
            return


@pytest.mark.browser
@pytest.mark.parametrize("name", NAMES)
def test_a_person_uploads_with_the_page(name: str, tmp_path: Path) -> None:
    if not Path(CHROMIUM).exists():
        pytest.skip(f"{CHROMIUM} is missing: apt-get install chromium, or set CHROMIUM")
    from playwright.sync_api import expect, sync_playwright

    file = tmp_path / "holiday.bin"
    file.write_bytes(CONTENT)
    with running_script(name, tmp_path) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(url)
        page.get_by_label("File").set_input_files(file)
        expect(page.get_by_role("status")).to_contain_text(f"is safe: {len(CONTENT)} bytes")
        item = page.get_by_role("listitem")
        expect(item).to_contain_text(hashlib.sha256(CONTENT).hexdigest()[:16])
        with page.expect_download() as download:
            item.get_by_role("link", name="holiday.bin").click()
        assert download.value.path().read_bytes() == CONTENT
        assert download.value.suggested_filename == "holiday.bin"
        browser.close()
