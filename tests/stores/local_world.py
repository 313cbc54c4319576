"""A machine with a local store on a disk in memory, clients that remember what they were told."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

from resumable.errors import Conflict, UploadError
from resumable.model import Finished, State, Status, Upload
from resumable.stores.local import LocalStore
from resumable.testing.baton import Baton
from resumable.testing.contract.base import GivenPayload
from resumable.testing.crash_states import CrashState
from resumable.testing.faults import Faults
from resumable.testing.memory import Locks, MemoryDisk
from resumable.testing.volume import Volume

ROOT = Path("/storage")
FIRST_BOOT, NEXT_BOOT = "boot-1", "boot-2"
_ORDER = (State.RECEIVING, State.FINISHING, State.VERIFYING, State.COMPLETE)


def some_bytes(length: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(length)


def an_upload(name: str = "one", **more: Any) -> Upload:
    id = f"{name:-<22}"
    values = {"part_size": 8, "created": 1000.0, **more}
    return Upload(id=id, token=f"token-{id}", **values)


def describing(upload: Upload) -> Callable[..., Finished]:
    """What an engine would say of a finished object."""

    def describe(facts: Any, head: bytes, crc32c: int, size: int) -> Finished:
        return Finished(
            id=upload.id,
            token=upload.token,
            size=size,
            crc32c=crc32c,
            content_type="application/octet-stream",
            filename=facts.get("filename", "file"),
            finished=2000.0,
            digest=facts.get("digest"),
        )

    return describe


class Machine:
    """One volume and the processes on it; `boot` changes when the power was cut."""

    def __init__(
        self,
        volume: Volume | None = None,
        *,
        boot: str = FIRST_BOOT,
        durability: str = "full",
        baton: Baton | None = None,
        one_process: bool = False,
    ) -> None:
        self.volume = volume or Volume(recording=True)
        self.base = self.volume.copied()
        self.boot = boot
        self.durability = durability
        self.baton = baton
        self.locks = Locks(baton.wait if baton else None)
        self.faults: Faults | None = None
        self._only: LocalStore | None = None
        self._one_process = one_process

    def process(self, faults: Faults | None = None) -> LocalStore:
        """The store of another process, or of another thread where there is but one process.

        The first one gets the `faults` that the machine was given.
        """
        if self._one_process and self._only is not None:
            return self._only
        if faults is None:
            faults, self.faults = self.faults, None
        pace = self.baton.step if self.baton else lambda: None
        disk = MemoryDisk(
            self.volume, faults=faults, locks=self.locks, clock=lambda: 1000.0, pace=pace
        )
        self._only = LocalStore(
            ROOT, durability=self.durability, free_space=0, disk=disk, boot=self.boot
        )
        return self._only

    def forget_processes(self) -> None:
        """All that were there have died."""
        self._only = None


@dataclass(frozen=True)
class Told:
    """What a client was told of an upload; `content` is what it has sent or will send."""

    upload: Upload
    content: bytes
    extents: tuple[tuple[int, int], ...] = ()
    chunks: tuple[tuple[int, int], ...] = ()
    facts: tuple[tuple[str, Any], ...] = ()
    state: State = State.RECEIVING
    rivals: tuple[bytes, ...] = ()
    exact: tuple[int, int] | None = None  # here lie the bytes of `content`, not a rival's
    cancelling: bool = False  # nothing else is promised from here on
    bounds: tuple[int, ...] = ()  # where the chunks of a numbered upload end
    depositing: bool = False  # until it is complete, nothing is promised, and nothing half done


@dataclass
class Client:
    """Sends one content into one upload and writes down what it is told."""

    machine: Machine
    store: LocalStore
    upload: Upload
    content: bytes
    rivals: tuple[bytes, ...] = ()
    bounds: tuple[int, ...] = ()

    def begin(self) -> bool:
        fresh = self.store.begin(self.upload)
        if fresh:
            self._told(Told(self.upload, self.content))
        return fresh

    def place(
        self,
        start: int,
        end: int,
        number: int | None = None,
        *pieces: int,
        known_length: bool = True,
    ) -> Status:
        """`pieces` are the lengths in which the bytes arrive."""
        length = end - start if known_length else None
        with self.store.placing(self.upload, start, length=length) as placing:
            at = start
            for piece in (*pieces, end):
                stop = min(end, at + piece)
                placing.write(memoryview(self.content[at:stop]))
                at = stop
            placed = placing.commit(number)
        self._told_status(placed.status)
        here = start, end
        self._told(Told(self.upload, self.content, extents=(here,), exact=here))
        return placed.status

    def cut(self, start: int, end: int) -> None:
        """A body that ends early: what arrived is kept."""
        with self.store.placing(self.upload, start) as placing:
            placing.write(memoryview(self.content[start:end]))
            placing.keep()
        self.look()

    def keep(self, number: int, start: int, end: int) -> Status:
        with self.store.keeping(self.upload, number) as keeping:
            keeping.write(memoryview(self.content[start:end]))
            placed = keeping.commit(number)
        self._told_status(placed.status)
        self._told(Told(self.upload, self.content, chunks=((number, end - start),)))
        return placed.status

    def note(self, **facts: Any) -> None:
        known = self.store.note(self.upload, facts)
        self._told(Told(self.upload, self.content, facts=tuple(known.items())))

    def look(self) -> Status | None:
        status = self.store.load(self.upload.id)
        if status is not None:
            self._told_status(status)
        return status

    def remove_if_cancelled(self) -> None:
        """As an engine does it that has found an upload cancelled."""
        with contextlib.suppress(Conflict):
            self.store.remove(self.upload)

    def finish(self, length: int | None = None, **facts: Any) -> Status:
        length = len(self.content) if length is None else length
        status = self.store.finish(self.upload, length, describing(self.upload), facts=facts)
        self._told_status(status)
        return status

    def deposit(self, *pieces: int, **facts: Any) -> Status:
        """The whole content in one step; `pieces` are the lengths in which the bytes arrive."""
        self._told(Told(self.upload, self.content, depositing=True))
        cuts = [0, *accumulate(pieces), len(self.content)]
        payload = GivenPayload([self.content[start:end] for start, end in pairwise(cuts)])
        status = self.store.deposit(self.upload, payload, describing(self.upload), facts=facts)
        self._told_status(status)
        return status

    def cancel(self) -> None:
        self._told(Told(self.upload, self.content, cancelling=True))
        self.store.discard(self.upload)
        self._told(Told(self.upload, self.content, state=State.CANCELLED))

    def remove(self) -> None:
        self.store.remove(self.upload)

    def complete(self) -> Status:
        """What a client does after a crash: ask, send what is missing, finish."""
        status = self.store.load(self.upload.id)
        if status is None:
            self.begin()
            status = self.store.load(self.upload.id)
        assert status is not None
        if status.state is State.RECEIVING and self.bounds:
            self._send_numbers(status)
        elif status.state is State.RECEIVING:
            for start, end in status.extents.missing(len(self.content)):
                assert end is not None
                self.place(start, end)
        return self.finish()

    def _send_numbers(self, status: Status) -> None:
        for number, (start, end) in enumerate(pairwise((0, *self.bounds))):
            if number in status.chunks:
                continue
            known = status.start_of(number)
            if known is None:
                status = self.keep(number, start, end)
            else:
                assert known == start
                status = self.place(start, end, number)

    def _told_status(self, status: Status) -> None:
        self._told(
            Told(
                self.upload,
                self.content,
                extents=tuple(status.extents),
                chunks=tuple((chunk.number, chunk.length) for chunk in status.chunks.values()),
                facts=tuple(status.facts.items()),
                state=status.state,
            )
        )

    def _told(self, told: Told) -> None:
        told = replace(told, rivals=self.rivals, bounds=self.bounds)
        self.machine.volume.promise(told)


# ---------------------------------------------------------------- what a recovery finds


def wrongs(
    crash: CrashState, *, resume: bool = True, durability: str = "full", boot: str | None = None
) -> Sequence[tuple[str, str]]:
    """What is wrong with the state that a fresh process finds, and with going on from there."""
    boot = boot or (NEXT_BOOT if crash.power else FIRST_BOOT)
    machine = Machine(crash.volume, boot=boot, durability=durability)
    told = [promise for promise in crash.promises if isinstance(promise, Told)]
    found: list[tuple[str, str]] = []
    for upload in {one.upload.id: one.upload for one in told}.values():
        about = [one for one in told if one.upload == upload]
        try:
            found += _wrongs_of(machine, upload, about, resume=resume)
        except (UploadError, OSError, AssertionError) as error:
            found.append(("lost", f"{type(error).__name__}: {error}"))
    return found


def _wrongs_of(
    machine: Machine, upload: Upload, told: list[Told], *, resume: bool
) -> Iterator[tuple[str, str]]:
    store = machine.process()
    status = store.load(upload.id)
    states = {one.state for one in told}
    if {State.CANCELLED, State.COMPLETE} <= states:
        yield "corrupt", "the upload was finished and cancelled"
    if State.CANCELLED in states:
        if status is not None and status.state is not State.CANCELLED:
            yield "lost", "a cancelled upload has come back"
        return
    gone = status is None or status.state is State.CANCELLED
    if gone and any(one.cancelling for one in told):
        return
    content, rivals = told[-1].content, told[-1].rivals
    if State.COMPLETE in states:
        yield from _wrong_object(machine, upload, told)
        return
    if any(one.depositing for one in told):
        yield from _wrong_deposit(machine, status, told)
        return
    if status is None:
        yield "lost", "the upload is unknown"
        return
    yield from _wrong_bytes(machine.volume, status, told)
    if status.state is State.RECEIVING:
        yield from _wrong_knowledge(status, told)
    if resume and not rivals:
        bounds = told[-1].bounds
        Client(machine, machine.process(), upload, content, bounds=bounds).complete()
        yield from _wrong_object(machine, upload, told)


def _wrong_deposit(
    machine: Machine, status: Status | None, told: list[Told]
) -> Iterator[tuple[str, str]]:
    """Whoever sweeps ends it: the whole object or nothing at all."""
    store, upload, disk = machine.process(), told[-1].upload, MemoryDisk(machine.volume)
    if status is not None and status.state is not State.RECEIVING:
        store.finish(upload, 0, describing(upload))
        yield from _wrong_object(machine, upload, told)
        return
    if status is not None:
        store.discard(upload)
        store.remove(upload)
    store.tidy(5000.0)
    rooms = (ROOT, ROOT / ".resumable" / "uploads", ROOT / ".resumable" / "finished")
    names = (name for room in rooms if disk.exists(room) for name in disk.names(room))
    left = [name for name in names if upload.id in name]
    if left:
        yield "corrupt", f"nobody knows of {left}"


def _wrong_knowledge(status: Status, told: list[Told]) -> Iterator[tuple[str, str]]:
    for one in told:
        for start, end in one.extents:
            if not status.extents.covers(start, end):
                yield "lost", f"bytes {start} to {end} of {status.extents}"
        for number, length in one.chunks:
            chunk = status.chunks.get(number)
            if chunk is None or chunk.length != length:
                yield "lost", f"chunk {number}: {chunk}"
        for name, value in one.facts:
            if status.facts.get(name) != value:
                yield "lost", f"the fact {name}"
        if _ORDER.index(one.state) > _ORDER.index(status.state):
            yield "lost", f"state {one.state} is {status.state} again"


def _wrong_bytes(volume: Volume, status: Status, told: list[Told]) -> Iterator[tuple[str, str]]:
    disk = MemoryDisk(volume)
    path = ROOT / ".resumable" / "uploads" / f"{status.upload.id}.data"
    if not disk.exists(path):
        if status.state is State.RECEIVING and status.extents:
            yield "short", "the data file has gone"
        return
    data = disk.read_at(disk.open_to_read(path), 1 << 30, 0)
    contents = (told[-1].content, *told[-1].rivals)
    for start, end in status.extents:
        if len(data) < end:
            yield "short", f"{status.extents} of {len(data)} bytes"
        elif not all(any(data[at] == one[at] for one in contents) for at in range(start, end)):
            yield "corrupt", f"bytes {start} to {end}"
    for one in told:
        if one.exact is not None and status.extents.covers(*one.exact):
            here = slice(*one.exact)
            if data[here] != one.content[here]:
                yield "corrupt", f"bytes {one.exact} are another writer's"


def _wrong_object(machine: Machine, upload: Upload, told: list[Told]) -> Iterator[tuple[str, str]]:
    store = machine.process()
    finished = store.find(upload.token)
    if finished is None:
        yield "lost", "the finished object"
        return
    disk = MemoryDisk(machine.volume)
    data = disk.read_at(disk.open_to_read(store.path(finished)), 1 << 30, 0)
    known = max((end for one in told for _, end in one.extents), default=0)
    if len(data) < max(known, finished.size):
        yield "short", f"the object has {len(data)} bytes"
    contents = (told[-1].content, *told[-1].rivals)
    if len(data) > finished.size or data not in [one[: finished.size] for one in contents]:
        yield "corrupt", "the object"
