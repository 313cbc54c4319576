"""What can befall a local store beside a crash: leaks, full disks, foreign files, old memories."""

from __future__ import annotations

import errno
import gc
import json
import os
import stat
import time
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from resumable.digests import crc32c
from resumable.errors import (
    Broken,
    Conflict,
    DigestMismatch,
    NoRoom,
    NotFound,
    Unavailable,
    UploadError,
)
from resumable.extents import Extents
from resumable.model import MIB, Digest, State, Upload
from resumable.stores import history, journal, placing, records
from resumable.stores.disk import Disk
from resumable.stores.ledger import Ledger
from resumable.stores.local import LocalStore
from resumable.stores.publishing import seal
from resumable.testing.contract.base import (
    GivenPayload,
    an_upload,
    content,
    finish,
    keep,
    loaded,
    place,
    some_bytes,
)
from resumable.testing.faults import Crash, Faults
from resumable.testing.memory import MemoryDisk
from resumable.testing.volume import Volume
from tests.stores.local_storage import MemoryStorage

pytestmark = pytest.mark.usefixtures("either_way")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "storage"


@pytest.fixture
def make_store(root: Path) -> Callable[..., LocalStore]:
    return partial(LocalStore, root, free_space=0)


def begun(store: LocalStore, **more: Any) -> Upload:
    upload = an_upload(**more)
    assert store.begin(upload)
    return upload


def house(root: Path) -> Path:
    return root / ".resumable"


# ---------------------------------------------------------------- leaks


class TroubledDisk(MemoryDisk):
    """Any call may fail, reads too: the `at`-th does."""

    at = 0
    count = 0

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if name.startswith("_") or not hasattr(Disk, name) or name in ("close", "unmark"):
            return value
        self.count += 1
        if self.count == self.at:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return value


def _everything(store: LocalStore) -> None:
    """Every path through the store once; what is refused is left alone."""
    data = some_bytes(60)
    upload, other = an_upload(), an_upload()
    acts: list[Callable[[], object]] = [
        lambda: store.begin(upload),
        lambda: keep(store, upload, 1, data[20:40]),
        lambda: place(store, upload, 0, data[:20], 0, piece=6),
        lambda: place(store, upload, 10, data[10:50], piece=9),
        lambda: store.note(upload, {"length": 60}),
        lambda: store.load(upload.id),
        lambda: place(store, upload, 50, data[50:]),
        lambda: finish(store, upload, 60, facts={"digest": "x"}),
        lambda: store.verdict(upload, True),
        lambda: store.find(upload.token),
        lambda: store.echo(upload, 0),
        lambda: store.begin(other),
        lambda: keep(store, other, 3, data),
        lambda: store.discard(other, unless_busy=True),
        lambda: store.remove(other),
        lambda: list(store.list_finished()),
        lambda: content(store, store.find(upload.token)),
        lambda: store.spool(GivenPayload([data])).close(),
        lambda: list(store.each()),
        lambda: store.tidy(0),
    ]
    for act in acts:
        with suppress(UploadError, AssertionError):
            act()


def test_no_call_leaks_a_file_or_a_lock() -> None:
    for at in range(1, 2000):
        disk = TroubledDisk(Volume())
        disk.at = at
        with suppress(OSError):
            store = LocalStore("/storage", free_space=0, disk=disk)
            _everything(store)
            store.close()
        fired, disk.at = disk.count >= at, 0
        assert not disk.open_files, f"call {at}"
        assert not disk.locks.ranges, f"call {at}"
        assert not disk.locks.live, f"call {at}"
        if not fired:
            return
    raise AssertionError("the calls never end")


def test_every_fault_of_the_disk_is_an_upload_error() -> None:
    for at in range(1, 2000):
        disk = TroubledDisk(Volume())
        disk.at = at
        store = LocalStore("/storage", free_space=0, disk=disk)
        _everything(store)
        if disk.count < at:
            return
    raise AssertionError("the calls never end")


def test_a_store_that_is_forgotten_closes_its_files(make_store: Callable[..., LocalStore]) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        store = make_store()
        place(store, begun(store), 0, b"x")
    del store
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= before + 1


def test_few_files_stay_open_between_requests(make_store: Callable[..., LocalStore]) -> None:
    store = make_store()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(100):
        place(store, begun(store), 0, b"x")
    assert len(os.listdir("/proc/self/fd")) <= before + 2 * 33
    store.close()
    assert len(os.listdir("/proc/self/fd")) <= before


def test_two_requests_for_one_upload_leave_one_pair_of_files_open() -> None:
    disk = MemoryDisk(Volume())
    store = LocalStore("/storage", free_space=0, disk=disk)
    upload = begun(store)
    with (
        store.placing(upload, 0) as one,
        store.placing(upload, 1) as two,
        store.placing(upload, 2) as three,
    ):
        for placing in (one, two, three):
            placing.write(memoryview(b"x"))
            placing.commit()
    assert len(disk.open_files) == 2
    store.close()
    assert not disk.open_files


