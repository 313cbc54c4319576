"""Folders for working files: locked while their attempt lives, swept when its process is dead."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows: nothing is swept
    fcntl = None  # type: ignore[assignment]

_PREFIX = "resumable-job-"


def scratch_home(chosen: Path | None) -> Path:
    """Where they lie: where the app says, else in the system's folder."""
    return chosen or Path(tempfile.gettempdir())


@contextmanager
def scratch_folder(home: Path, name: str) -> Iterator[Path]:
    """A folder of one attempt's own; whatever dead ones have left beside it goes first."""
    sweep_scratch(home)
    folder, lock = _made(home, name)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def sweep_scratch(home: Path) -> int:
    """Remove the folders of processes that have died on this machine; their number.

    The system gives back the lock of a process that dies, so nothing is asked but the lock.
    """
    if fcntl is None:
        return 0
    return sum(_removed(folder) for folder in home.glob(f"{_PREFIX}*"))


def _removed(folder: Path) -> bool:
    lock = _locked(folder)
    if lock is None:
        return False
    try:
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)
    return True


def _made(home: Path, name: str) -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{name}-", dir=home))
        lock = _locked(folder)
        if lock is not None:
            if folder.exists():
                return folder, lock
            # Somebody swept it in the moment before it was locked.
            os.close(lock)


def _locked(folder: Path) -> int | None:
    """The folder, open and locked; None where somebody else has it, or it is none of ours."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    if fcntl is None:
        return descriptor
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
