"""Recordings that are uploaded while they run, of a real tab and a camera, in bad weather."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.conftest import demo_proxy, eventually, until
from tests.browser.demo_server import DemoServer
from tests.browser.http_proxy import (
    Action,
    Answer,
    Cut,
    Exchange,
    HttpProxy,
    Swallow,
    once,
    refusal,
)

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

pytestmark = pytest.mark.browser

STUDIO = b"""<!doctype html>
<html lang="en">
<title>Studio</title>
<link rel="icon" href="data:,">
<canvas width="320" height="200"></canvas>
<script src="/studio.js"></script>
"""
SCRIPT = b"""
const canvas = document.querySelector('canvas');
const paint = () => {
  const context = canvas.getContext('2d');
  context.fillStyle = `hsl(${performance.now() / 5} 80% 50%)`;
  context.fillRect(0, 0, 320, 200);
  requestAnimationFrame(paint);
};
paint();
const { start } = MediaRecorder.prototype;
MediaRecorder.prototype.start = function (...words) {
  this.addEventListener('dataavailable', async ({ data }) => {
    const reader = new FileReader();
    reader.onload = () => heard(reader.result.split('base64,')[1] ?? '');
    reader.readAsDataURL(data);
  });
  return start.apply(this, words);
};
window.locks = [];
Object.defineProperty(navigator, 'wakeLock', {
  value: {
    request: async (type) => {
      locks.push(type);
      return { release: async () => locks.push('released') };
    },
  },
});
window.live = () => import('/resumable/static/live-recorder.js');
window.stored = () => import('/resumable/static/local-store.js');
window.seen = [];
window.watch = (recorder) => {
  window.recorder = recorder;
  for (const type of ['statechange', 'retry', 'warning', 'finish', 'error']) {
    const told = ({ detail }) =>
      seen.push([type, detail?.error?.message ?? (type === 'statechange' ? recorder.state : '')]);
    recorder.addEventListener(type, told);
  }
  window.result = recorder.finished.then(
    (answer) => ({ answer }),
    ({ name, message, code }) => ({ error: { name, message, code } }),
  );
};
window.record = async (source, settings = {}) => {
  const { LiveRecorder } = await live();
  const line = { retryDelay: 20, maxRetryDelay: 200 };
  const constraints = source === 'screen' ? { preferCurrentTab: true } : {};
  watch(new LiveRecorder({ sliceDuration: 200, line, constraints, ...settings }));
  await recorder.start(source === 'canvas' ? canvas.captureStream(25) : source);
};
window.goOn = async (id) => {
  const { LiveRecorder } = await live();
  watch(LiveRecorder.resume(id, { line: { retryDelay: 20 } }));
};
window.unfinished = async () => (await (await live()).LiveRecorder.unfinished());
window.slices = async (id = recorder.id) => (await (await stored()).getSlices(id)).length;
"""

SLICED = "async (count) => recorder.size > 0 && (await slices()) >= count"
SETTLED = "() => ['done', 'failed', 'discarded'].includes(recorder.state)"


class Studio:
    """A page that records; `heard` is every slice that its recorder gave, in order."""

    def __init__(self, page: Page, proxy: HttpProxy) -> None:
        self.page = page
        self.proxy = proxy
        self.heard: list[bytes] = []
        self.problems: list[str] = []
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.expose_function("heard", lambda text: self.heard.append(base64.b64decode(text)))
        self.open()

    def open(self) -> None:
        self.page.goto(f"{self.proxy.url}/studio")

    def record(self, source: str = "canvas", settings: object = None) -> str:
        self.page.evaluate("all => record(...all)", [source, settings or {}])
        return str(self.page.evaluate("recorder.id"))

    def chunks_arrived(self, count: int) -> None:
        until(self.page, "async () => recorder.acknowledged > 0")
        eventually(self.page, lambda: self._arrived() >= count, "the chunks do not arrive")

    def _arrived(self) -> int:
        return len([e for e in self.proxy.exchanges if is_chunk(e) and e.status == 200])

    def stop(self) -> dict[str, Any]:
        self.page.evaluate("recorder.stop().catch(() => {}), null")
        return self.answer()

    def answer(self) -> dict[str, Any]:
        result = self.page.evaluate("result")
        assert "answer" in result, result
        answer: dict[str, Any] = result["answer"]
        return answer

    def file(self, answer: dict[str, Any], *, heard: bool = True) -> bytes:
        """What the server has; `heard` is False where the page went before it told its slices."""
        response = self.page.request.get(f"{self.proxy.url}{answer['url']}")
        assert response.ok
        content: bytes = response.body()
        if heard:
            self.hear(len(content))
        return content

    def hear(self, size: int) -> None:
        """The test hears of a slice a little later than the recorder."""
        eventually(self.page, lambda: len(self.recorded()) >= size, "not all of it was heard")

    def recorded(self) -> bytes:
        return b"".join(self.heard)

    def seen(self, kind: str) -> list[str]:
        return [text for what, text in self.page.evaluate("seen") if what == kind]

    def nothing_is_kept(self, id: str) -> None:
        until(self.page, "async (id) => (await slices(id)) === 0", id)
        assert self.page.evaluate("unfinished()") == []


def is_chunk(exchange: Exchange) -> bool:
    return exchange.path == "/upload-chunk" and exchange.method == "PUT"


def every(actions: Callable[[], Action | None]) -> Callable[[Exchange], Action | None]:
    return lambda exchange: actions() if not exchange.path.startswith("/studio") else None


def studio_on(page: Page, proxy: HttpProxy) -> Iterator[Studio]:
    proxy.pages["/studio"] = ("text/html", STUDIO)
    proxy.pages["/studio.js"] = ("text/javascript", SCRIPT)
    studio = Studio(page, proxy)
    yield studio
    assert studio.problems == []


@pytest.fixture
def studio(page: Page, proxy: HttpProxy) -> Iterator[Studio]:
    yield from studio_on(page, proxy)


@pytest.fixture
def own_studio(page: Page, own_server: DemoServer) -> Iterator[Studio]:
    for proxy in demo_proxy(own_server):
        yield from studio_on(page, proxy)


def test_a_tab_is_on_the_server_while_it_is_recorded(studio: Studio) -> None:
    id = studio.record("screen")
    label = studio.page.evaluate("recorder.stream.getVideoTracks()[0].label")
    assert "web-contents" in label, "this is not the tab"
    studio.chunks_arrived(3)
    assert studio.proxy.seen("POST", "/finalize-upload") == []
    assert studio.page.evaluate("recorder.state") == "recording"
    answer = studio.stop()
    assert studio.file(answer) == studio.recorded()
    assert answer["filename"].startswith("Screen ")
    assert answer["type"] == "video/webm"
    ended = studio.page.evaluate("recorder.stream.getTracks().every(t => t.readyState === 'ended')")
    assert ended is True
    assert studio.seen("statechange") == ["recording", "finishing", "done"]
    studio.nothing_is_kept(id)
    sent = sum(e.body_bytes for e in studio.proxy.exchanges if is_chunk(e))
    assert sent == len(studio.recorded())


ORDER = """() => {
  window.order = [];
  const { put } = IDBObjectStore.prototype;
  IDBObjectStore.prototype.put = function (value, ...rest) {
    if (this.name === 'slices') {
      this.transaction.addEventListener('complete', () => order.push(['kept', value.blob.size]));
    }
    return put.call(this, value, ...rest);
  };
  const { send } = XMLHttpRequest.prototype;
  XMLHttpRequest.prototype.send = function (body) {
    if (body instanceof Blob) order.push(['sent', body.size]);
    return send.call(this, body);
  };
}"""


def test_each_slice_is_on_the_disk_before_it_is_sent(studio: Studio) -> None:
    studio.page.evaluate(ORDER)
    studio.record()
    studio.chunks_arrived(4)
    studio.stop()
    order = studio.page.evaluate("order")
    assert [what for what, _ in order].count("sent") >= 4
    ahead = 0
    for what, size in order:
        ahead += size if what == "kept" else -size
        assert ahead >= 0, order


def test_without_a_network_the_slices_wait_here(studio: Studio) -> None:
    id = studio.record()
    studio.chunks_arrived(1)
    studio.proxy.rule = every(lambda: Cut(after=0))
    until(studio.page, SLICED, 5)
    studio.proxy.rule = lambda exchange: None
    until(studio.page, "async () => (await slices()) <= 1")
    answer = studio.stop()
    assert studio.file(answer) == studio.recorded()
    assert studio.seen("retry")
    studio.nothing_is_kept(id)


@pytest.mark.parametrize(
    ("spoilt", "arrived"),
    [(Cut(after=10), 10), (Swallow(), None), (refusal(503, Retry_After="0"), 0)],
)
def test_a_chunk_that_is_lost_is_sent_again_from_where_it_broke(
    studio: Studio, spoilt: Action, arrived: int | None
) -> None:
    studio.record()
    studio.proxy.rule = once(is_chunk, spoilt)
    studio.chunks_arrived(3)
    answer = studio.stop()
    assert studio.file(answer) == studio.recorded()
    assert len(studio.seen("retry")) == 1
    lost, again, *_ = [e for e in studio.proxy.exchanges if is_chunk(e)]
    start, end = lost.range
    # Of a first slice that is one byte, nothing arrives.
    assert again.range[0] == (end if arrived is None else min(start + arrived, end - 1))


def test_the_answer_to_the_finish_is_lost(studio: Studio) -> None:
    studio.record()
    studio.proxy.rule = once(lambda e: e.path == "/finalize-upload", Swallow())
    studio.chunks_arrived(1)
    answer = studio.stop()
    assert studio.file(answer) == studio.recorded()
    assert len(studio.proxy.seen("POST", "/finalize-upload")) == 2


def test_a_reload_in_the_middle_loses_no_slice(studio: Studio) -> None:
    studio.page.on("dialog", lambda dialog: dialog.accept())
    id = studio.record()
    studio.chunks_arrived(2)
    studio.proxy.rule = every(lambda: Cut(after=0))
    until(studio.page, SLICED, 3)
    studio.proxy.rule = lambda exchange: None
    studio.open()
    (found,) = studio.page.evaluate("unfinished()")
    assert (found["id"], found["ended"]) == (id, False)
    assert found["kept"] > 0
    assert found["duration"] > 0
    studio.page.evaluate("id => goOn(id)", id)
    content = studio.file(studio.answer(), heard=False)
    assert len(content) >= found["size"]
    shorter = min(len(content), len(studio.recorded()))
    assert content[:shorter] == studio.recorded()[:shorter]
    studio.nothing_is_kept(id)


def test_a_second_reload_while_the_rest_is_sent(studio: Studio) -> None:
    studio.page.on("dialog", lambda dialog: dialog.accept())
    id = studio.record()
    studio.chunks_arrived(1)
    studio.proxy.rule = lambda exchange: Cut(after=0) if is_chunk(exchange) else None
    until(studio.page, SLICED, 3)
    studio.open()
    studio.page.evaluate("id => goOn(id)", id)
    until(studio.page, "() => seen.some(([type]) => type === 'retry')")
    studio.open()
    (found,) = studio.page.evaluate("unfinished()")
    assert found["ended"] is True
    studio.proxy.rule = lambda exchange: None
    studio.page.evaluate("id => goOn(id)", id)
    content = studio.file(studio.answer(), heard=False)
    assert len(content) == found["size"]
    shorter = min(len(content), len(studio.recorded()))
    assert content[:shorter] == studio.recorded()[:shorter]


def test_a_server_that_forgot_the_beginning_is_told_apart(
    own_studio: Studio, own_server: DemoServer
) -> None:
    id = own_studio.record()
    own_studio.chunks_arrived(2)
    own_server.kill()
    shutil.rmtree(own_server.storage)
    own_server.start()
    own_studio.page.evaluate("recorder.stop().catch(() => {}), null")
    error = own_studio.page.evaluate("result")["error"]
    assert error["code"] == "lost"
    assert error["message"] == "The server no longer has the beginning of this recording."
    assert own_studio.page.evaluate("recorder.state") == "failed"
    own_studio.page.evaluate("async (id) => (await live()).LiveRecorder.discard(id)", id)
    own_studio.nothing_is_kept(id)


def test_only_the_finish_was_missing_when_the_page_went(studio: Studio) -> None:
    id = studio.record()
    studio.proxy.rule = lambda e: refusal(503) if e.path == "/finalize-upload" else None
    studio.chunks_arrived(2)
    studio.page.evaluate("recorder.stop().catch(() => {}), null")
    until(studio.page, "async () => recorder.state === 'finishing' && (await slices()) === 0")
    until(studio.page, "() => seen.some(([type]) => type === 'retry')")
    studio.open()
    studio.proxy.rule = lambda exchange: None
    studio.page.evaluate("id => goOn(id)", id)
    assert studio.file(studio.answer()) == studio.recorded()


def test_the_server_dies_in_the_middle(own_studio: Studio, own_server: DemoServer) -> None:
    id = own_studio.record()
    own_studio.chunks_arrived(2)
    own_server.kill()
    until(own_studio.page, SLICED, 3)
    own_server.start()
    until(own_studio.page, "async () => (await slices()) <= 1")
    answer = own_studio.stop()
    assert own_studio.file(answer) == own_studio.recorded()
    own_studio.nothing_is_kept(id)


def test_the_user_ends_the_sharing(studio: Studio) -> None:
    studio.record()
    studio.chunks_arrived(1)
    studio.page.evaluate("recorder.stream.getVideoTracks()[0].dispatchEvent(new Event('ended'))")
    assert studio.file(studio.answer()) == studio.recorded()


def test_the_user_says_no(studio: Studio) -> None:
    studio.page.evaluate(
        """navigator.mediaDevices.getDisplayMedia = async () => {
          throw new DOMException('No.', 'NotAllowedError');
        }, null"""
    )
    name = studio.page.evaluate("record('screen').then(() => '', ({ name }) => name)")
    assert name == "NotAllowedError"
    assert studio.page.evaluate("recorder.state") == "idle"
    assert studio.page.evaluate("unfinished()") == []


def test_discarded_it_is_gone_here_and_there(studio: Studio) -> None:
    id = studio.record()
    studio.chunks_arrived(1)
    studio.page.evaluate("recorder.discard()")
    assert studio.page.evaluate("result") == {
        "error": {"name": "AbortError", "message": "The recording was discarded.", "code": 20}
    }
    assert [e.status for e in studio.proxy.seen("DELETE", "/upload-status/")] == [204]
    studio.nothing_is_kept(id)


def test_an_unfinished_one_is_discarded_after_a_reload(studio: Studio) -> None:
    studio.page.on("dialog", lambda dialog: dialog.accept())
    id = studio.record()
    studio.chunks_arrived(1)
    studio.open()
    studio.page.evaluate("async (id) => (await live()).LiveRecorder.discard(id)", id)
    assert [e.status for e in studio.proxy.seen("DELETE", "/upload-status/")] == [204]
    studio.nothing_is_kept(id)


def test_leaving_is_warned_of_only_while_something_would_be_lost(studio: Studio) -> None:
    asked: list[str] = []
    studio.page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    studio.record()
    studio.chunks_arrived(1)
    studio.page.mouse.click(5, 5)
    studio.page.evaluate("location.href = '/lab'")
    until(studio.page, "() => recorder.state === 'recording'")
    eventually(studio.page, lambda: asked, "nobody asked")
    assert asked == ["beforeunload"]
    studio.stop()
    studio.page.goto(f"{studio.proxy.url}/lab")
    assert asked == ["beforeunload"]


def test_the_screen_stays_awake_while_recording_and_no_longer(studio: Studio) -> None:
    studio.record()
    until(studio.page, "() => locks.length === 1")
    studio.chunks_arrived(1)
    studio.stop()
    assert studio.page.evaluate("locks") == ["screen", "released"]


def test_it_ends_before_the_server_has_too_much(studio: Studio) -> None:
    body = b'{"maxSize": 12000}'
    studio.proxy.rule = once(lambda e: e.path == "/upload-config", Answer(200, body))
    studio.record()
    answer = studio.answer()
    assert studio.file(answer) == studio.recorded()
    assert answer["size"] <= 12_000
    assert studio.seen("warning") == ["The server takes no more: the recording has ended."]


def test_what_the_server_refuses_stays_here(studio: Studio) -> None:
    studio.proxy.rule = lambda exchange: refusal(403) if is_chunk(exchange) else None
    id = studio.record()
    until(studio.page, SLICED, 3)
    studio.page.evaluate("recorder.stop().catch(() => {}), null")
    error = studio.page.evaluate("result")["error"]
    assert error["message"] == "Refused with 403."
    (found,) = studio.page.evaluate("unfinished()")
    studio.hear(found["size"])
    assert found["kept"] == found["size"] == len(studio.recorded())
    studio.proxy.rule = lambda exchange: None
    studio.page.evaluate("id => goOn(id)", id)
    assert studio.file(studio.answer()) == studio.recorded()


def test_without_indexeddb_it_is_uploaded_all_the_same(studio: Studio) -> None:
    studio.page.evaluate("indexedDB.open = () => { throw new Error('Forbidden.'); }, null")
    studio.record()
    studio.chunks_arrived(2)
    answer = studio.stop()
    assert studio.file(answer) == studio.recorded()
    assert "Forbidden." in studio.seen("warning")


def test_pauses_are_neither_recorded_nor_counted(studio: Studio) -> None:
    studio.record()
    studio.chunks_arrived(1)
    studio.page.evaluate("recorder.pause()")
    before = studio.page.evaluate("recorder.duration")
    studio.page.wait_for_timeout(400)
    assert studio.page.evaluate("recorder.duration") == before
    studio.page.evaluate("recorder.resume()")
    until(studio.page, "(before) => recorder.duration > before + 0.2", before)
    assert studio.file(studio.stop()) == studio.recorded()


def test_another_tab_leaves_it_alone(studio: Studio, context: BrowserContext) -> None:
    studio.record()
    studio.chunks_arrived(1)
    other = context.new_page()
    other.goto(f"{studio.proxy.url}/studio")
    assert other.evaluate("unfinished()") == []
    other.close()
    assert studio.file(studio.stop()) == studio.recorded()


def test_a_recorder_of_ones_own(studio: Studio) -> None:
    script = """async () => {
      const { LiveRecorder } = await live();
      const mimeType = 'video/webm;codecs=vp9';
      const own = new MediaRecorder(canvas.captureStream(25), { mimeType });
      watch(new LiveRecorder({ sliceDuration: 200 }));
      await recorder.start(own, { name: 'mine.webm', options: { probe: true } });
    }"""
    studio.page.evaluate(script)
    studio.chunks_arrived(2)
    answer = studio.stop()
    assert answer["filename"] == "mine.webm"
    assert studio.file(answer) == studio.recorded()
    alive = "recorder.stream.getTracks().every((track) => track.readyState === 'live')"
    assert studio.page.evaluate(alive) is True, "a stream that was lent is not ended"


def test_over_tus_it_is_there_while_it_is_recorded(studio: Studio) -> None:
    studio.record("canvas", {"protocol": "tus"})
    until(studio.page, "() => recorder.acknowledged > 0")
    assert studio.page.evaluate("recorder.state") == "recording"
    assert studio.proxy.chunks == []
    answer = studio.stop()
    response = studio.page.request.get(answer["url"])
    studio.hear(answer["size"])
    assert response.body() == studio.recorded()


def test_a_tus_server_that_wants_the_length_first_gets_it_afterwards(studio: Studio) -> None:
    studio.proxy.rule = lambda e: refusal(400) if "upload-defer-length" in e.headers else None
    id = studio.record("canvas", {"protocol": "tus"})
    until(studio.page, SLICED, 3)
    studio.page.evaluate("recorder.stop().catch(() => {}), null")
    assert studio.page.evaluate("result")["error"]["message"] == "Refused with 400."
    studio.page.evaluate("id => goOn(id)", id)
    answer = studio.answer()
    first, second = studio.proxy.seen("POST", "/files")[-2:]
    assert "upload-defer-length" in first.headers
    assert second.headers["upload-length"] == str(answer["size"])
    studio.hear(answer["size"])
    assert studio.page.request.get(answer["url"]).body() == studio.recorded()
