"""Whole windows of one request on their way, so many at once, in memory of the budget."""

from __future__ import annotations

import contextlib
import io
from collections import deque
from dataclasses import dataclass

from resumable.errors import Unavailable, UploadError
from resumable.stores.objects.bucket import Missing, Sending
from resumable.stores.objects.knowledge import Knowledge
from resumable.stores.objects.room import Room


@dataclass(slots=True)
class Filling:
    """A buffer that fills up with the bytes from `start` on; they must end at `limit`."""

    start: int
    limit: int
    buffer: io.BytesIO
    filled: int = 0

    def add(self, view: memoryview) -> None:
        with self.buffer.getbuffer() as room:
            room[self.filled : self.filled + len(view)] = view
        self.filled += len(view)

    @property
    def size(self) -> int:
        return self.limit - self.start

    @property
    def end(self) -> int:
        return self.start + self.filled


class Flight:
    """What is being sent while the next window is read. What it knows of arrivals goes to `known`.

    Its methods raise what the storage or the upload's end makes of a window.
    """

    def __init__(self, room: Room) -> None:
        self._room = room
        self._sending: deque[tuple[Sending, Filling, int]] = deque()

    def buffer(self, known: Knowledge, size: int) -> io.BytesIO:
        """Memory for the next window, once there is some."""
        while self._sending:
            if len(self._sending) < self._room.pipeline - 1:
                buffer = self._room.memory.try_take(size)
                if buffer is not None:
                    return buffer
            self._land_one(known)
        return self._room.memory.take(size)

    def send(self, known: Knowledge, filling: Filling) -> None:
        """Begin; its memory is given back when it has arrived."""
        window = filling.start // known.part_size
        try:
            sending = self._room.send(known, window, filling.buffer)
        except Missing:
            raise self._ended(known) from None
        self._sending.append((sending, filling, window))

    def land(self, known: Knowledge) -> None:
        """Wait for all of them."""
        while self._sending:
            self._land_one(known)

    def _land_one(self, known: Knowledge) -> None:
        sending, filling, window = self._sending.popleft()
        try:
            sending.result()
        except Missing:
            raise self._ended(known) from None
        finally:
            self.give_back(filling)
        self._room.arrived(known, window, filling.filled)

    def _ended(self, known: Knowledge) -> UploadError:
        """Why the unfinished object is not there any more."""
        try:
            self._room.newer(known)
        except UploadError as error:
            return error
        return Unavailable("The storage failed while these bytes were saved. Send them again.")

    def give_up(self) -> None:
        """No buffer is free before the storage has let go of it."""
        while self._sending:
            sending, filling, _ = self._sending.popleft()
            with contextlib.suppress(UploadError, Missing):
                sending.result()
            self.give_back(filling)

    def give_back(self, filling: Filling) -> None:
        self._room.memory.give_back(filling.buffer, filling.size)
