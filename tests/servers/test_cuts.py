"""Every server really started: what arrived before a cut is stored exactly, and never called whole.

The reading rules that are proven here are in `resumable/servers.py` and `resumable/readers.py`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reliability import Record
from tests.servers.fault_proxy import FaultProxy
from tests.servers.raw_client import RawConnection, wait_for
from tests.servers.recording import (
    DROPS_WHAT_IS_UNREAD,
    ENDINGS,
    HAS_A_SOCKET,
    KEEPS_ALL_TO_ITSELF,
    LARGE,
    MEBIBYTE,
    SMALL,
    WAITS_FOR_MORE,
    Recording,
    assert_cut,
    next_name,
    run_recording,
    sample,
    send_whole,
    skip_unless,
    upload_head,
)
from tests.servers.running import KINDS

HEAD = upload_head(next_name(), len(SMALL))


def cut_at(recording: Recording, content: bytes, position: int, how: str) -> str:
    """Sends so many bytes of the body, lets the app begin, ends the connection."""
    name = next_name()
    connection = recording.connect()
    connection.send(upload_head(name, len(content)) + content[:position])
    if recording.kind not in KEEPS_ALL_TO_ITSELF:
        wait_for(f"{recording.kind} to begin", lambda: recording.has_started(name))
    if recording.kind in DROPS_WHAT_IS_UNREAD:
        wait_for("the app to keep up", lambda: len(recording.stored(name)) == position)
    connection.end(how)
    return name


@pytest.mark.parametrize("how", ENDINGS)
def test_a_small_body_cut_anywhere_is_stored_up_to_the_cut(recording: Recording, how: str) -> None:
    for position in sample(len(SMALL), 25):
        name = cut_at(recording, SMALL, position, how)
        assert_cut(recording, name, SMALL, position)


@pytest.mark.parametrize("how", ENDINGS)
def test_a_large_body_cut_anywhere_is_stored_up_to_the_cut(recording: Recording, how: str) -> None:
    for position in sample(len(LARGE), 10):
        name = cut_at(recording, LARGE, position, how)
        assert_cut(recording, name, LARGE, position)


@pytest.mark.chaos
@pytest.mark.parametrize("how", ENDINGS)
def test_every_byte_of_a_small_body(recording: Recording, how: str, record_figure: Record) -> None:
    for position in range(len(SMALL)):
        name = cut_at(recording, SMALL, position, how)
        assert_cut(recording, name, SMALL, position)
    record_cuts(record_figure, recording, "at every byte of a small body", len(SMALL))


@pytest.mark.chaos
@pytest.mark.parametrize("how", ENDINGS)
def test_a_hundred_places_of_a_large_body(
    recording: Recording, how: str, record_figure: Record
) -> None:
    for position in sample(len(LARGE), 100):
        name = cut_at(recording, LARGE, position, how)
        assert_cut(recording, name, LARGE, position)
        recording.forget()
    record_cuts(record_figure, recording, "at random places of a body of 1 MiB", 100)


def record_cuts(record_figure: Record, recording: Recording, where: str, number: int) -> None:
    """One row for both endings; rows are written only when all tests passed."""
    kept = "nothing kept" if recording.kind in KEEPS_ALL_TO_ITSELF else "0 bytes lost"
    record_figure(f"Cuts {where}, {recording.kind}", f"{number} closes, {number} resets: {kept}")


def cut_by_proxy(recording: Recording, positions: list[int], how: str) -> list[str]:
    """One connection for each position of the whole request, cut behind a proxy."""
    names = [next_name() for _ in positions]
    rules = [{"c2s_cut": position, "how": how} for position in positions]
    with FaultProxy(recording.server.host, recording.server.port, rules) as proxy:
        for name in names:
            with RawConnection(proxy.host, proxy.port) as connection:
                connection.socket.sendall(upload_head(name, len(SMALL)) + SMALL)
                assert connection.answer() == (0, b"")
        assert [passed.sent for passed in proxy.log] == positions
    return names


@pytest.mark.parametrize("how", ENDINGS)
def test_a_cut_head_is_no_empty_body(recording: Recording, how: str) -> None:
    """Some servers take it for a request with fewer headers: it must not count as whole."""
    request_line = HEAD.index(b"\r\n")
    positions = [1, request_line, request_line + 2, len(HEAD) // 2, len(HEAD) - 4, len(HEAD) - 1]
    names = cut_by_proxy(recording, positions, how)
    after = next_name()
    assert send_whole(recording, after, LARGE) == LARGE
    for name in names:
        assert recording.stored(name) == b""
        if recording.has_started(name):
            assert recording.facts(name)["whole"] is False


@pytest.mark.chaos
@pytest.mark.parametrize("how", ENDINGS)
def test_every_byte_of_a_request_behind_a_proxy(recording: Recording, how: str) -> None:
    """Nothing says here when the app begins, so a reset may come before it; never a wrong byte."""
    head_size = len(HEAD)
    for position in range(1, head_size + len(SMALL)):
        [name] = cut_by_proxy(recording, [position], how)
        if recording.has_started(name) and recording.kind not in KEEPS_ALL_TO_ITSELF:
            facts = recording.facts(name)
            assert facts["whole"] is False, f"cut at {position}"
            assert facts["received"] == len(recording.stored(name))
        assert SMALL[: max(0, position - head_size)].startswith(recording.stored(name))


def test_a_silent_client_is_given_up_and_its_bytes_are_kept(recording: Recording) -> None:
    skip_unless(recording.kind in HAS_A_SOCKET, f"{recording.kind} hides its socket")
    name = next_name()
    with recording.connect() as connection:
        connection.send(upload_head(name, MEBIBYTE, "?idle=0.3") + LARGE[:100_001])
        status, _ = connection.answer()
    facts = recording.facts(name)
    assert status == (0 if recording.kind == "cheroot" else 408)
    assert facts["cut"] == "idle-timeout"
    assert facts["whole"] is False
    assert recording.stored(name) == LARGE[:100_001]


def test_a_worker_that_is_stopped_in_the_middle_keeps_what_came(tmp_path: Path) -> None:
    """gunicorn's sync worker gets SystemExit inside `read` after --timeout."""
    name = next_name()
    with (
        run_recording("gunicorn-sync", tmp_path, extra=["--timeout", "1"]) as recording,
        recording.connect() as connection,
    ):
        connection.send(upload_head(name, MEBIBYTE) + LARGE[:100_001])
        facts = recording.facts(name)
    assert facts["raised"].startswith("SystemExit")
    assert (facts["received"], facts["whole"], facts["cut"]) == (100_001, False, None)
    assert recording.stored(name) == LARGE[:100_001]


@pytest.mark.parametrize("kind", sorted(set(KINDS) - KEEPS_ALL_TO_ITSELF - WAITS_FOR_MORE))
def test_a_killed_server_leaves_what_came(kind: str, tmp_path: Path) -> None:
    name = next_name()
    with run_recording(kind, tmp_path) as recording, recording.connect() as connection:
        connection.send(upload_head(name, MEBIBYTE) + LARGE[:100_001])
        wait_for("its bytes", lambda: len(recording.stored(name)) == 100_001)
        recording.server.kill()
        assert recording.server.pids == []
    assert recording.stored(name) == LARGE[:100_001]
