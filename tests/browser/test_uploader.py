"""`ChunkedUploader` in a real browser: what arrives, and how many chunks travel at a time."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.browser.conftest import CHUNK, Lab, MakeBytes
from tests.browser.http_proxy import (
    Answer,
    Hold,
    is_chunk,
    once,
    refusal,
)

pytestmark = pytest.mark.browser


# What arrives


def test_direct_upload_is_one_request(lab: Lab, make_bytes: MakeBytes) -> None:
    data = lab.give("small.webm", make_bytes(10_000))
    answer = lab.upload("smartUpload", "small.webm")
    assert lab.fetch(answer["url"]) == data
    assert len(lab.proxy.seen("POST", "/process-video-chunks")) == 1
    assert not lab.proxy.chunks
    assert lab.seen()[-1]["phase"] == "done"
    [completion] = lab.page.evaluate("completions")
    assert completion["direct"] is True
    assert completion["size"] == len(data)


@pytest.mark.parametrize("size", [1, CHUNK, CHUNK + 1, 5 * CHUNK, 5 * CHUNK - 1])
def test_chunks_make_the_same_bytes(lab: Lab, make_bytes: MakeBytes, size: int) -> None:
    data = lab.give("clip.webm", make_bytes(size))
    answer = lab.upload("upload", "clip.webm")
    assert lab.fetch(answer["url"]) == data
    assert answer["size"] == size
    assert set(lab.tries().values()) == {1}
    assert sum(exchange.body_bytes for exchange in lab.proxy.chunks) == size
    ranges = sorted(exchange.range for exchange in lab.proxy.chunks)
    assert ranges == [(at, min(size, at + CHUNK)) for at in range(0, size, CHUNK)]


def test_smart_upload_takes_chunks_for_a_big_blob(lab: Lab, make_bytes: MakeBytes) -> None:
    data = lab.give("clip.webm", make_bytes(2 * CHUNK))
    answer = lab.upload("smartUpload", "clip.webm", {"chunkThreshold": CHUNK})
    assert lab.fetch(answer["url"]) == data
    assert len(lab.proxy.chunks) == 2


def test_own_options_stay_here_and_the_others_reach_the_server(
    lab: Lab, make_bytes: MakeBytes
) -> None:
    lab.give("clip.webm", make_bytes(10))
    orders: list[str] = []
    lab.page.on("request", lambda request: orders.append(request.post_data or ""))
    own = {"chunkThreshold": 1, "maxConcurrent": 2, "resumable": True}
    lab.upload("upload", "clip.webm", {**own, "label": True})
    [order] = [json.loads(text) for text in orders if "options" in text]
    assert order["options"] == {"label": True}
    assert (order["totalChunks"], order["totalSize"]) == (1, 10)


def test_empty_file(lab: Lab) -> None:
    lab.give("empty.webm", b"")
    answer = lab.upload("upload", "empty.webm")
    assert answer["size"] == 0
    assert lab.fetch(answer["url"]) == b""
    assert lab.seen()[-1]["progress"] == 100


def test_blob_without_a_name(lab: Lab, make_bytes: MakeBytes) -> None:
    data = lab.give("clip", make_bytes(2 * CHUNK))
    answer = lab.page.evaluate(
        """async () => {
          const blob = new Blob([await (await fetchFile('clip')).arrayBuffer()]);
          return (await makeUploader()).upload(blob);
        }"""
    )
    assert lab.fetch(answer["url"]) == data
    assert answer["filename"]


def test_server_names_the_chunk_size(lab: Lab, make_bytes: MakeBytes) -> None:
    config = json.dumps({"chunkSize": 50_000, "maxChunkSize": 100_000}).encode()
    lab.proxy.rule = lambda exchange: Answer(200, config) if "config" in exchange.path else None
    lab.give("clip.webm", make_bytes(120_000))
    lab.begin("upload", "clip.webm", chunkSize=None)
    lab.answer()
    sizes = sorted(exchange.body_bytes for exchange in lab.proxy.chunks)
    assert sizes == [20_000, 50_000, 50_000]
    lab.proxy.forget()
    lab.begin("upload", "clip.webm", chunkSize=10**9)
    lab.answer()
    sizes = sorted(exchange.body_bytes for exchange in lab.proxy.chunks)
    assert sizes == [20_000, 100_000]


def test_base_url_and_headers_go_with_every_request(lab: Lab, make_bytes: MakeBytes) -> None:
    data = lab.give("clip.webm", make_bytes(2 * CHUNK))
    lab.proxy.forget()
    lab.begin("upload", "clip.webm", baseUrl=f"{lab.proxy.url}/", headers={"X-Token": "secret"})
    assert lab.fetch(lab.answer()["url"]) == data
    requests = [e for e in lab.proxy.exchanges if not e.path.startswith("/resumable/static/")]
    assert len(requests) == 4
    assert {e.headers.get("x-token") for e in requests} == {"secret"}


def test_ids_are_long_and_random(lab: Lab) -> None:
    made = lab.page.evaluate(
        """async () => {
          const uploader = await makeUploader();
          return Array.from({ length: 100 }, () => uploader.generateUploadId());
        }"""
    )
    assert len(set(made)) == 100
    assert all(re.fullmatch(r"upload_[A-Za-z0-9_-]{22}", upload_id) for upload_id in made)


def test_the_steps_work_one_by_one(lab: Lab, make_bytes: MakeBytes) -> None:
    data = lab.give("clip.webm", make_bytes(2 * CHUNK + 9))
    unknown, status, answer = lab.page.evaluate(
        """async () => {
          const uploader = await makeUploader();
          const file = await fetchFile('clip.webm');
          const id = uploader.generateUploadId();
          const unknown = await uploader.checkUploadStatus(id);
          const chunks = uploader.createChunks(file);
          for (const [index, chunk] of chunks.entries()) {
            await uploader.uploadChunk(chunk, index, id, chunks.length);
          }
          const status = await uploader.checkUploadStatus(id);
          return [unknown, status, await uploader.finalizeUpload(id, 'clip.webm')];
        }"""
    )
    assert unknown == {"exists": False}
    assert status["exists"] is True
    assert status["completedChunks"] == 3
    assert lab.fetch(answer["url"]) == data


# Many at a time


def test_a_slow_chunk_holds_up_no_other(lab: Lab, make_bytes: MakeBytes) -> None:
    data = lab.give("clip.webm", make_bytes(6 * CHUNK))
    hold = Hold(after=100)
    lab.proxy.rule = once(is_chunk(0), hold)
    lab.begin("upload", "clip.webm", maxConcurrent=2)
    hold.wait()
    lab.page.wait_for_function("seen.at(-1).chunksCompleted === 5")
    hold.release()
    assert lab.fetch(lab.answer()["url"]) == data


def test_never_more_than_the_window(lab: Lab, make_bytes: MakeBytes) -> None:
    lab.give("clip.webm", make_bytes(8 * CHUNK))
    holds = [Hold(after=100) for _ in range(8)]
    lab.proxy.rule = lambda exchange: holds[exchange.chunk] if exchange.is_chunk else None
    lab.begin("upload", "clip.webm", maxConcurrent=3)
    for number, hold in enumerate(holds):
        hold.wait()
        assert len(lab.proxy.chunks) <= number + 3
        hold.release()
    lab.answer()


# Odd browsers


def test_without_local_storage(lab: Lab, make_bytes: MakeBytes) -> None:
    data = lab.give("clip.webm", make_bytes(3 * CHUNK))
    lab.page.add_init_script(
        """Object.defineProperty(window, 'localStorage', {
          get() { throw new DOMException('Forbidden', 'SecurityError'); },
        });"""
    )
    lab.open()
    assert lab.fetch(lab.upload("upload", "clip.webm")["url"]) == data


def test_with_a_full_local_storage(lab: Lab, make_bytes: MakeBytes) -> None:
    data = lab.give("clip.webm", make_bytes(3 * CHUNK))
    lab.page.evaluate(
        """() => { Storage.prototype.setItem = () => {
          throw new DOMException('Full', 'QuotaExceededError'); }; }"""
    )
    assert lab.fetch(lab.upload("upload", "clip.webm")["url"]) == data


def test_without_web_crypto(lab: Lab, make_bytes: MakeBytes) -> None:
    data = lab.give("clip.webm", make_bytes(3 * CHUNK))
    lab.page.add_init_script("Object.defineProperty(crypto, 'subtle', { value: undefined });")
    lab.open()
    lab.proxy.rule = once(is_chunk(1), refusal(400))
    lab.begin("upload", "clip.webm", maxConcurrent=1)
    lab.error()
    lab.proxy.forget()
    assert lab.fetch(lab.upload("upload", "clip.webm")["url"]) == data
    assert {exchange.chunk for exchange in lab.proxy.chunks} == {1, 2}


def test_a_file_that_vanishes_is_named(lab: Lab, make_bytes: MakeBytes, tmp_path: Path) -> None:
    path = tmp_path / "clip.webm"
    path.write_bytes(make_bytes(4 * CHUNK))
    hold = Hold(after=10)
    lab.proxy.rule = once(is_chunk(1), hold)
    lab.page.set_content("<input type=file>")
    lab.page.set_input_files("input", path)
    lab.page.evaluate(
        """async () => {
          await makeUploader({ maxConcurrent: 1 });
          const [file] = document.querySelector('input').files;
          window.result = uploader.upload(file, file.name).catch(({ code }) => code);
        }"""
    )
    hold.wait()
    path.unlink()
    hold.release()
    assert lab.page.evaluate("result") == "unreadable"
