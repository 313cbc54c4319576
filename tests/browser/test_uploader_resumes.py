"""`ChunkedUploader` goes on where it stopped: what is sent again, and what is not."""

from __future__ import annotations

import pytest

from tests.browser.conftest import CHUNK, Lab, MakeBytes, until
from tests.browser.http_proxy import (
    Action,
    Cut,
    Hold,
    Swallow,
    is_chunk,
    once,
    refusal,
)

pytestmark = pytest.mark.browser


# What is not sent twice


def test_after_a_reload_only_the_missing_bytes_are_sent(lab: Lab, make_bytes: MakeBytes) -> None:
    data = lab.give("clip.webm", make_bytes(6 * CHUNK + 77))
    hold = Hold(after=5000)
    lab.proxy.rule = once(is_chunk(3), hold)
    lab.begin("upload", "clip.webm", maxConcurrent=1)
    hold.wait()
    lab.open()
    hold.drop()
    upload_id = lab.proxy.chunks[0].headers["x-upload-id"]
    until(
        lab.page,
        """async ([id, least]) => {
          const answer = await fetch(`/upload-status/${id}`);
          return (await answer.json()).receivedBytes >= least;
        }""",
        [upload_id, 3 * CHUNK],
    )
    lab.proxy.forget()
    answer = lab.upload("upload", "clip.webm")
    assert lab.fetch(answer["url"]) == data
    assert answer["uploadId"] == upload_id
    assert {exchange.chunk for exchange in lab.proxy.chunks} == {3, 4, 5, 6}
    assert sum(exchange.body_bytes for exchange in lab.proxy.chunks) <= 3 * CHUNK + 77
    assert lab.seen()[0]["acknowledged"] >= 3 * CHUNK


def test_the_front_of_a_cut_chunk_is_not_sent_again(lab: Lab, make_bytes: MakeBytes) -> None:
    size = 4 * CHUNK
    data = lab.give("clip.webm", make_bytes(size))
    lab.proxy.rule = once(is_chunk(1), Cut(after=40_000))
    answer = lab.upload("upload", "clip.webm", maxConcurrent=1)
    assert lab.fetch(answer["url"]) == data
    first, second = (exchange for exchange in lab.proxy.chunks if exchange.chunk == 1)
    assert first.range == (CHUNK, 2 * CHUNK)
    assert second.range == (CHUNK + 40_000, 2 * CHUNK)


@pytest.mark.parametrize("spoilt", [refusal(503), Cut(after=0), Cut(after=CHUNK - 1)])
def test_a_lost_chunk_is_sent_again_alone(lab: Lab, make_bytes: MakeBytes, spoilt: Action) -> None:
    data = lab.give("clip.webm", make_bytes(6 * CHUNK))
    lab.proxy.rule = once(is_chunk(2), spoilt)
    answer = lab.upload("upload", "clip.webm")
    assert lab.fetch(answer["url"]) == data
    assert lab.tries() == {0: 1, 1: 1, 2: 2, 3: 1, 4: 1, 5: 1}


def test_a_chunk_whose_answer_is_lost_is_not_sent_again(lab: Lab, make_bytes: MakeBytes) -> None:
    data = lab.give("clip.webm", make_bytes(4 * CHUNK))
    lab.proxy.rule = once(is_chunk(1), Swallow())
    answer = lab.upload("upload", "clip.webm")
    assert lab.fetch(answer["url"]) == data
    assert set(lab.tries().values()) == {1}


def test_a_lost_finalize_answer_makes_no_second_file(lab: Lab, make_bytes: MakeBytes) -> None:
    data = lab.give("clip.webm", make_bytes(2 * CHUNK))
    lab.proxy.rule = once(lambda exchange: exchange.path == "/finalize-upload", Swallow())
    answer = lab.upload("upload", "clip.webm")
    assert lab.fetch(answer["url"]) == data
    assert len(lab.proxy.seen("POST", "/finalize-upload")) == 2
    assert set(lab.tries().values()) == {1}


def test_a_file_that_is_finished_already_is_not_sent_again(lab: Lab, make_bytes: MakeBytes) -> None:
    data = lab.give("clip.webm", make_bytes(3 * CHUNK))
    lab.proxy.rule = once(lambda exchange: exchange.path == "/finalize-upload", Swallow())
    lab.begin("upload", "clip.webm", maxRetries=0)
    assert lab.error()["status"] == 0
    lab.open()
    lab.proxy.forget()
    answer = lab.upload("upload", "clip.webm")
    assert lab.fetch(answer["url"]) == data
    assert not lab.proxy.chunks


def test_a_finished_upload_is_forgotten(lab: Lab, make_bytes: MakeBytes) -> None:
    lab.give("clip.webm", make_bytes(2 * CHUNK))
    first = lab.upload("upload", "clip.webm")
    second = lab.upload("upload", "clip.webm")
    assert first["uploadId"] != second["uploadId"]
    assert lab.page.evaluate("localStorage.length") == 0


def test_a_remembered_upload_that_the_server_lost_starts_anew(
    lab: Lab, make_bytes: MakeBytes
) -> None:
    data = lab.give("clip.webm", make_bytes(3 * CHUNK))
    lab.proxy.rule = once(is_chunk(1), refusal(400))
    lab.begin("upload", "clip.webm", maxConcurrent=1)
    lab.error()
    lab.page.evaluate(
        """async () => {
          const [key] = Object.keys(localStorage);
          const { uploadId } = JSON.parse(localStorage[key]);
          await fetch(`/upload-status/${uploadId}`, { method: 'DELETE' });
        }"""
    )
    lab.proxy.forget()
    answer = lab.upload("upload", "clip.webm")
    assert lab.fetch(answer["url"]) == data
    assert lab.tries() == {0: 1, 1: 1, 2: 1}


