"""The tools other tests trust: the proxy does what a rule says, servers start and really die."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.servers.fault_proxy import FaultProxy, Rule
from tests.servers.raw_client import RawConnection, wait_for
from tests.servers.running import missing, run_server

QUESTION = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"
CONTENT = os.urandom(300_000)


class Echo:
    """Sends back what comes, remembers it, and knows how each connection ended."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.received: list[bytearray] = []
        self.endings: list[str] = []
        self.thread = threading.Thread(target=self.serve)

    def serve(self) -> None:
        while True:
            connection, _ = self.listener.accept()
            with connection:
                received = bytearray()
                self.received.append(received)
                try:
                    while piece := connection.recv(65536):
                        if piece == b"stop":
                            return
                        received += piece
                        connection.sendall(piece)
                    self.endings.append("fin")
                except ConnectionError:
                    self.endings.append("rst")


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    server.thread.start()
    yield server
    with socket.create_connection(("127.0.0.1", server.port)) as last:
        last.sendall(b"stop")
        server.thread.join()
    server.listener.close()


def through(echo: Echo, rule: Rule, content: bytes = CONTENT) -> tuple[bytes, FaultProxy]:
    """What comes back through a proxy with this rule, until the connection ends."""
    with FaultProxy("127.0.0.1", echo.port, [rule]) as proxy:
        answer = exchange(proxy, content)
        wait_for("the upstream side to end", lambda: len(echo.endings) == 1)
    return answer, proxy


def exchange(proxy: FaultProxy, content: bytes) -> bytes:
    answer = bytearray()
    with RawConnection(proxy.host, proxy.port) as connection:
        sender = threading.Thread(target=send_all, args=(connection, content))
        sender.start()
        with suppress(ConnectionError):
            while piece := connection.socket.recv(65536):
                answer += piece
        sender.join()
    return bytes(answer)


def send_all(connection: RawConnection, content: bytes) -> None:
    with suppress(OSError):
        connection.socket.sendall(content)
        connection.socket.shutdown(socket.SHUT_WR)


def test_an_empty_rule_changes_nothing(echo: Echo) -> None:
    answer, proxy = through(echo, {})
    assert answer == CONTENT == echo.received[0]
    assert (proxy.log[0].sent, proxy.log[0].answered) == (len(CONTENT), len(CONTENT))


@pytest.mark.parametrize("how", ["fin", "rst"])
@pytest.mark.parametrize("position", [0, 1, 1000, 65536, 65537, 299_999])
def test_a_cut_is_exact_and_of_its_kind(echo: Echo, position: int, how: str) -> None:
    # A close before all that came back is read would be a reset.
    _, proxy = through(echo, {"c2s_cut": position, "how": how, "settle": 0.2})
    assert echo.received[0] == CONTENT[:position]
    assert proxy.log[0].sent == position
    assert echo.endings == [how]


def test_a_cut_of_the_answer_is_exact(echo: Echo) -> None:
    answer, _ = through(echo, {"s2c_cut": 1000, "how": "fin"})
    assert answer == CONTENT[:1000]


def test_a_stall_keeps_the_connection_open(echo: Echo) -> None:
    started = time.monotonic()
    through(echo, {"c2s_stall": 1000, "stall_s": 0.2})
    assert echo.received[0] == CONTENT[:1000]
    assert time.monotonic() - started >= 0.2


def test_one_bit_is_flipped(echo: Echo) -> None:
    through(echo, {"garble": 70_000})
    differing = [
        at for at, (one, other) in enumerate(zip(CONTENT, echo.received[0], strict=True))
        if one != other
    ]  # fmt: skip
    assert differing == [70_000]
    assert echo.received[0][70_000] == CONTENT[70_000] ^ 1


def test_a_slow_line_and_a_late_one_take_their_time(echo: Echo) -> None:
    started = time.monotonic()
    through(echo, {"bw": 1_500_000, "delay": 0.1})
    assert time.monotonic() - started >= 0.3
    assert echo.received[0] == CONTENT


def test_an_answer_of_its_own(echo: Echo) -> None:
    with FaultProxy("127.0.0.1", echo.port, [{"status": 503}, {}]) as proxy:
        with RawConnection(proxy.host, proxy.port) as connection:
            connection.send(QUESTION)
            assert connection.answer()[0] == 503
        assert echo.received == []
        assert exchange(proxy, QUESTION) == QUESTION


def test_a_lost_answer_is_lost_after_the_request_arrived(echo: Echo) -> None:
    answer, _ = through(echo, {"drop_response": True}, QUESTION)
    assert (answer, bytes(echo.received[0])) == (b"", QUESTION)


def test_rules_may_be_a_function_of_the_number(echo: Echo) -> None:
    def rule(number: int) -> Rule:
        return {"c2s_cut": number}

    with FaultProxy("127.0.0.1", echo.port, rule) as proxy:
        for _ in range(3):
            exchange(proxy, QUESTION)
        wait_for("all to end", lambda: len(echo.endings) == 3)
    assert [bytes(received) for received in echo.received] == [b"", b"G", b"GE"]


def test_nobody_upstream_is_a_closed_connection() -> None:
    # Bound and not listening: nobody else, the proxy itself for one, can be given the port.
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        with FaultProxy("127.0.0.1", nobody.getsockname()[1]) as proxy:
            assert exchange(proxy, QUESTION) == b""


def test_leaving_ends_connections_that_are_still_open(echo: Echo) -> None:
    with FaultProxy("127.0.0.1", echo.port) as proxy:
        open_still = RawConnection(proxy.host, proxy.port)
        open_still.send(QUESTION)
        wait_for("the request", lambda: bool(echo.received and echo.received[0] == QUESTION))
    with open_still, suppress(ConnectionError):
        while open_still.socket.recv(65536):
            pass
    wait_for("the upstream side to end", lambda: len(echo.endings) == 1)


@pytest.mark.skipif(missing("gunicorn-gthread") is not None, reason="needs gunicorn")
def test_a_killed_worker_is_replaced_and_a_stopped_server_is_gone() -> None:
    app = "tests.servers.recording_app:app"
    with run_server("gunicorn-gthread", app, workers=2) as server:
        wait_for("both workers", lambda: len(server.worker_pids) == 2)
        before = set(server.pids)
        killed = server.kill_worker()
        wait_for("a new worker", lambda: len(set(server.pids) - {killed}) == 3)
        server.wait_ready()
        pids = before | set(server.pids)
    assert len(pids) == 4
    assert not any(os.path.exists(f"/proc/{pid}") for pid in pids)


@pytest.mark.skipif(missing("gunicorn-gthread") is not None, reason="needs gunicorn")
def test_a_server_that_cannot_start_says_why() -> None:
    with (
        pytest.raises(RuntimeError, match="no_such_module"),
        run_server("gunicorn-gthread", "no_such_module:app"),
    ):
        pass
