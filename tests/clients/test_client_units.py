"""The small parts of the Python client: what an answer means, how large the next chunk is."""

from __future__ import annotations

import json
import os
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from resumable.client import Refused, Retry, Stopped, Unreachable, Uploader
from resumable.client.errors import Forgotten, Trouble
from resumable.client.halt import Halt
from resumable.client.memory import Memory, Remembered
from resumable.client.model import KIB, MIB, Phase, Progress
from resumable.client.pace import ChunkSize, Meter, RateLimit
from resumable.client.persistence import Persistence
from resumable.client.source import Identity
from resumable.client.transport import Transport, shown, without_userinfo

Handler = Callable[[httpx.Request], httpx.Response]


def transport(
    handler: Handler, endpoint: str = "https://up.example/files/", **more: Any
) -> Transport:
    client = httpx.Client(transport=httpx.MockTransport(handler))
    return Transport(endpoint, client=client, **more)


def answer(status: int, body: Any = None, **headers: str) -> Handler:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda request: httpx.Response(status, json=body, headers=named)


# ---------------------------------------------------------------- what an answer means


@pytest.mark.parametrize("status", [408, 409, 422, 423, 425, 429, 460, 500, 502, 503, 504, 507])
def test_what_passes_by_itself(status: int) -> None:
    with pytest.raises(Trouble) as trouble:
        transport(answer(status, {"error": "Not now."})).ask("GET", "https://up.example/")
    assert trouble.value.answered
    assert trouble.value.sentence == f"Not now. ({status})"


@pytest.mark.parametrize("status", [404, 410])
def test_what_is_gone(status: int) -> None:
    with pytest.raises(Forgotten):
        transport(answer(status)).ask("HEAD", "https://up.example/files/1")


@pytest.mark.parametrize("status", [400, 401, 403, 405, 411, 412, 413, 415, 501])
def test_what_will_come_again(status: int) -> None:
    with pytest.raises(Refused) as refused:
        transport(answer(status, {"error": "No.", "code": "why"})).ask("GET", "https://up.example/")
    assert (refused.value.status, refused.value.code) == (status, "why")


@pytest.mark.parametrize("code", ["other-bytes", "total-conflict", "finished", "name-taken"])
def test_conflicts_that_no_other_try_mends(code: str) -> None:
    with pytest.raises(Refused):
        transport(answer(409, {"code": code})).ask("PUT", "https://up.example/")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("99999", 600.0),
        ("-5", 0.0),
        ("soon", 0.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Wed, 21 Oct 2815 07:28:00 GMT", 600.0),
    ],
)
def test_retry_after(text: str, seconds: float) -> None:
    with pytest.raises(Trouble) as trouble:
        transport(answer(503, Retry_After=text)).ask("GET", "https://up.example/")
    assert trouble.value.wait == seconds


def test_an_answer_in_html_is_not_shown() -> None:
    page = httpx.Response(502, html="<html>nginx</html>")
    with pytest.raises(Trouble) as trouble:
        transport(lambda request: page).ask("PATCH", "https://name:pass@up.example/files/1")
    assert trouble.value.sentence == "PATCH https://up.example/files/1 was answered with 502."


def test_a_redirect_says_where_to() -> None:
    with pytest.raises(Refused, match=r"307: use https://up.example/files/\.$"):
        transport(answer(307, Location="/files/")).ask("POST", "https://up.example/files")


