"""The sweep: what nobody comes back for is expired, finished, told or forgotten."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass

from resumable.ending import Ender
from resumable.errors import Conflict, TooLarge, UploadError
from resumable.herald import Herald
from resumable.model import DAY, State, Status
from resumable.registry import Registry

# Facts of an ended upload answer late retries for this long.
REMEMBERED = 7 * DAY
_log = logging.getLogger("resumable")


@dataclass(frozen=True, slots=True)
class Swept:
    """What one sweep did: uploads expired, finished and told again, leftovers removed."""

    expired: int = 0
    finished: int = 0
    told: int = 0
    forgotten: int = 0
    leftovers: int = 0


class Sweeper:
    """Looks at every upload that the storage remembers."""

    def __init__(self, registry: Registry, herald: Herald, ender: Ender) -> None:
        self._registry = registry
        self._store = registry.store
        self._herald = herald
        self._ender = ender

    def sweep(self) -> Swept:
        """Expire, complete what crashed, tell again what was not heard, forget what is old.

        Never touches an upload that a request is at work on. Safe to run anywhere, any time,
        several at once.
        """
        counts = dict.fromkeys(("expired", "finished", "told", "forgotten"), 0)
        for status in self._store.each():
            try:
                done = self._sweep_one(status)
            except UploadError:
                _log.exception(
                    "sweeping upload %s failed; the next sweep tries again", status.upload.id[:6]
                )
                continue
            if done:
                counts[done] += 1
        leftovers = self._store.tidy(self._registry.clock() - DAY)
        return Swept(**counts, leftovers=leftovers)

    def _sweep_one(self, status: Status) -> str | None:
        now = self._registry.clock()
        limits = self._registry.limits
        if status.state is State.CANCELLED:
            self._ender.bury(status)
            return "expired"
        if status.upload.sequential and status.state is State.RECEIVING:
            # A whole may turn out too large with the length of its last piece: it has to expire.
            with suppress(TooLarge):
                status = self._ender.finish_whole(status)
            if status.state is not State.RECEIVING:
                return "finished"
        if status.state is State.RECEIVING:
            due = status.touched + limits.expiry + limits.grace < now
            # Who finds it finished after all leaves it to the next sweep.
            with suppress(Conflict):
                if due and self._store.discard(status.upload, unless_busy=True):
                    self._ender.bury(status)
                    return "expired"
            return None
        if status.state in (State.FINISHING, State.VERIFYING):
            self._ender.complete(status)
            return "finished"
        if status.upload.partial and status.finished is not None:
            if status.touched + limits.expiry + limits.grace >= now:
                return None
            self._ender.delete(status.finished)
            return "expired"
        if status.state is State.COMPLETE and self._herald.owes_news(status):
            self._herald.completed(status)
            return "told"
        if status.touched + REMEMBERED < now:
            return "forgotten" if self._ender.forget(status) else None
        return None