# ---------------------------------------------------------------- stale memories


def test_what_others_append_is_never_passed_over() -> None:
    """One's own lines are told by their place: others may have the same length."""
    disk = MemoryDisk(Volume())
    file = disk.open(Path("/journal"), append=True, create=True)
    known = history.History("boot")
    mine, others = ({"kind": "told", "event": event} for event in ("mine", "next"))
    end = disk.append(file, journal.encode(mine))
    known.refresh(disk, file)
    disk.append(file, journal.encode(others))
    known.recorded(disk, file, [mine], 0, end)
    known.refresh(disk, file)
    assert known.ledger.told == {"mine", "next"}


def test_a_line_that_is_still_on_its_way_is_read_when_it_is_whole() -> None:
    disk = MemoryDisk(Volume())
    file = disk.open(Path("/journal"), append=True, create=True)
    known = history.History("boot")
    lines = journal.encode(records.told("one"), records.told("two"))
    for at in range(0, len(lines), 7):
        disk.append(file, lines[at : at + 7])
        known.refresh(disk, file)
    assert known.ledger.told == {"one", "two"}
    assert known.position == len(lines)


def test_a_line_between_a_sync_and_its_note_is_not_vouched_for() -> None:
    disk = MemoryDisk(Volume())
    file = disk.open(Path("/journal"), append=True, create=True)
    synced = disk.append(file, journal.encode(records.told("synced")))
    disk.append(file, journal.encode(records.told("not synced")))
    disk.append(file, journal.encode(records.sure(synced)))
    known = history.History("boot")
    known.refresh(disk, file)
    assert known.sure == synced
    end = disk.append(file, journal.encode(records.sure(disk.size(file))))
    known.refresh(disk, file)
    assert known.sure == known.position == end


def test_a_kept_chunk_is_lost_by_name() -> None:
    """After a failed sync lines are written again: they must mean the same as before."""
    known = Ledger("boot")
    first, second = (records.Kept(3, 5, 6, name) for name in ("first", "second"))
    lines = [records.kept(first, "boot", durable=True), records.lost(first)]
    for line in [*lines, records.kept(second, "boot", durable=True), *lines]:
        known.fold(line)
    assert known.kept == {3: second}


# ---------------------------------------------------------------- another boot


def test_what_is_not_synced_counts_in_the_same_boot_only(root: Path) -> None:
    before = LocalStore(root, free_space=0, durability="process", boot="before")
    upload = begun(before)
    keep(before, upload, 2, b"waiting")
    place(before, upload, 0, b"written", 0)
    assert sorted(loaded(before, upload).chunks) == [0, 2]
    for durability in ("process", "full"):
        after = LocalStore(root, free_space=0, durability=durability, boot="after")
        status = loaded(after, upload)
        assert (status.extents, dict(status.chunks)) == (Extents(), {})


def test_what_is_synced_counts_in_every_boot(root: Path) -> None:
    before = LocalStore(root, free_space=0, boot="before")
    upload = begun(before)
    keep(before, upload, 2, b"waiting")
    place(before, upload, 0, b"written", 0)
    after = LocalStore(root, free_space=0, durability="process", boot="after")
    assert sorted(loaded(after, upload).chunks) == [0, 2]


