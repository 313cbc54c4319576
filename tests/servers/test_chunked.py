"""Chunked bodies and doubtful lengths, under every server: what they prove, and what is refused."""

from __future__ import annotations

import pytest

from tests.servers.raw_client import head, wait_for
from tests.servers.recording import (
    CANNOT_READ_CHUNKS,
    ENDINGS,
    KEEPS_ALL_TO_ITSELF,
    LARGE,
    SMALL,
    TELLS_A_CUT,
    Recording,
    chunk,
    chunked_head,
    next_name,
    skip_unless,
)


def test_a_complete_chunked_body_is_whole_only_where_a_cut_would_be_told(
    recording: Recording,
) -> None:
    name = next_name()
    with recording.connect() as connection:
        connection.send(chunked_head(name) + chunk(LARGE[:100_000]) + chunk(SMALL) + chunk(b""))
        status, _ = connection.answer()
    if recording.kind in CANNOT_READ_CHUNKS:
        assert status == 411
        return
    assert status == 200
    assert recording.stored(name) == LARGE[:100_000] + SMALL
    assert recording.facts(name)["whole"] is (recording.kind in TELLS_A_CUT | KEEPS_ALL_TO_ITSELF)


@pytest.mark.parametrize("how", ENDINGS)
def test_a_cut_chunked_body_is_never_whole(recording: Recording, how: str) -> None:
    skip_unless(
        recording.kind not in KEEPS_ALL_TO_ITSELF | CANNOT_READ_CHUNKS,
        f"{recording.kind} never shows a cut chunked body",
    )
    sent = chunk(SMALL) + chunk(LARGE[:50_000]) + chunk(b"")
    for position in (0, 1, 3, 4, 100, len(chunk(SMALL)), 30_000, len(sent) - 6, len(sent) - 4):
        name = next_name()
        connection = recording.connect()
        connection.send(chunked_head(name) + sent[:position])
        wait_for(f"{recording.kind} to begin", lambda name=name: recording.has_started(name))
        connection.end(how)
        facts = recording.facts(name)
        assert facts["whole"] is False, f"cut at {position}"
        assert (SMALL + LARGE[:50_000]).startswith(recording.stored(name))
        if recording.kind in TELLS_A_CUT:
            assert facts["cut"] in {"interrupted", "bad-request"}
        if recording.kind.startswith("gunicorn"):
            content_bytes = len(decoded(sent[:position]))
            assert len(recording.stored(name)) == content_bytes, f"cut at {position}"


def decoded(encoded: bytes) -> bytes:
    """The content of the chunks that are there, the last one as far as it goes."""
    content = b""
    while b"\r\n" in encoded:
        size, _, encoded = encoded.partition(b"\r\n")
        content += encoded[: int(size, 16)]
        encoded = encoded[int(size, 16) + 2 :]
    return content


def test_malformed_chunks_are_never_whole(recording: Recording) -> None:
    skip_unless(recording.kind not in CANNOT_READ_CHUNKS, f"{recording.kind} reads no chunks")
    name = next_name()
    with recording.connect() as connection:
        connection.send(chunked_head(name) + chunk(SMALL) + b"no size\r\n" + SMALL)
        status, _ = connection.answer()
    assert SMALL.startswith(recording.stored(name))
    if recording.kind in TELLS_A_CUT:
        assert status in {0, 400}
    if recording.has_started(name):
        assert recording.facts(name)["whole"] is False


def test_two_lengths_are_refused_or_read_as_one(recording: Recording) -> None:
    """A length beside chunks must never decide where the next request starts."""
    name = next_name()
    smuggled = chunk(SMALL) + chunk(b"")
    with recording.connect() as connection:
        connection.send(chunked_head(name, "Content-Length: 5") + smuggled)
        status, _ = connection.answer()
    if recording.kind in {"gevent-pywsgi", "granian", "waitress"}:
        assert status == 200  # They drop Content-Length themselves, as RFC 9112, 6.3 allows.
        assert recording.stored(name) == SMALL
    else:
        assert status == 400
        assert recording.stored(name) == b""


@pytest.mark.parametrize("length", ["+5", "1_0", "-5", "5 6", "0x5", "5.0", "٣"])
def test_a_length_that_is_no_number_is_refused(recording: Recording, length: str) -> None:
    name = next_name()
    with recording.connect() as connection:
        connection.send(head("PATCH", f"/{name}", f"Content-Length: {length}") + SMALL)
        status, _ = connection.answer()
    assert status in {0, 400, 411}
    assert recording.stored(name) == b""
