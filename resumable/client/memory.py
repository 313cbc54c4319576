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
    """One file's upload to one endpoint. `line` is what its protocol needs to go on.

    `url` is set when it is finished, in a batch that has not come to its end.
    """

    identity: Identity
    endpoint: str
    protocol: str
    line: dict[str, Any] = field(default_factory=dict)
    begun: float = 0.0
    url: str | None = None
    answer: dict[str, Any] = field(default_factory=dict)


class Memory:
    """All that is remembered below `folder` (None: the user's own)."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or _of_the_user()

    @contextmanager
    def of(self, path: str, endpoint: str) -> Iterator[Entry]:
        """The one entry of a file and an endpoint, for this process alone."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        entry = Entry(self._folder, path, endpoint)
        with entry.alone():
            yield entry

    def each(self, endpoint: str | None = None) -> Iterator[Remembered]:
        """All entries, or those of one endpoint, the oldest first; stale ones are removed."""
        found = []
        for file in self._folder.glob("*.json"):
            known = _read(file)
            if known is None:
                continue
            if known.begun < time.time() - _DAYS * 86400:
                file.unlink(missing_ok=True)
            elif endpoint in (None, known.endpoint):
                found.append(known)
        yield from sorted(found, key=lambda known: known.begun)

    def forget(self, known: Remembered) -> None:
        """As if it had never been begun; the server is not asked."""
        file = self._folder / _name(known.identity.path, known.endpoint)
        file.unlink(missing_ok=True)


class Entry:
    """What is remembered of a file and an endpoint."""

    def __init__(self, folder: Path, path: str, endpoint: str) -> None:
        self._path = path
        self._file = folder / _name(path, endpoint)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Raise `InUse` while another process has the same entry."""
        lock = self._file.with_suffix(".lock")
        while True:
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(descriptor)
                raise InUse(f"Another process is uploading {self._path} to there.") from None
            # Whoever had it before may have removed the file that was opened here.
            if _same(descriptor, lock):
                break
            os.close(descriptor)
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)
            os.close(descriptor)

    def read(self) -> Remembered | None:
        """What is known, if anything is."""
        return _read(self._file)

    def keep(self, known: Remembered) -> None:
        """Replace what is known, durably."""
        fresh = self._file.with_suffix(".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            json.dump(asdict(known), file)
            file.flush()
            os.fsync(descriptor)
        os.replace(fresh, self._file)

    def forget(self) -> None:
        """Know nothing."""
        self._file.unlink(missing_ok=True)


def _of_the_user() -> Path:
    base = os.environ.get("XDG_STATE_HOME")
    return Path(base) / "resumable" if base else Path.home() / ".local/state/resumable"


def _name(path: str, endpoint: str) -> str:
    return (
        hashlib.sha256(f"{path}\0{endpoint}".encode(errors="surrogateescape")).hexdigest() + ".json"
    )


def _read(file: Path) -> Remembered | None:
    """None for what is missing, torn, or of another version."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        document = json.loads(file.read_text(encoding="utf-8"))
        return Remembered(**{**document, "identity": Identity(**document["identity"])})
    return None


def _same(descriptor: int, path: Path) -> bool:
    with suppress(OSError):
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    return False
