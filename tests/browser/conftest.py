"""A real Chromium, the real server behind it, and a proxy in between that makes the weather."""

from __future__ import annotations

import os
import random
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.demo_server import DemoServer
from tests.browser.http_proxy import PATIENCE, HttpProxy

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

MakeBytes = Callable[[int], bytes]
CHUNK = 65536
"""Bytes of a chunk in the laboratory."""

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--auto-accept-this-tab-capture",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
]
LAB = b"""<!doctype html>
<html lang="en">
<title>Lab</title>
<link rel="icon" href="data:,">
<script src="/lab.js"></script>
"""
LAB_SCRIPT = b"""
window.seen = [];
window.retries = [];
window.failures = [];
window.completions = [];
window.uploaderModule = () => import('/resumable/static/chunked-upload.js');
window.makeUploader = async (options = {}) => {
  const { ChunkedUploader } = await uploaderModule();
  window.uploader = new ChunkedUploader({
    chunkSize: 65536,
    retryDelay: 20,
    onProgress: (progress) => seen.push(progress),
    onRetry: ({ error, ...retry }) => retries.push({ ...retry, status: error.status }),
    onError: ({ error, ...failure }) => failures.push({ ...failure, status: error.status }),
    onComplete: (completion) => completions.push(completion),
    ...options,
  });
  return uploader;
};
window.fetchFile = async (name, type = 'video/webm') => {
  const bytes = await (await fetch(`/bytes/${name}`)).arrayBuffer();
  return new File([bytes], name, { type, lastModified: 1700000000000 });
};
window.begin = async (method, name, options = {}, uploaderOptions = {}) => {
  await makeUploader(uploaderOptions);
  const file = await fetchFile(name);
  window.result = uploader[method](file, file.name, options).then(
    (answer) => ({ answer }),
    ({ name, message, status, code }) => ({ error: { name, message, status, code } }),
  );
};
"""


def playwright_api() -> Any:
    """Playwright's module; without it the caller's tests are skipped."""
    api = pytest.importorskip("playwright.sync_api", reason="needs: pip install playwright")
    api.expect.set_options(timeout=PATIENCE * 1000)
    return api


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for a module; not longer, because its event loop is in the way of other tests."""
    api = playwright_api()
    if not Path(CHROMIUM).exists():
        pytest.skip(f"needs {CHROMIUM}: apt-get install chromium, or name another in CHROMIUM")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoServer]:
    """A server that no test may stop."""
    server = DemoServer(tmp_path_factory.mktemp("demo"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[DemoServer]:
    """A server for one test, which may kill it and start it again."""
    server = DemoServer(tmp_path)
    server.start()
    yield server
    server.stop()


def demo_proxy(server: DemoServer) -> Iterator[HttpProxy]:
    """A line to the server that a test can spoil."""
    proxy = HttpProxy(("127.0.0.1", server.port))
    proxy.pages["/lab"] = ("text/html", LAB)
    proxy.pages["/lab.js"] = ("text/javascript", LAB_SCRIPT)
    yield proxy
    proxy.close()


@pytest.fixture
def proxy(shared_server: DemoServer) -> Iterator[HttpProxy]:
    yield from demo_proxy(shared_server)


@pytest.fixture
def own_proxy(own_server: DemoServer) -> Iterator[HttpProxy]:
    yield from demo_proxy(own_server)


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    context = chromium.new_context(permissions=["camera", "microphone"])
    context.set_default_timeout(PATIENCE * 1000)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


def until(page: Page, script: str, argument: object = None) -> None:
    """Asks an asynchronous function in the page until it says true."""
    eventually(page, lambda: page.evaluate(script, argument), f"it never came true: {script}")


def eventually(page: Page, true: Callable[[], object], otherwise: str) -> None:
    """Asks the test until it says true, and lets the page live meanwhile."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, otherwise
        page.wait_for_timeout(20)


class Lab:
    """A blank page on the proxy's origin with the uploader at hand."""

    def __init__(self, page: Page, proxy: HttpProxy) -> None:
        self.page = page
        self.proxy = proxy
        self.open()

    def open(self) -> None:
        """Loads the page anew: what it held in memory is gone."""
        self.page.goto(f"{self.proxy.url}/lab")

    def give(self, name: str, data: bytes) -> bytes:
        """Makes `data` a file that the page can take by its name."""
        self.proxy.pages[f"/bytes/{name}"] = ("application/octet-stream", data)
        return data

    def begin(self, method: str, name: str, options: object = None, **uploader: object) -> None:
        """Starts an upload and does not wait for it."""
        self.page.evaluate("(all) => begin(...all)", [method, name, options or {}, uploader])

    def result(self) -> dict[str, Any]:
        """What the upload came to: `{answer}` or `{error}`."""
        found: dict[str, Any] = self.page.evaluate("result")
        return found

    def answer(self) -> dict[str, Any]:
        found = self.result()
        assert "answer" in found, found
        answer: dict[str, Any] = found["answer"]
        return answer

    def error(self) -> dict[str, Any]:
        found = self.result()
        assert "error" in found, found
        error: dict[str, Any] = found["error"]
        return error

    def upload(self, method: str, name: str, options: object = None, **uploader: object) -> Any:
        self.begin(method, name, options, **uploader)
        return self.answer()

    def seen(self) -> list[dict[str, Any]]:
        """All progress reports so far."""
        reports: list[dict[str, Any]] = self.page.evaluate("seen")
        return reports

    def tries(self) -> Counter[int]:
        """How often each chunk was sent."""
        return Counter(exchange.chunk for exchange in self.proxy.chunks)

    def fetch(self, path: str) -> bytes:
        """The bytes under `path`, past the browser and the proxy's rules."""
        host, port = self.proxy.server
        with urllib.request.urlopen(f"http://{host}:{port}{path}") as response:
            content: bytes = response.read()
        return content


@pytest.fixture
def lab(page: Page, proxy: HttpProxy) -> Lab:
    return Lab(page, proxy)


@pytest.fixture
def own_lab(page: Page, own_proxy: HttpProxy) -> Lab:
    return Lab(page, own_proxy)


@pytest.fixture
def make_bytes() -> MakeBytes:
    """Bytes that no other call repeats, the same in every run."""
    return random.Random(7).randbytes
