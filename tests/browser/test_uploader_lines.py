"""`ChunkedUploader` on lines of all kinds: how big its chunks are, and what a loss costs."""

from __future__ import annotations

import http.client
import json
import random
import threading
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import pytest

from tests.browser.conftest import Lab, MakeBytes
from tests.browser.http_proxy import Action, Answer, Cut, Exchange, Swallow
from tests.reliability import Record

pytestmark = pytest.mark.browser
KIB = 1024
MIB = 1024 * KIB


def sizes(lab: Lab) -> list[int]:
    """Bytes that each chunk announced, in the order of their requests."""
    return [end - start for start, end in (exchange.range for exchange in lab.proxy.chunks)]


def test_a_fast_line_gets_bigger_chunks(lab: Lab, make_bytes: MakeBytes) -> None:
    data = lab.give("clip.webm", make_bytes(24 * MIB + 3))
    answer = lab.upload("upload", "clip.webm", chunkSize=None, maxConcurrent=1)
    assert lab.fetch(answer["url"]) == data
    told = sizes(lab)
    assert told[0] == MIB
    assert max(told) >= 4 * MIB
    assert sum(told) == len(data)
    assert all("x-chunk-index" not in exchange.headers for exchange in lab.proxy.chunks)
    last = lab.seen()[-1]
    assert last["chunksCompleted"] == last["totalChunks"]
    assert last["sent"] == len(data)
    part = 8 * MIB
    for start, end in (exchange.range for exchange in lab.proxy.chunks):
        assert end - start >= part or start // part == (end - 1) // part


def test_a_line_of_1_mbit_gets_small_chunks(lab: Lab, make_bytes: MakeBytes) -> None:
    data = lab.give("clip.webm", make_bytes(2 * MIB))
    session = lab.page.context.new_cdp_session(lab.page)
    slow = {"offline": False, "latency": 20, "downloadThroughput": -1, "uploadThroughput": 125_000}
    session.send("Network.emulateNetworkConditions", slow)
    lab.begin("upload", "clip.webm", chunkSize=None, maxConcurrent=1)
    lab.page.wait_for_function("seen.at(-1)?.chunksCompleted >= 2")
    quick = {**slow, "latency": 0, "uploadThroughput": -1}
    session.send("Network.emulateNetworkConditions", quick)
    assert lab.fetch(lab.answer()["url"]) == data
    told = sizes(lab)
    assert min(told) < 600 * KIB, told
    assert min(told[:-1]) >= 256 * KIB, told
    assert any(report["speed"] > 0 and report["eta"] > 0 for report in lab.seen())


def test_a_proxy_that_takes_1_mib_is_learnt(lab: Lab, make_bytes: MakeBytes) -> None:
    """As nginx does by default: 413 in its own words."""
    data = lab.give("clip.webm", make_bytes(8 * MIB))

    def rule(exchange: Exchange) -> Action | None:
        if not exchange.is_chunk or int(exchange.headers["content-length"]) <= MIB:
            return None
        return Answer(413, b"<html>Request Entity Too Large</html>", {"Content-Type": "text/html"})

    lab.proxy.rule = rule
    answer = lab.upload("upload", "clip.webm", chunkSize=None, maxConcurrent=1, maxRetries=0)
    assert lab.fetch(answer["url"]) == data
    refused = [exchange for exchange in lab.proxy.chunks if exchange.status == 413]
    assert len(refused) == 1


def test_a_cut_costs_no_more_than_what_was_on_the_line(lab: Lab, make_bytes: MakeBytes) -> None:
    """At most a chunk for each cut and lane; with a server that keeps the front, much less."""
    data = lab.give("clip.webm", make_bytes(12 * MIB))
    cuts = [300_000, 900_000, 1_500_000, 10]

    def rule(exchange: Exchange) -> Action | None:
        long = exchange.is_chunk and int(exchange.headers["content-length"]) > MIB // 2
        return Cut(after=cuts.pop()) if long and cuts else None

    lab.proxy.rule = rule
    answer = lab.upload("upload", "clip.webm", chunkSize=None, maxConcurrent=2)
    assert lab.fetch(answer["url"]) == data
    arrived = sum(exchange.body_bytes for exchange in lab.proxy.chunks)
    assert not cuts
    assert arrived - len(data) <= 4 * 2 * 2 * MIB
    assert lab.seen()[-1]["acknowledged"] == len(data)
    for key in ("loaded", "sent", "progress"):
        values = [report[key] for report in lab.seen()]
        assert values == sorted(values)


def test_chunks_with_a_checksum(lab: Lab, make_bytes: MakeBytes) -> None:
    data = lab.give("clip.webm", make_bytes(3 * MIB))
    answer = lab.upload("upload", "clip.webm", chunkSize=None, checksum=True)
    assert lab.fetch(answer["url"]) == data
    digests = [exchange.headers["x-chunk-digest"] for exchange in lab.proxy.chunks]
    assert all(digest.startswith("sha256:") and len(digest) == 71 for digest in digests)


def test_a_chunk_that_was_garbled_on_the_way_is_sent_again(lab: Lab, make_bytes: MakeBytes) -> None:
    data = lab.give("clip.webm", make_bytes(MIB))
    lab.page.evaluate(
        """() => {
          const send = XMLHttpRequest.prototype.send;
          let garbled = false;
          XMLHttpRequest.prototype.send = function (body) {
            if (garbled || !(body instanceof Blob)) return send.call(this, body);
            garbled = true;
            return send.call(this, new Blob(['!', body.slice(1)]));
          };
        }"""
    )
    answer = lab.upload("upload", "clip.webm", chunkSize=None, checksum=True)
    assert lab.fetch(answer["url"]) == data
    assert [exchange.status for exchange in lab.proxy.chunks] == [422, 200]


