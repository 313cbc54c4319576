"""Results on the storage's own disk: the working file becomes the object, and nothing is copied."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
from werkzeug.test import Client

from resumable import Processing, ResumableUploads
from resumable.describing import describe
from resumable.digests import crc32c
from resumable.errors import UploadError
from resumable.model import MIB, Finished, Upload
from resumable.processing import Outcome, Work
from resumable.processing.work import Result
from resumable.stores.disk import Disk
from resumable.stores.local import LocalStore


@dataclass(frozen=True)
class Keeper:
    """Makes one file, by `make`, and remembers which."""

    make: Callable[[Work], Path]
    identities: list[tuple[int, int]] = field(default_factory=list)
    name: str = "keeper"
    share: float = 1.0
    of_result: bool = False

    def __call__(self, work: Work) -> Outcome:
        path = self.make(work)
        status = path.stat()
        self.identities.append((status.st_dev, status.st_ino))
        return Outcome((Result(path, "poster", "image/jpeg"),))


def written(work: Work) -> Path:
    path = work.folder / "picture.jpg"
    path.write_bytes(b"a picture")
    path.chmod(0o644)
    return path


def linked(work: Work) -> Path:
    path = work.folder / "picture.jpg"
    path.hardlink_to(work.source)
    return path


def pointing(work: Work) -> Path:
    path = work.folder / "picture.jpg"
    path.symlink_to(work.source)
    return path


def made(home: Path, keeper: Keeper, durability: str = "full") -> tuple[Path, bytes]:
    """Where the object lies in the end, and what is downloaded of it."""
    processing = Processing(processors=(keeper,), run=0, scratch=home, scratch_space=0)
    app = ResumableUploads(None, home / "data", durability=durability, processing=processing)
    client = Client(app)
    client.put("/upload-chunk?uploadId=a&chunkIndex=0&totalChunks=1", data=b"original")
    job = client.post("/finalize-upload", json={"uploadId": "a"}).json["job"]
    assert app.uploads.work(job)
    (result,) = client.get(f"/jobs/{job}").json["results"]
    return home / "data" / result["path"].split("/")[2], client.get(result["path"]).data


@pytest.mark.parametrize("durability", ["full", "process"])
def test_the_working_file_becomes_the_object(tmp_path: Path, durability: str) -> None:
    keeper = Keeper(written)
    path, content = made(tmp_path, keeper, durability)
    status = path.stat()
    assert content == b"a picture"
    assert [(status.st_dev, status.st_ino)] == keeper.identities
    assert (status.st_nlink, status.st_mode & 0o777) == (1, 0o600)


@pytest.mark.parametrize("make", [linked, pointing])
def test_a_file_that_has_another_name_is_copied(
    tmp_path: Path, make: Callable[[Work], Path]
) -> None:
    """The recording's own bytes are not shared with anything."""
    keeper = Keeper(make)
    path, content = made(tmp_path, keeper)
    status = path.stat()
    assert content == b"original"
    assert (status.st_dev, status.st_ino) not in keeper.identities


def test_what_lies_on_another_disk_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = Disk.link

    def far(self: Disk, source: Path, target: Path) -> None:
        if source.name == "picture.jpg":
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        link(self, source, target)

    monkeypatch.setattr(Disk, "link", far)
    keeper = Keeper(written)
    path, content = made(tmp_path, keeper)
    assert content == b"a picture"
    assert (path.stat().st_dev, path.stat().st_ino) not in keeper.identities


# ---------------------------------------------------------------- beside each other


def adopted(disk: Disk, home: Path) -> Finished:
    """What becomes of a picture on this disk."""
    store = LocalStore(home / "data", free_space=0, disk=disk)
    path = home / "picture.jpg"
    path.write_bytes(b"a picture")
    upload = Upload("i" * 22, "t" * 22, MIB, 0.0, length=9, original="o" * 22)
    try:
        status = store.adopt(upload, path, partial(describe, upload, time.time))
    except UploadError:
        assert store.find(upload.token) is None
        assert store.load(upload.id) is None
        assert path.read_bytes() == b"a picture"
        raise
    assert status is not None
    assert status.finished is not None
    assert status.finished == store.find(upload.token)
    return status.finished


class ReadWhileSynced(Disk):
    """Nothing is read before a sync has begun, and no sync ends before something was read."""

    def __init__(self) -> None:
        self.syncs, self.reads = threading.Event(), threading.Event()

    def read_at(self, descriptor: int, length: int, position: int) -> bytes:
        assert self.syncs.wait(10)
        self.reads.set()
        return super().read_at(descriptor, length, position)

    def sync_data(self, descriptor: int) -> None:
        self.syncs.set()
        assert self.reads.wait(10)
        super().sync_data(descriptor)


def test_the_bytes_are_read_while_the_disk_takes_them(tmp_path: Path) -> None:
    assert adopted(ReadWhileSynced(), tmp_path).crc32c == crc32c(b"a picture")


class NeverSynced(Disk):
    def sync_data(self, descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))


class CutWhileRead(Disk):
    def read_at(self, descriptor: int, length: int, position: int) -> bytes:
        return super().read_at(descriptor, length, position)[:0]


@pytest.mark.parametrize("disk", [NeverSynced(), CutWhileRead()], ids=["sync", "read"])
def test_what_cannot_be_synced_or_read_is_not_adopted(tmp_path: Path, disk: Disk) -> None:
    with pytest.raises(UploadError):
        adopted(disk, tmp_path)
