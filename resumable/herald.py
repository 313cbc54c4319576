"""Tells the host what happened: at least once, after it is durable, never to a client's harm."""

from __future__ import annotations

import logging

from resumable.interfaces import Hooks, Store
from resumable.model import State, Status

_log = logging.getLogger("resumable")


class Herald:
    """The one caller of the hooks that only hear."""

    def __init__(self, store: Store, hooks: Hooks) -> None:
        self._store = store
        self._hooks = hooks

    def owes(self, status: Status, event: str) -> bool:
        """Whether the host listens for this event of this upload and has not heard it yet."""
        return event not in status.told and self._hooks.listens(event)

    def created(self, status: Status) -> None:
        """Tell of a birth, once somebody looks at the upload again if not at once."""
        if status.state is State.RECEIVING and self.owes(status, "created"):
            self._tell(status, "created", status.upload)

    def completed(self, status: Status) -> None:
        """Tell of a finished object."""
        if self.owes(status, "completed"):
            self._tell(status, "completed", status.finished)

    def cancelled(self, status: Status) -> bool:
        """Tell of an end without an object; False: the upload has to wait for the next try."""
        if not self.owes(status, "cancelled"):
            return True
        return self._tell(status, "cancelled", status.upload)

    def _tell(self, status: Status, event: str, subject: object) -> bool:
        heard = self._hear(event, subject)
        if heard:
            self._store.tell(status.upload, event)
        return heard

    def _hear(self, event: str, subject: object) -> bool:
        try:
            getattr(self._hooks, event)(subject)
        except Exception:
            _log.exception("the %s hook failed; it will be told again", event)
            return False
        return True
