"""Which storage requests shall go wrong and how, and how many of each kind came."""

from __future__ import annotations

import re
import threading
from collections import Counter
from dataclasses import dataclass
from typing import Literal

Kind = Literal["lost", "denied", "error", "slow-down", "reset", "delay"]

INTERNAL = (500, "InternalError", "We encountered an internal error. Please try again.")
ERRORS: dict[str, tuple[int, str, str]] = {
    "denied": INTERNAL,
    "error": INTERNAL,
    "slow-down": (503, "SlowDown", "Please reduce your request rate."),
}


@dataclass(frozen=True)
class Fault:
    """What happens to the `nth` request (from 1; `None`: to each) that fits all of the rest.

    `method` and `target` are patterns: the whole method, any piece of path?query. `operation` is a
    name of `tests.storage.operations`.
    """

    kind: Kind
    method: str = ".*"
    target: str = ""
    operation: str | None = None
    nth: int | None = 1
    seconds: float = 0.0

    def fits(self, method: str, target: str, operation: str) -> bool:
        return (
            self.operation in (None, operation)
            and re.fullmatch(self.method, method) is not None
            and re.search(self.target, target) is not None
        )


class _Brought:
    """A fault and how many requests fitted it so far."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.seen = 0

    def strikes(self, method: str, target: str, operation: str) -> bool:
        if not self.fault.fits(method, target, operation):
            return False
        self.seen += 1
        return self.fault.nth in (None, self.seen)


class Faults:
    """What was brought, what struck and what was counted; any thread may ask."""

    def __init__(self) -> None:
        self.spoiled: list[tuple[Kind, str]] = []
        self._guard = threading.Lock()
        self._calls: Counter[str] = Counter()
        self._brought: list[_Brought] = []

    def bring(self, *faults: Fault) -> None:
        with self._guard:
            self._brought += [_Brought(fault) for fault in faults]

    def clear(self) -> None:
        with self._guard:
            self._brought.clear()

    def take(self) -> Counter[str]:
        with self._guard:
            calls, self._calls = self._calls, Counter()
            return calls

    def judge(self, method: str, target: str, operation: str) -> Fault | None:
        """Counts the request; what shall happen to it."""
        with self._guard:
            self._calls[operation] += 1
            struck = [each for each in self._brought if each.strikes(method, target, operation)]
            if not struck:
                return None
            self.spoiled.append((struck[0].fault.kind, operation))
            return struck[0].fault


def error_answer(kind: Kind, scheme: str) -> bytes:
    """A whole answer in the words of the storage that `scheme` stands for."""
    status, code, message = ERRORS[kind]
    if scheme == "gs":
        content = f'{{"error": {{"code": {status}, "message": "{message}"}}}}'
        media = "application/json"
    else:
        content = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
        media = "application/xml"
    head = f"HTTP/1.1 {status} {code}\r\nContent-Type: {media}\r\n"
    return f"{head}Content-Length: {len(content)}\r\n\r\n{content}".encode()