def test_a_connection_that_breaks() -> None:
    def broken(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("reset")

    with pytest.raises(Trouble, match="The connection broke: reset") as trouble:
        transport(broken).ask("GET", "https://up.example/")
    assert not trouble.value.answered


def test_an_answer_without_end() -> None:
    def endless(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=(bytes(MIB) for _ in range(1000)))

    with pytest.raises(Refused, match="does not end"):
        transport(endless).ask("GET", "https://up.example/")


# ---------------------------------------------------------------- whom it tells what


def test_secrets_are_for_the_endpoint_alone() -> None:
    """A server may name any other as the place of an upload."""
    seen: dict[str, tuple[str | None, str | None]] = {}

    def handler(request: httpx.Request) -> httpx.Response:
        headers = request.headers
        seen[request.url.host] = (headers.get("authorization"), headers.get("x-key"))
        return httpx.Response(204)

    asked = transport(handler, "https://me:pass@up.example/files/", headers={"X-Key": "k"})
    asked.ask("HEAD", "https://up.example/files/1")
    asked.ask("HEAD", "https://elsewhere.example/files/1")
    assert seen["up.example"] == ("Basic bWU6cGFzcw==", "k")
    assert seen["elsewhere.example"] == (None, None)


@pytest.mark.parametrize(
    ("location", "place"),
    [
        ("1", "https://up.example/files/1"),
        ("/other/1", "https://up.example/other/1"),
        ("https://else.example/1", "https://else.example/1"),
        # A server behind a TLS proxy that knows nothing of it.
        ("http://up.example/files/1", "https://up.example/files/1"),
    ],
)
def test_where_an_upload_is(location: str, place: str) -> None:
    assert transport(answer(200)).place(location, "https://up.example/files/") == place


@pytest.mark.parametrize("location", ["http://up.example:8080/1", "http://else.example/1"])
def test_nothing_goes_on_in_plain_text(location: str) -> None:
    with pytest.raises(Refused, match="is not safe"):
        transport(answer(200)).place(location, "https://up.example/files/")


def test_secrets_do_not_follow_to_another_server() -> None:
    seen: list[tuple[str, str, str | None]] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append((request.method, request.url.host, request.headers.get("x-key")))
        if request.url.host == "up.example":
            return httpx.Response(303, headers={"Location": "https://elsewhere.example/"})
        return httpx.Response(204)

    asked = transport(handler, headers={"X-Key": "k"})
    asked.ask("OPTIONS", "https://up.example/files/", follow=True)
    assert seen == [("OPTIONS", "up.example", "k"), ("OPTIONS", "elsewhere.example", None)]


def test_a_ring_of_redirects_ends() -> None:
    with pytest.raises(Refused, match="without end"):
        transport(answer(307, Location="/files/")).ask(
            "GET", "https://up.example/files/", follow=True
        )


def test_passwords_are_meant_as_they_were_encoded() -> None:
    seen: list[str | None] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("authorization"))
        return httpx.Response(204)

    asked = transport(handler, "https://me:p%40ss@up.example/")
    asked.ask("GET", asked.endpoint)
    assert asked.endpoint == "https://up.example/"
    assert seen == ["Basic bWU6cEBzcw=="]


@pytest.mark.parametrize(
    "headers", [{"X N": "b"}, {"X-N": "a\nb"}, {"X-N": "é"}, {"": "b"}], ids=repr
)
def test_headers_that_cannot_be_sent(headers: dict[str, str]) -> None:
    with pytest.raises(Refused, match="is no header"):
        transport(answer(200), headers=headers)


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:99999/", "http://[::1/", "http://h:x/", "ftp://h/", "h"]
)
def test_addresses_that_are_none(address: str) -> None:
    with pytest.raises(Refused):
        transport(answer(200), address)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (httpx.UnsupportedProtocol("ftp"), Refused),
        (httpx.LocalProtocolError("Illegal header value"), Refused),
        (httpx.DecodingError("bad gzip"), Trouble),
        (httpx.ReadTimeout("late"), Trouble),
        (httpx.ConnectError("refused"), Trouble),
    ],
    ids=repr,
)
def test_what_no_other_try_mends(error: httpx.RequestError, kind: type[Exception]) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        raise error

    with pytest.raises(kind):
        transport(handler).ask("GET", "https://up.example/")


def test_a_certificate_that_is_not_trusted() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no") from ssl.SSLCertVerificationError("self-signed")

    with pytest.raises(Refused, match="cannot be asked"):
        transport(handler).ask("GET", "https://up.example/")


def test_addresses_are_shown_without_passwords() -> None:
    assert without_userinfo("https://a:b@h:1/x?y") == "https://h:1/x?y"
    assert shown("https://a:b@h:1/x?key=y") == "https://h:1/x"


# ---------------------------------------------------------------- how large the next chunk is


def test_chunks_end_on_borders_of_parts() -> None:
    size = ChunkSize(wished=8 * MIB, part=5 * MIB)
    assert size.end_of(0, None) == 5 * MIB
    assert size.end_of(3 * MIB, None) == 10 * MIB
    assert size.end_of(3 * MIB, 4 * MIB) == 4 * MIB


def test_chunks_grow_on_a_quick_line_and_shrink_on_a_slow_one() -> None:
    size = ChunkSize(wished=8 * MIB)
    size.took(8 * MIB, 0.5)
    assert size.end_of(0, None) == 16 * MIB
    for _ in range(9):
        size.took(64 * MIB, 0.5)
    assert size.end_of(0, None) == 64 * MIB
    size.took(64 * MIB, 5)
    assert size.end_of(0, None) == 64 * MIB
    for _ in range(20):
        size.took(MIB, 20)
    assert size.end_of(0, None) == 256 * KIB


def test_the_last_small_chunk_says_nothing_of_the_line() -> None:
    size = ChunkSize(wished=8 * MIB)
    size.took(10, 0.001)
    assert size.end_of(0, None) == 8 * MIB


