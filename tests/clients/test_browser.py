"""Uppy and tus-js-client from npm in a real Chromium, as the docs show them, with a bad network."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.http_proxy import Cut, Exchange, Hold, HttpProxy, Swallow, once
from tests.clients import npm
from tests.clients.conftest import MakeFile
from tests.clients.world import KIB, MIB, World

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

pytestmark = pytest.mark.browser

HTML = b"""<!doctype html>
<link rel="icon" href="data:,">
<input type="file" multiple>
<script type="module" src="/script.js"></script>
"""
# What a client says on the console is what a reader of the page sees.
UPPY = """
import "./block.mjs";
window.ready = true;
"""
TUS = """
import * as tus from "tus-js-client";
import { send } from "./block.mjs";
const input = document.querySelector("input");
input.addEventListener("change", () => send(input.files[0]));
window.tus = tus;
window.ready = true;
"""


_FINISHED = re.compile(r"/files/[A-Za-z0-9_-]{22}")


@pytest.fixture
def proxy(world: World) -> Iterator[HttpProxy]:
    """A line to the server that a test can spoil, with a page of its own at its end."""
    line = HttpProxy((world.server.host, world.server.port))
    line.pages["/"] = ("text/html", HTML)
    yield line
    line.close()


class Tab:
    """A page with one client; `said` is its console."""

    def __init__(self, page: Page, proxy: HttpProxy) -> None:
        self.page = page
        self.proxy = proxy
        self.said: list[str] = []
        page.on("console", lambda message: self.said.append(message.text))
        self.open()

    def open(self) -> None:
        self.page.goto(self.proxy.url + "/")
        self.page.wait_for_function("window.ready")

    def choose(self, *paths: Path) -> None:
        """As a person does it."""
        self.page.set_input_files("input", [str(path) for path in paths])

    def wait_for(self, hold: Hold) -> None:
        """Until a request has come so far; the browser's events go on meanwhile."""
        for _ in range(400):
            if hold.reached.is_set():
                return
            self.page.wait_for_timeout(20)
        raise AssertionError(f"no request came so far: {self.said}")

    def urls(self, count: int = 1) -> list[str]:
        """The URLs of finished uploads, once the client has said so many."""
        for _ in range(400):
            lines = [line for line in self.said if not line.startswith(("Failed", "["))]
            paths = [found[0] for line in lines if (found := _FINISHED.search(line))]
            if len(paths) >= count:
                return [self.proxy.url + path for path in paths]
            self.page.wait_for_timeout(50)
        raise AssertionError(f"it never came to an end: {self.said}")


def furnish(tmp_path: Path, proxy: HttpProxy, block: str, entry: str) -> None:
    folder = npm.furnish(tmp_path / "script")
    (folder / "block.mjs").write_text(npm.documented(block))
    (folder / "entry.mjs").write_text(entry)
    proxy.pages["/script.js"] = ("text/javascript", npm.bundle(folder / "entry.mjs"))


@pytest.fixture
def uppy(page: Page, proxy: HttpProxy, tmp_path: Path) -> Tab:
    npm.require("@uppy/core", "@uppy/tus", "esbuild")
    furnish(tmp_path, proxy, "@uppy/core", UPPY)
    return Tab(page, proxy)


@pytest.fixture
def tus(page: Page, proxy: HttpProxy, tmp_path: Path) -> Tab:
    npm.require("tus-js-client", "esbuild")
    furnish(tmp_path, proxy, "export async function send", TUS)
    return Tab(page, proxy)


def is_patch(exchange: Exchange) -> bool:
    return exchange.method == "PATCH"


def offsets(proxy: HttpProxy) -> list[int]:
    """Where the PATCHes began."""
    return [int(one.headers["upload-offset"]) for one in proxy.seen("PATCH", "/files/")]


# ---------------------------------------------------------------- Uppy


def test_uppy_sends_files(uppy: Tab, world: World, make_file: MakeFile) -> None:
    paths = [make_file(size) for size in (3 * MIB, 100, 0)]
    uppy.choose(*paths)
    found = {world.finished(url).filename: world.download(url) for url in uppy.urls(3)}
    assert found == {path.name: path.read_bytes() for path in paths}
    for url in uppy.urls(3):
        assert world.heard(url) == 1


