"""The ends of an upload: one finished object that the host hears of, or nothing."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Any

from resumable import digests
from resumable.describing import describe
from resumable.errors import BadRequest, Conflict, DigestMismatch, NotFound
from resumable.herald import Herald
from resumable.interfaces import Describe
from resumable.model import Digest, Finished, State, Status, Upload
from resumable.operations import ByClientId, Caller, Cancel, Cancelled, Completed, Finish, Reference
from resumable.registry import Registry, Standing

Pieces = Mapping[str, Status]


class Ender:
    """Performs `Finish` and `Cancel`, and tells the host."""

    def __init__(self, registry: Registry, herald: Herald) -> None:
        self._registry = registry
        self._store = registry.store
        self._herald = herald

    # ------------------------------------------------------------ finish

    def finish(self, operation: Finish, caller: Caller) -> Completed:
        """One object of all bytes; the same answer again after it was given once.

        Raises BadRequest ("missing-chunk"), Conflict, DigestMismatch, NotFound.
        """
        standing = self._registry.resolve(operation.reference, caller)
        status = standing.current or standing.previous
        if status is None:
            raise NotFound("Upload not found")
        self._registry.authorize(caller, "finish", status.upload)
        if status.state is State.RECEIVING and status.upload.partials:
            status = self._joined(status)
        elif status.state is State.RECEIVING:
            status = self._close(operation, status, standing)
        return Completed(self.complete(status))

    def _joined(self, status: Status) -> Status:
        status = self.finish_whole(status)
        if status.finished is None:
            raise BadRequest(
                "This upload is made of others, which are not all finished.", code="missing-bytes"
            )
        return status

    def _close(self, operation: Finish, status: Status, standing: Standing) -> Status:
        """From RECEIVING to a finished object, or an error that changes nothing."""
        if standing.previous is not None:
            status = self._fill_from_echoes(operation, status, standing.previous)
        facts = _late_facts(operation)
        for name in ("total_chunks", "length"):
            known = status.length if name == "length" else status.facts.get(name)
            if name in facts and known is not None and facts[name] != known:
                raise Conflict(
                    f"The upload was declared otherwise: {name} is {known}, not {facts[name]}.",
                    code="total-conflict",
                )
        length = whole_length(status, facts)
        digest = operation.digest
        crc = int.from_bytes(digest.value) if digest and digest.algorithm == "crc32c" else None
        if crc is not None:
            facts.pop("digest", None)
        self._registry.check_size(length)
        return self._store.finish(
            status.upload, length, self.describe(status.upload), facts=facts, crc32c=crc
        )

    def finish_whole(self, status: Status, pieces: Pieces | None = None) -> Status:
        """An upload that has all its bytes becomes one object; any other stays as it is.

        `pieces` are those it is made of, where somebody has just looked at them.
        """
        if status.state is not State.RECEIVING:
            return status
        sources = _sources(status.upload, self.pieces(status) if pieces is None else pieces)
        if not sources and not status.whole:
            return status
        length = sum(source.size for source in sources) if sources else status.length or 0
        self._registry.check_size(length)
        finished = self._store.finish(
            status.upload, length, self.describe(status.upload), sources=sources
        )
        return self.completed(finished)

    def pieces(self, status: Status) -> Pieces:
        """The partial uploads that an unfinished one is made of, each looked at once."""
        if status.state is not State.RECEIVING:
            return {}
        pieces = {id: self._store.load(id) for id in set(status.upload.partials)}
        return {id: piece for id, piece in pieces.items() if piece is not None}

    def completed(self, status: Status) -> Status:
        """As `complete`, and all that is known then."""
        finished = self.complete(status)
        return replace(status, state=State.COMPLETE, finished=finished)

    def _fill_from_echoes(self, operation: Finish, status: Status, previous: Status) -> Status:
        """Chunks that this upload shares with the one before it were acknowledged there.

        A late duplicate is answered without effect; when it turns out to have been the beginning
        of another file under the same client id, its bytes are still owed.
        """
        echoed = self._store.echoed(previous.upload)
        numbers = status.numbers()
        total = operation.total_chunks or status.facts.get("total_chunks")
        # A true duplicate that was only late lies behind the end of a shorter upload.
        end = max(numbers, default=-1) + 1 if total is None else int(total)
        for number in sorted(n for n in echoed.difference(numbers) if n < end):
            known = previous.chunk(number)
            if known is None or previous.finished is None:
                continue
            with (
                closing(self._store.read(previous.finished, *known)) as stored,
                self._store.keeping(status.upload, number) as keeping,
            ):
                for piece in stored:
                    keeping.write(memoryview(piece))
                keeping.commit()
        return self._reloaded(status.upload) if echoed else status

    def describe(self, upload: Upload) -> Describe:
        """What shall be remembered of an upload's object."""
        return partial(describe, upload, self._registry.clock)

    def complete(self, status: Status) -> Finished:
        """Take an upload that is past RECEIVING to its end, from wherever a crash left it."""
        if status.state is State.FINISHING:
            status = self._store.finish(status.upload, 0, self.describe(status.upload))
        if status.state is State.VERIFYING:
            status = self._verify(status)
        if status.finished is None or status.state is State.REJECTED:
            raise DigestMismatch(
                "The whole file does not have the digest that was declared; it was removed. "
                "Send it again as a new upload."
            )
        self._herald.completed(status)
        return status.finished

    def _verify(self, status: Status) -> Status:
        """Compare the whole-file digest before anybody hears of the object."""
        finished = status.finished
        assert finished is not None
        declared = digests.parse_digest(status.facts["digest"])
        hasher = digests.hasher(declared.algorithm)
        with closing(self._store.read(finished, 0, finished.size)) as stored:
            for piece in stored:
                hasher.update(piece)
        accepted = hmac.compare_digest(hasher.digest(), declared.value)
        return self._store.verdict(status.upload, accepted)

    def _reloaded(self, upload: Upload) -> Status:
        status = self._store.load(upload.id)
        if status is None or status.state is State.CANCELLED:
            raise NotFound("Upload not found")
        return status

    # ------------------------------------------------------------ cancel

    def cancel(self, operation: Cancel, caller: Caller) -> Cancelled:
        """Free an unfinished upload.

        Raises NotFound, also where the possession of a guessable id would be enough, and Conflict
        when it is finished.
        """
        standing = self._registry.resolve(operation.reference, caller)
        status = standing.current
        if status is None:
            if standing.previous is not None and operation.finished:
                return self._delete(standing.previous, caller)
            if standing.previous is not None:
                raise Conflict("The upload is finished and cannot be cancelled.", code="finished")
            raise NotFound("Upload not found")
        known = caller.trusted or caller.owner is not None
        if not known and _may_be_guessed(operation.reference, status.upload):
            raise NotFound("Upload not found")
        self._registry.authorize(caller, "cancel", status.upload)
        self._store.discard(status.upload)
        self.bury(status)
        return Cancelled()

    def _delete(self, status: Status, caller: Caller) -> Cancelled:
        self._registry.authorize(caller, "delete", status.upload)
        assert status.finished is not None
        self.delete(status.finished)
        return Cancelled()

    def delete(self, finished: Finished) -> None:
        """Remove a finished object, and what is known of the upload that it came from."""
        self._store.delete(finished)
        status = self._store.load(finished.id)
        if status is not None and status.ended and status.upload.token == finished.token:
            self.forget(status)

    def bury(self, status: Status) -> None:
        """Tell of an upload's end without an object, then forget it."""
        if self._herald.cancelled(status):
            self.forget(status)

    def forget(self, status: Status) -> bool:
        """An upload that another one has followed must stay until that one goes."""
        if self._registry.followed(status.upload):
            return False
        self._store.remove(status.upload)
        return True


