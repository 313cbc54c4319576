"""What can be asked of the engine and what it answers, in no dialect's words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from resumable.job import JobState, JobStatus
from resumable.model import Digest, Finished, Limits, Status

# ---------------------------------------------------------------- who, and which upload


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the owner that the host named (or None), and the request for the host's hooks.

    `trusted` is the host itself: nobody has to allow it anything.
    """

    owner: str | None = None
    environ: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    trusted: bool = False


@dataclass(frozen=True, slots=True)
class ById:
    """An upload by the id that this library made for it."""

    id: str


@dataclass(frozen=True, slots=True)
class ByClientId:
    """The caller's current upload under an id that the client chose.

    `guessable` says that the id has too little randomness to be a secret: whoever is not named by
    `owner` may then not delete by it.
    """

    value: str
    guessable: bool = True


Reference: TypeAlias = ById | ByClientId


# ---------------------------------------------------------------- operations


@dataclass(frozen=True, slots=True, kw_only=True)
class Create:
    """Begin an upload under an id made here.

    With `append` the request's bytes are its first; `digest` is about them. `sequential`, `partial`
    and `words` are those of `Upload`.
    """

    length: int | None = None
    filename: str | None = None
    content_type: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    partial: bool = False
    words: Mapping[str, str] = field(default_factory=dict)
    append: bool = False
    sequential: bool = False
    digest: Digest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Append:
    """Put the request's bytes behind all that an upload has, which must end at `offset`.

    With the last byte of a known length the upload is finished. `length` (bytes) is that of the
    whole upload, where the client declares it now.
    """

    reference: Reference
    offset: int
    length: int | None = None
    digest: Digest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Concatenate:
    """Begin an upload that is made of partial ones, in their order, and finish it with the last."""

    partials: tuple[ById, ...]
    filename: str | None = None
    content_type: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Put the request's bytes into an upload, beginning it where it does not exist.

    With `start` they belong at that byte; with `number` alone they are that chunk, wherever its
    start turns out to be; with neither they are the next chunk. `reference` None begins a new
    upload of its own. `length` (bytes), `total_chunks` and `chunk_size` are facts about the whole
    upload that the client declared with this chunk, `size` and `digest` are about these bytes.
    With `open_end` a body whose end nobody can prove is no cut one: the client is only told how far
    its upload is.
    """

    reference: Reference | None
    number: int | None = None
    start: int | None = None
    size: int | None = None
    digest: Digest | None = None
    total_chunks: int | None = None
    chunk_size: int | None = None
    length: int | None = None
    filename: str | None = None
    open_end: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Deposit:
    """Make one finished object of the request's bytes, which are a whole file.

    Under one `reference` there is one object: the same bytes again are answered with it. What may
    still be told behind the bytes does not make it another operation. The client may `wait` so many
    seconds for what shall be made of it.
    """

    reference: Reference | None = None
    filename: str | None = field(default=None, compare=False)
    options: Mapping[str, Any] = field(default_factory=dict, compare=False)
    wait: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """Make one object of an upload. Facts that are given late are learned first.

    The client may `wait` so many seconds for what shall be made of it.
    """

    reference: Reference
    filename: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    total_chunks: int | None = None
    length: int | None = None
    digest: Digest | None = None
    wait: float = 0.0


@dataclass(frozen=True, slots=True)
class Inspect:
    """What is known of an upload?

    With `sequential` one that has all its bytes is finished first, as `Upload.sequential` ones are:
    nobody will ask for that.
    """

    reference: Reference
    sequential: bool = False


@dataclass(frozen=True, slots=True)
class Cancel:
    """Forget an unfinished upload and free its bytes; a finished one only with `finished`."""

    reference: Reference
    finished: bool = False


@dataclass(frozen=True, slots=True)
class Configure:
    """Which limits hold, and what chunk size is wished?"""


@dataclass(frozen=True, slots=True)
class Fetch:
    """Read a finished object, or one `beside` it that its own text calls by that name."""

    token: str
    beside: str | None = None


@dataclass(frozen=True, slots=True)
class Retrieve:
    """Read the finished object of an upload."""

    reference: Reference


@dataclass(frozen=True, slots=True)
class Browse:
    """List the caller's finished objects, newest first."""


@dataclass(frozen=True, slots=True)
class Remove:
    """Delete a finished object with all that was made of it."""

    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """Make something of a finished object, once more if need be."""

    token: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Watch:
    """How far is a job? The client may `wait` so many seconds for its end."""

    job: str
    wait: float = 0.0


@dataclass(frozen=True, slots=True)
class CallOff:
    """End a job without results."""

    job: str


Operation: TypeAlias = (
    Create
    | Append
    | Concatenate
    | Place
    | Deposit
    | Finish
    | Inspect
    | Cancel
    | Configure
    | Fetch
    | Retrieve
    | Browse
    | Remove
    | Process
    | Watch
    | CallOff
)


# ---------------------------------------------------------------- outcomes


@dataclass(frozen=True, slots=True)
class Known:
    """The upload as it stands after the operation; every number in it is durable."""

    status: Status
    chunk_size: int
    number: int | None = None
    duplicate: bool = False

    @property
    def reference(self) -> ById:
        """The upload's own id."""
        return ById(self.status.upload.id)


@dataclass(frozen=True, slots=True)
class Completed:
    """The upload is one finished object; `job` makes something of it."""

    finished: Finished
    job: JobStatus | None = None

    @property
    def processed(self) -> bool:
        return self.job is not None and self.job.state is JobState.DONE


@dataclass(frozen=True, slots=True)
class Working:
    """A job as it stands. `original` None: it is not there any more."""

    job: JobStatus
    original: Finished | None
    begun: bool = False


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The upload and its bytes are gone."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """The limits in force and the store's own unit."""

    limits: Limits
    chunk_size: int
    part_size: int
    listing: bool
    processing: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """A finished object that the caller may read."""

    finished: Finished


@dataclass(frozen=True, slots=True)
class Listing:
    """Finished objects, newest first; their latest jobs by their tokens."""

    finished: tuple[Finished, ...]
    jobs: Mapping[str, JobStatus] = field(default_factory=dict)


Outcome: TypeAlias = Known | Completed | Working | Cancelled | Configuration | Found | Listing
