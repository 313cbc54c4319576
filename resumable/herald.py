"""Tells the host what happened: at least once, after it is durable, never to a client's harm."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from resumable.errors import UploadError
from resumable.forking import renew_after_fork
from resumable.host_lock import claimed
from resumable.interfaces import Hooks, Store
from resumable.model import Finished, State, Status

_MOST_REMEMBERED = 1000
_ORDERED = "ordered"
_METHODS = {_ORDERED: "take"}
_log = logging.getLogger("resumable")


class Orders(Protocol):
    """Whoever makes something of finished objects."""

    def wants(self, finished: Finished) -> bool:
        """Shall anything be made of it?"""

    def take(self, finished: Finished) -> None:
        """See to it, once, however often this is called."""


class Herald:
    """The one caller of the hooks that only hear."""

    def __init__(self, store: Store, hooks: Hooks, orders: Orders | None = None) -> None:
        self._store = store
        self._hooks = hooks
        self._orders = orders
        self._told: OrderedDict[tuple[str, str], None] = OrderedDict()
        self.after_fork()
        renew_after_fork(self)

    def after_fork(self) -> None:
        self._lock = threading.Lock()

    def owes(self, status: Status, event: str) -> bool:
        """Whether the host listens for this event of this upload and has not heard it yet."""
        if status.upload.partial or status.upload.original is not None:
            return False
        return event not in status.told and self._hooks.listens(event)

    def owes_news(self, status: Status) -> bool:
        """Whether a finished upload has something to tell yet."""
        return (
            self.owes(status, "created")
            or self._owes_order(status)
            or self.owes(status, "completed")
        )

    def _owes_order(self, status: Status) -> bool:
        """Shall something be made of it that nobody has been told to make?"""
        finished = status.finished
        if self._orders is None or finished is None or _ORDERED in status.told:
            return False
        return self._orders.wants(finished)

    def created(self, status: Status) -> None:
        """Tell of a birth, once somebody looks at the upload again if not at once."""
        if status.state is State.RECEIVING and self.owes(status, "created"):
            self._tell(status, "created", status.upload)

    def completed(self, status: Status) -> None:
        """Tell of a finished object, and before that what nobody has heard of."""
        if self.owes(status, "created"):
            self._tell(status, "created", status.upload)
        if self._owes_order(status):
            self._tell(status, _ORDERED, status.finished)
        if self.owes(status, "completed"):
            self._tell(status, "completed", status.finished)

    def cancelled(self, status: Status) -> bool:
        """Tell of an end without an object; False: the upload has to wait for the next try."""
        if not self.owes(status, "cancelled"):
            return True
        return self._tell(status, "cancelled", status.upload)

    def _tell(self, status: Status, event: str, subject: object) -> bool:
        """Once on this host, however many threads and processes see the same end."""
        news = (status.upload.token, event)
        with self._lock:
            if news in self._told:
                return True
        with claimed(" ".join(news)) as mine:
            # A hook that looks at its own upload, or somebody else on this host, tells just now.
            heard = mine and (
                self._was_told(status, event) or self._told_now(status, event, subject)
            )
        if heard:
            self._remember(news)
        return heard

    def _was_told(self, status: Status, event: str) -> bool:
        """Has another process been faster, since this status was read?

        Of a birth nobody asks: a look costs as much as a chunk.
        """
        if status.state is State.RECEIVING:
            return False
        with suppress(UploadError):
            current = self._store.load(status.upload.id)
            return current is not None and event in current.told
        return False

    def _told_now(self, status: Status, event: str, subject: object) -> bool:
        heard = self._hear(event, subject)
        if heard:
            self._store.tell(status.upload, event)
        return heard

    def _remember(self, news: tuple[str, str]) -> None:
        with self._lock:
            self._told[news] = None
            while len(self._told) > _MOST_REMEMBERED:
                self._told.popitem(last=False)

    def _hear(self, event: str, subject: object) -> bool:
        listener = self._orders if event == _ORDERED else self._hooks
        tell: Callable[[object], object] = getattr(listener, _METHODS.get(event, event))
        try:
            tell(subject)
        except Exception:
            _log.exception("the %s hook failed; it will be told again", event)
            return False
        return True
