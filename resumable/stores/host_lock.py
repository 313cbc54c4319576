"""One at a time on this host: for storages that cannot decide between two writers themselves."""

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


def _after_fork() -> None:
    """Whoever held one stayed in the parent."""
    _threads[:] = [threading.Lock() for _ in range(_STRIPES)]


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
