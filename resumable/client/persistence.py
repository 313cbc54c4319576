"""Trying again: when, how long, and when to give up."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from resumable.client.errors import Stopped, Trouble, Unreachable
from resumable.client.model import Retry
from resumable.client.pace import Meter

T = TypeVar("T")


class Persistence:
    """Counts one thread's failures in a row against what `retry` allows.

    The patience is that of the whole file: while another thread's bytes arrive, it is not used up.
    """

    def __init__(self, retry: Retry, meter: Meter, stop: threading.Event) -> None:
        self._retry = retry
        self._meter = meter
        self._stop = stop
        self._failures = 0
        self._since = time.monotonic()

    def progress(self) -> None:
        """Something worked."""
        self._failures = 0
        self._since = time.monotonic()

    def failed(self, trouble: Trouble) -> None:
        """Wait until it makes sense to try again; raise `Unreachable` when it no longer does."""
        if self._stop.is_set():
            raise Stopped(0, None)
        self._failures += 1
        wait = trouble.wait + random.uniform(0, self._retry.longest_wait(self._failures))
        waited = time.monotonic() - max(self._since, self._meter.moved_at)
        if trouble.answered and self._failures >= self._retry.attempts:
            raise Unreachable(f"{trouble.sentence} That was try {self._failures}.")
        if waited + wait > self._retry.patience:
            raise Unreachable(f"{trouble.sentence} No byte moved for {waited:.0f} seconds.")
        self._meter.note(f"{trouble.sentence} Trying again in {wait:.0f} s.")
        if self._stop.wait(wait):
            raise Stopped(0, None)

    def insist(self, request: Callable[[], T]) -> T:
        """The outcome of `request`, as often as it takes."""
        while True:
            try:
                outcome = request()
            except Trouble as trouble:
                self.failed(trouble)
            else:
                self.progress()
                return outcome
