"""What belongs to no upload any more, and how one tells that from what is at work."""

from __future__ import annotations

import time
from collections import defaultdict

from resumable.stores.objects.bucket import Stored
from resumable.stores.objects.knowledge import Knowledge
from resumable.stores.objects.names import MANIFEST
from resumable.stores.objects.room import Room

# No request takes longer between two writes of its upload.
_BUSY_SECONDS = 3600.0


class Leftovers:
    """Finds them by their names alone; touches nothing that is not shaped like ours."""

    def __init__(self, room: Room, root: str) -> None:
        self._room = room
        self._root = root

    def may_be_busy(self, known: Knowledge) -> bool:
        """No storage tells who is at work: what was written within the hour may be."""
        return time.time() - known.touched < _BUSY_SECONDS

    def tidy(self, older_than: float) -> int:
        """Remove leftovers from before a moment (seconds since the epoch); their number."""
        folder = f"{self._room.reader.root}/uploads/"
        births: dict[str, list[Stored]] = defaultdict(list)
        manifests: dict[str, Stored] = {}
        for one in self._room.bucket.listed(folder):
            id, _, rest = one.key.removeprefix(folder).partition("/")
            if "/" in rest:
                births[f"{id}/{rest.partition('/')[0]}"].append(one)
            elif rest == MANIFEST:
                manifests[id] = one
        known = {id: self._room.reader.look(id) for id in manifests}
        alive = {f"{id}/{one.manifest.birth}": one for id, one in known.items() if one is not None}
        count = 0
        for birth, objects in births.items():
            if birth not in alive and max(one.modified for one in objects) < older_than:
                self._room.bucket.delete([one.key for one in objects])
                count += 1
        # Torn at the birth: nobody was told of it.
        torn = [
            one.key
            for id, one in manifests.items()
            if known[id] is None and one.modified < older_than
        ]
        self._room.bucket.delete(torn)
        count += len(torn)
        return count + self._tidy_parts(older_than, alive) + self._tidy_loose(older_than)

    def _tidy_loose(self, older_than: float) -> int:
        """What was being written before it had its name, and what a check has forgotten."""
        bucket, root = self._room.bucket, self._room.reader.root
        listed = [*bucket.listed(f"{root}/new/"), *bucket.listed(f"{root}/probe/")]
        old = [one.key for one in listed if one.modified < older_than]
        bucket.delete(old)
        return len(old)

    def _tidy_parts(self, older_than: float, alive: dict[str, Knowledge]) -> int:
        """Unfinished objects that no upload knows: their beginner died before it could say so."""
        parts = self._room.parts
        if parts is None:
            return 0
        needed = {one.native for one in alive.values() if one.done is None}
        count = 0
        for one in parts.unfinished(f"{self._root}/"):
            if one.native not in needed and one.began < older_than:
                parts.abandon(one.key, one.native)
                count += 1
        return count
