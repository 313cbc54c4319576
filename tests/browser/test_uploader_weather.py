"""`ChunkedUploader` in bad weather: what is tried again, how often, when, and what is final."""

from __future__ import annotations

import json

import pytest

from tests.browser.conftest import CHUNK, Lab, MakeBytes
from tests.browser.demo_server import DemoServer
from tests.browser.http_proxy import (
    Action,
    Answer,
    Cut,
    Exchange,
    Hold,
    Swallow,
    is_chunk,
    once,
    refusal,
)

pytestmark = pytest.mark.browser


def test_server_killed_and_started_again(
    own_lab: Lab, make_bytes: MakeBytes, own_server: DemoServer
) -> None:
    lab = own_lab
    data = lab.give("clip.webm", make_bytes(8 * CHUNK))
    hold = Hold(after=30_000)
    lab.proxy.rule = once(is_chunk(4), hold)
    lab.begin("upload", "clip.webm", maxRetries=1000, maxRetryDelay=200)
    hold.wait()
    own_server.kill()
    hold.release()
    lab.page.wait_for_function("retries.length >= 3")
    own_server.start()
    assert lab.fetch(lab.answer()["url"]) == data
    assert sum(lab.tries().values()) <= 8 + 3


def test_retry_after_is_honoured(lab: Lab, make_bytes: MakeBytes) -> None:
    lab.give("clip.webm", make_bytes(CHUNK))
    lab.proxy.rule = once(is_chunk(0), refusal(503, Retry_After="1"))
    lab.upload("upload", "clip.webm")
    refused = lab.proxy.chunks[0]
    later = lab.proxy.seen("GET", "/upload-status")[0]
    assert later.started - refused.started >= 1
    assert lab.page.evaluate("retries[0].delay") >= 1000


@pytest.mark.parametrize("status", [400, 401, 403, 413, 415])
def test_final_refusals_are_final(lab: Lab, make_bytes: MakeBytes, status: int) -> None:
    lab.give("clip.webm", make_bytes(CHUNK))
    lab.proxy.rule = lambda exchange: refusal(status) if exchange.is_chunk else None
    lab.begin("upload", "clip.webm")
    error = lab.error()
    assert error["status"] == status
    assert error["message"] == f"Refused with {status}."
    assert len(lab.proxy.chunks) == 1
    [failure] = lab.page.evaluate("failures")
    assert failure["filename"] == "clip.webm"


def test_a_refusal_stops_the_other_chunks(lab: Lab, make_bytes: MakeBytes) -> None:
    lab.give("clip.webm", make_bytes(9 * CHUNK))
    hold = Hold(after=10)

    def rule(exchange: Exchange) -> Action | None:
        if not exchange.is_chunk:
            return None
        return refusal(413) if exchange.chunk == 1 else hold

    lab.proxy.rule = rule
    lab.begin("upload", "clip.webm", maxConcurrent=2, maxRetries=10**6)
    assert lab.error()["status"] == 413
    assert len(lab.proxy.chunks) == 2
    hold.release()


def test_a_file_over_the_limit_is_not_sent_at_all(lab: Lab, make_bytes: MakeBytes) -> None:
    config = json.dumps({"maxSize": 1000}).encode()
    lab.proxy.rule = lambda exchange: Answer(200, config) if "config" in exchange.path else None
    lab.give("clip.webm", make_bytes(1001))
    for method in ("upload", "uploadDirect"):
        lab.begin(method, "clip.webm")
        error = lab.error()
        assert (error["status"], error["code"]) == (413, "too-large")
    assert not lab.proxy.chunks
    assert not lab.proxy.seen("POST", "/")


@pytest.mark.parametrize("retries", [0, 2])
def test_the_budget_of_retries_is_kept(lab: Lab, make_bytes: MakeBytes, retries: int) -> None:
    lab.give("clip.webm", make_bytes(CHUNK))
    lab.proxy.rule = lambda exchange: refusal(503) if exchange.is_chunk else None
    lab.begin("upload", "clip.webm", maxRetries=retries)
    assert lab.error()["status"] == 503
    assert len(lab.proxy.chunks) == retries + 1


def test_progress_renews_the_budget(lab: Lab, make_bytes: MakeBytes) -> None:
    data = lab.give("clip.webm", make_bytes(CHUNK))
    lab.proxy.rule = lambda e: Cut(after=10_000) if e.is_chunk and e.length > 10_000 else None
    lab.begin("upload", "clip.webm", maxRetries=1)
    assert lab.fetch(lab.answer()["url"]) == data
    assert len(lab.proxy.chunks) == 7


