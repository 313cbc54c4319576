"""One at a time on this host, where the storage cannot decide or need not be asked."""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows: threads exclude each other, processes do not
    fcntl = None  # type: ignore[assignment]

_STRIPES = 64
_threads = [threading.Lock() for _ in range(_STRIPES)]
_FURTHEST = 2**62


class _Claims:
    """What threads of this process have claimed; among processes a byte of one file stands for it.

    These locks are the process's own and end with it, or when it closes the file, which it
    therefore keeps open.
    """

    def __init__(self) -> None:
        self.after_fork()

    def after_fork(self) -> None:
        self._mine: set[int] = set()
        self._lock = threading.Lock()
        self._file: int | None = None

    def take(self, name: str) -> bool:
        place = _place(name)
        with self._lock:
            if place in self._mine or not self._lock_place(place):
                return False
            self._mine.add(place)
            return True

    def give_back(self, name: str) -> None:
        place = _place(name)
        with self._lock:
            self._mine.discard(place)
            if self._file is not None:
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, place)

    def _lock_place(self, place: int) -> bool:
        if fcntl is None:
            return True
        if self._file is None:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            self._file = os.open(f"{_folder()}/claims", flags, 0o600)
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
        except (BlockingIOError, PermissionError):
            return False
        return True


_claims = _Claims()


def _after_fork() -> None:
    """Whoever held one stayed in the parent."""
    _threads[:] = [threading.Lock() for _ in range(_STRIPES)]
    _claims.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@contextmanager
def one_at_a_time(name: str) -> Iterator[None]:
    """Excludes all other threads and processes of this user that ask with the same name.

    The system frees it when a process dies.
    """
    stripe = hashlib.sha256(name.encode()).digest()[0] % _STRIPES
    # Threads first: a greenlet that waited for the file would stop the one that has it.
    with _threads[stripe]:
        file = _locked(stripe)
        try:
            yield
        finally:
            if file is not None:
                os.close(file)


@contextmanager
def claimed(name: str) -> Iterator[bool]:
    """True for one thread of all this user's processes; False, at once, for those that come second.

    Nobody waits, so whoever has it may take its time, and may ask again for the same name. The
    system frees it when a process dies.
    """
    mine = _claims.take(name)
    try:
        yield mine
    finally:
        if mine:
            _claims.give_back(name)


def _place(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % _FURTHEST


def _locked(stripe: int) -> int | None:
    if fcntl is None:
        return None
    file = os.open(f"{_folder()}/{stripe:02}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(file, fcntl.LOCK_EX)
    return file


def _folder() -> str:
    """This user's own, in the system's folder for temporary files. Raises RuntimeError."""
    folder = f"{tempfile.gettempdir()}/resumable-{os.getuid()}"
    os.makedirs(folder, mode=0o700, exist_ok=True)
    owner = os.lstat(folder)
    if owner.st_uid != os.getuid() or os.path.islink(folder):
        raise RuntimeError(
            f"{folder} belongs to somebody else. Remove it, or set TMPDIR to another folder."
        )
    return folder
