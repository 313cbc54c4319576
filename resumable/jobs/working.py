"""One attempt at one job: the recording at hand, signs of life, the steps, the results."""

from __future__ import annotations

import logging
import shutil
import threading
from contextlib import AbstractContextManager, closing
from pathlib import Path

from resumable.errors import BadRequest, UploadError
from resumable.interfaces import OnDisk, Store
from resumable.job import JobState
from resumable.jobs.publishing import publish, withdraw
from resumable.jobs.queue import Claim
from resumable.jobs.scratch import scratch_folder, scratch_home
from resumable.jobs.settings import Processing
from resumable.model import Finished
from resumable.processing import (
    Cancelled,
    Outcome,
    ProcessingFailed,
    Refused,
    Unfinished,
    Work,
)

BEAT_SECONDS = 2.0
_AGAIN_SECONDS = 5.0
_LOG = 4000
_log = logging.getLogger("resumable")


class Heart:
    """Gives signs of life while an attempt goes on, and hears in return that it shall stop."""

    def __init__(self, claim: Claim, seconds: float = BEAT_SECONDS) -> None:
        self.cancel = threading.Event()
        self.reason: str | None = None
        self._claim = claim
        self._seconds = seconds
        self._progress: tuple[float, float | None] = (0.0, None)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="resumable-heart", daemon=True)

    def report(self, progress: float, seconds_left: float | None) -> None:
        """How far the work is; see `processing.Report`."""
        self._progress = progress, seconds_left

    def stop(self, reason: str) -> None:
        """End the work, and its child with it."""
        self.reason = self.reason or reason
        self.cancel.set()

    def __enter__(self) -> Heart:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _beat(self) -> None:
        number = 0
        # The first progress is to be seen soon.
        while not self._stopped.wait(min(0.5, self._seconds) if number < 2 else self._seconds):
            number += 1
            try:
                reason = self._claim.beat(number, *self._progress)
            except UploadError:
                _log.warning("a sign of life of job %s could not be stored", self._claim.job.id[:6])
                continue
            if reason is not None:
                self.stop(reason)


class Attempt:
    """Does what a claim stands for. `stop` ends it from another thread."""

    def __init__(self, store: Store, processing: Processing, claim: Claim) -> None:
        self._store = store
        self._processing = processing
        self._claim = claim
        self.heart = Heart(claim)

    def run(self) -> None:
        """To its end, whatever that is; it is written down when this returns."""
        claim, job = self._claim, self._claim.job
        for number in range(1, claim.attempt):
            withdraw(self._store, job, number)
        with self.heart:
            try:
                told = self._made()
            except ProcessingFailed as error:
                self._failed(error)
            except UploadError as error:
                self._failed(Unfinished(error.message))
            except Exception:
                _log.exception("job %s failed unexpectedly", job.id)
                self._failed(Unfinished("Something went wrong here; it has been logged."))
            else:
                if not claim.end(JobState.DONE, **told):
                    withdraw(self._store, job, claim.attempt)

    def _made(self) -> dict[str, object]:
        original = self._store.find(self._claim.job.original)
        if original is None:
            raise ProcessingFailed("The recording is not there any more.")
        try:
            chain = self._processing.chain(self._claim.job.options)
        except BadRequest as error:
            raise Refused(error.message) from error
        with self._folder() as folder:
            work = Work(
                self._source(original, folder),
                folder,
                self._processing.wishes(self._claim.job.options),
                self._processing.video,
                self.heart.report,
                self.heart.cancel,
            )
            outcome: Outcome = chain(work)
            self._check_stopped()
            made = publish(self._store, self._claim, original, outcome.results)
        self._check_stopped()
        return {"results": tuple(made), "facts": dict(outcome.facts), "notes": outcome.notes}

    def _check_stopped(self) -> None:
        if self.heart.reason is not None:
            raise Cancelled()

    def _failed(self, error: ProcessingFailed) -> None:
        """Written down, unless somebody else has the job by now."""
        claim, reason = self._claim, self.heart.reason
        withdraw(self._store, claim.job, claim.attempt)
        if reason == "cancelled":
            claim.cancelled()
        elif reason == "returned":
            claim.set_back("The worker was stopped.", "unfinished", counts=False)
        elif reason == "lost":
            _log.warning("job %s was taken over by another worker", claim.job.id[:6])
        elif error.again:
            after = _AGAIN_SECONDS * claim.attempt
            claim.set_back(error.message, error.code, after=after, log=error.log[-_LOG:])
        else:
            claim.end(JobState.FAILED, error=error.message, code=error.code, log=error.log[-_LOG:])

    # ------------------------------------------------------------ files

    def _folder(self) -> AbstractContextManager[Path]:
        name = f"{self._claim.job.id}-{self._claim.attempt}"
        return scratch_folder(scratch_home(self._processing.scratch), name)

    def _source(self, original: Finished, folder: Path) -> Path:
        """The recording as a local file. Raises Unfinished where there is no room for it."""
        remote = not isinstance(self._store, OnDisk)
        needed = self._processing.scratch_space + (original.size if remote else 0)
        if shutil.disk_usage(folder).free < needed:
            raise Unfinished("There is too little room for working files on this machine.")
        if isinstance(self._store, OnDisk):
            return self._store.path(original)
        source = folder / "source"
        with (
            closing(self._store.read(original, 0, original.size)) as stored,
            source.open("wb") as file,
        ):
            for piece in stored:
                self._check_stopped()
                file.write(piece)
        return source
