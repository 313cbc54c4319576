"""Results on the storage's own disk: the working file becomes the object, and nothing is copied."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from werkzeug.test import Client

from resumable import Processing, ResumableUploads
from resumable.processing import Outcome, Work
from resumable.processing.work import Result
from resumable.stores.disk import Disk


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
