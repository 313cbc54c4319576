"""What a job made becomes finished objects, of which nobody hears before the job's end."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import count, takewhile
from pathlib import PurePath

from resumable.describing import describe
from resumable.errors import NotFound, UploadError
from resumable.identity import new_id, output_id
from resumable.interfaces import Adopter, Describe, Store
from resumable.job import Job, Made
from resumable.jobs.queue import Claim
from resumable.model import MIB, Finished, State, Status, Upload
from resumable.processing.work import Result

# Files that others refer to by name keep theirs.
_NAMED_AFTER_ORIGINAL = ("video", "audio", "poster")


def publish(
    store: Store, claim: Claim, original: Finished, results: Sequence[Result]
) -> list[Made]:
    """All results as objects. Raises UploadError; `withdraw` removes what there is then."""
    tokens: dict[str, str] = {}
    made = []
    # Those that refer to others come last, and know their tokens.
    for number, result in enumerate(sorted(results, key=lambda one: bool(one.mentions))):
        beside = {name: tokens[name] for name in result.mentions if name in tokens}
        finished = _publish(store, claim, number, original, result, beside)
        tokens[result.name] = finished.token
        made.append(
            Made(
                finished.token,
                result.role,
                finished.filename,
                finished.size,
                finished.content_type,
                dict(result.facts),
            )
        )
    return made


def _publish(
    store: Store,
    claim: Claim,
    number: int,
    original: Finished,
    result: Result,
    beside: Mapping[str, str],
) -> Finished:
    size, clock = result.size, claim.jobs.clock
    upload = Upload(
        id=output_id(claim.job.id, claim.attempt, number),
        token=new_id(),
        part_size=store.capabilities.part_size_for(size),
        created=clock(),
        owner=original.owner,
        length=size,
        filename=_filename(original, result),
        content_type=result.media_type,
        original=original.token,
        role=result.role,
        beside=beside,
    )
    describes = partial(describe, upload, clock)
    status = _adopted(store, upload, result, describes) or _copied(store, upload, result, describes)
    assert status.finished is not None
    return status.finished


def _adopted(store: Store, upload: Upload, result: Result, describes: Describe) -> Status | None:
    """The working file itself, where the storage is on the same disk."""
    status = result.path.lstat()
    own = stat.S_ISREG(status.st_mode) and status.st_nlink == 1 and status.st_size
    if not (isinstance(store, Adopter) and own):
        return None
    result.path.chmod(0o600)
    return store.adopt(upload, result.path, describes)


def _copied(store: Store, upload: Upload, result: Result, describes: Describe) -> Status:
    size = upload.length or 0
    store.begin(upload)
    if size:
        with store.placing(upload, 0, length=size, alone=True) as placing:
            for piece in _pieces(result):
                placing.write(piece)
            placing.commit()
    return store.finish(upload, size, describes)


def _filename(original: Finished, result: Result) -> str:
    if result.role not in _NAMED_AFTER_ORIGINAL or result.mentions:
        return result.name
    stem = PurePath(original.filename).stem or "recording"
    kind = "" if result.role in ("video", "audio") else f".{result.role}"
    return f"{stem}{kind}{result.path.suffix}"


def _pieces(result: Result) -> Iterator[memoryview]:
    """Each is valid until the next is asked for."""
    buffer = memoryview(bytearray(MIB))
    with result.path.open("rb", buffering=0) as file:
        while length := file.readinto(buffer):
            yield buffer[:length]


def withdraw(store: Store, job: Job, attempt: int) -> None:
    """Remove all that an attempt has published; may be done again after a crash.

    From the last to the first, so that those that are left are always found.
    """
    known = (store.load(output_id(job.id, attempt, number)) for number in count())
    statuses = [status for status in takewhile(lambda one: one is not None, known) if status]
    for status in reversed(statuses):
        _remove(store, status)


def _remove(store: Store, status: Status) -> None:
    with suppress(NotFound):
        if status.state is State.RECEIVING:
            store.discard(status.upload)
        elif status.state is State.FINISHING:
            status = store.finish(
                status.upload, 0, partial(describe, status.upload, lambda: status.touched)
            )
        if status.finished is not None:
            store.delete(status.finished)
        store.remove(status.upload)


def remove_results(store: Store, made: Sequence[Made]) -> None:
    """Remove the objects that a job's end names; those that have gone already are no error."""
    for one in made:
        finished = store.find(one.token)
        if finished is None:
            continue
        store.delete(finished)
        status = store.load(finished.id)
        if status is not None and status.ended:
            with suppress(UploadError):
                store.remove(status.upload)
