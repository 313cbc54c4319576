"""The demo page as a person uses it: record, lose the server, reload, watch."""

from __future__ import annotations

import hashlib
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from resumable.processing.failures import ProgramMissing
from resumable.processing.program import find_program
from tests.browser.conftest import MakeBytes, demo_proxy, eventually, playwright_api, until
from tests.browser.demo_server import DemoServer
from tests.browser.http_proxy import Action, Cut, Exchange, Hold, HttpProxy, refusal
from tests.storage import ceph

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, FilePayload, Page

pytestmark = pytest.mark.browser
expect = playwright_api().expect

CHUNK = 2048

HEAR = """
window.taken = [];
const { start } = MediaRecorder.prototype;
MediaRecorder.prototype.start = function (...words) {
  this.addEventListener('dataavailable', ({ data }) => taken.push(data));
  return start.apply(this, words);
};
"""

TAKEN_DIGEST = """async () => {
  const digest = await crypto.subtle.digest('SHA-256', await new Blob(taken).arrayBuffer());
  const hex = Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0'));
  return hex.join('');
}"""

KEPT_NOTHING = """async () => {
  const open = indexedDB.open('resumable');
  const database = await new Promise((resolve) => { open.onsuccess = () => resolve(open.result); });
  const counts = await Promise.all(['slices', 'files'].map((name) => {
    const count = database.transaction(name).objectStore(name).count();
    return new Promise((resolve) => { count.onsuccess = () => resolve(count.result); });
  }));
  database.close();
  return counts[0] + counts[1] === 0;
}"""


RECORDED = "(bytes) => taken.reduce((sum, { size }) => sum + size, 0) >= bytes"

ENDED = """async () => {
  const { allRecordings } = await import('/resumable/static/local-store.js');
  return (await allRecordings()).every(({ ended }) => ended);
}"""


class Demo:
    """The page, with short waits and small chunks so that a test sees many of them."""

    def __init__(self, page: Page, proxy: HttpProxy) -> None:
        self.page = page
        self.proxy = proxy
        self.problems: list[str] = []
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.add_init_script(HEAR)
        self.open()

    def open(self) -> None:
        self.page.goto(f"{self.proxy.url}/?chunk={CHUNK}&retry=200&tab=1")
        expect(self.page.locator("#recordings-note")).not_to_have_text("Loading the list…")

    def record(self, source: str = "screen", seconds: float = 2.2) -> None:
        self.page.get_by_role("button", name=f"Record {source}").click()
        expect(self.page.get_by_text("Recording 0:0")).to_be_visible()
        self.page.wait_for_timeout(seconds * 1000)
        # A loaded machine may have made nothing of it by then, or one byte; tests hold the fourth.
        self.page.wait_for_function(RECORDED, arg=4 * CHUNK)

    def digest(self) -> str:
        """Of all that the recorder gave since the page was loaded."""
        return str(self.page.evaluate(TAKEN_DIGEST))

    def stop(self) -> None:
        self.page.get_by_role("button", name="Stop", exact=True).click()

    def in_state(self, state: str) -> None:
        row = self.page.locator(f":is(.upload, .row)[data-state={state}]")
        expect(row).to_be_visible(timeout=20_000)

    def finished(self, count: int = 1) -> None:
        expect(self.page.locator(".recording")).to_have_count(count)
        expect(self.page.locator(".upload, .row")).to_have_count(0)

    def download(self, at: int = 0) -> bytes:
        link = self.page.locator(".recording .download").nth(at)
        url = link.evaluate("link => link.href")
        with urllib.request.urlopen(url) as response:
            assert "attachment" in response.headers["Content-Disposition"]
            content: bytes = response.read()
        return content

    def plays(self, at: int = 0) -> None:
        """The video runs without an error and knows its length before its end."""
        self.page.locator(".recording .play").nth(at).click()
        video = self.page.locator(".player video")
        expect(video).to_be_visible()
        self.page.wait_for_function(
            """() => {
              const video = document.querySelector('.player video');
              if (video.error) throw new Error(video.error.message);
              const runs = video.currentTime > 0 && !video.paused && !video.ended;
              return runs && Number.isFinite(video.duration);
            }"""
        )