def test_uppy_goes_on_after_cuts(
    uppy: Tab, world: World, proxy: HttpProxy, make_file: MakeFile
) -> None:
    path = make_file(4 * MIB)
    cuts = [Cut(after=MIB), Cut(after=MIB)]
    proxy.rule = lambda exchange: cuts.pop() if is_patch(exchange) and cuts else None
    uppy.choose(path)
    (url,) = uppy.urls()
    world.check(url, path.read_bytes())
    assert offsets(proxy) == [0, MIB, 2 * MIB]


def test_uppy_goes_on_when_the_network_comes_back(
    uppy: Tab, world: World, proxy: HttpProxy, context: BrowserContext, make_file: MakeFile
) -> None:
    path = make_file(4 * MIB)
    hold = Hold(after=2 * MIB)
    proxy.rule = once(is_patch, hold)
    uppy.choose(path)
    uppy.wait_for(hold)
    context.set_offline(True)
    hold.drop()
    uppy.page.wait_for_function("!navigator.onLine")
    context.set_offline(False)
    (url,) = uppy.urls()
    world.check(url, path.read_bytes())
    assert offsets(proxy) == [0, 2 * MIB]


def test_uppy_never_hears_that_it_is_done(
    uppy: Tab, world: World, proxy: HttpProxy, make_file: MakeFile
) -> None:
    """The answer to the last PATCH is lost; HEAD says that all is there."""
    path = make_file(MIB)
    proxy.rule = once(is_patch, Swallow())
    uppy.choose(path)
    (url,) = uppy.urls()
    world.check(url, path.read_bytes())
    assert offsets(proxy) == [0]


def test_uppy_goes_on_after_a_reload(
    uppy: Tab, world: World, proxy: HttpProxy, make_file: MakeFile
) -> None:
    path = make_file(4 * MIB)
    hold = Hold(after=3 * MIB)
    proxy.rule = once(is_patch, hold)
    uppy.choose(path)
    uppy.wait_for(hold)
    hold.drop()
    uppy.open()
    uppy.choose(path)
    (url,) = uppy.urls()
    world.check(url, path.read_bytes())
    assert offsets(proxy) == [0, 3 * MIB]
    assert len(proxy.seen("POST", "/files/")) == 1


# ---------------------------------------------------------------- tus-js-client


def test_tus_js_goes_on_after_a_reload(
    tus: Tab, world: World, proxy: HttpProxy, make_file: MakeFile
) -> None:
    path = make_file(4 * MIB)
    hold = Hold(after=MIB)
    proxy.rule = once(is_patch, hold)
    tus.choose(path)
    tus.wait_for(hold)
    hold.drop()
    tus.open()
    tus.choose(path)
    (url,) = tus.urls()
    world.check(url, path.read_bytes())
    assert offsets(proxy) == [0, MIB]


LIVE = """
([size, chunkSize]) => {
  const bytes = Uint8Array.from({ length: size }, (_, at) => (at * 31 + (at >> 8)) & 255);
  const stream = new Blob([bytes]).stream();
  const upload = new tus.Upload(stream.getReader(), {
    endpoint: "/files/",
    chunkSize,
    uploadLengthDeferred: true,
    onSuccess: () => console.log(upload.url),
    onError: (error) => console.log(String(error)),
  });
  upload.start();
}
"""


@pytest.mark.parametrize("size", [512 * KIB, 512 * KIB + 1, 5])
def test_tus_js_sends_a_live_stream(tus: Tab, world: World, proxy: HttpProxy, size: int) -> None:
    """Where it ends with a chunk, the length comes with no bytes at all."""
    tus.page.evaluate(LIVE, [size, 128 * KIB])
    (url,) = tus.urls()
    world.check(url, bytes((at * 31 + (at >> 8)) & 255 for at in range(size)))
    if size == 512 * KIB:
        last = proxy.seen("PATCH", "/files/")[-1]
        # Chromium sends it without Content-Length.
        assert last.headers.get("content-length", "0") == "0"
        assert (last.headers["upload-offset"], last.headers["upload-length"]) == 2 * (str(size),)
