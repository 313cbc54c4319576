"""Where the engine asks for jobs: what is wished, by whom it is done, how far it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from resumable.errors import BadRequest
from resumable.interfaces import Store
from resumable.job import JobStatus
from resumable.jobs.polling import Workplace
from resumable.jobs.queue import Jobs
from resumable.jobs.scratch import scratch_home, sweep_scratch
from resumable.jobs.settings import Processing
from resumable.jobs.threads import JobThreads
from resumable.model import Finished

LONGEST_WAIT = 60.0
_LOOK_SECONDS = 0.25


class Desk:
    """One app's jobs. Nothing is begun before `start`."""

    def __init__(self, store: Store, processing: Processing, clock: Callable[[], float]) -> None:
        self.jobs = Jobs(store.small_files, clock=clock)
        self._store = store
        self._processing = processing
        self._threads = JobThreads(store, self.jobs, processing)

    def start(self) -> None:
        """Look for jobs in this process from now on."""
        self._threads.start()

    def workplace(self) -> Workplace:
        """A place to do jobs beside the app's own threads."""
        return Workplace(self._store, self.jobs, self._processing)

    def sweep(self) -> None:
        """Remove what workers of this machine have left that died."""
        sweep_scratch(scratch_home(self._processing.scratch))

    def wants(self, finished: Finished) -> bool:
        """Shall anything be made of it?

        What the app's rules wish for is not made of files that are no recordings.
        """
        if not finished.listed:
            return False
        try:
            asked = bool(self._processing.chain(finished.options))
        except BadRequest:
            # The job will say what is wrong.
            return True
        kind = finished.content_type.partition("/")[0]
        told = bool(finished.options or self._processing.processors)
        return asked and (told or kind in ("video", "audio"))

    def take(self, finished: Finished) -> None:
        """The job that follows from its upload; taken twice it is still one."""
        job = self.jobs.ask(finished, finished.options)
        self._hand_on(job.id)

    def again(self, finished: Finished, options: Mapping[str, Any]) -> JobStatus:
        """A new job. Raises BadRequest ("bad-options", "nothing-wished")."""
        if not self._processing.chain(options):
            raise BadRequest("These options wish for nothing.", code="nothing-wished")
        job = self.jobs.ask(finished, options, again=True)
        self._hand_on(job.id)
        status = self.jobs.status(job.id)
        assert status is not None
        return status

    def _hand_on(self, id: str) -> None:
        run = self._processing.run
        if not isinstance(run, int):
            run(id)
        self._threads.wake()

    def first(self, finished: Finished, wait: float = 0.0) -> JobStatus | None:
        """The job that followed from its upload, once it has ended or `wait` seconds are over."""
        status = next(self.jobs.of(finished), None)
        return None if status is None else self.waited(status, wait)

    def latest(self, finished: Iterable[Finished]) -> dict[str, JobStatus]:
        """The last job of each object that has one, by its token."""
        return self.jobs.latest([one.token for one in finished])

    def waited(self, status: JobStatus, wait: float) -> JobStatus:
        """The same job later: when it has ended, or after `wait` seconds."""
        until = time.monotonic() + min(wait, LONGEST_WAIT)
        while not status.state.ended and time.monotonic() < until:
            time.sleep(_LOOK_SECONDS)
            status = self.jobs.status(status.job.id) or status
        return status

    def cancel(self, id: str) -> bool:
        """Call a job off; False where it has ended."""
        return self._threads.cancel(id)
