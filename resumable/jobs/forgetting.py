"""Removes all that was made of a finished object, before the object itself goes."""

from __future__ import annotations

from resumable.interfaces import Store
from resumable.jobs.publishing import remove_results
from resumable.jobs.queue import Jobs
from resumable.model import Finished


def forget_jobs(store: Store, jobs: Jobs, finished: Finished) -> None:
    """The last job first, so that those that are left are always found."""
    for status in reversed(list(jobs.of(finished))):
        if status.ending is not None:
            remove_results(store, status.ending.results)
        else:
            jobs.cancel(status.job.id)
        jobs.forget(status.job.id)
