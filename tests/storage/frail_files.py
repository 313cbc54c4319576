"""A file system in memory: any write may go wrong, and it may be as clumsy as real ones."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

from fsspec.implementations.memory import MemoryFileSystem

from resumable.model import DAY
from resumable.stores.filesystem import Filesystem
from resumable.testing.faults import Faults

AGE = 400 * DAY
"""So long ago all is written, in seconds: nothing looks as if it were at work."""


class Weakness:
    """What holds for all connections: `down` is what each call raises; `made` counts them."""

    def __init__(
        self, *, replaces: bool = True, needs_folders: bool = False, tears: bool = False
    ) -> None:
        self.replaces = replaces
        self.needs_folders = needs_folders
        self.tears = tears
        self.down: Callable[[], Exception] | None = None
        self.made = 0


class FrailFilesystem(Filesystem):
    """Connections to this process's memory."""

    def __init__(self, url: str, faults: Faults, weakness: Weakness | None = None) -> None:
        super().__init__(url, {})
        self._faults = faults
        self._weakness = weakness or Weakness()

    def another(self) -> Any:
        self._weakness.made += 1
        return _Frail(self._faults, self._weakness)


class _Frail:
    """One connection. A torn write leaves half of the bytes, a torn rename both files.

    Where it `tears`, a rename is a copy that is seen growing, and half of one may be left.
    """

    protocol = "memory"

    def __init__(self, faults: Faults, weakness: Weakness) -> None:
        self._real = MemoryFileSystem()
        self._around = faults.around
        self._weakness = weakness
        self._down = weakness.down

    def _answer(self) -> None:
        """A connection that has broken never works again."""
        self._down = self._down or self._weakness.down
        if self._down is not None:
            raise self._down()

    def _need_folder(self, path: str) -> None:
        folder = path.rpartition("/")[0]
        if self._weakness.needs_folders and folder not in self._real.pseudo_dirs:
            raise FileNotFoundError(folder)

    def invalidate_cache(self) -> None:
        """Nothing is remembered."""

    def info(self, path: str) -> Any:
        self._answer()
        return self._real.info(path)

    def isdir(self, path: str) -> bool:
        return bool(self._real.isdir(path))

    def ls(self, path: str, detail: bool) -> Any:
        self._answer()
        return [{**one, "created": one.get("created", 0) - AGE} for one in self._real.ls(path)]

    def cat_file(self, path: str, start: int | None, end: int | None) -> Any:
        self._answer()
        return self._real.cat_file(path, start=start, end=end)

    def open(self, path: str, mode: str) -> AbstractContextManager[Any]:
        self._answer()
        self._need_folder(path)
        return _FrailFile(self._around(lambda: self._real.open(path, mode)), self._around)

    def mv(self, source: str, target: str) -> None:
        self._answer()
        self._need_folder(target)
        if not self._weakness.replaces and self._real.exists(target):
            raise OSError("Failure")
        self._around(lambda: self._real.mv(source, target), lambda: self._tear(source, target))

    def _tear(self, source: str, target: str) -> None:
        self._real.copy(source, target)
        if self._weakness.tears:
            whole = self._real.cat_file(target)
            self._real.pipe_file(target, whole[: len(whole) // 2])

    def rm_file(self, path: str) -> None:
        self._answer()
        self._around(lambda: self._real.rm_file(path))

    def rmdir(self, path: str) -> None:
        self._answer()
        self._around(lambda: self._real.rmdir(path))

    def makedirs(self, path: str, exist_ok: bool) -> None:
        self._answer()
        self._around(lambda: self._real.makedirs(path, exist_ok=exist_ok))


class _FrailFile(AbstractContextManager[Any]):
    def __init__(self, real: Any, around: Callable[..., Any]) -> None:
        self._real = real
        self._around = around

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._real.close()

    def write(self, data: bytes) -> None:
        self._around(
            lambda: self._real.write(data), lambda: self._real.write(data[: len(data) // 2])
        )
