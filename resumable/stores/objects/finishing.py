"""The end of an upload in an object store: one decision, one object, one memory of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from resumable.digests import crc32c as crc32c_of
from resumable.errors import Broken, Conflict, DigestMismatch, NotFound, Unavailable
from resumable.interfaces import Describe
from resumable.model import KIB, Finished, State, Upload
from resumable.stores.objects.bucket import Missing, Occupied
from resumable.stores.objects.doubt import create, looks
from resumable.stores.objects.knowledge import Knowledge
from resumable.stores.objects.making import SOURCES, Maker, joined_crc32c, sources_of
from resumable.stores.objects.manifest import Done, End, dump_finished, load_finished
from resumable.stores.objects.names import DONE, MANIFEST, VERDICT
from resumable.stores.objects.room import Room

_HEAD = 64 * KIB
_TRIES = 10


class Finisher:
    """Takes uploads to their end; every step may run twice, beside others, after a crash."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._bucket = room.bucket
        self._maker = Maker(room)

    # ------------------------------------------------------------ the decision

    def finish(
        self,
        upload: Upload,
        length: int,
        describe: Describe,
        facts: Mapping[str, Any],
        crc32c: int | None,
    ) -> Knowledge:
        """See `Store.finish`."""
        # Whoever asks has just looked; what counts is looked at again behind the try.
        known = self._room.known(upload)
        for _ in range(_TRIES):
            if known.state is State.CANCELLED:
                raise NotFound("Upload not found")
            if known.done is not None:
                self._remember(known)
                return known
            if known.state is State.FINISHING and self._publish(known, describe):
                return known
            if known.undecided is not None:
                self._decide(known, known.undecided)
                if known.state is State.FINISHING:
                    continue
            elif known.state is State.RECEIVING:
                self._check(known, length, facts)
                self._check_name(known)
                self._begin(known, length, facts, crc32c)
            known = self._room.again(upload)
        raise Unavailable("The upload cannot be finished while others write to it. Try again.")

    def _check(self, known: Knowledge, length: int, facts: Mapping[str, Any]) -> None:
        """Raise Conflict unless `[0, length)` is all there is."""
        if SOURCES in facts:
            return
        waiting = any(chunk.start is None for chunk in known.chunks().values())
        extents = known.extents()
        if waiting or extents.end > length or not extents.covers(0, length):
            raise Conflict(
                f"The upload does not have exactly {length} bytes.", code="missing-bytes"
            )

    def _check_name(self, known: Knowledge) -> None:
        """Raise Conflict where an app insists on a name that has been given away."""
        if known.manifest.description.exclusive:
            found = self._bucket.head(known.manifest.key)
            if found is not None and not _is_ours(known, found.metadata):
                raise _name_taken()

    def _begin(
        self, known: Knowledge, length: int, facts: Mapping[str, Any], crc32c: int | None
    ) -> None:
        learned = {**facts, **known.facts}
        if crc32c is not None:
            actual = self._crc32c(known, length)
            if actual is None:
                # Parts cannot be read before they are one object: it is compared then.
                learned.setdefault("digest", f"crc32c:{crc32c:08x}")
            elif actual != crc32c:
                raise DigestMismatch(
                    "The whole file has another CRC32C than the one that was declared."
                )
        attempt = 1 if known.end is None else known.end.attempt + 1
        end = End(attempt, "finish", length, learned)
        self._room.create(known, f"e.{attempt}", end.to_bytes())

    def _crc32c(self, known: Knowledge, length: int) -> int | None:
        named = known.crc32c(length)
        if named is not None or known.parts or length > known.part_size:
            return named
        value = 0
        for piece in self._room.read_range(known, 0, length):
            value = crc32c_of(piece, value)
        return value

    def _decide(self, known: Knowledge, end: End) -> None:
        """From the try on no writer is acknowledged: what is listed now is all there will be."""
        try:
            self._check(known, end.length, end.facts or {})
            decision = b"go"
        except Conflict:
            decision = b"no"
        known.decision = self._room.create(known, f"d.{end.attempt}", decision).decode()

    # ------------------------------------------------------------ the object

    def _publish(self, known: Knowledge, describe: Describe) -> bool:
        """Whether `known` is done now; else somebody else was faster."""
        end, key = known.end, known.manifest.key
        assert end is not None
        try:
            self._maker.make(known, key, end)
        except (Missing, Occupied) as error:
            # Somebody else was faster, or the answer to an earlier try got lost.
            if self._is_remembered(known, end, error):
                return False
        self._note_done(known, self._described(known, describe, end))
        return True

    def _is_remembered(self, known: Knowledge, end: End, error: Exception) -> bool:
        """Whether somebody else has noted the object; else it is there, and nobody has yet.

        Some servers take the parts away before they show the object: one look proves no loss.
        """
        for _ in looks():
            if self._room.again(known.manifest.upload).done is not None:
                return True
            found = self._bucket.head(known.manifest.key)
            if found is None:
                continue
            if _is_ours(known, found.metadata) and found.size >= end.length:
                if found.size > end.length:
                    # Whoever joined it with late parts died before it was cut.
                    self._maker.cut(known, found.size, end.length)
                return False
            if isinstance(error, Occupied):
                break
        raise self._hopeless(known, end, error) from None

    def _hopeless(self, known: Knowledge, end: End, error: Exception) -> Exception:
        """No object can come of this upload any more."""
        if not isinstance(error, Occupied):
            return Broken("The storage has lost bytes of this upload that it had confirmed.")
        # Another upload took the name between the look at it and now.
        attempt = end.attempt + 1
        self._room.create(known, f"e.{attempt}", End(attempt, "cancel").to_bytes())
        return _name_taken()

    def _described(self, known: Knowledge, describe: Describe, end: End) -> Finished:
        key = known.manifest.key
        head = self._bucket.get(key, 0, min(_HEAD, end.length)) if end.length else b""
        crc = 0 if not end.length else known.crc32c(end.length)
        if end.length and sources_of(end):
            crc = joined_crc32c(sources_of(end))
        if crc is None and end.length <= known.part_size:
            crc = crc32c_of(self._bucket.get(key))
        if crc is None and self._bucket.knows_crc32c:
            found = self._bucket.head(key)
            crc = None if found is None else found.crc32c
        return replace(describe(end.facts or {}, head, crc, end.length), location=key)

    # ------------------------------------------------------------ the memory of it

    def _note_done(self, known: Knowledge, finished: Finished) -> None:
        assert known.end is not None
        facts = known.end.facts or {}
        if "digest" not in facts:
            # Whoever sees that it is done must be able to find it.
            finished = self.shelve(finished)
        done = Done(finished, facts, known.chunks())
        known.done = Done.from_bytes(self._room.create(known, DONE, done.to_bytes()))
        self._clear(known)

    def shelve(self, finished: Finished) -> Finished:
        """Findable by its token from now on; of several descriptions the first counts."""
        mine = dump_finished(finished)
        stored = create(self._bucket, self._shelf_key(finished.token), mine)
        return finished if stored is mine else load_finished(stored)

    def _shelf_key(self, token: str) -> str:
        return f"{self._room.reader.root}/finished/{token}"

    def _remember(self, known: Knowledge) -> None:
        """What a crash between two steps has left undone."""
        if known.segments:
            self._clear(known)

    def _clear(self, known: Knowledge) -> None:
        """Pieces are of no more use; what late questions are answered from stays."""
        names = [*known.segments]
        names += [f"n.{number}" for number in known.claims]
        self._bucket.delete([self._room.key(known, name) for name in names])

    def verdict(self, known: Knowledge, accepted: bool) -> None:
        """How the whole-file digest came out: the first verdict counts."""
        done = known.done
        if done is None:
            raise Conflict("Only a finished upload has a digest to compare.")
        if accepted and known.accepted is None:
            self.shelve(done.finished)
        word = b"accepted" if accepted else b"rejected"
        if known.accepted is None and self._room.create(known, VERDICT, word) == b"rejected":
            self.take_back(done.finished)

    def take_back(self, finished: Finished) -> None:
        """No object and no memory of it, in the order that a crash can be mended in."""
        if finished.location:
            self._bucket.delete([finished.location])
        self._bucket.delete([self._shelf_key(finished.token)])

    # ------------------------------------------------------------ no object

    def discard(self, upload: Upload) -> None:
        """See `Store.discard`."""
        for _ in range(_TRIES):
            known = self._room.again(upload)
            if known.state is State.CANCELLED:
                self._free(known)
                return
            if known.state is not State.RECEIVING:
                raise Conflict("The upload is finished and cannot be cancelled.", code="finished")
            if known.undecided is not None:
                self._decide(known, known.undecided)
                continue
            attempt = 1 if known.end is None else known.end.attempt + 1
            self._room.create(known, f"e.{attempt}", End(attempt, "cancel").to_bytes())
        raise Unavailable("The upload cannot be cancelled just now. Try again.")

    def _free(self, known: Knowledge) -> None:
        if known.native is not None and self._room.parts is not None:
            self._room.parts.abandon(known.manifest.key, known.native)
        self._clear(known)

    def remove(self, known: Knowledge) -> None:
        """The manifest first: what a crash then leaves belongs to no upload and is swept."""
        if known.state is State.REJECTED and known.done is not None:
            self.take_back(known.done.finished)
        if known.state is State.CANCELLED:
            self._free(known)
        folder = self._room.reader.folder(known.manifest.upload.id)
        self._bucket.delete([folder + MANIFEST])
        mine = self._bucket.listed(f"{folder}{known.manifest.birth}/")
        self._bucket.delete([one.key for one in mine])


def _name_taken() -> Conflict:
    return Conflict(
        "There is a file of this name already. Begin a new upload with another name.",
        code="name-taken",
    )


def _is_ours(known: Knowledge, metadata: Mapping[str, str]) -> bool:
    """The object carries the birth that made it."""
    return metadata.get("resumable-birth") == known.manifest.birth
