"""Every way in which an upload can end otherwise than with a URL.

ClientError
├── Refused       the server said no, and would say so again
├── Unreachable   nobody answered for too long, or only with failures
├── Stopped       the caller asked for it; what was acknowledged stays
├── Changed       the file is not what it was when its upload began
├── InUse         another process uploads the same file to the same place
├── Trouble       passes by itself; a caller never sees it
└── Forgotten     the server no longer knows the upload
"""

from __future__ import annotations


class ClientError(Exception):
    """What went wrong, in a sentence for a person."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class Refused(ClientError):
    """The server said no. `status` is HTTP's (0: there was none), `code` the server's own word."""

    def __init__(self, sentence: str, *, status: int = 0, code: str = "") -> None:
        super().__init__(sentence)
        self.status = status
        self.code = code


class Unreachable(ClientError):
    """Tried often and long enough, see `Retry`."""


class Stopped(ClientError):
    """`acknowledged` of `length` bytes (None: unknown) are safe on the server."""

    def __init__(self, acknowledged: int, length: int | None) -> None:
        super().__init__(f"Stopped with {acknowledged:,} bytes on the server.")
        self.acknowledged = acknowledged
        self.length = length


class Changed(ClientError):
    """Somebody wrote to the file while it was sent."""


class InUse(ClientError):
    """Only one process at a time sends a file to an address."""


class Trouble(ClientError):
    """Worth another try, in `wait` seconds at least. `answered`: a server was there and failed."""

    def __init__(self, sentence: str, *, wait: float = 0.0, answered: bool = False) -> None:
        super().__init__(sentence)
        self.wait = wait
        self.answered = answered


class Forgotten(ClientError):
    """404 or 410 for an upload that was begun: it expired, was deleted, or never was."""
