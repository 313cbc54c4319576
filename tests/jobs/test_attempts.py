"""One job, whatever happens to those who do it: it ends once, with one set of results."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import count

import pytest

from resumable.errors import BadRequest, Unavailable, UploadError
from resumable.identity import job_id
from resumable.job import JobState
from resumable.jobs.forgetting import forget_jobs
from resumable.jobs.queue import MOST_ATTEMPTS
from resumable.processing import (
    Cancelled,
    ProcessingFailed,
    Refused,
    Unfinished,
    Work,
    parse,
)
from resumable.testing.faults import Crash, Faults
from tests.jobs.workshop import Maker, Workshop


def raising(error: Exception) -> Maker:
    def fail(work: Work) -> None:
        raise error

    return Maker(fail)


def test_a_job_makes_objects_that_name_their_original() -> None:
    shop = Workshop()
    job = shop.jobs().ask(shop.finished, {})
    assert shop.jobs().status(job.id).state is JobState.QUEUED  # type: ignore[union-attr]
    assert shop.workplace().work(job.id)
    status = shop.jobs().status(job.id)
    assert status is not None
    assert status.ending is not None
    assert (status.state, status.attempt) == (JobState.DONE, 1)
    assert (status.ending.facts, status.ending.notes) == ({"learned": 1}, ("left out",))
    store = shop.store()
    picture, text = status.ending.results
    assert (picture.role, picture.filename, picture.size) == ("poster", "film.poster.jpg", 9)
    found = store.find(text.token)
    assert found is not None
    assert (found.original, found.role) == (shop.finished.token, "thumbnails")
    assert found.beside == {"sprite.jpg": picture.token}
    assert found.content_type == "text/vtt"
    assert b"".join(store.read(found, 0, found.size)) == b"sprite.jpg"
    assert [one.token for one in store.list_finished()] == [shop.finished.token]
    assert [one.job.id for one in shop.heard] == [job.id]
    assert shop.jobs().open() == []
    shop.check_tidy(status)


def test_what_was_asked_for_once_is_one_job() -> None:
    shop = Workshop()
    first = shop.jobs().ask(shop.finished, {"poster": True})
    assert shop.jobs().ask(shop.finished, {"poster": True}).id == first.id
    again = shop.jobs().ask(shop.finished, {"hls": True}, again=True)
    assert (first.id, again.id) == tuple(job_id(shop.finished.token, n) for n in range(2))
    shop.run_to_end(first.id)
    assert shop.jobs().ask(shop.finished, {}).id == first.id
    assert [one.job.options for one in shop.jobs().of(shop.finished)] == [
        {"poster": True},
        {"hls": True},
    ]


@pytest.mark.parametrize("durability", ["full", "process"])
@pytest.mark.parametrize("how", ["before", "torn", "after"])
@pytest.mark.parametrize("one_disk", [False, True], ids=["copied", "adopted"])
def test_a_process_that_dies_at_any_write(how: str, durability: str, one_disk: bool) -> None:
    attempts = set()
    for at in count(1):
        shop = Workshop(durability=durability, one_disk=one_disk)
        job = shop.jobs().ask(shop.finished, {})
        faults = Faults(at, how)
        with suppress(Crash):
            shop.workplace(faults=faults).work(job.id)
        if not faults.fired:
            break
        status = shop.run_to_end(job.id)
        assert status.state is JobState.DONE, at
        assert shop.heard, at
        shop.check_tidy(status)
        attempts.add(status.attempt)
    assert at > 20
    assert attempts == {1, 2}


@pytest.mark.parametrize("one_disk", [False, True], ids=["copied", "adopted"])
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_a_storage_that_fails_at_any_write(number: int, one_disk: bool) -> None:
    """The upload is untouched, and a later attempt succeeds."""
    for at in count(1):
        shop = Workshop(durability="process", one_disk=one_disk)
        job = shop.jobs().ask(shop.finished, {})
        faults = Faults(at, "before", partial(OSError, number, "broken"))
        with suppress(UploadError):
            shop.workplace(faults=faults).work(job.id)
        if not faults.fired:
            break
        status = shop.run_to_end(job.id)
        assert status.state is JobState.DONE, at
        shop.check_tidy(status)
        assert b"".join(shop.store().read(shop.finished, 0, 4)) == b"film"
    assert at > 10


def test_a_worker_that_was_taken_for_dead_leaves_nothing() -> None:
    """Both make the objects; the first end counts, and the other takes its objects back."""
    shop = Workshop()
    job = shop.jobs().ask(shop.finished, {})

    def meanwhile(work: Work) -> None:
        other = shop.workplace()
        assert not other.work(job.id)
        assert other.work(job.id)

    assert shop.workplace(Maker(meanwhile)).work(job.id)
    status = shop.jobs().status(job.id)
    assert status is not None
    assert (status.state, status.attempt) == (JobState.DONE, 2)
    shop.check_tidy(status)


def test_only_one_of_many_claims() -> None:
    shop = Workshop()
    shop.jobs().ask(shop.finished, {})
    (known,) = shop.jobs().open()
    claims = [shop.jobs().claim(known) for _ in range(5)]
    assert [claim is not None for claim in claims] == [True, False, False, False, False]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Refused("It is no recording."), "refused"),
        (ProcessingFailed("It cannot be done."), "failed"),
    ],
)
def test_what_cannot_be_done_ends_at_once(error: ProcessingFailed, code: str) -> None:
    shop = Workshop()
    job = shop.jobs().ask(shop.finished, {})
    shop.workplace(raising(error)).work(job.id)
    status = shop.jobs().status(job.id)
    assert status is not None
    assert status.ending is not None
    assert (status.state, status.attempt) == (JobState.FAILED, 1)
    assert (status.ending.error, status.ending.code) == (error.message, code)
    assert len(shop.heard) == 1
    shop.check_tidy(status)


@pytest.mark.parametrize(
    "error", [Unfinished("The disk is full."), Unavailable("Not now."), RuntimeError("a bug")]
)
def test_what_may_pass_is_tried_again_but_not_for_ever(error: Exception) -> None:
    shop = Workshop()
    job = shop.jobs().ask(shop.finished, {})
    for number in range(1, MOST_ATTEMPTS + 1):
        assert shop.workplace(raising(error)).work(job.id)
        assert not shop.workplace(raising(error)).work(job.id), "only after a pause"
        status = shop.jobs().status(job.id)
        assert status is not None
        assert (status.state, status.attempt) == (JobState.QUEUED, number)
        shop.storage.advance(600)
    assert not shop.workplace().work(job.id)
    status = shop.jobs().status(job.id)
    assert status is not None
    assert status.ending is not None
    assert status.state is JobState.FAILED
    assert status.ending.error
    assert shop.jobs().open() == []
    shop.check_tidy(status)


def test_a_job_whose_recording_has_gone() -> None:
    shop = Workshop()
    job = shop.jobs().ask(shop.finished, {})
    shop.store().delete(shop.finished)
    shop.workplace().work(job.id)
    status = shop.jobs().status(job.id)
    assert status is not None
    assert status.ending is not None
    assert (status.state, status.ending.error) == (
        JobState.FAILED,
        "The recording is not there any more.",
    )


# ---------------------------------------------------------------- called off


def test_a_job_that_waits_is_called_off_at_once() -> None:
    shop = Workshop()
    job = shop.jobs().ask(shop.finished, {})
    assert shop.jobs().cancel(job.id)
    assert shop.jobs().status(job.id).state is JobState.CANCELLED  # type: ignore[union-attr]
    assert not shop.jobs().cancel(job.id)
    status = shop.run_to_end(job.id)
    assert status.state is JobState.CANCELLED
    shop.check_tidy(status)


def test_whoever_is_at_work_hears_of_it() -> None:
    shop = Workshop()
    job = shop.jobs().ask(shop.finished, {})

    def wait(work: Work) -> None:
        assert shop.jobs().cancel(job.id)
        assert shop.jobs().status(job.id).state is JobState.RUNNING  # type: ignore[union-attr]
        assert work.cancel.wait(20)
        raise Cancelled()

    shop.workplace(Maker(wait)).work(job.id)
    status = shop.jobs().status(job.id)
    assert status is not None
    assert status.state is JobState.CANCELLED
    shop.check_tidy(status)


def test_one_that_was_called_off_after_its_worker_died() -> None:
    shop = Workshop()
    job = shop.jobs().ask(shop.finished, {})
    (known,) = shop.jobs().open()
    assert shop.jobs().claim(known) is not None
    assert shop.jobs().cancel(job.id)
    assert shop.run_to_end(job.id).state is JobState.CANCELLED


# ---------------------------------------------------------------- forgotten


@pytest.mark.parametrize("when", ["waiting", "done"])
def test_a_recording_goes_with_all_that_was_made_of_it(when: str) -> None:
    shop = Workshop()
    jobs = [shop.jobs().ask(shop.finished, {}, again=bool(n)) for n in range(2)]
    if when == "done":
        for job in jobs:
            shop.run_to_end(job.id)
    store = shop.store()
    forget_jobs(store, shop.jobs(), shop.finished)
    shop.check_tidy()
    assert shop.jobs().open() == []
    assert list(shop.jobs().of(shop.finished)) == []


def test_whoever_works_for_a_recording_that_goes_is_stopped() -> None:
    shop = Workshop()
    job = shop.jobs().ask(shop.finished, {})

    def forgotten(work: Work) -> None:
        forget_jobs(shop.store(), shop.jobs(), shop.finished)
        assert work.cancel.wait(20)
        raise Cancelled()

    shop.workplace(Maker(forgotten)).work(job.id)
    assert shop.jobs().status(job.id) is None
    shop.check_tidy()


def test_whoever_is_told_to_end_in_the_middle_of_a_round_does_not_rest() -> None:
    """And leaves the word to those who share the event."""
    place, wake = Workshop().workplace(), threading.Event()
    place.round = lambda hand_on=None: [place.close(), wake.set(), 30.0][-1]  # type: ignore[method-assign]
    place.keep_at_it(wake)
    assert wake.is_set()
    began = time.monotonic()
    place = Workshop().workplace()
    place.round = lambda hand_on=None: [place.close(), 30.0][-1]  # type: ignore[method-assign]
    place.keep_at_it(threading.Event())
    assert time.monotonic() - began < 5


# ---------------------------------------------------------------- handing on


def test_jobs_are_handed_on_once_and_again_when_their_worker_dies() -> None:
    shop = Workshop()
    job = shop.jobs().ask(shop.finished, {})
    handed: list[str] = []
    place = shop.workplace()
    place.round(handed.append)
    assert handed == [], "whoever was given it has time to begin"
    (known,) = shop.jobs().open()
    assert shop.jobs().claim(known) is not None
    place.round(handed.append)
    assert handed == []
    place.round(handed.append)
    assert handed == [job.id]
    place.round(handed.append)
    assert handed == [job.id]
    assert shop.workplace().work(job.id), "at once: it is known that the first is dead"
    assert shop.jobs().status(job.id).attempt == 2  # type: ignore[union-attr]


def test_a_hook_that_fails_is_told_again() -> None:
    shop = Workshop()
    job = shop.jobs().ask(shop.finished, {})
    calls: list[str] = []

    def failing(status: object) -> None:
        calls.append("called")
        if len(calls) < 3:
            raise RuntimeError("the host's own fault")

    shop.heard = _Ears(failing)  # type: ignore[assignment]
    shop.workplace().work(job.id)
    shop.run_to_end(job.id)
    assert len(calls) == 3


class _Ears:
    def __init__(self, hear: Callable[[object], None]) -> None:
        self.append = hear


def test_options_that_contradict_the_apps_rules_fail_in_a_sentence() -> None:
    shop = Workshop()
    job = shop.jobs().ask(shop.finished, {"hls": True, "convertToMp4": False})
    shop.workplace().work(job.id)
    status = shop.jobs().status(job.id)
    assert status is not None
    assert status.ending is not None
    assert status.state is JobState.FAILED
    with pytest.raises(BadRequest) as caught:
        parse({"hls": True, "convertToMp4": False})
    assert status.ending.error == caught.value.message