@pytest.mark.parametrize("path", ["/upload-config", "/finalize-upload", "/process-video-chunks"])
def test_every_step_is_tried_again(lab: Lab, make_bytes: MakeBytes, path: str) -> None:
    data = lab.give("clip.webm", make_bytes(CHUNK))
    lab.proxy.rule = once(lambda exchange: exchange.path == path, refusal(503))
    answer = lab.upload("uploadDirect" if "process" in path else "upload", "clip.webm")
    assert lab.fetch(answer["url"]) == data
    assert len(lab.proxy.seen("GET" if "config" in path else "POST", path)) == 2


def test_a_server_without_a_config_will_do(lab: Lab, make_bytes: MakeBytes) -> None:
    data = lab.give("clip.webm", make_bytes(2 * CHUNK))
    lab.proxy.rule = lambda exchange: refusal(404) if "config" in exchange.path else None
    assert lab.fetch(lab.upload("upload", "clip.webm")["url"]) == data


def test_without_a_network_it_waits(lab: Lab, make_bytes: MakeBytes) -> None:
    data = lab.give("clip.webm", make_bytes(4 * CHUNK))
    hold = Hold(after=10)
    lab.proxy.rule = once(is_chunk(1), hold)
    lab.begin("upload", "clip.webm", maxRetries=2)
    hold.wait()
    lab.page.context.set_offline(True)
    lab.page.evaluate("uploader.pause(); uploader.resume()")
    lab.page.wait_for_function("retries.length && retries.at(-1).offline")
    hold.release()
    lab.page.context.set_offline(False)
    assert lab.fetch(lab.answer()["url"]) == data


def test_progress_tells_bytes_and_phases(lab: Lab, make_bytes: MakeBytes) -> None:
    size = 8 * CHUNK
    lab.give("clip.webm", make_bytes(size))
    weather: list[Action] = [Cut(after=30_000), refusal(503), Swallow()]
    lab.proxy.rule = lambda e: weather.pop() if e.is_chunk and e.chunk % 2 and weather else None
    lab.upload("upload", "clip.webm")
    reports = lab.seen()
    phases = [report["phase"] for report in reports]
    assert list(dict.fromkeys(phases)) == ["uploading", "finalizing", "done"]
    assert phases.count("done") == 1
    last = reports[-1]
    assert (last["progress"], last["loaded"], last["total"]) == (100, size, size)
    assert last["acknowledged"] == size
    assert (last["chunksCompleted"], last["totalChunks"], last["eta"]) == (8, 8, 0)
    assert all(report["acknowledged"] <= report["loaded"] for report in reports)


def test_progress_never_goes_back(lab: Lab, make_bytes: MakeBytes) -> None:
    lab.give("clip.webm", make_bytes(4 * CHUNK))
    holds = [Hold(after=10), Hold(after=10)]
    silent = True

    def rule(exchange: Exchange) -> Action | None:
        if exchange.is_chunk and exchange.chunk < 2 and len(lab.tries()) <= 2:
            return holds[exchange.chunk]
        return refusal(503) if silent and "status" in exchange.path else None

    lab.proxy.rule = rule
    lab.begin("upload", "clip.webm", maxConcurrent=2, maxRetries=10**6)
    for hold in holds:
        hold.wait()
    lab.page.wait_for_function(f"seen.at(-1).loaded === {2 * CHUNK}")
    holds[0].drop()
    lab.page.wait_for_function("retries.length > 1")
    holds[1].release()
    lab.page.wait_for_function("seen.at(-1).chunksCompleted > 0")
    silent = False
    lab.answer()
    for key in ("loaded", "progress"):
        values = [report[key] for report in lab.seen()]
        assert values == sorted(values)


def test_a_silent_server_counts_as_lost(lab: Lab, make_bytes: MakeBytes) -> None:
    data = lab.give("clip.webm", make_bytes(CHUNK))
    hold = Hold(after=0)
    lab.proxy.rule = once(is_chunk(0), hold)
    lab.begin("upload", "clip.webm", timeout=2000)
    hold.wait()
    assert lab.fetch(lab.answer()["url"]) == data
    assert lab.tries() == {0: 2}
    hold.drop()
