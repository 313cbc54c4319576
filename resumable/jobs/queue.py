"""The jobs of one storage: asked for once, claimed by one worker at a time, ended once."""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from resumable.identity import job_id
from resumable.interfaces import SmallFile, SmallFiles
from resumable.job import Beat, Ending, Job, JobState, JobStatus, Setback
from resumable.model import Finished

OPEN, ENDED = "jobs", "results"
MOST_ATTEMPTS = 5
# What each attempt leaves in the folder of open jobs: `<job>.<kind>-<attempt>`.
_JOB, _TRY, _BEAT, _SETBACK, _CANCEL = "job", "try", "beat", "setback", "cancel"


@dataclass(slots=True)
class OpenJob:
    """What a listing shows of one job that has not ended, the files by their kind."""

    id: str
    files: dict[str, SmallFile] = field(default_factory=dict)

    @property
    def attempt(self) -> int:
        """The latest one; 0: none has begun."""
        tries = (int(kind[len(_TRY) + 1 :]) for kind in self.files if kind.startswith(_TRY + "-"))
        return max(tries, default=0)

    @property
    def since(self) -> float:
        """When it was asked for, by the storage's clock."""
        return self.files[_JOB].modified if _JOB in self.files else 0.0

    @property
    def set_back(self) -> bool:
        """Whether its latest attempt is over."""
        return f"{_SETBACK}-{self.attempt}" in self.files

    @property
    def beat(self) -> str:
        """The file that says how far its latest attempt is; empty where none has said so."""
        kind = f"{_BEAT}-{self.attempt}"
        return f"{self.id}.{kind}" if kind in self.files else ""

    @property
    def sign_of_life(self) -> str:
        """What changes as long as its latest attempt goes on."""
        number = self.attempt
        beat = self.files.get(f"{_BEAT}-{number}") or self.files.get(f"{_TRY}-{number}")
        return "" if beat is None else beat.version


def _last(original: str, known: Set[str]) -> str | None:
    """The id of the last job of a finished object, of those that are known."""
    last = None
    for number in count():
        id = job_id(original, number)
        if id not in known:
            break
        last = id
    return last


def _status(ending: bytes) -> JobStatus:
    told = Ending.from_bytes(ending)
    done = 1.0 if told.state is JobState.DONE else 0.0
    return JobStatus(told.job, told.state, told.attempt, done, None, told)


def _open_status(job: Job, known: OpenJob, beat: bytes | None) -> JobStatus:
    if known.attempt == 0 or known.set_back:
        return JobStatus(job, JobState.QUEUED, known.attempt)
    said = Beat("", 0) if beat is None else Beat.from_bytes(beat)
    return JobStatus(job, JobState.RUNNING, known.attempt, said.progress, said.seconds_left)


