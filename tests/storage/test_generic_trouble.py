"""File systems on which any call may go wrong: nothing is lost, and nothing is left over."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Collection

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from resumable.errors import Conflict, NoRoom, Unavailable
from resumable.interfaces import Capabilities
from resumable.model import DAY, Objects, State
from resumable.stores.generic import GenericBucket
from resumable.stores.objects.bucket import Description, Missing
from resumable.stores.objects.destination import Destination
from resumable.stores.objects.store import ObjectStore
from resumable.testing.contract.base import an_upload, content, finish, loaded, place, some_bytes
from resumable.testing.crash_points import (
    SCRIPTS,
    Script,
    crash_points,
    deposited,
    every,
    failing_calls,
)
from resumable.testing.faults import Faults
from tests.storage.frail_files import AGE, FrailFilesystem, Weakness

PART = 16
SIZES = (20, 9, 31, 16)


class Folder:
    """Files in memory that outlive the processes on them; its clock can be put forward."""

    def __init__(self, weakness: Weakness | None = None, objects: Objects | None = None) -> None:
        self.weakness = weakness or Weakness()
        self.root = f"/{secrets.token_hex(6)}/prefix"
        self.state = f"{self.root}/.resumable"
        self._objects = objects or Objects()
        self._passed = 0.0

    def bucket(self, faults: Faults | None = None) -> GenericBucket:
        files = FrailFilesystem(f"memory://{self.root}", faults or Faults(), self.weakness)
        return GenericBucket(files, self.state)

    def process(self, faults: Faults | None = None) -> ObjectStore:
        return ObjectStore(
            self.bucket(faults),
            lambda: None,
            self.root,
            Destination(self.root, self._objects),
            capabilities=Capabilities(part_size=PART, presence=False),
        )

    def clock(self) -> float:
        return time.time() - AGE + self._passed

    def advance(self, seconds: float) -> None:
        self._passed += seconds

    def files(self) -> list[str]:
        return [path for path in MemoryFileSystem.store if path.startswith(self.root)]

    def folders(self) -> list[str]:
        """But for the few that stay."""
        kept = {self.root, self.state, *(f"{self.state}/{name}" for name in ("new", "meta"))}
        kept.add(f"{self.state}/uploads")
        known = [path for path in MemoryFileSystem.pseudo_dirs if path.startswith(self.root)]
        return [path for path in known if path not in kept]

    def leftovers(self) -> Collection[str]:
        store = self.process()
        wanted: set[str] = set()
        for finished in store.list_finished():
            key = str(finished.location)
            wanted |= {key, store.bucket._metadata_key(key)}  # type: ignore[attr-defined]
            wanted.add(f"{self.state}/finished/{finished.token}")
        return [path for path in self.files() if path not in wanted]


STORAGES: dict[str, Callable[[], Folder]] = {
    "torn": lambda: Folder(Weakness(tears=True)),
    "clumsy": lambda: Folder(Weakness(replaces=False, needs_folders=True)),
    "torn, named": lambda: Folder(
        Weakness(tears=True), Objects(key="{filename}", if_exists="refuse")
    ),
}


# One of so many writes in the quick run, other ones on each storage.
STEPS = 24
ERRORS = (lambda: OSError("Failure"),)


SCRIPTED = [
    (script, storage)
    for script in SCRIPTS
    for storage in STORAGES
    # Whoever deposits again does so under another id, and the name may be gone.
    if script is not deposited or "named" not in storage
]


def some(storage: str, script: Script) -> Callable[[int], bool]:
    return every(STEPS, (5 * list(STORAGES).index(storage) + SCRIPTS.index(script)) % STEPS)


@pytest.mark.parametrize(("script", "storage"), SCRIPTED)
def test_a_process_dies_at_a_write(script: Script, storage: str) -> None:
    points = some(storage, script)
    assert crash_points(STORAGES[storage], script, SIZES, points=points) > 1


@pytest.mark.parametrize(("script", "storage"), SCRIPTED)
def test_a_write_fails(script: Script, storage: str) -> None:
    points = some(storage, script)
    assert failing_calls(STORAGES[storage], script, SIZES, errors=ERRORS, points=points) > 1


@pytest.mark.chaos
@pytest.mark.parametrize("positions", [False, True])
@pytest.mark.parametrize(("script", "storage"), SCRIPTED)
def test_a_process_dies_at_any_write(script: Script, storage: str, positions: bool) -> None:
    assert crash_points(STORAGES[storage], script, SIZES, positions=positions) > 50


@pytest.mark.chaos
@pytest.mark.parametrize(("script", "storage"), SCRIPTED)
def test_any_write_fails(script: Script, storage: str) -> None:
    assert failing_calls(STORAGES[storage], script, SIZES, errors=ERRORS) > 50


@pytest.fixture
def folder() -> Folder:
    return Folder()


def refuse() -> Exception:
    return OSError("Socket is closed")


def test_a_storage_that_is_down_is_no_empty_one(folder: Folder) -> None:
    """fsspec's own `exists` and `walk` would say that there is nothing."""
    store, upload = folder.process(), an_upload(part_size=PART)
    assert store.begin(upload)
    place(store, upload, 0, some_bytes(40))
    folder.weakness.down = refuse
    questions: list[Callable[[], object]] = [
        lambda: store.load(upload.id),
        lambda: store.begin(upload),
        lambda: store.find(upload.token),
        lambda: list(store.each()),
        lambda: list(store.list_finished()),
        lambda: store.tidy(time.time() + DAY),
        lambda: place(store, upload, 40, b"more"),
        lambda: finish(store, upload, 40),
        lambda: store.bucket.head("anything"),
        lambda: store.check(),
    ]
    for ask in questions:
        with pytest.raises(Unavailable, match="does not answer as it should"):
            ask()
    folder.weakness.down = None
    assert loaded(store, upload).offset == 40
    assert content(store, finish(store, upload, 40).finished) == some_bytes(40)