def _may_be_guessed(reference: Reference, upload: Upload) -> bool:
    """Ids that clients choose may be anybody's guess; ours are not."""
    if upload.client_id is None:
        return False
    # Whoever can guess a client's id can compute the id that is derived from it.
    return not isinstance(reference, ByClientId) or reference.guessable


def _sources(upload: Upload, pieces: Pieces) -> list[Finished]:
    """What an upload is put together from, once all of it is finished; else nothing."""
    sources = [pieces[id].finished if id in pieces else None for id in upload.partials]
    found = [source for source in sources if source is not None]
    return found if len(found) == len(sources) else []


def whole_length(status: Status, facts: dict[str, Any]) -> int:
    """Bytes of the whole file, which must all be there.

    Raises BadRequest naming the first missing chunk, or the first missing byte.
    """
    total = facts.get("total_chunks", status.facts.get("total_chunks"))
    numbers = status.numbers()
    _check_numbers(numbers, total)
    waiting = [c for c in status.chunks.values() if c.start is None]
    if waiting:
        # Only a missing number keeps a chunk waiting.
        _check_numbers(numbers, max(numbers) + 1)
    length = facts.get("length", status.length)
    whole = status.offset if length is None else int(length)
    if length is None and status.extents.end > whole:
        _check_numbers(numbers, max(numbers, default=-1) + 1)
    if status.extents.end > whole or not status.extents.covers(0, whole):
        gap = status.extents.missing(max(whole, status.extents.end))
        first = gap[0][0] if gap else whole
        raise BadRequest(f"Missing bytes from offset {first}", code="missing-bytes")
    return whole


def _check_numbers(numbers: list[int], total: int | None) -> None:
    have = set(numbers)
    missing = next((n for n in range(total or 0) if n not in have), None)
    if missing is not None:
        raise BadRequest(f"Missing chunk {missing}", code="missing-chunk")


def _late_facts(operation: Finish) -> dict[str, Any]:
    """What the finish itself says of the upload."""
    told: dict[str, Any] = {
        "filename": operation.filename or None,
        "options": dict(operation.options) or None,
        "metadata": dict(operation.metadata) or None,
        "total_chunks": operation.total_chunks,
        "length": operation.length,
        "digest": str(operation.digest) if isinstance(operation.digest, Digest) else None,
    }
    return {name: value for name, value in told.items() if value is not None}