@pytest.fixture
def demo(page: Page, own_proxy: HttpProxy) -> Iterator[Demo]:
    demo = Demo(page, own_proxy)
    yield demo
    assert demo.problems == []


def from_chunk(number: int, actions: list[Action]) -> Callable[[Exchange], Action | None]:
    """A rule that spends `actions`, one for each chunk request after the first `number`."""
    arrived: list[Exchange] = []

    def rule(exchange: Exchange) -> Action | None:
        if not exchange.is_chunk:
            return None
        arrived.append(exchange)
        return actions.pop(0) if actions and len(arrived) > number else None

    return rule


def test_a_recording_survives_two_kills_of_the_server(demo: Demo, own_server: DemoServer) -> None:
    first, second = Hold(after=10), Hold(after=10)
    demo.proxy.rule = from_chunk(1, [first])
    demo.record()
    track = "document.getElementById('preview').srcObject.getVideoTracks()[0].label"
    assert "web-contents" in demo.page.evaluate(track), "this is not the tab"
    for hold, following in ((first, second), (second, None)):
        hold.wait()
        own_server.kill()
        hold.drop()
        demo.proxy.rule = from_chunk(1, [following] if following else [])
        if following is None:
            demo.stop()
            demo.in_state("waiting")
        own_server.start()
    demo.finished()
    content = demo.download()
    assert hashlib.sha256(content).hexdigest() == demo.digest()
    assert sum(e.body_bytes for e in demo.proxy.chunks) < len(content) + 8 * CHUNK
    demo.plays()
    until(demo.page, KEPT_NOTHING)


@pytest.fixture
def bucket_server(tmp_path: Path) -> Iterator[DemoServer]:
    """Two workers on a bucket of a real S3 server."""
    reason = ceph.missing()
    if reason is not None:
        pytest.skip(reason)
    folder = tmp_path / "ceph"
    folder.mkdir()
    with ceph.given_or_own(folder) as storage:
        server = DemoServer(tmp_path, f"{storage.fresh().url}/demo", storage.options, workers=2)
        server.start()
        yield server
        server.stop()


@pytest.fixture
def bucket_demo(page: Page, bucket_server: DemoServer) -> Iterator[Demo]:
    for proxy in demo_proxy(bucket_server):
        demo = Demo(page, proxy)
        yield demo
        assert demo.problems == []


def test_a_recording_into_a_bucket_survives_a_killed_worker(
    bucket_demo: Demo, bucket_server: DemoServer
) -> None:
    demo, hold = bucket_demo, Hold(after=10)
    demo.proxy.rule = from_chunk(2, [hold])
    demo.record()
    demo.stop()
    hold.wait()
    bucket_server.kill_worker()
    hold.drop()
    demo.finished()
    assert hashlib.sha256(demo.download()).hexdigest() == demo.digest()
    demo.plays()
    until(demo.page, KEPT_NOTHING)


def test_a_reload_after_the_stop_goes_on_by_itself(demo: Demo) -> None:
    hold = Hold(after=10)
    demo.proxy.rule = from_chunk(3, [hold])
    demo.record("camera")
    demo.stop()
    hold.wait()
    until(demo.page, ENDED)
    digest = demo.digest()
    sent = sum(e.body_bytes for e in demo.proxy.chunks if e.status == 200)
    demo.proxy.forget()
    demo.open()
    hold.drop()
    demo.finished()
    content = demo.download()
    assert hashlib.sha256(content).hexdigest() == digest
    again = sum(e.body_bytes for e in demo.proxy.chunks)
    assert sent + again <= len(content) + CHUNK
    demo.plays()
    until(demo.page, KEPT_NOTHING)


