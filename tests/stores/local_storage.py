"""The local store on storage that outlives its processes, for the sweep over all crash points."""

from __future__ import annotations

from pathlib import Path

from resumable.stores.local import LocalStore
from resumable.testing.faults import Faults
from resumable.testing.memory import Locks, MemoryDisk
from resumable.testing.volume import Volume

ROOT = Path("/storage")


class MemoryStorage:
    """A volume in memory with its own clock; `room` bounds the bytes on it."""

    disk_class = MemoryDisk

    def __init__(
        self, *, durability: str = "full", room: int | None = None, hard_links: bool = True
    ) -> None:
        self.volume = Volume()
        self.now = 1_700_000_000.0
        self.room = room
        self._durability = durability
        self._hard_links = hard_links
        self._locks = Locks()

    def disk(self, faults: Faults) -> MemoryDisk:
        return self.disk_class(
            self.volume,
            faults=faults,
            locks=self._locks,
            clock=self.clock,
            room=self.room,
            hard_links=self._hard_links,
        )

    def process(self, faults: Faults) -> LocalStore:
        return LocalStore(
            ROOT, durability=self._durability, free_space=0, disk=self.disk(faults), boot="boot"
        )

    def clock(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds

    def leftovers(self) -> list[str]:
        disk = self.disk(Faults())
        house = ROOT / ".resumable"
        objects = set(disk.names(ROOT)) - {house.name} if disk.exists(ROOT) else set()
        left = [
            f"{room}/{name}"
            for room in (disk.names(house) if disk.exists(house) else ())
            for name in disk.names(house / room)
            if room != "finished" or name not in objects
        ]
        known = disk.names(house / "finished") if disk.exists(house / "finished") else []
        return left + [name for name in objects if name not in known]