def test_an_upload_lost_half_way_starts_anew(lab: Lab, make_bytes: MakeBytes) -> None:
    data = lab.give("clip.webm", make_bytes(5 * CHUNK))
    hold = Hold(after=10)
    lab.proxy.rule = once(is_chunk(3), hold)
    lab.begin("upload", "clip.webm", maxConcurrent=1)
    hold.wait()
    upload_id = lab.proxy.chunks[0].headers["x-upload-id"]
    lab.page.evaluate("id => fetch(`/upload-status/${id}`, { method: 'DELETE' })", upload_id)
    hold.release()
    assert lab.fetch(lab.answer()["url"]) == data


def test_a_conflict_with_the_remembered_upload_starts_anew(lab: Lab, make_bytes: MakeBytes) -> None:
    data = lab.give("clip.webm", make_bytes(5 * CHUNK))
    lab.proxy.rule = once(is_chunk(3), refusal(400))
    lab.begin("upload", "clip.webm", maxConcurrent=1)
    lab.error()
    lab.proxy.forget()
    lab.proxy.rule = once(is_chunk(3), refusal(409))
    answer = lab.upload("upload", "clip.webm", maxConcurrent=1)
    assert lab.fetch(answer["url"]) == data
    assert lab.tries() == {0: 1, 1: 1, 2: 1, 3: 2, 4: 1}
    assert len({exchange.headers["x-upload-id"] for exchange in lab.proxy.chunks}) == 2


def test_any_other_conflict_is_final(lab: Lab, make_bytes: MakeBytes) -> None:
    lab.give("clip.webm", make_bytes(2 * CHUNK))
    lab.proxy.rule = lambda exchange: refusal(409) if exchange.is_chunk else None
    lab.begin("upload", "clip.webm", maxConcurrent=1)
    assert lab.error()["status"] == 409
    assert len(lab.proxy.chunks) == 1


# The user's will


def test_pause_and_resume(lab: Lab, make_bytes: MakeBytes) -> None:
    data = lab.give("clip.webm", make_bytes(6 * CHUNK))
    hold = Hold(after=1000)
    lab.proxy.rule = once(is_chunk(2), hold)
    lab.begin("upload", "clip.webm", maxConcurrent=1, maxRetries=0)
    hold.wait()
    lab.page.evaluate("uploader.pause()")
    hold.release()
    reports = len(lab.seen())
    lab.page.wait_for_timeout(300)
    assert len(lab.proxy.chunks) == 3
    assert len(lab.seen()) == reports
    lab.page.evaluate("uploader.resume()")
    assert lab.fetch(lab.answer()["url"]) == data


@pytest.mark.parametrize("how", ["method", "signal"])
def test_abort_leaves_the_server_what_it_has(lab: Lab, make_bytes: MakeBytes, how: str) -> None:
    data = lab.give("clip.webm", make_bytes(4 * CHUNK))
    hold = Hold(after=10)
    lab.proxy.rule = once(is_chunk(2), hold)
    lab.page.evaluate(
        """async () => {
          window.controller = new AbortController();
          await makeUploader({ maxConcurrent: 1 });
          const file = await fetchFile('clip.webm');
          window.result = uploader
            .upload(file, file.name, { signal: controller.signal })
            .then(() => null, (error) => error.name);
        }"""
    )
    hold.wait()
    lab.page.evaluate("uploader.abort()" if how == "method" else "controller.abort()")
    assert lab.page.evaluate("result") == "AbortError"
    assert lab.page.evaluate("failures") == []
    hold.drop()
    lab.proxy.forget()
    answer = lab.upload("upload", "clip.webm")
    assert lab.fetch(answer["url"]) == data
    assert {exchange.chunk for exchange in lab.proxy.chunks} == {2, 3}


def test_an_aborted_signal_sends_nothing(lab: Lab, make_bytes: MakeBytes) -> None:
    lab.give("clip.webm", make_bytes(CHUNK))
    name = lab.page.evaluate(
        """async () => {
          const file = await fetchFile('clip.webm');
          const options = { signal: AbortSignal.abort() };
          return (await makeUploader()).upload(file, '', options).catch((error) => error.name);
        }"""
    )
    assert name == "AbortError"
    assert not lab.proxy.seen("GET", "/upload-config")
    assert not lab.proxy.chunks


def test_cancel_deletes_on_the_server(lab: Lab, make_bytes: MakeBytes) -> None:
    lab.give("clip.webm", make_bytes(4 * CHUNK))
    hold = Hold(after=10)
    lab.proxy.rule = once(is_chunk(2), hold)
    lab.begin("upload", "clip.webm", maxConcurrent=1)
    hold.wait()
    lab.page.evaluate("uploader.cancel()")
    hold.release()
    assert lab.error()["name"] == "AbortError"
    [deletion] = lab.proxy.seen("DELETE", "/upload-status/")
    assert deletion.status == 204
    upload_id = lab.proxy.chunks[0].headers["x-upload-id"]
    status = lab.page.evaluate("id => uploader.checkUploadStatus(id)", upload_id)
    assert status == {"exists": False}
    assert lab.page.evaluate("localStorage.length") == 0
