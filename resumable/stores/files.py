"""The open files of one local upload, and the locks on them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from resumable.model import State
from resumable.stores.disk import Disk
from resumable.stores.history import Histories
from resumable.stores.idle import Idle
from resumable.stores.ledger import Ledger

# Behind every byte that a file can have.
_FACTS_LOCK = 2**62
DATA = ".data"


class OpenUpload:
    """Journal and data of one upload; a context manager that lets go of them.

    Raises FileNotFoundError when there is no such upload, unless it may `create` the journal.
    """

    def __init__(
        self,
        disk: Disk,
        room: Path,
        id: str,
        histories: Histories,
        idle: Idle[Any],
        *,
        full: bool,
        create: bool = False,
    ) -> None:
        self.disk = disk
        self.room = room
        self.id = id
        self.full = full
        self.journal_path = self.path("")
        self.data_path = self.path(DATA)
        self._histories = histories
        self._idle = idle
        self._open = contextlib.ExitStack()
        try:
            self.data: int | None = None
            self.journal = self._opened(disk.open(self.journal_path, append=True, create=create))
            self._history = histories.of(disk, self.journal)
            self.refresh()
            self.find_data()
        except BaseException:
            self.discard()
            raise

    # ------------------------------------------------------------ files

    @cached_property
    def identity(self) -> tuple[int, int]:
        """What tells this journal from every other one."""
        return self.disk.identity(self.journal)

    def path(self, suffix: str) -> Path:
        """One of this upload's files."""
        return self.room / (self.id + suffix)

    def find_data(self) -> None:
        """Open the data file, once the birth line says that it is there.

        Before that line a file of this name may be what a dead beginner left, and when the journal
        has lost its name it may be another upload's.
        """
        if self.data is None and self.ledger.upload is not None:
            with contextlib.suppress(FileNotFoundError):
                found = self._opened(self.disk.open(self.data_path))
                if self.is_current():
                    self.data = found
                    self._mark()

    def _opened(self, descriptor: int) -> int:
        self._open.callback(self.disk.close, descriptor)
        return descriptor

    def make_data(self) -> None:
        """A new, empty data file; what a dead beginner left under its name is no upload's."""
        try:
            made = self.disk.create(self.data_path)
        except FileExistsError:
            self.disk.unlink(self.data_path)
            made = self.disk.create(self.data_path)
        self.data = self._opened(made)
        self._mark()

    def _mark(self) -> None:
        """Tell the sweeper that a request is at work."""
        if self.data is not None:
            self.disk.mark_live(self.data)

    def is_current(self) -> bool:
        """Does the upload's name still mean these files?"""
        try:
            return self.disk.identity_of(self.journal_path) == self.identity
        except FileNotFoundError:
            return False

    def wake(self) -> bool:
        """Be at work again; False when the upload has gone or another has its name."""
        try:
            if not self.is_current():
                return False
            self._mark()
            self.refresh()
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Let go: an upload that still takes bytes is likely to be wanted again at once."""
        if self.ledger.upload is None or self.ledger.state is not State.RECEIVING:
            self.discard()
            return
        try:
            if self.data is not None:
                self.disk.unmark(self.data)
        except BaseException:
            self.discard()
            raise
        self._idle.keep(self)

    def discard(self) -> None:
        """Close the files."""
        self._open.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None or isinstance(error, Exception):
            self.close()
        else:
            self.discard()

    # ------------------------------------------------------------ locks

    def claim(self) -> bool:
        """Keep every other request out until this session closes; False when one is at work."""
        return self.data is None or self.disk.try_claim(self.data)

    @contextlib.contextmanager
    def range_locked(self, start: int, length: int) -> Iterator[None]:
        """No other writer, committer or finisher in this range of the data; 0: to the end.

        The numbers are those of the data, the lock is on the journal, so that the data file has
        one kind of lock only: some network file systems make one kind of the two.
        """
        with self.disk.range_locked(self.journal, start, length):
            yield

    @contextlib.contextmanager
    def all_locked(self) -> Iterator[None]:
        """Nobody else writes a byte or decides anything."""
        with self.range_locked(0, 0):
            self.refresh()
            yield

    @contextlib.contextmanager
    def facts_locked(self) -> Iterator[None]:
        """Nobody else decides what is written once."""
        with self.disk.range_locked(self.journal, _FACTS_LOCK, 1):
            self.refresh()
            yield

    @property
    def ledger(self) -> Ledger:
        """What is known, as far as it was read; `refresh` reads on."""
        return self._history.ledger

    def refresh(self) -> None:
        """Learn what others have recorded."""
        self._history.refresh(self.disk, self.journal)

    def forget(self) -> None:
        """Nobody will ask for this journal any more."""
        self._histories.forget(self.identity)
