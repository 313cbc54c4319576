"""Jobs without ffmpeg: a step that writes files, on a storage in memory whose processes die."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from resumable.describing import describe
from resumable.job import JobState, JobStatus
from resumable.jobs import Jobs
from resumable.jobs.polling import Lookout, Workplace
from resumable.jobs.settings import Processing
from resumable.model import Finished
from resumable.processing import Outcome, Work
from resumable.processing.work import Result
from resumable.stores.local import LocalStore
from resumable.testing.contract.base import an_upload
from resumable.testing.faults import Faults
from resumable.testing.memory import MemoryDisk
from tests.stores.local_storage import MemoryStorage


@dataclass(frozen=True)
class Maker:
    """Writes a picture and a text that names it. `before` runs first."""

    before: Callable[[Work], object] = lambda work: None
    name: str = "maker"
    share: float = 1.0
    of_result: bool = False

    def __call__(self, work: Work) -> Outcome:
        self.before(work)
        picture, text = work.folder / "sprite.jpg", work.folder / "sprite.vtt"
        picture.write_bytes(b"a picture")
        text.write_bytes(b"sprite.jpg")
        return Outcome(
            (
                Result(text, "thumbnails", "text/vtt", mentions=(picture.name,)),
                Result(picture, "poster", "image/jpeg", {"width": 5}),
            ),
            {"learned": 1},
            ("left out",),
        )


class OneDisk(MemoryDisk):
    """Files of this machine lie on the volume too: they can be given a name there."""

    def link(self, source: Path, target: Path) -> None:
        if not source.is_file():
            super().link(source, target)
            return
        file = self.create(target)
        self.write_at(file, memoryview(source.read_bytes()), 0)
        self.close(file)


class OneDiskStorage(MemoryStorage):
    disk_class = OneDisk


class Workshop:
    """A storage with one finished recording, and processes that work on its jobs."""

    def __init__(self, *, one_disk: bool = False, **how: object) -> None:
        kind = OneDiskStorage if one_disk else MemoryStorage
        self.storage = kind(**how)  # type: ignore[arg-type]
        self.heard: list[JobStatus] = []
        self.finished = self._recording()

    def _recording(self) -> Finished:
        store, upload = self.store(), an_upload(length=4, filename="film.webm")
        store.begin(upload)
        with store.placing(upload, 0, length=4) as placing:
            placing.write(memoryview(b"film"))
            placing.commit()
        clock = self.storage.clock
        status = store.finish(upload, 4, lambda *said: describe(upload, clock, *said))
        store.remove(upload)
        assert status.finished is not None
        return status.finished

    def store(self, faults: Faults | None = None) -> LocalStore:
        return self.storage.process(faults or Faults())

    def jobs(self, faults: Faults | None = None) -> Jobs:
        return Jobs(self.store(faults).small_files, clock=self.storage.clock, worker="host/1")

    def workplace(
        self,
        maker: Maker | None = None,
        faults: Faults | None = None,
        lease: float = -1.0,
        scratch: Path | None = None,
    ) -> Workplace:
        """A new process. Whoever was at work before it counts as dead at the second look."""
        store = self.store(faults)
        jobs = Jobs(store.small_files, clock=self.storage.clock, worker="host/1")
        processing = Processing(
            processors=(maker or Maker(),),
            ended=self.heard.append,
            scratch=scratch,
            scratch_space=0,
        )
        return Workplace(store, jobs, processing, Lookout(lease))

    def run_to_end(self, id: str) -> JobStatus:
        """New processes work until the job has ended and nothing of it is open."""
        for _ in range(10):
            place = self.workplace()
            place.round()
            place.round()
            self.storage.advance(60)
        status = self.jobs().status(id)
        assert status is not None
        assert status.state.ended
        assert self.jobs().open() == []
        return status

    def check_tidy(self, *statuses: JobStatus) -> None:
        """After a sweep nothing is there but the recording and what the jobs' ends name."""
        store = self.store()
        store.tidy(self.storage.now + 1)
        named = {self.finished.token} | {
            made.token
            for status in statuses
            if status.ending and status.state is JobState.DONE
            for made in status.ending.results
        }
        disk = self.storage.disk(Faults())
        there = {name for name in disk.names(store.root) if name != ".resumable"}
        assert there == named
        rooms = store.root / ".resumable"
        assert set(disk.names(rooms / "finished")) == named
        assert [name for name in disk.names(rooms / "uploads") if name.endswith(".data")] == []
        assert disk.names(rooms / "new") == []
