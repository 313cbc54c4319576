"""Many at once, in threads and in processes: what is acknowledged is what is stored."""

from __future__ import annotations

import multiprocessing
import pickle
import random
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial

import pytest

from resumable.digests import crc32c
from resumable.errors import Conflict, NotFound, UploadError
from resumable.interfaces import Store
from resumable.model import Finished, State, Upload
from resumable.testing.contract.base import (
    ContractBase,
    MakeStore,
    an_upload,
    content,
    finish,
    loaded,
    place,
    some_bytes,
)

PART = 20_000
WORKERS = 3


def send_parts(make_store: MakeStore, upload: Upload, data: bytes, seed: int) -> int:
    """Send all parts in an order of one's own; how many were acknowledged."""
    store, order = make_store(), list(range(0, len(data), PART))
    random.Random(seed).shuffle(order)
    for start in order:
        place(store, upload, start, data[start : start + PART], start // PART, piece=7000)
    return len(order)


def send_share(make_store: MakeStore, upload: Upload, data: bytes, share: int) -> int:
    """Send every `WORKERS`-th part."""
    store, starts = make_store(), range(share * PART, len(data), WORKERS * PART)
    for start in starts:
        place(store, upload, start, data[start : start + PART], start // PART)
    return len(starts)


def send_rivals(make_store: MakeStore, upload: Upload, length: int, seed: int) -> list[int]:
    """Send bytes of one's own for all parts; the starts of those that were acknowledged."""
    store, data, won = make_store(), some_bytes(length, seed), []
    for start in range(0, length, PART):
        try:
            place(store, upload, start, data[start : start + PART], piece=3000)
        except Conflict:
            continue
        won.append(start)
    return won


def end(make_store: MakeStore, upload: Upload, length: int, seed: int) -> str:
    """Finish or cancel; what became of it."""
    store = make_store()
    try:
        if seed % 2:
            return "finished" if finish(store, upload, length).finished else ""
        return "cancelled" if store.discard(upload) else ""
    except (Conflict, NotFound):
        return "refused"


class RaceContract(ContractBase):
    """All of it at once."""

    @pytest.fixture(params=["threads", "processes"])
    def crowd(
        self, request: pytest.FixtureRequest, make_store: MakeStore
    ) -> Callable[[], Executor]:
        """Where the racers run."""
        if request.param == "threads":
            return partial(ThreadPoolExecutor, WORKERS)
        try:
            pickle.dumps(make_store)
        except Exception as error:
            pytest.skip(f"This store cannot be handed to another process: {error}")
        return partial(
            ProcessPoolExecutor, WORKERS, mp_context=multiprocessing.get_context("spawn")
        )

    def test_the_same_and_different_bytes(
        self, make_store: MakeStore, crowd: Callable[[], Executor]
    ) -> None:
        length = 6 * PART + 77
        data = some_bytes(length)
        uploads = [an_upload() for _ in range(4)]
        for upload in uploads:
            make_store().begin(upload)
        with crowd() as pool:
            self._share(pool, make_store, uploads[0], data)
            self._repeat(pool, make_store, uploads[1], data)
            self._contradict(pool, make_store, uploads[2], length)
            self._end(pool, make_store, uploads[3])

    def _share(self, pool: Executor, make_store: MakeStore, upload: Upload, data: bytes) -> None:
        sent = pool.map(partial(send_share, make_store, upload, data), range(WORKERS))
        assert sum(sent) == len(loaded(make_store(), upload).chunks)
        assert content(make_store(), self._finished(make_store, upload, data)) == data

    def _repeat(self, pool: Executor, make_store: MakeStore, upload: Upload, data: bytes) -> None:
        list(pool.map(partial(send_parts, make_store, upload, data), range(WORKERS)))
        assert content(make_store(), self._finished(make_store, upload, data)) == data

    def _finished(self, make_store: MakeStore, upload: Upload, data: bytes) -> Finished | None:
        return finish(make_store(), upload, len(data), crc32c=crc32c(data)).finished

    def _contradict(
        self, pool: Executor, make_store: MakeStore, upload: Upload, length: int
    ) -> None:
        won = list(pool.map(partial(send_rivals, make_store, upload, length), range(WORKERS)))
        starts = sorted(start for mine in won for start in mine)
        assert starts == sorted(set(starts)), "two writers of different bytes were acknowledged"
        extents = loaded(make_store(), upload).extents
        for start in range(0, length, PART):
            end_of_part = min(start + PART, length)
            winner = [seed for seed, mine in enumerate(won) if start in mine]
            if not winner:
                continue
            assert extents.covers(start, end_of_part)
            # The same bytes again are a duplicate; others would be a conflict.
            mine = some_bytes(length, winner[0])[start:end_of_part]
            assert place(make_store(), upload, start, mine).duplicate

    def _end(self, pool: Executor, make_store: MakeStore, upload: Upload) -> None:
        place(make_store(), upload, 0, b"all")
        ends = list(pool.map(partial(end, make_store, upload, 3), range(2 * WORKERS)))
        status = make_store().load(upload.id)
        if "finished" in ends:
            assert "cancelled" not in ends
            assert content(make_store(), make_store().find(upload.token)) == b"all"
        else:
            assert status is None or status.state is State.CANCELLED
            assert make_store().find(upload.token) is None

    def test_twenty_threads_and_one_upload(self, store: Store, upload: Upload) -> None:
        data = some_bytes(20 * 500)
        seen: list[int] = []

        def work(number: int) -> None:
            for again in range(3):
                start = 500 * ((number + 7 * again) % 20)
                place(store, upload, start, data[start : start + 500], start // 500, piece=99)
                status = loaded(store, upload)
                assert status.extents.covers(start, start + 500)
                seen.append(status.offset)

        with ThreadPoolExecutor(20) as pool:
            list(pool.map(work, range(20)))
        assert loaded(store, upload).completed_chunks == 20
        assert max(seen) == len(data)
        assert content(store, self._finished(lambda: store, upload, data)) == data

    def test_looking_while_bytes_come(self, make_store: MakeStore, upload: Upload) -> None:
        data = some_bytes(40 * 64)
        stop: list[bool] = []

        def look() -> list[int]:
            store, looked = make_store(), [0]
            while not stop:
                looked.append(loaded(store, upload).offset)
            return looked

        with ThreadPoolExecutor(2) as pool:
            looking = [pool.submit(look) for _ in range(2)]
            try:
                store = make_store()
                for start in range(0, len(data), 64):
                    place(store, upload, start, data[start : start + 64])
            finally:
                stop.append(True)
            for one in looking:
                assert one.result() == sorted(one.result()), "what was there was not there later"
        assert content(make_store(), finish(make_store(), upload, len(data)).finished) == data

    def test_a_finish_beside_writers(self, make_store: MakeStore, upload: Upload) -> None:
        data = some_bytes(3000)
        place(make_store(), upload, 0, data)

        def write(number: int) -> bool:
            try:
                place(make_store(), upload, 3000 + number, b"!", piece=1)
            except UploadError:
                return False
            return True

        def finish_now(_: int) -> bool:
            try:
                return finish(make_store(), upload, 3000).finished is not None
            except Conflict:
                return False

        with ThreadPoolExecutor(6) as pool:
            finishing = [pool.submit(finish_now, n) for n in range(2)]
            writing = [pool.submit(write, n) for n in range(4)]
        finished = any(one.result() for one in finishing)
        assert finished != any(one.result() for one in writing)
        if finished:
            assert content(make_store(), make_store().find(upload.token)) == data
