"""A webhook before a real receiver, which may be slow, wrong, or not there."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from resumable.job import Ending, Job, JobState, JobStatus, Made
from resumable.jobs.polling import Lookout, Workplace
from resumable.jobs.settings import Processing
from resumable.jobs.webhook import Webhook, WebhookFailed
from tests.jobs.workshop import Maker, Workshop
from tests.servers.running import free_port

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()


@dataclass
class Receiver:
    """Answers with each of `answers` in turn, then with 204."""

    address: str = ""
    answers: list[int] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    hold: threading.Event | None = None

    def take(self, handler: BaseHTTPRequestHandler) -> int:
        self.bodies.append(handler.rfile.read(int(handler.headers["Content-Length"])))
        self.headers.append({name.lower(): value for name, value in handler.headers.items()})
        if self.hold is not None:
            self.hold.wait(10)
        return self.answers.pop(0) if self.answers else 204

    def verify(self, number: int = -1) -> Any:
        """What Standard Webhooks tells a receiver to do."""
        told, body = self.headers[number], self.bodies[number]
        signed = f"{told['webhook-id']}.{told['webhook-timestamp']}.".encode() + body
        right = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
        assert told["webhook-signature"] == f"v1,{right}"
        assert told["content-type"] == "application/json"
        return json.loads(body)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    told = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status = told.take(self)
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", f"{told.address}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST

        def log_message(self, *words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield told
    if told.hold is not None:
        told.hold.set()
    server.shutdown()
    server.server_close()
    thread.join()


def ended() -> JobStatus:
    job = Job("job-1", "token", "alice", {"poster": True}, 1.0)
    made = Made("t2", "poster", "my film.poster.jpg", 9, "image/jpeg", {"width": 5})
    ending = Ending(job, JobState.DONE, 2, "host/1", 1_800_000_000.5, (made,), {"duration": 3.5})
    return JobStatus(job, JobState.DONE, 2, 1.0, None, ending)


def test_a_message_says_what_became_of_a_job_and_is_signed(receiver: Receiver) -> None:
    Webhook(f"{receiver.address}/hooks", SECRET, clock=lambda: 1_800_000_100.0)(ended())
    assert receiver.headers[0]["webhook-id"] == "job-1"
    assert receiver.headers[0]["webhook-timestamp"] == "1800000100"
    assert receiver.verify() == {
        "type": "job.done",
        "timestamp": "2027-01-15T08:00:00.500000+00:00",
        "data": {
            "job": "job-1",
            "state": "done",
            "attempt": 2,
            "recording": "token",
            "owner": "alice",
            "error": None,
            "code": None,
            "notes": [],
            "facts": {"duration": 3.5},
            "results": [
                {
                    "role": "poster",
                    "path": "/recordings/t2/my%20film.poster.jpg",
                    "filename": "my film.poster.jpg",
                    "size": 9,
                    "type": "image/jpeg",
                    "facts": {"width": 5},
                }
            ],
        },
    }


def test_the_signature_is_that_of_the_standard() -> None:
    """The example of the specification's own libraries."""
    from resumable.jobs.webhook import signature

    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signed = signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}')
    assert signed == "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("answer", [301, 302, 307, 400, 404, 410, 500, 503])
def test_an_answer_but_2xx_is_no_success(receiver: Receiver, answer: int) -> None:
    receiver.answers = [answer]
    with pytest.raises(WebhookFailed, match=str(answer)):
        Webhook(receiver.address, SECRET)(ended())
    assert len(receiver.bodies) == 1
    Webhook(receiver.address, KEY)(ended())
    receiver.verify()


def test_a_receiver_that_is_gone_is_left_alone_for_a_while() -> None:
    hook = Webhook(f"http://127.0.0.1:{free_port()}", SECRET)
    with pytest.raises(WebhookFailed, match="cannot be reached"):
        hook(ended())
    with pytest.raises(WebhookFailed, match="left alone"):
        hook(ended())


def test_a_receiver_that_hangs_is_waited_for_not_without_end(receiver: Receiver) -> None:
    receiver.hold = threading.Event()
    with pytest.raises(WebhookFailed, match="timed out"):
        Webhook(receiver.address, SECRET, timeout=0.2)(ended())


def test_a_refusal_does_not_make_the_next_message_wait(receiver: Receiver) -> None:
    hook = Webhook(receiver.address, SECRET)
    receiver.answers = [500]
    with pytest.raises(WebhookFailed):
        hook(ended())
    hook(ended())
    assert receiver.headers[0]["webhook-id"] == receiver.headers[1]["webhook-id"]


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("file:///etc/passwd", SECRET),
        ("app.example/hooks", SECRET),
        ("https:///hooks", SECRET),
        ("https://me:word@app.example/hooks", SECRET),
        ("https://app.example", "a secret without its mark, long enough"),
        ("https://app.example", "whsec_not base64!"),
        ("https://app.example", "whsec_" + base64.b64encode(b"short").decode()),
        ("https://app.example", b"short"),
    ],
)
def test_settings_that_cannot_be_meant(url: str, secret: str | bytes) -> None:
    with pytest.raises(ValueError, match="webhook"):
        Webhook(url, secret)


def test_what_is_shown_of_it_holds_no_secret() -> None:
    assert repr(Webhook("https://app.example/hooks?key=1", SECRET)) == "Webhook('app.example')"


# ---------------------------------------------------------------- told until it is heard


class Hearing:
    """A workplace whose hook is a webhook, and a clock for its rests."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, hook: Webhook) -> None:
        self.now = 1000.0
        monkeypatch.setattr("resumable.jobs.polling.time.monotonic", lambda: self.now)
        self.shop = Workshop()
        processing = Processing(processors=(Maker(),), ended=hook, scratch_space=0)
        jobs = self.shop.jobs()
        self.place = Workplace(self.shop.store(), jobs, processing, Lookout(-1.0))
        self.job = jobs.ask(self.shop.finished, {}).id

    def open(self) -> bool:
        return bool(self.shop.jobs().open())


def test_a_job_is_told_of_until_somebody_hears(
    monkeypatch: pytest.MonkeyPatch, receiver: Receiver
) -> None:
    receiver.answers = [500, 503]
    here = Hearing(monkeypatch, Webhook(receiver.address, SECRET))
    here.place.work(here.job)
    for told, rest in ((1, 2.1), (2, 4.1)):
        here.place.round()
        here.place.round()
        # Not at every look, but after 2 and 4 seconds.
        assert len(receiver.bodies) == told
        assert here.open()
        here.now += rest
    here.place.round()
    assert len(receiver.bodies) == 3
    assert {told["webhook-id"] for told in receiver.headers} == {here.job}
    assert receiver.verify()["data"]["state"] == "done"
    assert not here.open()


def test_who_never_hears_is_given_up_after_a_day(
    monkeypatch: pytest.MonkeyPatch, receiver: Receiver
) -> None:
    receiver.answers = [500] * 99
    here = Hearing(monkeypatch, Webhook(receiver.address, SECRET))
    here.place.work(here.job)
    here.place.round()
    here.shop.storage.advance(86_000)
    here.now += 1000
    here.place.round()
    assert here.open()
    here.shop.storage.advance(1_000)
    here.now += 1000
    here.place.round()
    assert not here.open()
    assert len(receiver.bodies) == 3
    status = here.shop.jobs().status(here.job)
    assert status is not None
    assert status.state is JobState.DONE