def test_an_inode_number_that_is_used_again(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    """What one process remembers of a journal must not become another upload's."""
    monkeypatch.setattr(Disk, "identity", lambda self, descriptor: (1, 1))
    monkeypatch.setattr(Disk, "identity_of", lambda self, path: (1, 1))
    here, there = LocalStore(root, free_space=0), LocalStore(root, free_space=0)
    first = begun(there)
    place(here, first, 0, some_bytes(100))
    here.close()
    there.discard(first)
    there.remove(first)
    second = begun(there)
    status = loaded(here, second)
    assert status.upload == second
    assert status.extents == Extents()


def test_the_same_id_and_inode_used_again(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    monkeypatch.setattr(Disk, "identity", lambda self, descriptor: (1, 1))
    monkeypatch.setattr(Disk, "identity_of", lambda self, path: (1, 1))
    here, there = LocalStore(root, free_space=0), LocalStore(root, free_space=0)
    first = begun(there)
    place(here, first, 0, some_bytes(100))
    here.close()
    there.discard(first)
    there.remove(first)
    second = Upload(id=first.id, token=an_upload().token, part_size=1, created=3.0)
    there.begin(second)
    assert loaded(here, second).upload == second
    assert loaded(here, second).extents == Extents()


def test_many_uploads_are_remembered_and_forgotten(
    monkeypatch: pytest.MonkeyPatch, make_store: Callable[..., LocalStore]
) -> None:
    monkeypatch.setattr(history, "_REMEMBERED", 3)
    store = make_store()
    uploads = [begun(store) for _ in range(10)]
    for number, upload in enumerate(uploads):
        place(store, upload, 0, bytes([number]) * 5)
    store.close()
    for number, upload in enumerate(uploads):
        assert content(store, finish(store, upload, 5).finished) == bytes([number]) * 5


def test_a_fork_has_files_of_its_own(make_store: Callable[..., LocalStore]) -> None:
    store = make_store()
    upload = begun(store)
    place(store, upload, 0, b"parent")
    child = os.fork()
    if child == 0:
        try:
            place(store, upload, 6, b"child")
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    place(store, upload, 11, b"parent")
    assert content(store, finish(store, upload, 17).finished) == b"parentchildparent"


# ---------------------------------------------------------------- the directory


def test_names_and_modes(make_store: Callable[..., LocalStore], root: Path) -> None:
    store = make_store()
    upload = begun(store, filename="../../evil.php")
    keep(store, upload, 1, b"b")
    assert stat.S_IMODE(house(root).stat().st_mode) == 0o700
    for path in house(root).rglob("*"):
        mode = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == mode, path
    place(store, upload, 0, b"a", 0)
    finished = finish(store, upload, 2).finished
    assert finished is not None
    assert store.path(finished) == root / upload.token
    assert stat.S_IMODE(store.path(finished).stat().st_mode) == 0o600
    assert sorted(path.name for path in root.iterdir()) == sorted([".resumable", upload.token])


def test_nothing_is_touched_before_the_first_upload(
    make_store: Callable[..., LocalStore], root: Path
) -> None:
    store = make_store()
    assert store.load(an_upload().id) is None
    assert list(store.each()) == []
    assert list(store.list_finished()) == []
    assert store.tidy(time.time()) == 0
    assert not root.exists()


def test_a_root_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "volume").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "volume")
    store = LocalStore(tmp_path / "link", free_space=0)
    upload = begun(store)
    place(store, upload, 0, b"all")
    finish(store, upload, 3)
    assert (tmp_path / "volume" / upload.token).read_bytes() == b"all"


def test_a_relative_root_stays_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = LocalStore("data", free_space=0)
    monkeypatch.chdir("/")
    begun(store)
    assert (tmp_path / "data").is_dir()


def test_links_inside_are_not_followed(
    make_store: Callable[..., LocalStore], root: Path, tmp_path: Path
) -> None:
    store = make_store()
    upload = begun(store)
    store.close()
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    data = house(root) / "uploads" / f"{upload.id}.data"
    data.unlink()
    data.symlink_to(secret)
    with pytest.raises(Broken):
        place(store, upload, 0, b"overwritten")
    stranger = an_upload()
    (house(root) / "uploads" / stranger.id).symlink_to(secret)
    with pytest.raises(Broken):
        store.load(stranger.id)
    (house(root) / "finished" / stranger.token).symlink_to(secret)
    with pytest.raises(Broken):
        store.find(stranger.token)
    assert secret.read_bytes() == b"secret"


def test_a_root_that_goes_and_comes_back(make_store: Callable[..., LocalStore], root: Path) -> None:
    store = make_store()
    upload = begun(store)
    place(store, upload, 0, b"x")
    away = root.rename(root.with_name("away"))
    assert store.load(upload.id) is None
    with pytest.raises(NotFound):
        place(store, upload, 1, b"y")
    second = begun(store)
    place(store, second, 0, b"all")
    assert content(store, finish(store, second, 3).finished) == b"all"
    root.rename(root.with_name("other"))
    away.rename(root)
    place(store, upload, 1, b"y")
    assert content(store, finish(store, upload, 2).finished) == b"xy"


def test_a_root_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    store = LocalStore(tmp_path / "file", free_space=0)
    for act in (
        lambda: store.begin(an_upload()),
        lambda: store.spool(GivenPayload([])),
    ):
        with pytest.raises(Unavailable):
            act()


