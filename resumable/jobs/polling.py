"""Looks for jobs and does them: those that wait, and those whose worker gives no sign of life."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from resumable.errors import UploadError
from resumable.interfaces import Store
from resumable.job import JobStatus
from resumable.jobs.publishing import withdraw
from resumable.jobs.queue import Claim, Jobs, OpenJob
from resumable.jobs.scratch import scratch_home, sweep_scratch
from resumable.jobs.settings import Processing
from resumable.jobs.working import Attempt
from resumable.processing import find_program

LEASE_SECONDS = 8.0
POLL_SECONDS = 2.0
IDLE_SECONDS = 4.0
# Whoever does not hear of a job's end is told again after 2, 4, 8, ... seconds, for a day.
_TOLD_AGAIN_SECONDS = 300.0
_TOLD_FOR_SECONDS = 86_400.0
# A queue of somebody else's may have lost it, or be long: handed on again after 10, 20, 40, ...
_HANDED_ON_SECONDS = 10.0
_LONGEST_SECONDS = 600.0
_log = logging.getLogger("resumable")


class Lookout:
    """Tells attempts that go on from those whose worker is dead, by what changes, not by clocks."""

    def __init__(self, seconds: float = LEASE_SECONDS) -> None:
        self._seconds = seconds
        self._seen: dict[str, tuple[str, float]] = {}
        self._lock = threading.Lock()

    def is_silent(self, job: OpenJob) -> bool:
        """Has its attempt given no sign of life for as long as a lease lasts, as seen from here?"""
        now = time.monotonic()
        with self._lock:
            sign, since = self._seen.get(job.id, ("", now))
            if sign != job.sign_of_life:
                self._seen[job.id] = job.sign_of_life, now
                return False
            return now - since > self._seconds

    def forget_others(self, ids: set[str]) -> None:
        """Those that have ended meanwhile."""
        with self._lock:
            for id in self._seen.keys() - ids:
                del self._seen[id]


class Workplace:
    """One process's work on the jobs of a storage; any number of threads may share it."""

    def __init__(
        self, store: Store, jobs: Jobs, processing: Processing, lookout: Lookout | None = None
    ) -> None:
        self._store = store
        self._jobs = jobs
        self._processing = processing
        self._lookout = lookout or Lookout()
        self._attempts: dict[str, Attempt] = {}
        # For each attempt: when it may be handed on again, and how long it waits after that.
        self._handed_on: dict[tuple[str, int], tuple[float, float]] = {}
        # How often a job's end was told for nothing, and when it may be told again.
        self._unheard: dict[str, tuple[int, float]] = {}
        self._lock = threading.Lock()
        self._closed = False

    def check(self) -> None:
        """Raise ProgramMissing where nothing can be processed here."""
        find_program(self._processing.video.ffmpeg)

    # ------------------------------------------------------------ one job

    def work(self, id: str) -> bool:
        """Do this job now, if nobody else does; whether an attempt was made here."""
        known = next((one for one in self._jobs.open() if one.id == id), None)
        return known is not None and self._may_begin(known) and self._work(known)

    def _may_begin(self, known: OpenJob) -> bool:
        return known.attempt == 0 or known.set_back or self._lookout.is_silent(known)

    def _work(self, known: OpenJob) -> bool:
        claim = self._jobs.claim(known)
        if claim is None:
            self._tell(known)
            return False
        attempt = Attempt(self._store, self._processing, claim)
        with self._attempting(attempt, claim):
            attempt.run()
        self._tell(known)
        return True

    @contextmanager
    def _attempting(self, attempt: Attempt, claim: Claim) -> Iterator[None]:
        with self._lock:
            self._attempts[claim.job.id] = attempt
            if self._closed:
                attempt.heart.stop("returned")
        try:
            yield
        finally:
            with self._lock:
                del self._attempts[claim.job.id]

    def _tell(self, known: OpenJob) -> None:
        """Tell of a job's end, then close it: who dies in between is followed by another."""
        status = self._jobs.status(known.id)
        if status is None or status.ending is None:
            return
        current = next((one for one in self._jobs.open() if one.id == known.id), None)
        if current is None or not self._heard(status):
            return
        for number in range(1, current.attempt + 1):
            if number != status.attempt:
                # By a worker that was taken for dead.
                withdraw(self._store, status.job, number)
        self._jobs.close(current)

    def _heard(self, status: JobStatus) -> bool:
        if self._processing.ended is None:
            return True
        id = status.job.id
        with self._lock:
            times, due = self._unheard.get(id, (0, 0.0))
        if time.monotonic() < due:
            return False
        try:
            self._processing.ended(status)
        except Exception as error:
            return not self._tells_again(status, times + 1, error)
        with self._lock:
            self._unheard.pop(id, None)
        return True

    def _tells_again(self, status: JobStatus, times: int, error: Exception) -> bool:
        """Whether a hook that failed is to hear of this end once more."""
        id = status.job.id
        assert status.ending is not None
        gives_up = self._jobs.clock() - status.ending.ended > _TOLD_FOR_SECONDS
        rest = min(2.0 ** min(times, 16), _TOLD_AGAIN_SECONDS)
        with self._lock:
            if gives_up:
                self._unheard.pop(id, None)
            else:
                self._unheard[id] = times, time.monotonic() + rest
        _log.warning(
            "the hook for ended jobs did not hear of %s: %s",
            id[:6],
            "it is not told again" if gives_up else f"told again in {rest:.0f} seconds",
            exc_info=error,
        )
        return not gives_up

    # ------------------------------------------------------------ all jobs

    def round(self, hand_on: Callable[[str], object] | None = None) -> float:
        """One look at all jobs and work on the first that waits; seconds to rest until the next.

        With `hand_on` nothing is done here: whoever is given a job's id sees to it.
        """
        known = self._jobs.open()
        self._forget_others({job.id for job in known})
        for job in known:
            if self._closed:
                break
            if not self._may_begin(job):
                continue
            if hand_on is None:
                if self._work(job):
                    # No job waits while a worker rests.
                    return 0.0
            elif self._is_due(job):
                self._jobs.give_up(job)
                hand_on(job.id)
        return POLL_SECONDS if known else IDLE_SECONDS

    def _forget_others(self, ids: set[str]) -> None:
        """Those that have ended meanwhile."""
        self._lookout.forget_others(ids)
        with self._lock:
            for id in self._unheard.keys() - ids:
                del self._unheard[id]
            for key in [key for key in self._handed_on if key[0] not in ids]:
                del self._handed_on[key]

    def _is_due(self, job: OpenJob) -> bool:
        """Whoever has a new job is given time to begin; of one whose worker died nobody knows."""
        now, key = time.monotonic(), (job.id, job.attempt)
        with self._lock:
            due, rest = self._handed_on.get(key, (None, _HANDED_ON_SECONDS))
            if due is not None and now < due:
                return False
            self._handed_on[key] = now + rest, min(2 * rest, _LONGEST_SECONDS)
        return due is not None or job.attempt > 0

    def stop(self, id: str) -> None:
        """End the attempt at a job that was called off, if it is made here."""
        with self._lock:
            attempt = self._attempts.get(id)
        if attempt is not None:
            attempt.heart.stop("cancelled")

    def close(self) -> None:
        """Take no more jobs, and give those under way back to the others."""
        with self._lock:
            self._closed = True
            for attempt in self._attempts.values():
                attempt.heart.stop("returned")

    def keep_at_it(
        self, wake: threading.Event, hand_on: Callable[[str], object] | None = None
    ) -> None:
        """Rounds without end, until `close`; `wake` begins the next one at once."""
        sweep_scratch(scratch_home(self._processing.scratch))
        while not self._closed:
            try:
                rest = self.round(hand_on)
            except UploadError as error:
                _log.warning("the jobs cannot be read: %s", error.message)
                rest = IDLE_SECONDS
            except Exception:
                _log.exception("unexpected trouble with a job")
                rest = POLL_SECONDS
            if not self._closed:
                wake.wait(rest)
            if not self._closed:
                wake.clear()
