"""`ChunkedUploader` beyond one page: kept files, two tabs, jobs, a server that is gone, tus."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from resumable.errors import UploadError as ResumableError
from resumable.processing import find_program
from tests.browser.conftest import CHUNK, Lab, MakeBytes, eventually, until
from tests.browser.demo_server import DemoServer
from tests.browser.http_proxy import (
    Action,
    Answer,
    Cut,
    Exchange,
    Hold,
    is_chunk,
    once,
    refusal,
)

pytestmark = pytest.mark.browser
FIXTURES = Path(__file__).parents[1] / "fixtures"
MIB = 1024 * 1024


# Files that outlive the page


def test_a_kept_file_goes_on_after_a_reload(lab: Lab, make_bytes: MakeBytes) -> None:
    data = lab.give("clip.webm", make_bytes(6 * CHUNK + 5))
    hold = Hold(after=100)
    lab.proxy.rule = once(is_chunk(3), hold)
    lab.begin("upload", "clip.webm", {"label": True}, keepFiles=True, maxConcurrent=1)
    hold.wait()
    lab.open()
    hold.drop()
    lab.proxy.forget()
    del lab.proxy.pages["/bytes/clip.webm"]
    kept, answer, after = lab.page.evaluate(
        """async () => {
          await makeUploader({ keepFiles: true });
          const [entry, ...more] = await uploader.unfinished();
          const answer = await uploader.restore(entry);
          const { filename, size, options } = entry;
          return [{ filename, size, options, more }, answer, await uploader.unfinished()];
        }"""
    )
    expected = {"filename": "clip.webm", "size": len(data), "options": {"label": True}, "more": []}
    assert kept == expected
    assert after == []
    assert lab.fetch(answer["url"]) == data
    assert min(exchange.chunk for exchange in lab.proxy.chunks) == 3


def test_a_file_handle_is_kept_instead_of_a_copy(lab: Lab, make_bytes: MakeBytes) -> None:
    """A handle of the origin's own files: the one that Chromium gives without a dialogue."""
    data = lab.give("clip.webm", make_bytes(4 * CHUNK))
    hold = Hold(after=100)
    lab.proxy.rule = once(is_chunk(2), hold)
    lab.page.evaluate(
        """async () => {
          const folder = await navigator.storage.getDirectory();
          const handle = await folder.getFileHandle('clip.webm', { create: true });
          const writable = await handle.createWritable();
          await writable.write(await fetchFile('clip.webm'));
          await writable.close();
          await makeUploader({ keepFiles: true, maxConcurrent: 1 });
          const file = await handle.getFile();
          uploader.upload(file, file.name, { handle }).catch(() => {});
        }"""
    )
    hold.wait()
    lab.open()
    hold.drop()
    lab.proxy.forget()
    copied, answer = lab.page.evaluate(
        """async () => {
          await makeUploader({ keepFiles: true });
          const [entry] = await uploader.unfinished();
          return ['blob' in entry, await uploader.restore(entry)];
        }"""
    )
    assert not copied
    assert lab.fetch(answer["url"]) == data
    assert min(exchange.chunk for exchange in lab.proxy.chunks) == 2


def test_a_kept_file_can_be_discarded(lab: Lab, make_bytes: MakeBytes) -> None:
    lab.give("clip.webm", make_bytes(2 * CHUNK))
    lab.proxy.rule = once(is_chunk(1), refusal(400))
    lab.begin("upload", "clip.webm", keepFiles=True, maxConcurrent=1)
    lab.error()
    upload_id = lab.proxy.chunks[0].headers["x-upload-id"]
    left = lab.page.evaluate(
        """async () => {
          const [entry] = await uploader.unfinished();
          await uploader.discard(entry);
          return [await uploader.unfinished(), localStorage.length];
        }"""
    )
    assert left == [[], 0]
    status = lab.page.evaluate("id => uploader.checkUploadStatus(id)", upload_id)
    assert status == {"exists": False}


@pytest.mark.chaos
def test_3_gb_of_a_sparse_file_survive_a_reload(
    own_lab: Lab, own_server: DemoServer, tmp_path: Path
) -> None:
    lab, size = own_lab, 3_000_000_000
    path = tmp_path / "sparse.bin"
    with path.open("wb") as file:
        file.truncate(size)
        for at in range(0, size, 100_000_000):
            file.seek(at)
            file.write(f"mark {at}".encode())
    start = """async (settings) => {
      await makeUploader({ chunkSize: null, ...settings });
      const [file] = document.querySelector('input').files;
      window.result = uploader.upload(file, file.name);
      window.result.catch(() => {});
    }"""
    choose = "document.body.append(Object.assign(document.createElement('input'), {type: 'file'}))"
    lab.page.context.set_default_timeout(0)
    for settings in ({}, {"digest": True}):
        lab.open()
        lab.page.evaluate(choose)
        lab.page.set_input_files("input", path)
        lab.page.evaluate(start, settings)
        lab.page.wait_for_function("seen.at(-1)?.acknowledged > 1e9")
    answer = lab.page.evaluate("result")
    assert answer["size"] == size
    assert lab.page.evaluate("seen[0].acknowledged") > 900_000_000
    wired = sum(exchange.body_bytes for exchange in lab.proxy.chunks)
    assert wired <= size + 3 * 64 * MIB


