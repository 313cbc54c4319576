"""Jobs in threads of the app's own processes, which begin with the first request of each."""

from __future__ import annotations

import atexit
import concurrent.futures.thread  # noqa: F401 - what ends first is what was registered last
import threading
import time
from collections.abc import Callable
from weakref import WeakSet

from resumable.forking import renew_after_fork
from resumable.interfaces import Store
from resumable.jobs.polling import Workplace
from resumable.jobs.queue import Jobs
from resumable.jobs.settings import Processing

# A process that ends waits this long for its jobs to be given back; after that they are taken.
_GIVING_BACK_SECONDS = 5.0
_running: WeakSet[JobThreads] = WeakSet()


def _give_back() -> None:
    """At the end of a process: nobody shall wait until a lease is over."""
    running, until = list(_running), time.monotonic() + _GIVING_BACK_SECONDS
    for one in running:
        one.close()
    for one in running:
        one.join(until)


# Forked children inherit it. When `atexit` comes, thread pools take no work any more, and the
# libraries of object stores need one.
getattr(threading, "_register_atexit", atexit.register)(_give_back)


class JobThreads:
    """Does jobs in as many threads as `processing.run` says, or hands them on and looks after them.

    `start` costs nothing once they run. A forked child has none until it is called there. When the
    process ends as it should, what is under way is given back.
    """

    def __init__(self, store: Store, jobs: Jobs, processing: Processing) -> None:
        self._store = store
        self._jobs = jobs
        self._processing = processing
        self._lock = threading.Lock()
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        self._lock = threading.Lock()
        self._started = False
        self._crew: list[threading.Thread] = []
        self._wake = threading.Event()
        self._workplace = Workplace(self._store, self._jobs, self._processing)

    def start(self) -> None:
        """Begin to look for jobs, if this process does not yet."""
        if self._started:
            return
        with self._lock:
            if not self._started:
                self._started = True
                self._begin()

    def _begin(self) -> None:
        run = self._processing.run
        hand_on: Callable[[str], object] | None = None if isinstance(run, int) else run
        for number in range(run if isinstance(run, int) else 1):
            thread = threading.Thread(
                target=self._workplace.keep_at_it,
                args=(self._wake, hand_on),
                name=f"resumable-jobs-{number}",
                daemon=True,
            )
            thread.start()
            self._crew.append(thread)
        _running.add(self)

    def wake(self) -> None:
        """There is a new job."""
        self.start()
        self._wake.set()

    def cancel(self, id: str) -> bool:
        """Call a job off; False where it has ended."""
        called_off = self._jobs.cancel(id)
        self._workplace.stop(id)
        return called_off

    def close(self) -> None:
        """Give back what is under way."""
        self._workplace.close()
        self._wake.set()

    def join(self, until: float) -> None:
        """Wait for what was given back, to a moment of the monotonic clock."""
        for thread in self._crew:
            thread.join(max(0.0, until - time.monotonic()))
