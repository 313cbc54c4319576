"""The ledgers that this process remembers, and how far each journal has been read."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Sequence

from resumable.stores import journal
from resumable.stores.disk import Disk
from resumable.stores.journal import Record
from resumable.stores.ledger import Ledger

_REMEMBERED = 512
# The birth line says in its first bytes what no other journal says: its own CRC, id and token.
_HEAD = 160


class History:
    """A ledger and how far its journal has been read; shared by the threads of a process.

    `named`: this process knows that the file's name survives a power cut.
    `lock` is held to read what can change while it is read: dictionaries and sets.
    """

    def __init__(self, boot: str) -> None:
        self.ledger = Ledger(boot)
        self.position = 0
        self.synced_to = 0
        self.named = False
        self.lock = threading.Lock()

    @property
    def sure(self) -> int:
        """This many bytes of the journal survive a power cut."""
        return max(self.synced_to, self.ledger.sure)

    def refresh(self, disk: Disk, descriptor: int) -> None:
        """Fold what was added since the last time."""
        if disk.size(descriptor) == self.position:
            return
        with self.lock:
            added = disk.read_at(descriptor, disk.size(descriptor) - self.position, self.position)
            # The last line may still be on its way.
            whole = added.rfind(b"\n") + 1
            for start, end, record in journal.decode(added[:whole]):
                self._fold(record, self.position + start, self.position + end)
            self.position += whole

    def recorded(
        self, disk: Disk, descriptor: int, records: Sequence[Record], start: int, end: int
    ) -> None:
        """Fold what was just appended at `[start, end)`, unread if nothing is before it.

        Whether it is new is told by its place alone: another thread may have read it already.
        """
        with self.lock:
            if start == self.position:
                for record in records:
                    self._fold(record, start + 1, end)
                self.position = end
                return
        self.refresh(disk, descriptor)

    def _fold(self, record: Record, start: int, end: int) -> None:
        self.ledger.fold(record)
        # Right behind what it vouches for, the line that says so need not survive itself.
        if record.get("kind") == "sure" and start - 1 <= self.ledger.sure:
            self.ledger.sure = max(self.ledger.sure, end)


class Histories:
    """The latest histories of this process. A journal only grows, so remembering is safe."""

    def __init__(self, boot: str) -> None:
        self._boot = boot
        self._known: OrderedDict[tuple[int, int], tuple[bytes, History]] = OrderedDict()
        self._lock = threading.Lock()
        self._pid = os.getpid()

    def of(self, disk: Disk, descriptor: int) -> History:
        """The history of an open journal, whichever file had its inode number before."""
        head = disk.read_at(descriptor, _HEAD, 0)
        if len(head) < _HEAD:
            return History(self._boot)
        identity = disk.identity(descriptor)
        self._start_anew_after_fork()
        with self._lock:
            known, history = self._known.pop(identity, (b"", None))
            if history is None or known != head:
                history = History(self._boot)
            self._known[identity] = head, history
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
            return history

    def _start_anew_after_fork(self) -> None:
        # The parent's other threads may have held any of these locks.
        if self._pid != os.getpid():
            self._pid, self._lock = os.getpid(), threading.Lock()
            self._known = OrderedDict()

    def forget(self, identity: tuple[int, int]) -> None:
        """Nobody will ask for this one any more."""
        with self._lock:
            self._known.pop(identity, None)
