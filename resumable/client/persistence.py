"""Trying again: when, how long, and when to give up."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from resumable.client.errors import Stopped, Trouble, Unreachable
from resumable.client.halt import Halt
from resumable.client.model import Retry
from resumable.client.pace import Meter

_LOOK_SECONDS = 0.1
T = TypeVar("T")


class Persistence:
    """Counts one thread's failures in a row against what `retry` allows.

    The patience is that of the whole file: while another thread's bytes move, it is not used up.
    """

    def __init__(self, retry: Retry, meter: Meter, halt: Halt) -> None:
        self._retry = retry
        self._meter = meter
        self._halt = halt
        self.progress()

    def progress(self) -> None:
        """Something worked."""
        self._failures = 0
        self._answered = 0
        self._since: float | None = None

    def failed(self, trouble: Trouble) -> None:
        """Wait until it makes sense to try again; raise `Unreachable` when it no longer does."""
        if self._halt.is_set():
            raise Stopped(0, None)
        now = time.monotonic()
        self._failures += 1
        # A server that is being restarted refuses connections first: that is no answer.
        self._answered = self._answered + 1 if trouble.answered else 0
        self._since = now if self._since is None else self._since
        waited = now - max(self._since, self._meter.moved_at)
        if self._answered >= self._retry.attempts:
            raise Unreachable(f"{trouble.sentence} That was try {self._answered}.")
        if waited >= self._retry.patience:
            raise Unreachable(f"{trouble.sentence} Nothing moved for {waited:.0f} seconds.")
        self._rest(trouble, self._retry.patience - waited)

    def _rest(self, trouble: Trouble, left: float) -> None:
        wait = trouble.wait + random.uniform(0, self._retry.longest_wait(self._failures))
        wait = min(wait, left)
        self._meter.note(f"{trouble.sentence} Trying again in {wait:.0f} s.")
        if self._halt.wait(wait):
            raise Stopped(0, None)

    def insist(self, request: Callable[[], T]) -> T:
        """The outcome of `request`, as often as it takes."""
        while True:
            try:
                outcome = apart(request, self._halt)
            except Trouble as trouble:
                self.failed(trouble)
            else:
                self.progress()
                return outcome


def apart(request: Callable[[], T], halt: Halt) -> T:
    """The outcome of `request`; raises `Stopped` as soon as `halt` is set.

    What waits for an answer that does not come is left behind in its thread.
    """
    outcomes: list[T] = []
    errors: list[BaseException] = []
    done = threading.Event()

    def run() -> None:
        try:
            outcomes.append(request())
        except BaseException as error:
            errors.append(error)
        finally:
            done.set()

    threading.Thread(target=run, name="resumable-client", daemon=True).start()
    while not done.wait(_LOOK_SECONDS):
        if halt.is_set():
            raise Stopped(0, None)
    if errors:
        raise errors[0]
    return outcomes[0]