def test_a_broken_upload_does_not_hide_the_others(
    make_store: Callable[..., LocalStore], root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = make_store()
    upload = begun(store)
    (house(root) / "uploads" / ("a" * 22)).mkdir()
    (house(root) / "uploads" / ("b" * 22)).write_bytes(b"\x00" * 500)
    (house(root) / "uploads" / ("c" * 22)).symlink_to("/nowhere")
    assert [status.upload for status in store.each()] == [upload]
    assert "cannot be read" in caplog.text


def test_two_stores_in_one_root_are_one(root: Path) -> None:
    full = LocalStore(root, free_space=0)
    process = LocalStore(root, free_space=0, durability="process")
    upload = begun(process)
    place(process, upload, 0, b"unsynced")
    assert loaded(full, upload).offset == 8
    place(full, upload, 8, b" synced")
    assert content(full, finish(process, upload, 15).finished) == b"unsynced synced"


def test_unsynced_bytes_that_are_not_what_was_written_are_void(root: Path) -> None:
    process = LocalStore(root, free_space=0, durability="process")
    upload = begun(process)
    place(process, upload, 0, b"good", 0)
    place(process, upload, 4, b"good", 1)
    with (house(root) / "uploads" / f"{upload.id}.data").open("r+b") as data:
        data.seek(4)
        data.write(b"evil")
    status = loaded(LocalStore(root, free_space=0), upload)
    assert status.extents == Extents([(0, 4)])
    assert sorted(status.chunks) == [0]
    place(process, upload, 4, b"fine", 1)
    store = LocalStore(root, free_space=0)
    assert content(store, finish(store, upload, 8).finished) == b"goodfine"


def test_bytes_behind_the_end_do_not_reach_the_object(
    make_store: Callable[..., LocalStore], root: Path
) -> None:
    store = make_store()
    upload = begun(store)
    place(store, upload, 0, b"all")
    with pytest.raises(DigestMismatch):
        place(store, upload, 3, b"not meant", digest=Digest("md5", bytes(16)))
    finished = finish(store, upload, 3).finished
    assert finished is not None
    assert store.path(finished).read_bytes() == b"all"


def test_a_foreign_file_with_the_name_of_an_object_stays(
    make_store: Callable[..., LocalStore], root: Path
) -> None:
    store = make_store()
    upload = begun(store)
    place(store, upload, 0, b"all")
    (root / upload.token).write_bytes(b"foreign")
    with pytest.raises(Conflict):
        finish(store, upload, 3)
    assert (root / upload.token).read_bytes() == b"foreign"
    assert store.find(upload.token) is None


def test_a_long_body_with_a_wrong_digest_leaves_nothing(
    make_store: Callable[..., LocalStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placing, "_MARK", 8)
    store = make_store()
    upload = begun(store)
    with pytest.raises(DigestMismatch):
        place(store, upload, 0, some_bytes(100), digest=Digest("md5", bytes(16)), piece=9)
    assert loaded(store, upload).extents == Extents()


def test_bytes_with_a_wrong_digest_take_no_room(
    make_store: Callable[..., LocalStore], root: Path
) -> None:
    store = make_store()
    upload = begun(store)
    place(store, upload, 0, b"good")
    with pytest.raises(DigestMismatch):
        place(store, upload, 4, some_bytes(100), digest=Digest("md5", bytes(16)))
    [data] = (root / ".resumable/uploads").glob("*.data")
    assert data.read_bytes() == b"good"
    place(store, upload, 4, b"fine")
    assert content(store, finish(store, upload, 8).finished) == b"goodfine"


def test_a_refused_writer_cuts_off_nobody_else(
    make_store: Callable[..., LocalStore], root: Path
) -> None:
    """Neither what is known behind it, nor what somebody is still writing there."""
    store = make_store()
    upload = begun(store)
    for start, data in ((50, b"known"), (60, b"on its way")):
        with LocalStore(root, free_space=0).placing(upload, start, length=len(data)) as other:
            other.write(memoryview(data))
            with pytest.raises(DigestMismatch):
                place(store, upload, 0, some_bytes(10), digest=Digest("md5", bytes(16)))
            other.commit()
    place(store, upload, 0, some_bytes(50))
    place(store, upload, 55, b"-----")
    whole = some_bytes(50) + b"known-----on its way"
    assert content(store, finish(store, upload, 70).finished) == whole


# ---------------------------------------------------------------- leftovers


def test_leftovers_are_tidied_when_they_are_old(
    make_store: Callable[..., LocalStore], root: Path
) -> None:
    store = make_store()
    upload = begun(store)
    keep(store, upload, 1, b"needed")
    nobody = an_upload().id
    uploads = house(root) / "uploads"
    strays = [
        uploads / f"{upload.id}.kept-0123",
        uploads / f"{nobody}.kept-0123",
        uploads / f"{nobody}.data",
        uploads / an_upload().id,
        house(root) / "new" / "abc",
        house(root) / "spool" / "abc",
        house(root) / "finished" / an_upload().token,
    ]
    for stray in strays:
        stray.write_bytes(b"")
    (root / "foreign file").write_bytes(b"mine")
    needed = sorted(path for path in root.rglob("*") if path not in strays)
    assert store.tidy(time.time() - 1000) == 0
    assert all(stray.exists() for stray in strays)
    assert store.tidy(time.time() + 1000) == len(strays)
    assert sorted(root.rglob("*")) == needed


def test_an_interrupted_birth_is_begun_anew(
    make_store: Callable[..., LocalStore], root: Path
) -> None:
    """A power cut may leave the journal with its birth, even with bytes, and no data file."""
    store = make_store()
    upload = begun(store)
    place(store, upload, 0, b"lost with its file")
    store.close()
    (house(root) / "uploads" / f"{upload.id}.data").unlink()
    fresh = make_store()
    assert fresh.load(upload.id) is None
    assert fresh.begin(upload)
    assert loaded(make_store(), upload).extents == Extents()


def test_only_what_has_ended_is_removed(make_store: Callable[..., LocalStore]) -> None:
    store = make_store()
    upload = begun(store)
    with pytest.raises(Conflict):
        store.remove(upload)
    assert loaded(store, upload).state is State.RECEIVING


def test_a_cancelled_upload_frees_its_bytes_at_once(
    make_store: Callable[..., LocalStore], root: Path
) -> None:
    """Other processes may hold the file open for a while."""
    store, other = make_store(), make_store()
    upload = begun(store)
    place(other, upload, 0, some_bytes(MIB))
    data = house(root) / "uploads" / f"{upload.id}.data"
    with data.open("rb") as held:
        store.discard(upload)
        store.remove(upload)
        assert os.fstat(held.fileno()).st_size == 0


def test_a_first_name_that_survived_does_not_harm_the_object(
    make_store: Callable[..., LocalStore], root: Path
) -> None:
    """A crash may come between the finished record and the removal of the first name."""
    store = make_store()
    upload = begun(store)
    place(store, upload, 0, b"all")
    finish(store, upload, 3)
    os.link(root / upload.token, house(root) / "uploads" / f"{upload.id}.data")
    fresh = make_store()
    fresh.remove(upload)
    assert content(fresh, fresh.find(upload.token)) == b"all"
    assert list((house(root) / "uploads").iterdir()) == []


def test_a_finish_that_comes_again_removes_the_first_name(
    make_store: Callable[..., LocalStore], root: Path
) -> None:
    store = make_store()
    upload = begun(store)
    place(store, upload, 0, b"all")
    finish(store, upload, 3)
    os.link(root / upload.token, house(root) / "uploads" / f"{upload.id}.data")
    finish(make_store(), upload, 3)
    assert [path.name for path in (house(root) / "uploads").iterdir()] == [upload.id]


def test_kept_files_go_when_their_chunk_is_placed(
    make_store: Callable[..., LocalStore], root: Path
) -> None:
    store = make_store()
    upload = begun(store)
    keep(store, upload, 2, b"c")
    keep(store, upload, 1, b"b")
    place(store, upload, 2, b"c", 2)
    place(store, upload, 0, b"a", 0)
    names = {path.name for path in (house(root) / "uploads").iterdir()}
    assert names == {upload.id, f"{upload.id}.data"}


@pytest.mark.parametrize("damage", [b"", b"half", b"other bytes"])
def test_a_kept_chunk_that_is_not_what_was_recorded_is_sent_again(
    make_store: Callable[..., LocalStore], root: Path, damage: bytes
) -> None:
    store = make_store()
    upload = begun(store)
    keep(store, upload, 1, b"kept bytes")
    (kept,) = (house(root) / "uploads").glob(f"{upload.id}.kept-*")
    if damage:
        kept.write_bytes(damage)
    else:
        kept.unlink()
    place(store, upload, 0, b"start ", 0)
    assert sorted(loaded(store, upload).chunks) == [0]
    keep(store, upload, 1, b"sent again")
    assert content(store, finish(store, upload, 16).finished) == b"start sent again"


def test_a_kept_chunk_that_a_position_contradicts_is_lost(
    make_store: Callable[..., LocalStore],
) -> None:
    store = make_store()
    upload = begun(store)
    for number in (1, 2, 3):
        keep(store, upload, number, b"%d" % number)
    place(store, upload, 2, b"X")
    place(store, upload, 0, b"0", 0)
    status = loaded(store, upload)
    assert sorted(status.chunks) == [0, 1, 3]
    assert status.chunks[3].start is None
    assert status.extents == Extents([(0, 3)])


def test_an_object_that_somebody_took_away_is_not_found(
    make_store: Callable[..., LocalStore], root: Path
) -> None:
    store = make_store()
    upload = begun(store)
    place(store, upload, 0, b"all")
    finish(store, upload, 3)
    (root / upload.token).unlink()
    assert store.find(upload.token) is None
    assert list(store.list_finished()) == []


@pytest.mark.usefixtures("the_long_way")
def test_bytes_that_rest_on_a_failed_sync_are_not_acknowledged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Known bytes are compared, and may turn out to be lost before the commit."""
    monkeypatch.setattr(placing, "_MARK", 8)
    storage = MemoryStorage()
    faults = Faults()
    one, two = storage.process(faults), storage.process(Faults())
    data, upload = some_bytes(24), an_upload()
    one.begin(upload)
    with two.placing(upload, 0, length=8) as resting:
        with one.placing(upload, 0, length=24) as failing:
            for at in range(0, 24, 8):
                failing.write(memoryview(data)[at : at + 8])
            resting.write(memoryview(data)[:8])
            faults.error = lambda: OSError(errno.EIO, os.strerror(errno.EIO))
            faults.at = faults.calls + 1
            with pytest.raises(Unavailable):
                failing.commit()
        with pytest.raises(Unavailable):
            resting.commit()
    assert loaded(two, upload).extents == Extents()
    with pytest.raises(Unavailable):
        # Every file that was open hears of the failure once.
        place(two, upload, 0, data)
    place(two, upload, 0, data)
    assert content(two, finish(two, upload, 24).finished) == data


def test_nothing_unsynced_is_sealed(root: Path) -> None:
    """A failed sync after the seal could not be made good by anybody."""
    process = LocalStore(root, free_space=0, durability="process", boot="boot")
    upload = begun(process)
    place(process, upload, 0, b"unsynced")
    full = LocalStore(root, free_space=0, boot="boot")
    with full._session(upload) as session:
        seal(session, 8, None, {})
        assert session.ledger.state is State.RECEIVING
        session.promote()
        seal(session, 8, None, {})
        assert session.ledger.state is State.FINISHING


# ---------------------------------------------------------------- room


def test_a_full_disk_and_afterwards() -> None:
    storage = MemoryStorage()
    store = storage.process(Faults())
    data = some_bytes(4000)
    upload = an_upload()
    store.begin(upload)
    place(store, upload, 0, data[:1000], 0)
    keep(store, upload, 2, data[2000:3000])
    storage.room = _used(storage) + 800
    full = storage.process(Faults())
    with pytest.raises(NoRoom):
        place(full, upload, 1000, data[1000:2000], 1, piece=300)
    with pytest.raises(NoRoom):
        place(full, upload, 3000, data[3000:], 3, piece=700)
    # What fitted may be known; what is known is right.
    status = loaded(storage.process(Faults()), upload)
    assert status.extents.offset >= 1000
    storage.room = _used(storage)
    full = storage.process(Faults())
    assert loaded(full, upload).extents.covers(0, 1000)
    storage.room = None
    free = storage.process(Faults())
    place(free, upload, 1000, data[1000:2000], 1)
    place(free, upload, 3000, data[3000:], 3)
    assert content(free, finish(free, upload, 4000).finished) == data


def _used(storage: MemoryStorage) -> int:
    return sum(len(node.data) for node in storage.volume.nodes.values())


def test_a_waiting_chunk_on_a_full_disk_blocks_nobody() -> None:
    """Looking and cancelling must work where moving a kept chunk cannot."""
    storage = MemoryStorage()
    store = storage.process(Faults())
    upload = an_upload()
    store.begin(upload)
    keep(store, upload, 1, some_bytes(900))
    storage.room = _used(storage) + 1000
    full = storage.process(Faults())
    place(full, upload, 0, b"0", 0)
    status = loaded(full, upload)
    assert sorted(status.chunks) == [0, 1]
    with pytest.raises(NoRoom):
        full.gather(upload)
    assert full.discard(upload)
    full.remove(upload)
    assert full.load(upload.id) is None


def test_what_cannot_be_recorded_is_not_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Marks of a dead writer on a full disk: what survives a power cut is told, and no more."""
    monkeypatch.setattr(placing, "_MARK", 8)
    storage = MemoryStorage()
    upload = an_upload()
    faults = Faults()
    store = storage.process(faults)
    store.begin(upload)
    place(store, upload, 0, b"synced")
    with suppress(Crash), store.placing(upload, 6) as dying:
        dying.write(memoryview(b"written and marked"))
        faults.dead = True
        raise Crash
    storage.room = _used(storage)
    assert loaded(storage.process(Faults()), upload).extents == Extents([(0, 6)])
    storage.room = None
    assert loaded(storage.process(Faults()), upload).extents == Extents([(0, 24)])


class SmallDisk(Disk):
    """A disk with 1000 bytes left."""

    def free(self, path: Path) -> int:
        super().free(path)
        return 1000


def test_the_floor_of_free_space(root: Path) -> None:
    upload = begun(LocalStore(root, free_space=0))
    store = LocalStore(root, free_space=500, disk=SmallDisk())
    place(store, upload, 0, some_bytes(500))
    with pytest.raises(NoRoom):
        store.begin(an_upload(length=501))
    with pytest.raises(NoRoom):
        store.placing(upload, 500, length=501)
    with pytest.raises(NoRoom):
        store.spool(GivenPayload([bytes(501)]))
    small = LocalStore(root, free_space=1001, disk=SmallDisk())
    with pytest.raises(NoRoom):
        small.keeping(upload, 3)
    assert loaded(small, upload).offset == 500
    assert small.discard(upload)


# ---------------------------------------------------------------- the journal


def _journal(root: Path, upload: Upload) -> Path:
    return house(root) / "uploads" / upload.id


def _line(record: dict[str, Any]) -> bytes:
    return journal.encode(record)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00" * 4096,
        b"\n00000000 {}\n",
        b'deadbeef {"kind": "discarded"}\n',
        b"\n" + b"%08x " % crc32c(b"[1]") + b"[1]\n",
        b"\n" + b"%08x " % crc32c(b"{") + b"{\n",
        b"no end of line",
        _line({"kind": "synced"}),
        _line({"kind": "synced", "start": "a", "length": None, "crc": 0}),
        _line({"kind": "intent", "writer": [], "start": 0, "end": 0}),
        _line({"kind": "of a later version", "anything": 1}),
        _line({"kind": None}),
        _line({"kind": "finished", "finished": {"id": "x"}}),
        _line({"kind": "chunk", "number": 0, "start": 0, "length": 99, "crc": 5}),
        _line({"kind": "withdrawn", "writer": "nobody"}),
        _line({"kind": "lost", "number": 7, "name": "nobody"}),
    ],
)
def test_bad_lines_are_passed_over(
    make_store: Callable[..., LocalStore], root: Path, garbage: bytes
) -> None:
    store = make_store()
    upload = begun(store)
    place(store, upload, 0, b"first ")
    with _journal(root, upload).open("ab") as file:
        file.write(garbage)
    place(make_store(), upload, 6, b"second")
    status = loaded(make_store(), upload)
    assert (status.offset, status.state) == (12, State.RECEIVING)
    assert not status.chunks
    assert content(store, finish(store, upload, 12).finished) == b"first second"


