"""Uploads as objects: any worker on any host, no lock, no database, no file of its own."""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from resumable.errors import Conflict, NotFound, Unavailable, UploadError
from resumable.interfaces import Capabilities, Describe, Payload
from resumable.media import UNKNOWN
from resumable.model import MIB, Digest, Finished, Status, Upload
from resumable.stores.objects.bucket import Bucket, Description, Missing, Parts
from resumable.stores.objects.finishing import Finisher
from resumable.stores.objects.keeping import ObjectKeeping, gather_around
from resumable.stores.objects.leftovers import Leftovers
from resumable.stores.objects.making import SOURCES
from resumable.stores.objects.manifest import Manifest, load_finished
from resumable.stores.objects.memory import Memory
from resumable.stores.objects.names import MANIFEST
from resumable.stores.objects.placing import ObjectPlacing
from resumable.stores.objects.reading import Reader
from resumable.stores.objects.room import Room
from resumable.stores.objects.small_files import ObjectSmallFiles
from resumable.stores.objects.spool import TemporarySpool

# Where the final object goes, and what it carries.
Destination = Callable[[Upload], tuple[str, Description]]
_BLOCK = 4 * MIB
_STATE = ".resumable"
_log = logging.getLogger("resumable")


class ObjectStore:
    """Uploads in one bucket (or folder) below `root`.

    `memory` bytes at most are held by one process for bytes on their way, `pipeline` windows at
    most by one request. `parts` gives None where whole windows are objects like all others.
    """

    def __init__(
        self,
        bucket: Bucket,
        parts: Callable[[], Parts | None],
        root: str,
        destination: Destination,
        *,
        capabilities: Capabilities,
        memory: int = 256 * MIB,
        pipeline: int = 3,
    ) -> None:
        self.bucket = bucket
        self.root = f"{root}/{_STATE}"
        self.capabilities = capabilities
        self.memory = Memory(memory)
        self._destination = destination
        self._reader = Reader(bucket, parts, self.root)
        self._room = Room(bucket, parts, self._reader, self.memory, pipeline)
        self._finisher = Finisher(self._room)
        self._leftovers = Leftovers(self._room, root)
        self.small_files = ObjectSmallFiles(bucket, self.root)

    def __repr__(self) -> str:
        return f"ObjectStore({self.root.removesuffix('/' + _STATE)!r})"

    # ------------------------------------------------------------ birth and knowledge

    def begin(self, upload: Upload) -> bool:
        key, description = self._destination(upload)
        if upload.partial:
            key, description = f"{self.root}/partials/{upload.token}", Description(UNKNOWN, {})
        metadata = {**description.metadata, "resumable-id": upload.id}
        birth = secrets.token_hex(8)
        metadata["resumable-birth"] = birth
        manifest = Manifest(birth, upload, key, replace(description, metadata=metadata))
        self._room.forget()
        at = self._reader.folder(upload.id) + MANIFEST
        data = manifest.to_bytes()
        try:
            # A lost answer makes one's own success look like somebody else's.
            mine = self.bucket.put(at, data, if_absent=True) or self.bucket.get(at) == data
        except Missing:
            return self.begin(upload)
        if mine:
            self._room.born(manifest)
        return mine

    def load(self, id: str) -> Status | None:
        known = self._room.look(id)
        return None if known is None else known.status()

    # ------------------------------------------------------------ bytes

    def placing(
        self,
        upload: Upload,
        start: int,
        *,
        length: int | None = None,
        digest: Digest | None = None,
        alone: bool = False,
    ) -> ObjectPlacing:
        return ObjectPlacing(self._room, upload, start, length=length, digest=digest)

    def keeping(
        self, upload: Upload, number: int | None, *, digest: Digest | None = None
    ) -> ObjectKeeping:
        return ObjectKeeping(self._room, upload, number, digest=digest)

    def gather(self, upload: Upload) -> None:
        known = self._room.again(upload)
        for number in known.chunks():
            gather_around(self._room, known, number)

    def spool(self, payload: Payload) -> TemporarySpool:
        return TemporarySpool(payload)

    # ------------------------------------------------------------ facts

    def note(self, upload: Upload, facts: Mapping[str, Any]) -> Mapping[str, Any]:
        known = self._room.known(upload)
        if known.end is None and known.done is None:
            for name, value in facts.items():
                if name not in known.facts:
                    text = json.dumps(value, separators=(",", ":")).encode()
                    stored = self._room.create(known, f"f.{name}", text)
                    known.facts[name] = json.loads(stored)
        return known.status().facts

    def tell(self, upload: Upload, event: str) -> None:
        known = self._room.known(upload)
        self._room.mark(known, f"t.{event}")
        known.told.add(event)

    def echo(self, upload: Upload, number: int) -> None:
        self._room.mark(self._room.known(upload), f"o.{number}")

    def echoed(self, upload: Upload) -> frozenset[int]:
        return frozenset(self._room.again(upload).echoed)

    # ------------------------------------------------------------ the end

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
        learned = dict(facts or {})
        if sources:
            learned[SOURCES] = [[one.location, one.size, one.crc32c] for one in sources]
        return self._finisher.finish(upload, length, describe, learned, crc32c).status()

    def verdict(self, upload: Upload, accepted: bool) -> Status:
        self._finisher.verdict(self._room.again(upload), accepted)
        return self._room.again(upload).status()

    def discard(self, upload: Upload, *, unless_busy: bool = False) -> bool:
        if unless_busy and self._leftovers.may_be_busy(self._room.again(upload)):
            return False
        self._finisher.discard(upload)
        self._room.forget()
        return True

    def remove(self, upload: Upload) -> None:
        try:
            known = self._room.again(upload)
        except NotFound:
            return
        if not known.status().ended:
            raise Conflict("Only an upload that has ended can be removed.", code="not-ended")
        self._finisher.remove(known)
        self._room.forget()

    # ------------------------------------------------------------ the sweeper's view

    def each(self) -> Iterator[Status]:
        for id in self._reader.ids():
            try:
                status = self.load(id)
            except UploadError:
                _log.exception("upload %s cannot be read; the next sweep tries again", id[:6])
                continue
            if status is not None:
                yield status

    def tidy(self, older_than: float) -> int:
        return self._leftovers.tidy(older_than)

    # ------------------------------------------------------------ finished objects

    def find(self, token: str) -> Finished | None:
        try:
            return load_finished(self.bucket.get(f"{self.root}/finished/{token}"))
        except Missing:
            return None

    def list_finished(self) -> Iterator[Finished]:
        listed = self.bucket.listed(f"{self.root}/finished/")
        for text in filter(None, self.bucket.get_all([one.key for one in listed]).values()):
            finished = load_finished(text)
            if finished.listed:
                yield finished

    def read(self, finished: Finished, start: int, end: int) -> Reading:
        return Reading(self.bucket, finished, start, end)

    def url(self, finished: Finished, expires: int, disposition: str) -> str | None:
        """A URL straight to the storage, good for `expires` seconds; None where it cannot sign."""
        assert finished.location is not None
        return self.bucket.url(finished.location, expires, finished.content_type, disposition)

    def delete(self, finished: Finished) -> None:
        self._finisher.take_back(finished)
        known = self._room.look(finished.id)
        if known is not None and known.manifest.upload.token == finished.token:
            self._finisher.remove(known)
        self._room.forget()

    def check(self) -> list[str]:
        """Write and forget again; see `Bucket.check`."""
        return self.bucket.check()

    def close(self) -> None:
        """Free connections; the store stays usable."""
        self.bucket.close()


class Reading:
    """A finished object's bytes in blocks."""

    def __init__(self, bucket: Bucket, finished: Finished, start: int, end: int) -> None:
        self._bucket = bucket
        self._key = finished.location
        self._start = start
        self._end = min(end, finished.size)

    def __iter__(self) -> Iterator[bytes]:
        position = self._start
        while position < self._end and self._key is not None:
            stop = min(self._end, position + _BLOCK)
            try:
                block = self._bucket.get(self._key, position, stop)
            except Missing:
                raise NotFound("Recording not found") from None
            if len(block) != stop - position:
                raise Unavailable("The storage gave another number of bytes than it has.")
            yield block
            position = stop

    def close(self) -> None:
        """Nothing is held between two blocks."""
        self._key = None