def test_a_broken_connection_is_not_used_again(folder: Folder) -> None:
    bucket = folder.bucket()
    assert bucket.put(f"{folder.state}/uploads/a/m", b"1")
    assert bucket.get(f"{folder.state}/uploads/a/m") == b"1"
    with pytest.raises(Missing):
        bucket.get(f"{folder.state}/uploads/a/nothing")
    assert folder.weakness.made == 1
    folder.weakness.down = EOFError
    with pytest.raises(Unavailable):
        bucket.get(f"{folder.state}/uploads/a/m")
    folder.weakness.down = None
    assert bucket.get(f"{folder.state}/uploads/a/m") == b"1"
    assert folder.weakness.made == 2


@pytest.mark.parametrize(
    ("raised", "meant", "code"),
    [
        (OSError(28, "No space left on device"), NoRoom, "no-room"),
        (OSError(122, "Disk quota exceeded"), NoRoom, "no-room"),
        (PermissionError(13, "Permission denied"), Unavailable, "storage-misconfigured"),
        (TimeoutError(), Unavailable, "unavailable"),
        (LookupError("a library's own error"), Unavailable, "unavailable"),
        (FileNotFoundError(2, "No such folder"), Unavailable, "unavailable"),
    ],
)
def test_what_goes_wrong_is_told(
    folder: Folder, raised: Exception, meant: type[Exception], code: str
) -> None:
    faults = Faults(2, "before", lambda: raised)
    with pytest.raises(meant) as told:
        folder.bucket(faults).put(f"{folder.root}/key", b"data")
    assert told.value.code == code  # type: ignore[attr-defined]


def test_a_storage_that_keeps_less_than_it_was_given(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.storage.frail_files._FrailFile.write", lambda self, data: None)
    with pytest.raises(Unavailable, match="kept 0 of 4 bytes"):
        folder.bucket().put(f"{folder.root}/key", b"data")
    assert folder.bucket().listed(f"{folder.root}/") == []


def test_nothing_stays_of_what_was_removed(folder: Folder) -> None:
    """Not even the folders, of which there would be one more for each upload."""
    folder.weakness.needs_folders = True
    store = folder.process()
    for end in (State.COMPLETE, State.CANCELLED):
        upload = an_upload(part_size=PART)
        assert store.begin(upload)
        place(store, upload, 0, some_bytes(40))
        if end is State.COMPLETE:
            finished = finish(store, upload, 40).finished
            assert finished is not None
            assert folder.files() != []
            store.delete(finished)
        else:
            store.discard(upload)
            store.remove(upload)
    assert folder.files() + folder.folders() == []


def test_a_file_of_somebody_else_keeps_its_name() -> None:
    folder = Folder(objects=Objects(key="{filename}", if_exists="refuse"))
    store, upload = folder.process(), an_upload(part_size=PART, filename="film.webm")
    assert store.begin(upload)
    place(store, upload, 0, some_bytes(40))
    MemoryFileSystem().pipe_file(f"{folder.root}/film.webm", b"theirs")
    with pytest.raises(Conflict, match="file of this name") as refused:
        finish(store, upload, 40)
    assert refused.value.code == "name-taken"
    assert loaded(store, upload).state is State.RECEIVING
    assert MemoryFileSystem().cat_file(f"{folder.root}/film.webm") == b"theirs"


def test_metadata_is_found_again(folder: Folder) -> None:
    bucket, key = folder.bucket(), f"{folder.root}/key"
    assert bucket.head(key) is None
    bucket.put(key, b"data", description=Description("text/plain", {"a": "b"}))
    found = folder.bucket().head(key)
    assert found is not None
    assert (found.size, found.metadata) == (4, {"a": "b"})
    bucket.delete([key])
    assert folder.bucket().head(key) is None
    assert folder.files() == []