def test_fields_of_a_later_version_are_passed_over(
    make_store: Callable[..., LocalStore], root: Path
) -> None:
    upload = an_upload()
    store = make_store()
    begun(store)
    birth = records.birth(upload)
    later = {**birth, "upload": {**birth["upload"], "colour": "blue"}, "shape": 1}
    _journal(root, upload).write_bytes(journal.encode(later))
    _journal(root, upload).with_suffix(".data").write_bytes(b"")
    assert loaded(store, upload).upload == upload


def test_a_torn_line_spoils_only_itself(make_store: Callable[..., LocalStore], root: Path) -> None:
    store = make_store()
    upload = begun(store)
    place(store, upload, 0, b"first ", 0)
    whole = _journal(root, upload).read_bytes()
    place(store, upload, 6, b"second", 1)
    longer = _journal(root, upload).read_bytes()
    for cut in range(len(whole), len(longer)):
        _journal(root, upload).write_bytes(longer[:cut])
        status = loaded(make_store(), upload)
        assert status.offset in (6, 12)
        assert status.chunks[0].length == 6
        place(make_store(), upload, 6, b"second", 1)
        assert loaded(make_store(), upload).offset == 12


class DiskWithoutSync(Disk):
    """Every sync of bytes fails."""

    def sync_data(self, descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_what_a_failed_sync_took_back_may_still_lie_over_other_bytes(
    make_store: Callable[..., LocalStore],
) -> None:
    """A small body was written over those of a longer one, recorded, and taken back again."""
    quick, failing = make_store(durability="process"), make_store(disk=DiskWithoutSync())
    upload, mine, other = begun(quick), some_bytes(16, 1), some_bytes(16, 2)
    with quick.placing(upload, 0) as placing:
        placing.write(memoryview(mine))
        with pytest.raises(Unavailable):
            place(failing, upload, 0, other)
        with pytest.raises(Conflict):
            placing.commit()
    assert loaded(quick, upload).extents == Extents()
    place(quick, upload, 0, mine)
    assert content(quick, finish(quick, upload, 16).finished) == mine


@pytest.mark.usefixtures("the_long_way")
def test_a_journal_line_says_what_it_is(root: Path, make_store: Callable[..., LocalStore]) -> None:
    """The format is a promise to later versions."""
    store = make_store()
    upload = begun(store)
    place(store, upload, 0, b"abc", 0)
    lines = [line for line in _journal(root, upload).read_bytes().split(b"\n") if line]
    told = [json.loads(line[9:]) for line in lines]
    assert [int(line[:8], 16) for line in lines] == [crc32c(line[9:]) for line in lines]
    assert [record["kind"] for record in told] == [
        "birth", "sure", "intent", "placed", "synced", "chunk", "withdrawn", "sure",
    ]  # fmt: skip
    crc = crc32c(b"abc")
    assert told[4] == {"kind": "synced", "start": 0, "length": 3, "crc": crc}
    assert told[5] == {"kind": "chunk", "number": 0, "start": 0, "length": 3, "crc": crc}


# ---------------------------------------------------------------- how much work


class CountingDisk(Disk):
    """Counts calls and bytes read."""

    def __init__(self) -> None:
        self.calls = 0
        self.syncs = 0
        self.bytes_read = 0

    def read_at(self, descriptor: int, length: int, position: int) -> bytes:
        piece = super().read_at(descriptor, length, position)
        self.bytes_read += len(piece)
        return piece

    def sync_data(self, descriptor: int) -> None:
        self.syncs += 1

    def sync_directory(self, path: Path) -> None:
        self.syncs += 1

    def __getattribute__(self, name: str) -> Any:
        if hasattr(Disk, name) and not name.startswith("_"):
            self.calls += 1
        return super().__getattribute__(name)


def test_the_work_of_a_chunk_does_not_grow_with_their_number(root: Path) -> None:
    disk = CountingDisk()
    store = LocalStore(root, free_space=0, disk=disk)
    upload = begun(store)
    work = []
    for number in range(600):
        disk.calls = disk.bytes_read = disk.syncs = 0
        place(store, upload, number * 10, b"0123456789", number)
        loaded(store, upload)
        work.append((disk.calls, disk.bytes_read, disk.syncs))
    assert work[-1] <= work[100]
    calls, bytes_read, syncs = work[-1]
    assert calls <= 30
    assert bytes_read <= 200
    assert syncs == 2


def test_a_writer_that_gave_up_costs_the_later_ones_nothing(root: Path) -> None:
    """While two may write the same bytes a commit reads them again; afterwards it does not."""
    disk = CountingDisk()
    store = LocalStore(root, free_space=0, disk=disk)
    upload = begun(store)
    with pytest.raises(DigestMismatch):
        place(store, upload, 0, bytes(100_000), digest=Digest("md5", bytes(16)))
    disk.bytes_read = 0
    place(store, upload, 0, some_bytes(100_000))
    assert disk.bytes_read < 1000


def test_thousands_of_waiting_chunks_are_moved_with_few_syncs(root: Path) -> None:
    disk = CountingDisk()
    store = LocalStore(root, free_space=0, disk=disk)
    upload = begun(store)
    for number in range(2000, 0, -1):
        keep(store, upload, number, b"%04d" % number)
    disk.syncs = 0
    place(store, upload, 0, b"0000", 0)
    assert disk.syncs < 20
    expected = b"".join(b"%04d" % number for number in range(2001))
    assert content(store, finish(store, upload, len(expected)).finished) == expected


def test_a_finish_reads_only_the_head(root: Path) -> None:
    disk = CountingDisk()
    store = LocalStore(root, free_space=0, disk=disk)
    upload = begun(store)
    for number in range(4):
        place(store, upload, number * MIB, bytes(MIB), number)
    disk.bytes_read = 0
    finish(store, upload, 4 * MIB)
    assert disk.bytes_read < 70_000


def test_the_locks_of_a_real_disk_exclude_threads_and_processes(root: Path) -> None:
    """The memory disk's locks are a model of these."""
    disk = Disk()
    root.mkdir()
    one = disk.create(root / "file")
    two = disk.open(root / "file")
    with closing(_Closer(disk, one, two)), disk.range_locked(one, 10, 5):
        child = os.fork()
        if child == 0:
            with disk.range_locked(two, 0, 10), disk.range_locked(two, 15, 0):
                os._exit(0 if _is_locked(two, 12) else 1)
        assert os.waitpid(child, 0)[1] == 0
        disk.mark_live(one)
        assert not disk.try_claim(two)
        disk.unmark(one)
        assert disk.try_claim(two)


def _is_locked(descriptor: int, position: int) -> bool:
    import fcntl
    import struct

    lock = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, position, 1, 0)
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, lock)
    except BlockingIOError:
        return True
    return False