class Jobs:
    """Jobs by id. `clock` gives seconds since the epoch; `worker` names this process."""

    def __init__(
        self,
        files: SmallFiles,
        *,
        clock: Callable[[], float] = time.time,
        worker: str | None = None,
    ) -> None:
        self.files = files
        self.clock = clock
        self._worker = worker

    @property
    def worker(self) -> str:
        """This process, for people who look for it; a fork is another one."""
        return self._worker or f"{socket.gethostname()}/{os.getpid()}"

    # ------------------------------------------------------------ asking

    def ask(self, finished: Finished, options: Mapping[str, Any], *, again: bool = False) -> Job:
        """The first job of a finished object, begun unless it was before; `again`: a new one."""
        for number in count():
            job = Job(
                job_id(finished.token, number),
                finished.token,
                finished.owner,
                dict(options),
                self.clock(),
            )
            known = self._ended(job.id)
            if known is None and self.files.create(OPEN, f"{job.id}.{_JOB}", job.to_bytes()):
                return job
            if not again:
                return known.job if known else self._open(job.id) or job
        raise AssertionError("numbers do not end")

    def of(self, finished: Finished) -> Iterator[JobStatus]:
        """All jobs of a finished object, the first one first."""
        for number in count():
            status = self.status(job_id(finished.token, number))
            if status is None:
                return
            yield status

    def latest(self, originals: Iterable[str]) -> dict[str, JobStatus]:
        """The last job of each finished object that has one, by the object's token.

        Two listings, and all files in two further looks, however many there are.
        """
        # In this order: what ends in between is still found.
        going_on = {one.id: one for one in self.open()}
        ended = {file.name for file in self.files.listed(ENDED)}
        last = {token: id for token in originals if (id := _last(token, going_on.keys() | ended))}
        ids = ended.intersection(last.values())
        found = {id: _status(data) for id, data in self.files.read_all(ENDED, ids).items()}
        found |= self._going_on([going_on[id] for id in last.values() if id not in ended])
        return {token: found[id] for token, id in last.items() if id in found}

    def _going_on(self, known: Sequence[OpenJob]) -> dict[str, JobStatus]:
        jobs = self.files.read_all(OPEN, [f"{one.id}.{_JOB}" for one in known])
        beats = self.files.read_all(OPEN, [one.beat for one in known if one.beat])
        found = {}
        for one in known:
            job = jobs.get(f"{one.id}.{_JOB}")
            if job is not None:
                found[one.id] = _open_status(Job.from_bytes(job), one, beats.get(one.beat))
        return found

    def status(self, id: str) -> JobStatus | None:
        """What is known of a job."""
        data = self.files.read(ENDED, id)
        if data is None:
            job = self._open(id)
            if job is not None:
                return self._open_status(job)
            # It may have ended between the two looks.
            data = self.files.read(ENDED, id)
        return None if data is None else _status(data)

    def _open_status(self, job: Job) -> JobStatus:
        known = next((one for one in self.open() if one.id == job.id), OpenJob(job.id))
        beat = self.files.read(OPEN, known.beat) if known.beat else None
        return _open_status(job, known, beat)

    def _ended(self, id: str) -> Ending | None:
        data = self.files.read(ENDED, id)
        return None if data is None else Ending.from_bytes(data)

    def _open(self, id: str) -> Job | None:
        data = self.files.read(OPEN, f"{id}.{_JOB}")
        return None if data is None else Job.from_bytes(data)

    # ------------------------------------------------------------ the workers' view

    def open(self) -> list[OpenJob]:
        """Every job that has not ended, or whose end is not tidied up yet; the oldest first."""
        found: dict[str, OpenJob] = {}
        for file in self.files.listed(OPEN):
            id, _, kind = file.name.partition(".")
            found.setdefault(id, OpenJob(id)).files[kind] = file
        return sorted(found.values(), key=lambda one: one.since)

    def claim(self, known: OpenJob) -> Claim | None:
        """The next attempt, for this worker alone; None where another has it, or none may begin."""
        job, ending = self._open(known.id), self._ended(known.id)
        if ending is not None:
            return None
        if job is None:
            self.close(known)
            return None
        setbacks = self._setbacks(known)
        if known.set_back and setbacks[known.attempt].until > self.clock():
            return None
        counted = known.attempt - sum(not one.counts for one in setbacks.values())
        number = known.attempt + 1
        claim = Claim(self, job, number, f"{self.worker} {secrets.token_hex(8)}")
        if _CANCEL in known.files:
            claim.cancelled()
            return None
        if counted >= MOST_ATTEMPTS:
            last = setbacks.get(known.attempt)
            claim.end(
                JobState.FAILED,
                error=last.message if last else "The processing was interrupted too often.",
                code=last.code if last else "unfinished",
                log=last.log if last else "",
            )
            return None
        beat = Beat(claim.worker, 0).to_bytes()
        return claim if self.files.create(OPEN, f"{job.id}.{_TRY}-{number}", beat) else None

    def _setbacks(self, known: OpenJob) -> dict[int, Setback]:
        numbers = [kind for kind in known.files if kind.startswith(_SETBACK)]
        found: dict[int, Setback] = defaultdict(lambda: Setback("", "", "unfinished", 0))
        for kind in numbers:
            data = self.files.read(OPEN, f"{known.id}.{kind}")
            if data is not None:
                found[int(kind[len(_SETBACK) + 1 :])] = Setback.from_bytes(data)
        return found

    def give_up(self, known: OpenJob) -> None:
        """Write down that an attempt is over whose worker cannot do so any more."""
        if known.attempt and not known.set_back:
            setback = Setback(
                f"{self.worker} {secrets.token_hex(8)}",
                "The worker gave no sign of life.",
                "unfinished",
                self.clock(),
            )
            name = f"{known.id}.{_SETBACK}-{known.attempt}"
            self.files.create(OPEN, name, setback.to_bytes())

    def cancel(self, id: str) -> bool:
        """Call it off: at once where nobody is at work on it; False where it has ended."""
        job = self._open(id)
        if job is None or self._ended(id) is not None:
            return False
        self.files.create(OPEN, f"{id}.{_CANCEL}", secrets.token_bytes(8))
        status = self._open_status(job)
        if status.state is JobState.QUEUED:
            claim = Claim(self, job, status.attempt + 1, f"{self.worker} {secrets.token_hex(8)}")
            claim.cancelled()
        return True

    def close(self, known: OpenJob) -> None:
        """Remove what a job that has ended has left among the open ones."""
        self.files.remove(OPEN, [f"{known.id}.{kind}" for kind in known.files])

    def forget(self, id: str) -> None:
        """Remove all that is known of a job."""
        for known in self.open():
            if known.id == id:
                self.close(known)
        self.files.remove(ENDED, [id])


@dataclass(frozen=True)
class Claim:
    """One attempt, while it is this worker's. `worker` differs for each attempt."""

    jobs: Jobs
    job: Job
    attempt: int
    worker: str

    def beat(self, number: int, progress: float, seconds_left: float | None) -> str | None:
        """A sign of life. Why to stop, if there is a reason: "cancelled", or "lost" to another."""
        beat = Beat(self.worker, number, round(progress, 4), seconds_left)
        self.jobs.files.write(OPEN, f"{self.job.id}.{_BEAT}-{self.attempt}", beat.to_bytes())
        known = next((one for one in self.jobs.open() if one.id == self.job.id), None)
        if known is not None and _JOB not in known.files:
            # Forgotten meanwhile, with its recording: this very sign must not stay.
            self.jobs.close(known)
            return "lost"
        if known is None or known.attempt != self.attempt or known.set_back:
            return "lost"
        return "cancelled" if _CANCEL in known.files else None

    def set_back(
        self, message: str, code: str, *, after: float = 0.0, log: str = "", counts: bool = True
    ) -> None:
        """This attempt is over, and another may begin `after` so many seconds."""
        until = self.jobs.clock() + after
        setback = Setback(self.worker, message, code, until, log, counts)
        name = f"{self.job.id}.{_SETBACK}-{self.attempt}"
        self.jobs.files.create(OPEN, name, setback.to_bytes())

    def cancelled(self) -> bool:
        return self.end(
            JobState.CANCELLED, error="The processing was called off.", code="cancelled"
        )

    def end(self, state: JobState, **told: Any) -> bool:
        """End the job; False where another attempt was first. What is open of it is closed later,
        by whoever has told of the end."""
        ending = Ending(self.job, state, self.attempt, self.worker, self.jobs.clock(), **told)
        return self.jobs.files.create(ENDED, self.job.id, ending.to_bytes())
