"""File systems to be lent to one operation each: few of them bear two threads at once."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from resumable.stores.filesystem import Filesystem
from resumable.stores.objects.bucket import Missing, Occupied

_MOST_IDLE = 8
_ANSWERS = frozenset({errno.ENOENT, errno.EEXIST, errno.ENOTDIR, errno.ENOTEMPTY})


class Connections:
    """As many file systems of one URL as there are operations at once, in each process.

    One that failed is not lent again, so that a server that comes back is found.
    """

    def __init__(self, filesystem: Filesystem) -> None:
        self._filesystem = filesystem
        self._idle: list[Any] = []
        self._lock = threading.Lock()
        self._pid = os.getpid()

    @contextmanager
    def lend(self) -> Iterator[Any]:
        """A file system that nobody else uses meanwhile."""
        lent = self._take()
        try:
            yield lent
        except BaseException as error:
            if isinstance(error, Missing | Occupied) or is_answer(error):
                self._give_back(lent)
            else:
                self._hang_up(lent)
            raise
        self._give_back(lent)

    def _take(self) -> Any:
        if self._pid != os.getpid():
            # The parent's connections are the parent's, and so may be its lock.
            self._lock, self._idle, self._pid = threading.Lock(), [], os.getpid()
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return self._filesystem.another()

    def _give_back(self, lent: Any) -> None:
        with self._lock:
            if len(self._idle) < _MOST_IDLE:
                self._idle.append(lent)
                return
        self._hang_up(lent)

    def close(self) -> None:
        """End those that wait; the next operation makes a new one."""
        with self._lock:
            idle, self._idle = self._idle, []
        for lent in idle:
            self._hang_up(lent)
        self._filesystem.close()

    def _hang_up(self, lent: Any) -> None:
        """An SSH connection has a thread that keeps it open until somebody ends it."""
        client = getattr(lent, "client", None)
        if "sftp" in lent.protocol and client is not None and not self._filesystem.shared:
            with suppress(Exception):
                client.close()


def is_answer(error: BaseException) -> bool:
    """Whether the storage has answered, if only that something is there or is not."""
    if isinstance(error, FileNotFoundError | FileExistsError):
        return True
    return isinstance(error, OSError) and error.errno in _ANSWERS


def is_missing(error: BaseException) -> bool:
    """Whether the storage says that there is no such file."""
    if isinstance(error, FileNotFoundError):
        return True
    return isinstance(error, OSError) and error.errno in (errno.ENOENT, errno.ENOTDIR)
