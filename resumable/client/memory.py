"""What this user's unfinished uploads are, so that the same command goes on with them.

They lie in `$XDG_STATE_HOME/resumable` (`~/.local/state/resumable`), readable by nobody else: the
address of an unfinished upload is a secret.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from resumable.client.errors import InUse
from resumable.client.source import Identity

# No server keeps what nobody goes on with for so long.
_DAYS = 30


@dataclass(frozen=True, slots=True)
class Remembered:
    """One file's upload to one endpoint, as a file of that name.

    `wish` is what was asked for it, `line` what its protocol needs to go on. `url` is set when it
    is finished, and something of it is still to be done or its batch has not come to its end.
    """

    identity: Identity
    endpoint: str
    protocol: str
    filename: str
    wish: dict[str, Any] = field(default_factory=dict)
    line: dict[str, Any] = field(default_factory=dict)
    begun: float = 0.0
    url: str | None = None
    answer: dict[str, Any] = field(default_factory=dict)


class Memory:
    """All that is remembered below `folder` (None: the user's own)."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or _of_the_user()

    @contextmanager
    def of(self, path: str, endpoint: str, filename: str) -> Iterator[Entry]:
        """The one entry of a file and an endpoint, for this caller alone.

        Raises `InUse`. Where nothing can be written the entry keeps nothing.
        """
        entry = Entry(self._folder / _name(path, endpoint, filename), path)
        with entry.alone():
            yield entry

    def each(self, endpoint: str | None = None) -> Iterator[Remembered]:
        """All entries, or those of one endpoint, the oldest first; stale ones are removed."""
        found = []
        for file in self._folder.glob("*"):
            if _age(file) > _DAYS * 86400:
                file.unlink(missing_ok=True)
            elif file.suffix == ".json" and (known := _read(file)) is not None:
                found.append(known)
        mine = [known for known in found if endpoint in (None, known.endpoint)]
        yield from sorted(mine, key=lambda known: known.begun)


class Entry:
    """What is remembered of a file and an endpoint. `lasting`: it can be written down."""

    def __init__(self, file: Path, path: str) -> None:
        self._path = path
        self._file = file
        self.lasting = True

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Raise `InUse` while somebody else has the same entry."""
        lock = self._file.with_suffix(".lock")
        descriptor = self._locked(lock)
        try:
            yield
        finally:
            if descriptor is not None:
                lock.unlink(missing_ok=True)
                os.close(descriptor)

    def _locked(self, lock: Path) -> int | None:
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            while True:
                descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                if self._flocked(descriptor) and _same(descriptor, lock):
                    return descriptor
                # Whoever had it before has removed the file that was opened here.
                os.close(descriptor)
        except OSError:
            self.lasting = False
            return None

    def _flocked(self, descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise InUse(f"Another upload of {self._path} to there is under way.") from None
        return True

    def read(self) -> Remembered | None:
        """What is known, if anything is."""
        return _read(self._file)

    def keep(self, known: Remembered) -> bool:
        """Replace what is known, durably; False where that cannot be."""
        fresh = self._file.with_suffix(".new")
        try:
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with open(descriptor, "w", encoding="utf-8") as file:
                json.dump(asdict(known), file)
                file.flush()
                os.fsync(descriptor)
            os.replace(fresh, self._file)
        except OSError:
            with suppress(OSError):
                fresh.unlink(missing_ok=True)
            return False
        return True

    def forget(self) -> None:
        """Know nothing."""
        with suppress(OSError):
            self._file.unlink(missing_ok=True)


def _of_the_user() -> Path:
    base = os.environ.get("XDG_STATE_HOME")
    return Path(base) / "resumable" if base else Path.home() / ".local/state/resumable"


def _name(path: str, endpoint: str, filename: str) -> str:
    key = f"{path}\0{endpoint}\0{filename}".encode(errors="surrogateescape")
    return hashlib.sha256(key).hexdigest() + ".json"


def _age(file: Path) -> float:
    with suppress(OSError):
        return time.time() - file.stat().st_mtime
    return 0.0


def _read(file: Path) -> Remembered | None:
    """None for what is missing, torn, or of another version."""
    with suppress(OSError, ValueError, TypeError, KeyError, RecursionError):
        document = json.loads(file.read_text(encoding="utf-8"))
        known = Remembered(**{**document, "identity": Identity(**document["identity"])})
        numbers = (known.identity.size, known.identity.modified, known.begun)
        if all(isinstance(one, int | float) for one in numbers):
            return known
    return None


def _same(descriptor: int, path: Path) -> bool:
    with suppress(OSError):
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    return False
