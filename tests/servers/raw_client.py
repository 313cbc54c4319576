"""Sends requests byte by byte over a plain socket, and ends them as a network may end them."""

from __future__ import annotations

import array
import fcntl
import http.client
import socket
import struct
import termios
import time
from collections.abc import Callable

SECONDS = 20.0
"""How long a test waits for something that must happen."""


def wait_for(what: str, condition: Callable[[], bool], seconds: float = SECONDS) -> None:
    """Returns as soon as `condition` holds; fails the test when it does not within `seconds`."""
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, f"waited {seconds} s in vain for {what}"
        time.sleep(0.001)


def head(method: str, target: str, *fields: str) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "Host: test", *fields, "", ""]
    return "\r\n".join(lines).encode()


class RawConnection:
    """One connection; as a context manager it is closed at the end."""

    def __init__(self, host: str, port: int) -> None:
        self.socket = socket.create_connection((host, port), timeout=SECONDS)

    def __enter__(self) -> RawConnection:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, content: bytes) -> None:
        """Returns when the peer's kernel has it all: a reset after that takes nothing back."""
        self.socket.sendall(content)
        wait_for("the peer's kernel", lambda: _unsent(self.socket) == 0)

    def end(self, how: str) -> None:
        """ "fin": a plain close; "rst": a reset."""
        if how == "rst":
            reset = struct.pack("ii", 1, 0)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        self.socket.close()

    def answer(self) -> tuple[int, bytes]:
        """The next answer's status and content; (0, b"") when the server closed instead."""
        response = http.client.HTTPResponse(self.socket)
        try:
            response.begin()
            return response.status, response.read()
        except (ConnectionError, http.client.HTTPException):
            return 0, b""
        finally:
            response.close()


def _unsent(connection: socket.socket) -> int:
    """Bytes that the other side has not confirmed (Linux: SIOCOUTQ)."""
    count = array.array("i", [0])
    fcntl.ioctl(connection, termios.TIOCOUTQ, count)
    return count[0]