# Two tabs


def test_two_tabs_send_a_file_once(lab: Lab, make_bytes: MakeBytes) -> None:
    data = lab.give("clip.webm", make_bytes(6 * CHUNK))
    hold = Hold(after=100)
    lab.proxy.rule = once(is_chunk(2), hold)
    lab.begin("upload", "clip.webm", maxConcurrent=1)
    hold.wait()
    other = Lab(lab.page.context.new_page(), lab.proxy)
    other.begin("upload", "clip.webm")
    other.page.wait_for_function("seen.at(-1)?.phase === 'waiting'")
    hold.release()
    first, second = lab.answer(), other.answer()
    assert first["url"] == second["url"]
    assert lab.fetch(second["url"]) == data
    assert set(lab.tries().values()) == {1}
    assert other.page.evaluate("localStorage.length") == 0


def test_a_tab_that_is_closed_hands_over(lab: Lab, make_bytes: MakeBytes) -> None:
    data = lab.give("clip.webm", make_bytes(6 * CHUNK))
    hold = Hold(after=100)
    lab.proxy.rule = once(is_chunk(3), hold)
    lab.begin("upload", "clip.webm", maxConcurrent=1)
    hold.wait()
    other = Lab(lab.page.context.new_page(), lab.proxy)
    other.begin("upload", "clip.webm", maxConcurrent=1)
    other.page.wait_for_function("seen.at(-1)?.phase === 'waiting'")
    lab.page.close()
    hold.drop()
    assert lab.fetch(other.answer()["url"]) == data
    assert [lab.tries()[number] for number in range(3)] == [1, 1, 1]


def test_who_waits_can_pause_and_give_up(lab: Lab, make_bytes: MakeBytes) -> None:
    lab.give("clip.webm", make_bytes(3 * CHUNK))
    hold = Hold(after=100)
    lab.proxy.rule = once(is_chunk(1), hold)
    lab.begin("upload", "clip.webm", maxConcurrent=1)
    hold.wait()
    other = Lab(lab.page.context.new_page(), lab.proxy)
    other.begin("upload", "clip.webm")
    other.page.wait_for_function("seen.at(-1)?.phase === 'waiting'")
    other.page.evaluate("() => { uploader.pause(); seen.length = 0; uploader.resume(); }")
    other.page.wait_for_function("seen.at(-1)?.phase === 'waiting'")
    other.page.evaluate("uploader.abort()")
    assert other.error()["name"] == "AbortError"
    hold.release()
    lab.answer()


# What the server makes of it


def asked_for_job(lab: Lab) -> list[str]:
    """How the page asked for its job, each time."""
    asked = lab.proxy.seen("GET", "/jobs/")
    return ["events" if "event-stream" in e.headers["accept"] else "poll" for e in asked]


def job(state: str, **more: object) -> dict[str, object]:
    return {"job": "j1", "state": state, "progress": 0.5, "results": [], "error": None, **more}


@dataclass
class Kitchen:
    """Answers instead of the server: an upload with a job, its events in turn, and its state."""

    events: list[Action]
    state: dict[str, object] = field(default_factory=lambda: job("done"))

    def __call__(self, exchange: Exchange) -> Action | None:
        if exchange.path == "/finalize-upload":
            work = {"job": "j1", "status_url": "/jobs/j1", "state": "queued"}
            file = {"path": "/recordings/a/clip.webm", "url": "/x", "filename": "c", "size": 1}
            return Answer(200, json.dumps({**file, **work}).encode())
        if not exchange.path.startswith("/jobs/"):
            return None
        if "event-stream" in exchange.headers["accept"]:
            return self.events.pop(0)
        return Answer(200, json.dumps(self.state).encode(), {"Retry-After": "0"})


def stream(*jobs: dict[str, object]) -> Answer:
    body = "".join(f"data: {json.dumps(one)}\n\n" for one in jobs)
    return Answer(200, body.encode(), {"Content-Type": "text/event-stream"})


