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

    `lock` is held to read what can change while it is read: dictionaries and sets.
    """

    def __init__(self, boot: str) -> None:
        self.ledger = Ledger(boot)
        self.position = 0
        self.synced_to = 0
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
            for record in journal.decode(added[:whole]):
                self.ledger.fold(record)
            self.position += whole

    def recorded(self, disk: Disk, descriptor: int, records: Sequence[Record], size: int) -> None:
        """Fold what this process has just appended, without reading it again if nobody else did."""
        with self.lock:
            if disk.size(descriptor) == self.position + size:
                for record in records:
                    self.ledger.fold(record)
                self.position += size
                return
        self.refresh(disk, descriptor)


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
