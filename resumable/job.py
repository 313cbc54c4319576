"""What is written down of a job: who asked for what, how far it is, how it ended."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import Enum
from typing import Any, Self
from urllib.parse import quote


class JobState(Enum):
    """Where a job stands; the last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        return self in (JobState.DONE, JobState.FAILED, JobState.CANCELLED)


@dataclass(frozen=True, slots=True)
class _Written:
    """Values that are stored as JSON; what a newer version may have added is passed over."""

    def to_bytes(self) -> bytes:
        return json.dumps(_plain(asdict(self)), separators=(",", ":")).encode("ascii")

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        known = {one.name for one in fields(cls)}
        return cls(**{name: value for name, value in json.loads(data).items() if name in known})


@dataclass(frozen=True, slots=True)
class Job(_Written):
    """What is fixed when somebody asks for it. `created` in seconds since the epoch.

    `original` is the token of the finished object, `options` are the wishes as they were sent.
    """

    id: str
    original: str
    owner: str | None
    options: Mapping[str, Any]
    created: float


@dataclass(frozen=True, slots=True)
class Beat(_Written):
    """A sign of life of an attempt: how much is done (0 to 1), and what is left, in seconds."""

    worker: str
    number: int
    progress: float = 0.0
    seconds_left: float | None = None


@dataclass(frozen=True, slots=True)
class Setback(_Written):
    """The end of an attempt that is no end of the job: another may begin after the moment `until`.

    `counts` says whether it is one of the few that a job may have.
    """

    worker: str
    message: str
    code: str
    until: float
    log: str = ""
    counts: bool = True


@dataclass(frozen=True, slots=True)
class Made:
    """One finished object that a job made, by its token. `size` in bytes."""

    token: str
    role: str
    filename: str
    size: int
    content_type: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """Where it is downloaded, below the prefix."""
        return f"/recordings/{self.token}/{quote(self.filename, safe='')}"


@dataclass(frozen=True, slots=True)
class Ending(_Written):
    """How a job ended, once and for all. `ended` in seconds since the epoch.

    `error` is a sentence for whoever sent the recording, `log` is for the operator.
    """

    job: Job
    state: JobState
    attempt: int
    worker: str
    ended: float
    results: tuple[Made, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    error: str | None = None
    code: str | None = None
    log: str = ""

    def __post_init__(self) -> None:
        # JSON knows none of these.
        told = self.job
        object.__setattr__(self, "job", Job(**told) if isinstance(told, dict) else told)
        object.__setattr__(self, "state", JobState(self.state))
        made = tuple(Made(**one) if isinstance(one, dict) else one for one in self.results)
        object.__setattr__(self, "results", made)
        object.__setattr__(self, "notes", tuple(self.notes))


@dataclass(frozen=True, slots=True)
class JobStatus:
    """All that is known of one job at one moment. `attempt` counts from 1; 0: none has begun."""

    job: Job
    state: JobState
    attempt: int = 0
    progress: float = 0.0
    seconds_left: float | None = None
    ending: Ending | None = None


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value