def test_the_end_of_a_job_is_told_without_a_poll(lab: Lab, make_bytes: MakeBytes) -> None:
    lab.give("clip.webm", make_bytes(CHUNK))
    lab.proxy.rule = Kitchen([stream(job("queued"), job("running"), job("done"))])
    answer = lab.upload("upload", "clip.webm", follow=True)
    assert (answer["state"], answer["processed"]) == ("done", True)
    assert asked_for_job(lab) == ["events"]
    assert lab.seen()[-2]["processed"] == 0.5


@pytest.mark.parametrize("broken", [Cut(after=0), refusal(401), Answer(200), Hold(after=0)])
def test_without_events_a_job_is_asked_for(lab: Lab, make_bytes: MakeBytes, broken: Action) -> None:
    lab.give("clip.webm", make_bytes(CHUNK))
    kitchen = Kitchen([broken], job("running"))
    lab.proxy.rule = kitchen
    lab.begin("upload", "clip.webm", follow=True)
    eventually(lab.page, lambda: asked_for_job(lab)[3:], "it was not asked for")
    kitchen.state = job("failed", error="No room.")
    assert lab.answer()["processingError"] == "No room."
    assert set(asked_for_job(lab)[1:]) == {"poll"}
    assert not (isinstance(broken, Hold) and broken.dropped), "it waited for what never came"


def test_events_that_break_off_are_heard_again_after_a_poll(
    lab: Lab, make_bytes: MakeBytes
) -> None:
    lab.give("clip.webm", make_bytes(CHUNK))
    broken = stream(job("running"))
    lab.proxy.rule = Kitchen([broken, broken, stream(job("done"))], job("running"))
    assert lab.upload("upload", "clip.webm", follow=True)["state"] == "done"
    assert asked_for_job(lab) == ["events", "poll", "events", "poll", "events"]


def test_a_job_that_is_gone_is_no_longer_followed(lab: Lab, make_bytes: MakeBytes) -> None:
    lab.give("clip.webm", make_bytes(CHUNK))
    kitchen = Kitchen([refusal(404)])
    lab.proxy.rule = lambda e: refusal(404) if e.path == "/jobs/j1" else kitchen(e)
    assert lab.upload("upload", "clip.webm", follow=True)["state"] == "queued"


def test_an_abort_ends_the_hearing(lab: Lab, make_bytes: MakeBytes) -> None:
    lab.give("clip.webm", make_bytes(CHUNK))
    hold = Hold(after=0)
    lab.proxy.rule = Kitchen([hold])
    lab.begin("upload", "clip.webm", follow=True)
    hold.wait()
    lab.page.evaluate("uploader.abort()")
    assert lab.error()["name"] == "AbortError"
    assert not hold.dropped
    assert asked_for_job(lab) == ["events"]


def test_a_job_is_followed_to_its_end(own_lab: Lab) -> None:
    try:
        find_program()
    except ResumableError as missing:
        pytest.skip(missing.message)
    own_lab.give("clip.webm", (FIXTURES / "camera_vp8.webm").read_bytes())
    answer = own_lab.upload("upload", "clip.webm", {"poster": True}, follow=True)
    assert (answer["state"], answer["processed"]) == ("done", True)
    assert "poster" in [result["role"] for result in answer["results"]]
    phases = list(dict.fromkeys(report["phase"] for report in own_lab.seen()))
    assert phases == ["uploading", "finalizing", "processing", "done"]
    assert asked_for_job(own_lab) == ["events"]


def test_a_job_that_fails_leaves_the_upload(own_lab: Lab, make_bytes: MakeBytes) -> None:
    try:
        find_program()
    except ResumableError as missing:
        pytest.skip(missing.message)
    data = own_lab.give("clip.webm", make_bytes(CHUNK))
    answer = own_lab.upload("upload", "clip.webm", {"poster": True}, follow=True)
    assert (answer["state"], answer["processed"]) == ("failed", False)
    assert answer["processingError"]
    assert own_lab.fetch(answer["url"]) == data


# The server is gone


def test_a_file_is_handed_over_when_the_server_is_gone(
    own_lab: Lab, own_server: DemoServer, make_bytes: MakeBytes
) -> None:
    data = own_lab.give("clip.webm", make_bytes(3 * CHUNK))
    hold = Hold(after=10)
    own_lab.proxy.rule = once(is_chunk(1), hold)
    own_lab.page.evaluate(
        """async () => {
          const onFallback = async ({ blob, filename, options }) => {
            const sum = new Uint8Array(await blob.arrayBuffer()).reduce((a, b) => a + b, 0);
            return { filename, size: blob.size, sum, options };
          };
          await makeUploader({ onFallback, maxRetries: 1, maxConcurrent: 1 });
          const file = await fetchFile('clip.webm');
          window.result = uploader
            .upload(file, file.name, { label: true })
            .catch(({ status, fallback }) => ({ status, fallback }));
        }"""
    )
    hold.wait()
    own_server.kill()
    hold.drop()
    kept = {
        "filename": "clip.webm",
        "size": len(data),
        "sum": sum(data),
        "options": {"label": True},
    }
    assert own_lab.result() == {"status": 0, "fallback": kept}