class _Closer:
    def __init__(self, disk: Disk, *descriptors: int) -> None:
        self._disk = disk
        self._descriptors = descriptors

    def close(self) -> None:
        for descriptor in self._descriptors:
            self._disk.close(descriptor)


def test_the_memory_disk_knows_the_same_calls() -> None:
    """What the crash tests run on has the face of what is shipped."""
    missing = {
        name for name in vars(Disk) if not name.startswith("_") and name not in vars(MemoryDisk)
    }
    assert missing == set()


def test_root_is_a_path(root: Path) -> None:
    assert LocalStore(str(root)).root == root
    assert repr(LocalStore(str(root))) == f"LocalStore({str(root)!r})"
    with pytest.raises(ValueError, match="full, process"):
        LocalStore(root, durability="maybe")


class FinishingDisk(Disk):
    """Lets somebody else finish right before it opens a data file."""

    def __init__(self) -> None:
        self.first: Callable[[], object] = lambda: None

    def open(self, path: Path, *, append: bool = False, create: bool = False) -> int:
        if path.name.endswith(".data"):
            first, self.first = self.first, lambda: None
            first()
        return super().open(path, append=append, create=create)


def test_an_upload_that_is_finished_in_the_middle_of_a_look_is_known(tmp_path: Path) -> None:
    """Its data has another name now: whoever does not look again takes it for unknown."""
    disk = FinishingDisk()
    here = LocalStore(tmp_path, free_space=0, disk=disk)
    there = LocalStore(tmp_path, free_space=0)
    upload = an_upload()
    there.begin(upload)
    place(there, upload, 0, b"hello")
    there.close()
    disk.first = lambda: finish(there, upload, 5)
    status = here.load(upload.id)
    assert status is not None
    assert status.state is State.COMPLETE