def test_a_reload_while_recording_loses_no_slice(demo: Demo) -> None:
    demo.page.on("dialog", lambda dialog: dialog.accept())
    demo.record("camera", seconds=3.5)
    demo.open()
    demo.in_state("cut")
    expect(demo.page.get_by_text("Cut short after 0:0")).to_be_visible()
    demo.page.get_by_role("button", name="Finish: Camera").click()
    demo.finished()
    assert demo.download().startswith(b"\x1a\x45\xdf\xa3")
    demo.plays()
    until(demo.page, KEPT_NOTHING)


def test_without_a_server_the_recording_goes_on(demo: Demo) -> None:
    demo.proxy.rule = lambda exchange: Cut(after=0) if exchange.method != "GET" else None
    demo.record("camera", seconds=0.5)
    expect(demo.page.locator("#line")).to_contain_text("wait in this browser.")
    demo.page.get_by_role("button", name="Pause").click()
    expect(demo.page.get_by_text("Paused 0:0")).to_be_visible()
    demo.page.get_by_role("button", name="Resume").click()
    demo.proxy.rule = lambda exchange: None
    expect(demo.page.locator("#line")).to_contain_text("uploaded")
    demo.stop()
    demo.finished()
    assert hashlib.sha256(demo.download()).hexdigest() == demo.digest()


def test_files_arrive_unchanged(demo: Demo, tmp_path: Path, make_bytes: MakeBytes) -> None:
    contents = {"notes.txt": b"", "photo.bin": make_bytes(5 * CHUNK + 3)}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    demo.page.set_input_files("#files input", [tmp_path / name for name in contents])
    demo.finished(2)
    names = demo.page.locator(".recording .name").all_inner_texts()
    assert {name: demo.download(at) for at, name in enumerate(names)} == contents
    expect(demo.page.locator("#files [role=status]")).to_contain_text("photo.bin is uploaded.")


def test_pause_resume_and_cancel(demo: Demo, tmp_path: Path, make_bytes: MakeBytes) -> None:
    path = tmp_path / "photo.bin"
    path.write_bytes(make_bytes(8 * CHUNK))
    first, second = Hold(after=10), Hold(after=10)
    demo.proxy.rule = from_chunk(3, [first])
    demo.page.set_input_files("#files input", path)
    first.wait()
    demo.page.get_by_role("button", name="Pause: photo.bin").click()
    demo.in_state("paused")
    demo.proxy.rule = from_chunk(0, [second])
    first.drop()
    demo.page.get_by_role("button", name="Resume: photo.bin").click()
    demo.in_state("uploading")
    second.wait()
    demo.page.get_by_role("button", name="Cancel: photo.bin").click()
    expect(demo.page.locator(".row")).to_have_count(0)
    second.drop()
    until(demo.page, KEPT_NOTHING)
    expect(demo.page.locator("#files [role=status]")).to_contain_text("photo.bin is cancelled.")
    demo.open()
    expect(demo.page.locator(".recording")).to_have_count(0)
    assert [e.status for e in demo.proxy.seen("DELETE", "/upload-status/")] == [204]


def test_a_recording_is_discarded_only_after_a_question(demo: Demo) -> None:
    hold = Hold(after=10)
    demo.proxy.rule = from_chunk(0, [hold])
    demo.record("camera", seconds=1.2)
    demo.stop()
    hold.wait()
    discard = demo.page.get_by_role("button", name="Discard: Camera")
    discard.click()
    demo.page.get_by_role("button", name="Keep").click()
    expect(demo.page.locator(".upload")).to_have_count(1)
    discard.click()
    demo.page.get_by_role("button", name="Discard", exact=True).click()
    expect(demo.page.locator(".upload")).to_have_count(0)
    hold.drop()
    until(demo.page, KEPT_NOTHING)


def test_a_refused_recording_can_be_saved_or_sent_again(demo: Demo) -> None:
    demo.proxy.rule = from_chunk(0, [refusal(413)])
    demo.record("camera", seconds=1.2)
    demo.stop()
    demo.in_state("failed")
    expect(demo.page.locator(".upload .details")).to_have_text("Refused with 413.")
    digest = demo.digest()
    with demo.page.expect_download() as saved:
        demo.page.get_by_role("button", name="Save here: Camera").click()
    content = saved.value.path().read_bytes()
    assert hashlib.sha256(content).hexdigest() == digest
    demo.page.get_by_role("button", name="Try again: Camera").click()
    demo.finished()
    assert demo.download() == content


