"""Threads that run one at a time and take turns where a plan says: a race that can be repeated."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence


class Baton:
    """Hands the turn from one task to the next after the planned numbers of steps.

    `plan` says after how many steps of the running task the next one runs; when it is used up, a
    task runs to its end. A task calls `step` before everything that others could see, and `wait`
    when it cannot go on until another one has.
    """

    def __init__(self, plan: Sequence[int] = ()) -> None:
        self.switches = 0
        self._plan = list(plan)
        self._left = self._next_count()
        self._turn = threading.Condition()
        self._running: int | None = None
        self._alive: list[int] = []
        self._waits = 0
        self._names: dict[int, int] = {}

    def run(self, *tasks: Callable[[], object]) -> list[BaseException | None]:
        """Run all to their end; what each raised."""
        raised: list[BaseException | None] = [None] * len(tasks)
        self._alive = list(range(len(tasks)))
        self._running = 0
        threads = [
            threading.Thread(target=self._perform, args=(number, task, raised), daemon=True)
            for number, task in enumerate(tasks)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return raised

    def _perform(
        self, number: int, task: Callable[[], object], raised: list[BaseException | None]
    ) -> None:
        self._names[threading.get_ident()] = number
        try:
            with self._turn:
                self._turn.wait_for(lambda: self._running == number)
            task()
        except BaseException as error:
            raised[number] = error
        finally:
            with self._turn:
                self._hand_on()
                self._alive.remove(number)
                if not self._alive:
                    self._running = None
                self._turn.notify_all()

    def step(self) -> None:
        """Something happens that others can see; before it the turn may pass."""
        number = self._names.get(threading.get_ident())
        if number is None:
            return
        self._waits = 0
        if self._left == 0:
            self._left = self._next_count()
            self._pass(number)
        self._left -= 1

    def wait(self) -> None:
        """Let the others run until something has changed."""
        number = self._names.get(threading.get_ident())
        self._waits += 1
        if number is None or self._waits > 3 * len(self._alive) + 3:
            raise AssertionError("Everybody waits for a lock that nobody gives back.")
        self._pass(number)

    def lock(self) -> TurnLock:
        """A lock whose holder may lose the turn while the others wait for it."""
        return TurnLock(self)

    def _pass(self, number: int) -> None:
        with self._turn:
            self._hand_on()
            self._turn.notify_all()
            self._turn.wait_for(lambda: self._running == number)

    def _hand_on(self) -> None:
        self.switches += 1
        at = self._alive.index(self._running) if self._running in self._alive else 0
        self._running = self._alive[(at + 1) % len(self._alive)]

    def _next_count(self) -> int:
        return self._plan.pop(0) if self._plan else -1


class TurnLock:
    """What `threading.Lock` is, for tasks of which only one runs at a time."""

    def __init__(self, baton: Baton) -> None:
        self._baton = baton
        self._held = False

    def __enter__(self) -> bool:
        self._baton.step()
        while self._held:
            self._baton.wait()
        self._held = True
        return True

    def __exit__(self, *error: object) -> None:
        self._held = False
