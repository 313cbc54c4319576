"""The app whose jobs are done, by whom the environment says; it writes down what it hears."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resumable import JobStatus, Processing, ResumableUploads
from resumable.processing import Outcome, Work

REDIS = os.environ.get("JOBS_REDIS", "")


@dataclass(frozen=True)
class Slow:
    """A step that says in a file that it has begun, waits for colleagues, and takes its time."""

    seconds: float
    name: str = "slow"
    share: float = 1.0
    of_result: bool = False

    def __call__(self, work: Work) -> Outcome:
        with open(os.environ["JOBS_BEGUN"], "a") as file:
            file.write(f"{os.getpid()}\n")
        while len(set(Path(os.environ["JOBS_BEGUN"]).read_text().split())) < int(
            os.environ.get("JOBS_CREW", "1")
        ):
            work.check_cancel()
            time.sleep(0.02)
        until = time.monotonic() + self.seconds
        while (left := until - time.monotonic()) > 0:
            work.check_cancel()
            work.report(1 - left / self.seconds, left)
            time.sleep(0.02)
        return Outcome()


def ended(status: JobStatus) -> None:
    with open(os.environ["JOBS_ENDED"], "a") as file:
        file.write(f"{status.job.id} {status.state.value} {status.attempt}\n")


def work(id: str) -> None:
    """What a task of Celery or RQ does."""
    app.uploads.work(id)


def run() -> Any:
    kind = os.environ.get("JOBS_RUN", "1")
    if kind == "celery":
        from resumable.jobs.celery import CeleryRunner

        return CeleryRunner(celery, work)
    if kind == "rq":
        import redis
        import rq

        from resumable.jobs.rq import RQRunner

        return RQRunner(rq.Queue(connection=redis.Redis.from_url(REDIS)), work)
    return int(kind)


if os.environ.get("JOBS_RUN") == "celery":
    from celery import Celery

    celery = Celery("tests.jobs.job_app", broker=REDIS)
    celery.conf.broker_connection_retry_on_startup = True

app = ResumableUploads(
    None,
    os.environ["JOBS_ROOT"],
    storage_options=json.loads(os.environ.get("JOBS_OPTIONS", "{}")),
    durability="process",
    listing=True,
    processing=Processing(
        run=run(),
        processors=(Slow(float(os.environ.get("JOBS_SLOW", "0"))),),
        ended=ended,
    ),
)