def test_only_one_tab_sends(demo: Demo, tmp_path: Path, make_bytes: MakeBytes) -> None:
    path = tmp_path / "photo.bin"
    path.write_bytes(make_bytes(8 * CHUNK))
    hold = Hold(after=10)
    demo.proxy.rule = from_chunk(2, [hold])
    demo.page.set_input_files("#files input", path)
    hold.wait()
    other = Demo(demo.page.context.new_page(), demo.proxy)
    expect(other.page.locator(".row")).to_have_count(0)
    demo.page.close()
    other.in_state("uploading")
    hold.drop()
    other.finished()
    assert other.download() == path.read_bytes()


def require_ffmpeg() -> None:
    try:
        find_program()
    except ProgramMissing as missing:
        pytest.skip(missing.message)


def test_a_recording_becomes_an_mp4_though_a_worker_is_killed(
    demo: Demo, own_server: DemoServer
) -> None:
    require_ffmpeg()
    page = demo.page
    page.locator("summary").click()
    page.get_by_role("checkbox", name="Frame").check()
    page.get_by_role("checkbox", name="Label").check()
    page.get_by_role("textbox", name="Text").fill("Team meeting")
    demo.record("camera", seconds=1.5)
    width = page.evaluate("document.getElementById('preview').videoWidth")
    demo.stop()
    bar = page.get_by_role("progressbar", name="Processing of Camera")
    expect(bar).to_be_visible()
    expect(page.locator(".job .details")).to_contain_text("Processing")
    own_server.kill_worker()
    expect(page.locator(".thumbnail img")).to_be_visible()
    expect(bar).to_be_hidden()
    expect(page.locator(".recording .name")).to_contain_text(".mp4")
    demo.plays()
    shown = page.evaluate("document.querySelector('.player video').videoWidth")
    assert shown == width + 2 * 20
    loaded = "document.querySelector('.thumbnail img').naturalWidth"
    assert page.evaluate(loaded) > 0
    assert demo.download()[4:8] == b"ftyp"
    page.get_by_role("button", name="Delete Camera").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.locator(".recording")).to_have_count(0)
    demo.open()
    expect(page.locator(".recording")).to_have_count(0)


def test_work_that_failed_says_why_and_is_begun_again(demo: Demo) -> None:
    require_ffmpeg()
    file: FilePayload = {"name": "no.webm", "mimeType": "video/webm", "buffer": b"a text" * 99}
    demo.page.set_input_files("#files input", file)
    details = demo.page.locator(".job .details")
    expect(details).to_contain_text("Not processed.")
    demo.page.get_by_role("button", name="Process again: no.webm").click()
    # A toast may tell of the first time yet: whoever saw that job before its end was told, too.
    eventually(
        demo.page,
        lambda: [e.status for e in demo.proxy.seen("POST", "/jobs")] == [202],
        "it was not begun again",
    )
    expect(demo.page.locator("#toasts")).to_contain_text("no.webm: Not processed.")
    assert demo.download() == b"a text" * 99


def test_the_page_is_small_and_all_its_own(context: BrowserContext, own_proxy: HttpProxy) -> None:
    page = context.new_page()
    sizes: dict[str, int] = {}
    page.on(
        "requestfinished",
        lambda request: sizes.update({request.url: request.sizes()["responseBodySize"]}),
    )
    page.goto(own_proxy.url)
    page.wait_for_load_state("networkidle")
    expect(page.locator("#recordings-note")).to_contain_text("Nothing here yet.")
    files = {url: size for url, size in sizes.items() if "static" in url or url.endswith("/")}
    assert len(files) > 10
    assert sum(files.values()) < 60_000, files
    assert all(url.startswith(own_proxy.url) for url in sizes)
