"""Every seam of the library and the contract on each side of it, in one file."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, runtime_checkable

from resumable.errors import TooLarge, UploadError
from resumable.http import Request, Response
from resumable.model import MIB, Digest, Finished, Status, Upload
from resumable.operations import Caller, Operation, Outcome


class Payload(Protocol):
    """The bytes of one request, or of one file part of it."""

    @property
    def length(self) -> int | None:
        """Bytes announced; None when nobody said."""

    @property
    def whole(self) -> bool:
        """After iteration: is it proven that every byte arrived?"""

    @property
    def cut(self) -> UploadError | None:
        """After iteration: why the bytes ended early."""

    def __iter__(self) -> Iterator[memoryview]:
        """The bytes in pieces, each valid until the next is asked for; ends quietly at a cut."""


class Dialect(Protocol):
    """One protocol's words for the operations. Pure: it sees no store, no clock, no socket."""

    name: str
    always: tuple[tuple[str, str], ...]  # headers of every answer
    discovery: tuple[tuple[str, str], ...]  # further headers of the answer to OPTIONS
    heads: frozenset[str]  # first path segments of its routes; all other requests cost one look-up
    file_parts: frozenset[str]  # form parts that are the file even without a file name

    def meant(self, request: Request) -> Request:
        """The request as its client means it, where the protocol has a second way of saying it."""

    def routes(self, request: Request) -> bool:
        """Whether this request is this dialect's, whatever its method."""

    def methods(self, request: Request) -> tuple[str, ...]:
        """The methods of the request's route, for `Allow` and preflight answers."""

    def body(self, request: Request) -> str:
        """How the request's body is to be read: "none", "json", "form" or "raw"."""

    def parse(self, request: Request, document: Any = None) -> Operation | None:
        """What is asked; None while a form has not told enough yet.

        `document` is the parsed JSON of a "json" body. Raises UploadError for what is wrong with
        the words.
        """

    def render(self, request: Request, outcome: Outcome) -> Response:
        """The outcome in this dialect's words."""

    def refuse(self, request: Request, error: UploadError) -> Response:
        """The error in this dialect's words, with a status that its clients understand."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a store can do. Sizes in bytes.

    `part_size` is its unit, which clients are asked to align to. `most_parts`, `least_part` and
    `largest_part` bound the parts of one object, where it is made of parts. `presence` says whether
    the store knows that a request of another process is at work on an upload.
    """

    part_size: int
    max_size: int | None = None
    most_parts: int | None = None
    least_part: int = 1
    largest_part: int | None = None
    presence: bool = True

    def part_size_for(
        self, length: int | None, chunk_size: int | None = None, *, most: int | None = None
    ) -> int:
        """The part size of an upload: its client's chunk size where that makes good parts.

        An upload of unknown length may come to `most` bytes. Raises TooLarge for a `length` that
        this store's parts cannot hold.
        """
        if self.most_parts is None:
            return self.part_size
        size = self.part_size
        largest = self.largest_part or size
        if chunk_size is not None and self.least_part <= chunk_size <= largest:
            size = chunk_size
        # A tenth of the numbers stays free, so that nobody's arithmetic is tight.
        parts = self.most_parts * 9 // 10
        if length is not None and length > largest * parts:
            raise TooLarge(f"This storage takes at most {largest * parts} bytes in one upload.")
        needed = -(-((most or 0) if length is None else length) // parts)
        return size if needed <= size else min(-(-needed // MIB) * MIB, largest)


@dataclass(frozen=True, slots=True)
class Placed:
    """What a commit made durable: the chunk's number if it has one, and all that is known now.

    `duplicate` says that every byte was known before.
    """

    number: int | None
    duplicate: bool
    status: Status


class Placing(Protocol):
    """Bytes on their way into an upload.

    Leaving the `with` block without `commit` keeps a durable prefix or nothing, never a lie.
    """

    def __enter__(self) -> Placing: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def write(self, view: memoryview) -> None:
        """Take the next bytes. Known bytes are compared, never overwritten.

        Raises Conflict where known bytes differ, NoRoom, Unavailable, and NotFound or Conflict when
        the upload has ended meanwhile; at the latest `commit` does.
        """

    def verify(self) -> None:
        """Raise DigestMismatch unless the bytes so far are those that the client meant."""

    def commit(self, number: int | None = None) -> Placed:
        """Make the bytes durable and visible.

        With `number` they are that whole chunk. Raises Conflict when it is known to be another.
        """

    def keep(self) -> None:
        """Make the prefix that arrived durable and visible, if this kind of placing has one."""


class Store(Protocol):
    """Where bytes live. Stateless and idempotent: any call may come again, from any process.

    Errors are UploadErrors: Conflict, NoRoom, Unavailable, Broken, NotFound.
    """

    @property
    def capabilities(self) -> Capabilities:
        """What this store can do."""

    @property
    def small_files(self) -> SmallFiles:
        """Room for what is remembered beside uploads."""

    def begin(self, upload: Upload) -> bool:
        """Create the manifest durably, exclusively; False when the id exists already."""

    def load(self, id: str) -> Status | None:
        """What is known of an upload; all of it is durable when this returns."""

    def placing(
        self,
        upload: Upload,
        start: int,
        *,
        length: int | None = None,
        digest: Digest | None = None,
        alone: bool = False,
    ) -> Placing:
        """Write bytes at `start`.

        `length` bytes are expected (None: unknown). A digest is verified before anything counts.
        `alone` says that nobody else can know of this upload yet.
        """

    def keeping(
        self, upload: Upload, number: int | None, *, digest: Digest | None = None
    ) -> Placing:
        """Write a numbered chunk whose start is unknown; `number` None is the next free one.

        Whoever makes its start known moves it into place.
        """

    def gather(self, upload: Upload) -> None:
        """Move kept chunks whose start has become known into their place."""

    def spool(self, payload: Payload) -> SpooledPayload:
        """Hold bytes that belong to no upload yet, out of memory; closing forgets them."""

    def note(self, upload: Upload, facts: Mapping[str, Any]) -> Mapping[str, Any]:
        """Record facts that are not known yet and return all as they now stand: the first wins."""

    def tell(self, upload: Upload, event: str) -> None:
        """Record durably that the host heard of `event`."""

    def finish(
        self,
        upload: Upload,
        length: int,
        describe: Describe,
        *,
        facts: Mapping[str, Any] | None = None,
        crc32c: int | None = None,
        sources: Sequence[Finished] = (),
    ) -> Status:
        """Make `[0, length)` one object, visible only now, at a cost that does not grow with it.

        With `sources` the bytes are those of these finished objects, in their order; the upload has
        none of its own. They stay; where the storage can it copies or joins them itself.

        `facts` are noted with the decision to finish. May be called again after a crash or beside
        another caller: the answer stays the same.
        Raises Conflict when bytes are missing or known beyond `length`, and DigestMismatch when
        they have another CRC32C than the given one; either changes nothing. A store that cannot
        know the CRC32C before notes it as the fact `digest`: the upload is VERIFYING then.
        """

    def verdict(self, upload: Upload, accepted: bool) -> Status:
        """Record how the whole-file digest came out; a rejected object is removed."""

    def echo(self, upload: Upload, number: int) -> None:
        """Record that a chunk of a finished upload was sent, and acknowledged, once more."""

    def echoed(self, upload: Upload) -> frozenset[int]:
        """The chunks of a finished upload that were acknowledged again after it."""

    def discard(self, upload: Upload, *, unless_busy: bool = False) -> bool:
        """End an unfinished upload: from now on no writer can add to it.

        With `unless_busy` an upload that a request is at work on is left alone: False. A store
        without presence takes every upload for one that was written to a short while ago.
        """

    def remove(self, upload: Upload) -> None:
        """Free all that an ended upload still holds, but not its finished object."""

    def each(self) -> Iterator[Status]:
        """Every upload that is still remembered."""

    def tidy(self, older_than: float) -> int:
        """Remove leftovers that belong to no upload (seconds since the epoch); their number."""

    def find(self, token: str) -> Finished | None:
        """A finished object by its token."""

    def list_finished(self) -> Iterator[Finished]:
        """Every finished object that is a file of its own, in no order."""

    def read(self, finished: Finished, start: int, end: int) -> Reading:
        """The bytes `[start, end)` of a finished object, in pieces."""

    def url(self, finished: Finished, expires: int, disposition: str) -> str | None:
        """A URL straight to the storage, good for `expires` seconds; None where it cannot sign."""

    def delete(self, finished: Finished) -> None:
        """Remove a finished object and what is known of it."""

    def check(self) -> list[str]:
        """Write and forget again; sentences on what this storage does not do.

        Raises UploadError with a sentence where it takes nothing.
        """


@dataclass(frozen=True, slots=True)
class SmallFile:
    """A small file as a listing shows it.

    `version` differs whenever the content does, if that was written in another second or has
    another length. `modified` is in seconds since the epoch, by the storage's clock.
    """

    name: str
    version: str
    modified: float


class SmallFiles(Protocol):
    """Small files in folders, each whole or not there, seen by all hosts once a call returns.

    Names of folders and files have letters, digits, `-`, `_` and inner points only.
    """

    @property
    def exclusive(self) -> bool:
        """Whether `create` decides between hosts too, or only between processes of one host."""

    def create(self, folder: str, name: str, data: bytes) -> bool:
        """Durably, unless there is one: False then.

        A lost answer may make one's own success look like another's: so no two callers may bring
        the same data, and whose data is there has won.
        """

    def write(self, folder: str, name: str, data: bytes) -> None:
        """In place of what was there. A power cut may take it back, but not tear it."""

    def read(self, folder: str, name: str) -> bytes | None:
        """All of it; None where it is not."""

    def read_all(self, folder: str, names: Collection[str]) -> dict[str, bytes]:
        """Many, at once where the storage can; those that are missing are left out."""

    def listed(self, folder: str) -> list[SmallFile]:
        """What is in a folder, in no order."""

    def remove(self, folder: str, names: Iterable[str]) -> None:
        """Those that are missing already are no error."""


@runtime_checkable
class OnDisk(Protocol):
    """A store whose finished objects are plain files on this machine."""

    def path(self, finished: Finished) -> Path:
        """Where the object's bytes are."""


@runtime_checkable
class Depository(Protocol):
    """A store that takes a small file in fewer steps than begin, placing and finish."""

    def deposit(
        self,
        upload: Upload,
        payload: Payload,
        describe: Describe,
        *,
        facts: Mapping[str, Any] | None = None,
    ) -> Status:
        """A new upload, all its bytes and its finish at once.

        Nobody knows of `upload` yet. Durable and visible when this returns; when it raises, or its
        process dies, the object is not there, or the upload is FINISHING, or all is done. A payload
        that is not whole leaves nothing: its `cut` is raised, or Interrupted.
        """


@runtime_checkable
class Adopter(Protocol):
    """A store that can take a file of this machine as it lies there."""

    def adopt(self, upload: Upload, path: Path, describe: Describe) -> Status | None:
        """As a deposit of the file at `path`, which nobody changes any more, without a copy.

        None where the file lies on another disk; nothing has happened then.
        """


class SpooledPayload(Payload, Protocol):
    """A payload that can be read again until it is closed."""

    def close(self) -> None:
        """Forget the bytes."""


class Reading(Protocol):
    """Bytes of a finished object on their way out."""

    def __iter__(self) -> Iterator[bytes]: ...

    def close(self) -> None:
        """Free what is held."""


# Given the facts, the head of the file (64 KiB at most), its CRC32C and its size: what shall be
# remembered of the object?
Describe = Callable[[Mapping[str, Any], bytes, int | None, int], Finished]


class Hooks(Protocol):
    """The host's ears. `authorize` may refuse; the others only hear, at least once, afterwards."""

    def listens(self, event: str) -> bool:
        """Whether the host wants to hear of "created", "completed" or "cancelled"."""

    def authorize(self, caller: Caller, action: str, upload: Upload | Finished | None) -> bool:
        """May the caller do this?

        `action` is one of "create", "append", "inspect", "finish", "cancel", "download", "list".
        """

    def created(self, upload: Upload) -> None: ...

    def completed(self, finished: Finished) -> None: ...

    def cancelled(self, upload: Upload) -> None: ...
