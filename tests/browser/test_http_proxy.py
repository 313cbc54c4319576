"""What the proxy does to requests that are shorter than what is to become of them."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator

import pytest

from tests.browser.http_proxy import Action, Cut, Hold, HttpProxy

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Listener:
    """A server that answers each request when its body is whole, and keeps what came."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.place: tuple[str, int] = self._listener.getsockname()
        threading.Thread(target=self._run, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as stream:
                head = b"".join(iter(stream.readline, b"\r\n")).lower()
                _, _, rest = head.partition(b"content-length: ")
                length = int(rest.partition(b"\r\n")[0] or 0)
                body = stream.read(length)
                self.bodies.append(body)
                if len(body) == length:
                    connection.sendall(ANSWER)


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.close()


@pytest.fixture
def proxy(listener: Listener) -> Iterator[HttpProxy]:
    proxy = HttpProxy(listener.place)
    yield proxy
    proxy.close()


def put(proxy: HttpProxy, body: bytes, action: Action) -> int | None:
    """The status of the answer; None when there was none."""
    proxy.rule = lambda exchange: action
    connection = http.client.HTTPConnection(proxy.url.removeprefix("http://"), timeout=30)
    connection.request("PUT", "/upload-chunk", body)
    try:
        return connection.getresponse().status
    except (http.client.HTTPException, OSError):
        return None
    finally:
        connection.close()


@pytest.mark.parametrize(("body", "arrived"), [(b"\x1a", [b""]), (b"four", [b"fou"]), (b"", [])])
def test_a_short_body_is_cut_before_its_end(
    proxy: HttpProxy, listener: Listener, body: bytes, arrived: list[bytes]
) -> None:
    assert put(proxy, body, Cut(after=10)) is None
    assert listener.bodies == arrived


@pytest.mark.parametrize("body", [b"\x1a", b"four", b""])
def test_a_short_body_is_held_before_its_end(
    proxy: HttpProxy, listener: Listener, body: bytes
) -> None:
    hold = Hold(after=10)
    statuses: list[int | None] = []
    sending = threading.Thread(target=lambda: statuses.append(put(proxy, body, hold)))
    sending.start()
    hold.wait()
    assert listener.bodies == []
    hold.release()
    sending.join()
    assert statuses == [200]
    assert listener.bodies == [body]


def test_what_nobody_lets_go_is_dropped(
    proxy: HttpProxy, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.browser.http_proxy.PATIENCE", 0.05)
    assert put(proxy, b"four", Hold(after=2)) is None
    assert listener.bodies == [b"fo"]
