"""Finds the upload that a caller means, begins it where it may be, and asks who may do what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any

from resumable.errors import Forbidden, Gone, NoRoom, NotFound, TooLarge, TooMany
from resumable.identity import checked_id, derived_id, is_id, new_ids
from resumable.interfaces import Hooks, Store
from resumable.model import Finished, Limits, State, Status, Upload
from resumable.operations import ByClientId, ById, Caller, Reference


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a reference leads: the open upload, the finished one before it, the id of the next."""

    id: str
    current: Status | None = None
    previous: Status | None = None


class Registry:
    """Uploads by reference. `clock` gives seconds since the epoch."""

    def __init__(
        self, store: Store, limits: Limits, hooks: Hooks, clock: Callable[[], float]
    ) -> None:
        self.store = store
        self.limits = limits
        self.hooks = hooks
        self.clock = clock

    def resolve(self, reference: Reference, caller: Caller) -> Standing:
        """The standing of what the caller means. Raises NotFound for a foreign or malformed id."""
        if isinstance(reference, ByClientId):
            standing = self._latest(partial(derived_id, caller.owner, reference.value))
            unknown = standing.current is None and standing.previous is None
            if unknown and self._made_by_host(reference.value, caller):
                return self.resolve(ById(reference.value), caller)
            return standing
        id = checked_id(reference.id)
        status = self.store.load(id)
        if status is None or status.state is State.CANCELLED:
            raise NotFound("Upload not found")
        if status.upload.owner != caller.owner and not caller.trusted:
            raise NotFound("Upload not found")
        if self.expired(status):
            raise Gone("This upload has expired. Begin a new one.")
        if status.state is State.COMPLETE:
            return Standing(id, previous=status)
        return Standing(id, current=status)

    def find(self, id: str, caller: Caller) -> Status:
        """What is known of an upload by its own id. Raises NotFound, Gone."""
        standing = self.resolve(ById(id), caller)
        status = standing.current or standing.previous
        assert status is not None
        return status

    def _made_by_host(self, id: str, caller: Caller) -> bool:
        """Did the host begin an upload under this very id, for its client to go on with?"""
        status = self.store.load(id) if is_id(id) else None
        return (
            status is not None
            and status.upload.client_id is None
            and status.upload.owner == caller.owner
            and status.state is not State.CANCELLED
        )

    def _latest(self, id_of: Callable[[int], str]) -> Standing:
        """The first generation that has not ended; each id is used again once it has."""
        previous: Status | None = None
        generation = 0
        while True:
            id = id_of(generation)
            status = self.store.load(id)
            if status is None:
                return Standing(id, previous=previous)
            if not status.ended and not self.expired(status):
                return Standing(id, current=status, previous=previous)
            if status.state is State.COMPLETE:
                previous = status
            generation += 1

    def followed(self, upload: Upload) -> bool:
        """Has its client begun another upload under the same id?

        Then this one must stay, for `_latest` finds the other behind it.
        """
        if upload.client_id is None:
            return False
        id_of = partial(derived_id, upload.owner, upload.client_id)
        generation = next(number for number in count() if id_of(number) == upload.id)
        return self.store.load(id_of(generation + 1)) is not None

    def expired(self, status: Status) -> bool:
        """Whether nobody has written for so long that the bytes may go."""
        unfinished = status.state is State.RECEIVING or status.upload.partial
        return unfinished and self.clock() > status.touched + self.limits.expiry

    def admit(
        self,
        caller: Caller,
        *,
        id: str | None = None,
        reference: Reference | None = None,
        length: int | None = None,
        chunk_size: int | None = None,
        **described: Any,
    ) -> Upload:
        """A new upload that may begin; nothing of it is stored yet. `described`: see `Upload`.

        Raises Forbidden, TooLarge, TooMany, NoRoom.
        """
        self.check_size(length)
        self._check_quota(caller, length)
        own, token = new_ids()
        upload = Upload(
            id=id or own,
            token=token,
            part_size=self.store.capabilities.part_size_for(
                length, chunk_size, most=self.limits.max_size
            ),
            created=self.clock(),
            owner=caller.owner,
            client_id=reference.value if isinstance(reference, ByClientId) else None,
            length=length,
            **described,
        )
        self.authorize(caller, "create", upload)
        return upload

    def check_chunk(self, size: int | None) -> None:
        """Raise TooLarge when one request brings more bytes than it may."""
        most = self.limits.max_chunk_size
        if size is not None and most is not None and size > most:
            raise TooLarge(f"A chunk may have at most {most} bytes.")

    def check_size(self, length: int | None) -> None:
        """Raise TooLarge when a declared length is over the limit."""
        greatest = self.limits.max_size
        if length is not None and greatest is not None and length > greatest:
            raise TooLarge(
                f"Uploads may have at most {greatest} bytes; this one declares {length}."
            )

    def _check_quota(self, caller: Caller, length: int | None) -> None:
        most = self.limits.max_uploads
        if most is not None and len(self._unfinished(caller)) >= most:
            raise TooMany(
                f"At most {most} unfinished uploads are allowed. Finish or cancel one first.",
                retry_after=60,
            )
        self.check_bytes(caller, length or 0)

    def check_bytes(self, caller: Caller, more: int) -> int | None:
        """How many bytes the owner's unfinished uploads may still take; None: any number.

        Raises NoRoom when `more` bytes are too many.
        """
        most = self.limits.max_bytes
        if most is None:
            return None
        room = most - sum(status.received for status in self._unfinished(caller))
        if more > room:
            raise self.quota_reached()
        return room

    def quota_reached(self) -> NoRoom:
        """What an owner is told who brings too many bytes."""
        return NoRoom(
            f"Unfinished uploads may hold at most {self.limits.max_bytes} bytes in all. "
            "Finish or cancel one first.",
            code="quota",
        )

    def _unfinished(self, caller: Caller) -> list[Status]:
        return [
            status
            for status in self.store.each()
            if status.upload.owner == caller.owner and not status.ended
        ]

    def authorize(
        self,
        caller: Caller,
        action: str,
        subject: Upload | Finished | None,
        what: str | None = None,
    ) -> None:
        """Ask the host. A refusal to act on something looks like its absence, in the same words."""
        if caller.trusted or self.hooks.authorize(caller, action, subject):
            return
        if action in ("create", "list"):
            raise Forbidden("You may not do this.")
        what = what or ("Recording" if action == "download" else "Upload")
        raise NotFound(f"{what} not found")
