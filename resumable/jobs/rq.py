"""Hands jobs to RQ: its queue carries an id, all else stays in the storage."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class RQRunner:
    """`Processing(run=RQRunner(queue, "myapp.work"))`; needs `wsgi-resumable[rq]`.

    `work` is a function that an RQ worker can import, or its dotted name; it is called with a job's
    id and does `middleware.uploads.work(id)`. `options` go to `enqueue` (`job_timeout`, …; without
    one a job may take as long as the processing's own limits let it).
    """

    def __init__(self, queue: Any, work: str | Callable[[str], object], **options: Any) -> None:
        self._queue = queue
        self._work = work
        self._options = {"job_timeout": -1, "result_ttl": 0, **options}

    def __call__(self, id: str) -> None:
        self._queue.enqueue(self._work, id, **self._options)