def test_the_digest_of_the_whole_file_is_compared(lab: Lab, make_bytes: MakeBytes) -> None:
    data = lab.give("clip.webm", make_bytes(3 * MIB))
    workers: list[str] = []
    lab.page.on("worker", lambda worker: workers.append(worker.url))
    orders: list[str] = []
    lab.page.on(
        "request",
        lambda request: orders.append(request.post_data or "") if "final" in request.url else None,
    )
    assert lab.fetch(lab.upload("upload", "clip.webm", digest=True)["url"]) == data
    assert workers[0].endswith("/file-digest-worker.js")
    assert json.loads(orders[0])["digest"].startswith("sha256:")


def test_a_digest_that_does_not_fit_is_an_error(lab: Lab, make_bytes: MakeBytes) -> None:
    lab.give("clip.webm", make_bytes(MIB))
    lab.page.evaluate(
        """() => {
          const send = XMLHttpRequest.prototype.send;
          XMLHttpRequest.prototype.send = function (body) {
            return send.call(this, body instanceof Blob ? new Blob(['!', body.slice(1)]) : body);
          };
        }"""
    )
    lab.begin("upload", "clip.webm", chunkSize=None, digest=True, maxRetries=0)
    assert lab.error()["code"] == "digest-mismatch"
    assert lab.page.evaluate("localStorage.length") == 0


class Weather:
    """Cuts each request after a random run of bytes, and swallows some answers."""

    def __init__(self, seed: int, mean: int, lost: float) -> None:
        self._dice = random.Random(seed)
        self._mean, self._lost = mean, lost
        self._lock = threading.Lock()
        self.cuts = self.swallowed = 0

    def __call__(self, exchange: Exchange) -> Action | None:
        with self._lock:
            length = int(exchange.headers.get("content-length", "0"))
            after = int(self._dice.expovariate(1 / self._mean))
            if after < length:
                self.cuts += 1
                return Cut(after)
            if self._dice.random() < self._lost:
                self.swallowed += 1
                return Swallow()
            return None


@dataclass(frozen=True)
class Storm:
    """Bytes of the files, bytes that crossed the line, bytes that the browser gave its kernel."""

    length: int
    carried: int
    pushed: int
    cuts: int
    swallowed: int


def storm(lab: Lab, lengths: list[int], mean: int) -> Storm:
    """Uploads files of these lengths, and compares each."""
    weather = Weather(8, mean, 0.05)
    lab.proxy.rule = weather
    unread = lab.proxy.narrow()
    carried = pushed = 0
    for number, length in enumerate(lengths):
        lab.proxy.forget()
        told: dict[str, Any] = lab.page.evaluate(
            """async ([length, seed]) => {
              // Bytes of a small generator: two files differ everywhere.
              const words = new Uint32Array(Math.ceil(length / 4));
              let state = seed + 1;
              for (let i = 0; i < words.length; i += 1) {
                state ^= state << 13; state ^= state >>> 17; state ^= state << 5;
                words[i] = state;
              }
              const file = new File([words.buffer.slice(0, length)], `${seed}.bin`);
              const settings = { chunkSize: null, maxRetryDelay: 200, maxRetries: 10 };
              const { url } = await (await makeUploader(settings)).upload(file, file.name);
              const sum = async (buffer) =>
                [...new Uint8Array(await crypto.subtle.digest('SHA-256', buffer))].join();
              const { sent } = seen.at(-1);
              window.seen.length = 0;
              return { url, sent, sum: await sum(await file.arrayBuffer()) };
            }""",
            [length, number],
        )
        stored = lab.fetch(told["url"])
        assert len(stored) == length
        assert digest(stored) == told["sum"]
        remove(lab, told["url"])
        carried += sum(exchange.body_bytes for exchange in lab.proxy.chunks)
        pushed += told["sent"]
        print(
            f"{number + 1} done: {carried} carried, {pushed} pushed of {sum(lengths[: number + 1])}"
        )
    # What was still unread behind a cut had crossed the line, too.
    carried += unread * weather.cuts
    return Storm(sum(lengths), carried, pushed, weather.cuts, weather.swallowed)


def remove(lab: Lab, path: str) -> None:
    """Deletes a finished file, past the weather: a hundred of them would fill a disk."""
    connection = http.client.HTTPConnection(*lab.proxy.server, timeout=20)
    connection.request("DELETE", path)
    assert connection.getresponse().status == 204
    connection.close()


def digest(data: bytes) -> str:
    return ",".join(str(byte) for byte in sha256(data).digest())


def test_uploads_over_a_line_that_is_cut_at_random(lab: Lab) -> None:
    done = storm(lab, [8 * MIB, 12 * MIB + 1, 20 * MIB], mean=2 * MIB)
    assert done.cuts >= 5
    assert done.carried <= 1.15 * done.length


@pytest.mark.chaos
def test_100_uploads_over_a_line_that_is_cut_at_random(own_lab: Lab, record_figure: Record) -> None:
    dice = random.Random(100)
    lengths = [dice.randrange(20_000_000, 200_000_000) for _ in range(100)]
    own_lab.page.context.set_default_timeout(0)
    done = storm(own_lab, lengths, mean=8_000_000)
    carried, pushed = (100 * (count / done.length - 1) for count in (done.carried, done.pushed))
    assert carried <= 15
    record_figure(
        "Browser uploads of 20 to 200 MB, cut at random (mean 8 MB), 5 % of answers lost",
        f"100 of 100 exact, {done.length / 1e9:.1f} GB, {done.cuts} cuts, {done.swallowed} answers "
        f"lost: {carried:.1f} % crossed the line twice ({pushed:.1f} % left the browser twice, "
        "by what the browser had handed to the kernel when a cut came)",
    )
