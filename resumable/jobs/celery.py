"""Hands jobs to Celery: its queue carries an id, all else stays in the storage."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class CeleryRunner:
    """`Processing(run=CeleryRunner(celery, work))`; needs `wsgi-resumable[celery]`.

    `work` is called in a Celery worker with a job's id: `lambda id: middleware.uploads.work(id)`.
    `options` go to `apply_async` (queue, priority, …). A task whose worker dies is handed on again
    by the app's processes, so nothing depends on the broker's own redelivery.
    """

    def __init__(
        self,
        celery: Any,
        work: Callable[[str], object],
        *,
        name: str = "resumable.work",
        **options: Any,
    ) -> None:
        self._options = options

        @celery.task(name=name, ignore_result=True, acks_late=False)  # type: ignore[untyped-decorator]
        def task(id: str) -> None:
            work(id)

        self._task = task

    def __call__(self, id: str) -> None:
        self._task.apply_async((id,), **self._options)