def test_a_final_refusal_hands_nothing_over(lab: Lab, make_bytes: MakeBytes) -> None:
    lab.give("clip.webm", make_bytes(CHUNK))
    lab.proxy.rule = lambda exchange: refusal(413) if exchange.is_chunk else None
    asked = lab.page.evaluate(
        """async () => {
          let asked = 0;
          await makeUploader({ onFallback: () => (asked += 1) });
          const file = await fetchFile('clip.webm');
          await uploader.upload(file).catch(() => {});
          return asked;
        }"""
    )
    assert asked == 0


# tus


TUS = """async ([name, settings]) => {
  const { TusUploader } = await import('/resumable/static/tus-upload.js');
  window.uploader = new TusUploader({
    endpoint: '/files/',
    retryDelay: 20,
    chunkSize: 65536,
    onProgress: (progress) => seen.push(progress),
    ...settings,
  });
  const file = await fetchFile(name);
  window.result = uploader.upload(file, file.name).then(
    (answer) => ({ answer }),
    ({ name, message, status, code }) => ({ error: { name, message, status, code } }),
  );
}"""


def test_tus_survives_cuts_and_a_reload(lab: Lab, make_bytes: MakeBytes) -> None:
    data = lab.give("clip.webm", make_bytes(6 * CHUNK + 9))
    hold = Hold(after=1000)
    lab.proxy.rule = once(
        lambda e: e.method == "PATCH" and e.headers["upload-offset"] == str(3 * CHUNK), hold
    )
    lab.page.evaluate(TUS, ["clip.webm", {}])
    hold.wait()
    lab.open()
    hold.drop()
    lab.proxy.forget()
    lab.page.evaluate(TUS, ["clip.webm", {"checksum": True}])
    url = lab.answer()["url"]
    assert lab.fetch(url.removeprefix(lab.proxy.url)) == data
    assert not lab.proxy.seen("POST", "/files")
    patches = lab.proxy.seen("PATCH", "/files/")
    assert int(patches[0].headers["upload-offset"]) >= 3 * CHUNK
    assert all(patch.headers["upload-checksum"].startswith("sha1 ") for patch in patches)
    assert lab.seen()[-1]["phase"] == "done"
    assert lab.page.evaluate("localStorage.length") == 0


def test_tus_pauses_and_cancels(lab: Lab, make_bytes: MakeBytes) -> None:
    lab.give("clip.webm", make_bytes(4 * CHUNK))
    hold = Hold(after=1000)
    lab.proxy.rule = once(
        lambda e: e.method == "PATCH" and e.headers["upload-offset"] == str(2 * CHUNK), hold
    )
    lab.page.evaluate(TUS, ["clip.webm", {"maxRetries": 0}])
    hold.wait()
    lab.page.evaluate("uploader.pause()")
    hold.drop()
    second = Hold(after=10)
    lab.proxy.rule = once(lambda e: e.method == "PATCH", second)
    lab.page.evaluate("uploader.resume()")
    second.wait()
    lab.page.evaluate("uploader.cancel()")
    second.release()
    assert lab.error()["name"] == "AbortError"
    until(lab.page, "async () => localStorage.length === 0")
    [deletion] = lab.proxy.seen("DELETE", "/files/")
    assert deletion.status == 204


def test_tus_takes_an_empty_file_and_a_lost_answer(lab: Lab, make_bytes: MakeBytes) -> None:
    lab.give("empty.bin", b"")
    lab.page.evaluate(TUS, ["empty.bin", {}])
    assert lab.answer()["size"] == 0
    data = lab.give("clip.webm", make_bytes(CHUNK))
    lab.proxy.rule = once(lambda e: e.method == "PATCH", refusal(409))
    lab.page.evaluate(TUS, ["clip.webm", {}])
    assert lab.fetch(lab.answer()["url"].removeprefix(lab.proxy.url)) == data


def test_tus_needs_no_word_of_limits(lab: Lab, make_bytes: MakeBytes) -> None:
    data = lab.give("clip.webm", make_bytes(CHUNK))
    lab.proxy.rule = lambda e: Cut(after=0) if e.method == "OPTIONS" else None
    lab.page.evaluate(TUS, ["clip.webm", {"maxRetries": 0}])
    assert lab.fetch(lab.answer()["url"].removeprefix(lab.proxy.url)) == data
