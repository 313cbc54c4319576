"""Whole bodies under every server, and where they leave the connection."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator

import pytest

from tests.servers.raw_client import RawConnection, head, wait_for
from tests.servers.recording import (
    CLOSES_EACH_CONNECTION,
    DIRECT,
    KEEPS_ALL_TO_ITSELF,
    LARGE,
    MEBIBYTE,
    NEVER_SAYS_CONTINUE,
    SMALL,
    WAITS_FOR_MORE,
    Recording,
    next_name,
    run_recording,
    send_whole,
    skip_unless,
    upload_head,
)


def test_a_complete_body_is_whole(recording: Recording) -> None:
    for content in (b"", b"x", SMALL, LARGE):
        assert send_whole(recording, next_name(), content) == content


def test_eight_uploads_at_once_stay_apart(recording: Recording) -> None:
    names = [next_name() for _ in range(8)]
    contents = [random.Random(name).randbytes(MEBIBYTE) for name in names]
    stored: dict[str, bytes] = {}

    def send(name: str, content: bytes) -> None:
        stored[name] = send_whole(recording, name, content)

    threads = [
        threading.Thread(target=send, args=pair) for pair in zip(names, contents, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stored == dict(zip(names, contents, strict=True))


def test_a_client_that_waits_for_100_continue_gets_it(recording: Recording) -> None:
    skip_unless(
        recording.kind not in NEVER_SAYS_CONTINUE, f"{recording.kind} never says 100 Continue"
    )
    name = next_name()
    fields = (f"Content-Length: {len(LARGE)}", "Expect: 100-continue")
    with recording.connect() as connection:
        connection.send(head("PATCH", f"/{name}", *fields))
        assert connection.socket.recv(12) == b"HTTP/1.1 100"
        connection.socket.sendall(LARGE)
        said = connection.socket.recv(65536)
        while b"\r\n\r\n{" not in said:
            said += connection.socket.recv(65536)
    assert b" 200 " in said
    assert recording.facts(name)["whole"] is True
    assert recording.stored(name) == LARGE


@pytest.mark.parametrize("query", ["", "?stop=1&drain=1&piece=100"], ids=["read", "drained"])
def test_a_body_leaves_the_connection_at_the_next_request(recording: Recording, query: str) -> None:
    skip_unless(
        recording.kind not in CLOSES_EACH_CONNECTION, f"{recording.kind} closes each connection"
    )
    with recording.connect() as connection:
        for content in (SMALL, LARGE, b"x", LARGE[:9_000], SMALL):
            name = next_name()
            connection.socket.sendall(upload_head(name, len(content), query) + content)
            assert connection.answer()[0] == 200
            facts = recording.facts(name)
            assert facts["length"] == str(len(content))
            assert content.startswith(recording.stored(name))
            assert facts["whole"] is (len(recording.stored(name)) == len(content))


def test_bytes_of_a_slow_client_are_stored_while_it_sends(recording: Recording) -> None:
    skip_unless(
        recording.kind not in KEEPS_ALL_TO_ITSELF | WAITS_FOR_MORE,
        f"{recording.kind} waits for more before it hands bytes over",
    )
    name = next_name()
    with recording.connect() as connection:
        connection.send(upload_head(name, len(SMALL)))
        wait_for(f"{recording.kind} to begin", lambda: recording.has_started(name))
        # uWSGI's first bytes are gathered (they may still lie in its own memory).
        steps = (len(SMALL),) if recording.kind == "uwsgi" else (1, 2, 10, 100, len(SMALL))
        sent = 0
        for until in steps:
            connection.send(SMALL[sent:until])
            sent = until
            wait_for(f"byte {until}", lambda sent=sent: len(recording.stored(name)) == sent)
        assert connection.answer()[0] == 200
    assert recording.stored(name) == SMALL


def test_an_early_answer_after_a_drain_reaches_the_client(recording: Recording) -> None:
    name = next_name()
    with recording.connect() as connection:
        connection.socket.sendall(upload_head(name, MEBIBYTE, "?stop=1&drain=1") + LARGE)
        status, _ = connection.answer()
    assert status == 200
    facts = recording.facts(name)
    assert facts["whole"] is False
    assert 1 <= facts["received"] < MEBIBYTE


@pytest.fixture(
    scope="module",
    params=[(kind, parser) for kind in DIRECT for parser in ("python", "fast")],
    ids="-".join,
)
def direct(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Recording]:
    """gunicorn's two workers with either of its parsers, read past its parser."""
    kind, parser = request.param
    if parser == "fast":
        pytest.importorskip("gunicorn_h1c", reason="pip install gunicorn_h1c")
    extra = ["--http-parser", parser, "--keep-alive", "20"]
    with run_recording(kind, tmp_path_factory.mktemp(kind), extra=extra) as running:
        yield running


def assert_direct(recording: Recording, name: str, content: bytes) -> None:
    facts = recording.facts(name)
    assert facts["reader"] == "GunicornSocketReader"
    assert facts["whole"] is True
    assert recording.stored(name) == content


def test_requests_follow_each_other_on_one_connection(direct: Recording) -> None:
    with direct.connect() as connection:
        for content in (SMALL, LARGE, b"x", LARGE, SMALL):
            name = next_name()
            connection.socket.sendall(upload_head(name, len(content)))
            connection.socket.sendall(content)
            assert connection.answer()[0] == 200
            assert_direct(direct, name, content)


def test_pipelined_requests_keep_their_borders(direct: Recording) -> None:
    contents = [SMALL, b"x", LARGE[:9_000], b"y" * 20_000, SMALL]
    names = [next_name() for _ in contents]
    requests = [
        upload_head(name, len(content)) + content
        for name, content in zip(names, contents, strict=True)
    ]
    with direct.connect() as connection:
        connection.socket.sendall(b"".join(requests))
        answers = read_answers(connection, len(contents))
    assert answers == [200] * len(contents)
    for name, content in zip(names, contents, strict=True):
        assert_direct(direct, name, content)


def read_answers(connection: RawConnection, number: int) -> list[int]:
    """The statuses of answers that may come in one piece."""
    received = b""
    while received.count(b"HTTP/1.1 ") < number or not received.rstrip().endswith(b"}"):
        piece = connection.socket.recv(65536)
        if not piece:
            break
        received += piece
    return [int(part[:3]) for part in received.split(b"HTTP/1.1 ")[1:]]


def test_a_body_left_half_read_never_becomes_a_request(direct: Recording) -> None:
    """The rest is drained by gunicorn or the connection ends; its bytes are no request."""
    inner = next_name()
    trap = upload_head(inner, 3) + b"abc"
    for size in (1_000, 40_000, MEBIBYTE):
        name, after = next_name(), next_name()
        content = (trap * (size // len(trap) + 1))[:size]
        with direct.connect() as connection:
            connection.socket.sendall(upload_head(name, size, "?stop=1&piece=100") + content)
            assert connection.answer()[0] in {0, 200}
            try:
                connection.socket.sendall(upload_head(after, len(SMALL)) + SMALL)
                status, _ = connection.answer()
            except ConnectionError:
                status = 0
        assert status in {0, 200}
        assert not direct.has_started(inner)
        if status == 200:
            assert_direct(direct, after, SMALL)


def test_a_request_after_a_silent_one_gets_a_new_connection(direct: Recording) -> None:
    name = next_name()
    with direct.connect() as connection:
        connection.send(upload_head(name, MEBIBYTE, "?idle=0.2") + LARGE[:5_000])
        assert connection.answer()[0] == 408
        assert connection.socket.recv(1) == b""
    assert direct.stored(name) == LARGE[:5_000]
