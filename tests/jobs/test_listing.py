"""The last job of each of many recordings: what is said of it, and that looking costs the same."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from resumable.interfaces import SmallFiles
from resumable.job import JobState, JobStatus
from resumable.jobs import Jobs
from resumable.model import Finished
from resumable.stores.local import LocalStore
from tests.jobs.workshop import Workshop


class Counting:
    """Small files whose calls are counted."""

    def __init__(self, files: SmallFiles) -> None:
        self._files = files
        self.calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        self.calls[name] += 1
        return getattr(self._files, name)


def recordings(shop: Workshop, number: int) -> list[Finished]:
    return [replace(shop.finished, token=f"token-{n}") for n in range(number)]


def status(jobs: Jobs, id: str) -> JobStatus:
    found = jobs.status(id)
    assert found is not None
    return found


def test_each_has_the_state_of_its_last_job() -> None:
    shop = Workshop()
    jobs = shop.jobs()
    waiting, working, resting, called_off, done, again, _ = recordings(shop, 7)
    asked = {one.token: jobs.ask(one, {}) for one in (working, resting, called_off, done, again)}
    claims = {}
    for known in jobs.open():
        claim = jobs.claim(known)
        assert claim is not None
        claims[claim.job.original] = claim
    jobs.ask(waiting, {})
    claims[working.token].beat(1, 0.25, 12.0)
    claims[resting.token].set_back("The worker was stopped.", "unfinished")
    claims[called_off.token].cancelled()
    claims[done.token].end(JobState.DONE, facts={"duration": 5})
    claims[again.token].end(JobState.FAILED, error="It is no recording.")
    second = jobs.ask(again, {}, again=True)
    found = jobs.latest([one.token for one in recordings(shop, 7)])
    assert {token: (one.state, one.attempt) for token, one in found.items()} == {
        waiting.token: (JobState.QUEUED, 0),
        working.token: (JobState.RUNNING, 1),
        resting.token: (JobState.QUEUED, 1),
        called_off.token: (JobState.CANCELLED, 1),
        done.token: (JobState.DONE, 1),
        again.token: (JobState.QUEUED, 0),
    }
    assert found[again.token].job.id == second.id
    assert (found[working.token].progress, found[working.token].seconds_left) == (0.25, 12.0)
    for one in (working, resting, called_off, done):
        assert found[one.token] == status(jobs, asked[one.token].id)


def test_more_recordings_take_no_more_looks() -> None:
    shop = Workshop()
    many = recordings(shop, 12)
    for one in many:
        shop.jobs().ask(one, {})
    for known in shop.jobs().open()[::2]:
        claim = shop.jobs().claim(known)
        assert claim is not None
        claim.end(JobState.DONE)
    files = Counting(shop.store().small_files)
    found = Jobs(files, clock=shop.storage.clock).latest([one.token for one in many])
    assert len(found) == 12
    assert files.calls == {"listed": 2, "read_all": 3}


def test_a_job_that_ends_while_one_looks_is_found() -> None:
    shop = Workshop()
    job = shop.jobs().ask(shop.finished, {})

    class Ending(Counting):
        def listed(self, folder: str) -> Any:
            found = self._files.listed(folder)
            if not self.calls["ended"]:
                self.calls["ended"] += 1
                shop.run_to_end(job.id)
            return found

    jobs = Jobs(Ending(shop.store().small_files), clock=shop.storage.clock)
    assert jobs.latest([shop.finished.token])[shop.finished.token].state is JobState.DONE


def test_a_file_that_goes_while_its_folder_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalStore(tmp_path, free_space=0)
    store.small_files.create("jobs", "a.job", b"there")
    monkeypatch.setattr(store._rooms, "names", lambda room: ["a.job", "gone.job"])
    assert [one.name for one in store.small_files.listed("jobs")] == ["a.job"]
