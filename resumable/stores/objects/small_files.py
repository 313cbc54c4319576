"""Small files of a bucket: objects below one prefix, created once where the storage can tell."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from resumable.interfaces import SmallFile
from resumable.stores.objects.bucket import Bucket, Missing


class ObjectSmallFiles:
    """One prefix a folder, below `root`."""

    def __init__(self, bucket: Bucket, root: str) -> None:
        self._bucket = bucket
        self._root = root

    @property
    def exclusive(self) -> bool:
        return self._bucket.conditions

    def create(self, folder: str, name: str, data: bytes) -> bool:
        key = self._key(folder, name)
        # A lost answer makes one's own success look like somebody else's.
        return self._bucket.put(key, data, if_absent=True) or self.read(folder, name) == data

    def write(self, folder: str, name: str, data: bytes) -> None:
        self._bucket.put(self._key(folder, name), data)

    def read(self, folder: str, name: str) -> bytes | None:
        try:
            return self._bucket.get(self._key(folder, name))
        except Missing:
            return None

    def read_all(self, folder: str, names: Collection[str]) -> dict[str, bytes]:
        prefix = self._key(folder, "")
        found = self._bucket.get_all([prefix + name for name in names])
        return {key.removeprefix(prefix): data for key, data in found.items()}

    def listed(self, folder: str) -> list[SmallFile]:
        prefix = self._key(folder, "")
        return [
            SmallFile(
                one.key.removeprefix(prefix),
                f"{one.version}-{one.modified}-{one.size}",
                one.modified,
            )
            for one in self._bucket.listed(prefix)
        ]

    def remove(self, folder: str, names: Iterable[str]) -> None:
        self._bucket.delete([self._key(folder, name) for name in names])

    def _key(self, folder: str, name: str) -> str:
        return f"{self._root}/{folder}/{name}"