@pytest.mark.parametrize("fixed", [None, 10 * MIB])
def test_the_server_has_the_last_word(fixed: int | None) -> None:
    size = ChunkSize(fixed=fixed, wished=8 * MIB, most=MIB)
    assert size.end_of(0, None) == MIB
    size.took(MIB, 0.1)
    assert size.end_of(0, None) == MIB


def test_chunks_grow_though_parts_are_odd() -> None:
    size = ChunkSize(wished=8 * MIB, part=5 * MIB)
    size.took(5 * MIB, 0.1)
    assert size.end_of(0, None) == 15 * MIB


def test_what_the_caller_wants_stays() -> None:
    size = ChunkSize(fixed=300 * KIB, part=256 * KIB)
    size.took(300 * KIB, 0.1)
    assert size.end_of(0, None) == 300 * KIB


# ---------------------------------------------------------------- speed and counts


def test_a_rate_limit_is_shared_and_can_be_stopped() -> None:
    limit, stop = RateLimit(1000), Halt()
    began = time.monotonic()
    threads = [threading.Thread(target=limit.take, args=(100, stop)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - began >= 0.39
    stop.set()
    with pytest.raises(Stopped):
        limit.take(10**9, stop)


def test_progress_never_says_more_than_it_knows() -> None:
    seen: list[Progress] = []
    meter = Meter("a", 100, seen.append)
    meter.phase(Phase.UPLOADING)
    meter.sent(60)
    meter.sent(20)
    meter.settled(60, 50)
    assert (meter.now.acknowledged, meter.now.sent) == (50, 70)
    meter.settled(20, 0)
    assert (meter.now.acknowledged, meter.now.sent) == (50, 50)
    meter.known(10)
    assert (seen[-1].acknowledged, seen[-1].sent) == (10, 10)


def test_waits_double_up_to_a_limit() -> None:
    retry = Retry(first=0.5, most=30)
    assert [retry.longest_wait(n) for n in (1, 2, 3, 7, 1000)] == [0.5, 1, 2, 30, 30]


# ---------------------------------------------------------------- memory


def test_what_is_torn_or_foreign_is_nothing(tmp_path: Path) -> None:
    memory = Memory(tmp_path)
    known = Remembered(
        Identity("/a", 1, 2, "x"), "https://up.example/", "tus", "a", {}, {}, time.time()
    )
    with memory.of("/a", "https://up.example/", "a") as entry:
        assert entry.read() is None
        entry.keep(known)
        assert entry.read() == known
    assert list(memory.each("https://up.example/")) == [known]
    assert list(memory.each("https://other.example/")) == []
    (file,) = tmp_path.glob("*.json")
    for text in ("", '{"identity"', json.dumps({"version": 9}), "[]", "null"):
        file.write_text(text)
        assert list(memory.each()) == []
    assert [one.name for one in tmp_path.iterdir()] == [file.name]


def test_what_is_too_old_goes(tmp_path: Path) -> None:
    memory = Memory(tmp_path)
    known = Remembered(Identity("/a", 1, 2, "x"), "https://up.example/", "tus", "a", {}, {}, 1.0)
    with memory.of("/a", "https://up.example/", "a") as entry:
        entry.keep(known)
    (kept,) = tmp_path.iterdir()
    left = tmp_path / "left.lock"
    left.touch()
    for file in (kept, left):
        os.utime(file, (1, 1))
    assert list(memory.each()) == []
    assert list(tmp_path.iterdir()) == []


def test_where_nothing_can_be_written_nothing_is_kept(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    known = Remembered(Identity("/a", 1, 2, "x"), "https://up.example/", "tus", "a", {}, {}, 1.0)
    with Memory(blocked / "below").of("/a", "https://up.example/", "a") as entry:
        assert not entry.lasting
        assert not entry.keep(known)
        assert entry.read() is None
        entry.forget()


# ---------------------------------------------------------------- when to give up


class Clock:
    """Time that passes only while somebody waits."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(time, "sleep", self.sleep)

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def persistence(**settings: Any) -> tuple[Persistence, Meter]:
    meter = Meter("a", 100, None)
    return Persistence(Retry(**settings), meter, Halt()), meter


def test_the_patience_begins_with_the_first_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    persistent, meter = persistence(patience=10.0, first=1.0, most=1.0)
    clock.now += 1000
    persistent.failed(Trouble("gone"))
    clock.now += 9
    # Another thread's bytes move.
    meter.sent(1)
    clock.now += 9
    persistent.failed(Trouble("gone"))
    clock.now += 10
    with pytest.raises(Unreachable, match="Nothing moved"):
        persistent.failed(Trouble("gone"))


def test_the_last_try_comes_when_the_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    persistent, _ = persistence(patience=10.0)
    persistent.failed(Trouble("busy", wait=600.0))
    assert clock.now == pytest.approx(1010.0)
    with pytest.raises(Unreachable):
        persistent.failed(Trouble("busy"))


def test_refused_connections_are_no_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch)
    persistent, _ = persistence(attempts=3, first=0.0, most=0.0)
    for _ in range(20):
        persistent.failed(Trouble("Nobody answers."))
    persistent.failed(Trouble("502", answered=True))
    persistent.failed(Trouble("502", answered=True))
    with pytest.raises(Unreachable, match="That was try 3"):
        persistent.failed(Trouble("502", answered=True))


# ---------------------------------------------------------------- servers that are odd


class TusServer:
    """One that keeps an upload in memory; `take` bytes of each PATCH, whatever arrives."""

    def __init__(
        self,
        *,
        take: int = 10**9,
        forget: bool = False,
        extensions: str = "creation",
        silent: bool = False,
        most: int = 10**9,
    ):
        self.data = b""
        self._take = take
        self._forget = forget
        self._extensions = extensions
        self._silent = silent
        self._most = most

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "OPTIONS":
            offer = {"Tus-Version": "1.0.0", "Tus-Extension": self._extensions}
            return httpx.Response(204, headers=offer)
        if request.method == "POST":
            return httpx.Response(201, headers={"Location": "/files/1"})
        if request.method == "PATCH":
            if int(request.headers["Content-Length"]) > self._most:
                return httpx.Response(413, html="<h1>nginx</h1>")
            self.data += request.read()[: self._take]
            if self._silent:
                return httpx.Response(204)
        if request.method == "HEAD" and self._forget:
            return httpx.Response(404)
        if request.method == "GET":
            return httpx.Response(404)
        return httpx.Response(200, headers={"Upload-Offset": str(len(self.data))})


def odd(server: TusServer, tmp_path: Path) -> Uploader:
    return Uploader(
        "https://up.example/files/",
        memory=tmp_path / "memory",
        retry=Retry(attempts=3, first=0, most=0),
        client=httpx.Client(transport=httpx.MockTransport(server)),
    )


def test_a_server_that_takes_a_little_of_each_request(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(200)))
    server = TusServer(take=60)
    odd(server, tmp_path).upload(path)
    assert server.data == path.read_bytes()


def test_a_server_that_takes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 100)
    with pytest.raises(Unreachable, match="Of 0 to 100 the server has 0"):
        odd(TusServer(take=0), tmp_path).upload(path)


def test_a_server_that_does_not_say_how_far_it_is(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 100)
    server = TusServer(silent=True)
    odd(server, tmp_path).upload(path)
    assert server.data == path.read_bytes()


def test_a_proxy_that_takes_less_at_once_than_the_server_says(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(os.urandom(5 * MIB))
    server = TusServer(most=MIB)
    odd(server, tmp_path).upload(path)
    assert server.data == path.read_bytes()
    with pytest.raises(Refused, match="413"):
        odd(TusServer(most=100 * KIB), tmp_path).upload(path, filename="other")


@pytest.mark.parametrize("said", [0, -1, "8", True, 1.5])
def test_a_size_that_is_none(tmp_path: Path, said: Any) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x")

    def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"chunkSize": said})

    client = httpx.Client(transport=httpx.MockTransport(handler))
    uploader = Uploader("https://up.example/", memory=tmp_path / "memory", client=client)
    with pytest.raises(Refused, match="which is no size"):
        uploader.upload(path)


def test_keys_that_are_wanted_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x")
    client = httpx.Client(transport=httpx.MockTransport(answer(401, {"error": "Who are you?"})))
    uploader = Uploader("https://up.example/", memory=tmp_path / "memory", client=client)
    with pytest.raises(Refused, match="Who are you") as refused:
        uploader.upload(path)
    assert refused.value.status == 401


def test_a_server_that_forgets_at_once(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 100)
    with pytest.raises(Exception, match="forgets what it is sent"):
        odd(TusServer(forget=True), tmp_path).upload(path)


def test_what_a_tus_server_cannot(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x")
    with pytest.raises(Refused, match="lets nobody create"):
        odd(TusServer(extensions="termination"), tmp_path).upload(path)
    with pytest.raises(Refused, match="options of processing"):
        odd(TusServer(), tmp_path).upload(path, options={"frame": True})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"parts": 0}, "parts must be at least 1"),
        ({"chunk_size": 0}, "chunk_size must be at least 1"),
        ({"limit_rate": -1}, "limit_rate must be at least 1"),
        ({"checksum": "crc99"}, "checksum knows"),
        ({"protocol": "ftp"}, "protocol is auto, tus or chunks"),
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Uploader("https://up.example/", **settings)
