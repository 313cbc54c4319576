"""Numbered chunks, with and without a known start."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest

from resumable.digests import crc32c
from resumable.errors import Conflict, DigestMismatch
from resumable.extents import Extents
from resumable.model import Chunk, Digest, Upload
from resumable.testing.contract.base import (
    ContractBase,
    MakeStore,
    content,
    finish,
    keep,
    loaded,
    place,
    some_bytes,
)


class NumberContract(ContractBase):
    """placing with a number, keeping, gather."""

    def test_a_placed_chunk_has_its_number(self, make_store: MakeStore, upload: Upload) -> None:
        data = some_bytes(10)
        placed = place(make_store(), upload, 10, data, 1)
        assert placed.number == 1
        assert placed.status.chunks[1] == Chunk(1, 10, crc32c(data), 10)
        assert loaded(make_store(), upload).chunks == placed.status.chunks

    def test_a_number_means_one_chunk(self, make_store: MakeStore, upload: Upload) -> None:
        data = some_bytes(10)
        place(make_store(), upload, 0, data, 0)
        assert place(make_store(), upload, 0, data, 0).duplicate
        assert keep(make_store(), upload, 0, data).duplicate
        with pytest.raises(Conflict):
            place(make_store(), upload, 0, data[:5], 0)
        with pytest.raises(Conflict):
            place(make_store(), upload, 10, data, 0)
        with pytest.raises(Conflict):
            keep(make_store(), upload, 0, some_bytes(10, 1))
        status = loaded(make_store(), upload)
        assert dict(status.chunks) == {0: Chunk(0, 10, crc32c(data), 0)}

    def test_a_chunk_waits_for_its_start(self, make_store: MakeStore, upload: Upload) -> None:
        data = some_bytes(30)
        placed = keep(make_store(), upload, 1, data[10:25])
        assert (placed.number, placed.duplicate) == (1, False)
        status = loaded(make_store(), upload)
        assert dict(status.chunks) == {1: Chunk(1, 15, crc32c(data[10:25]), None)}
        assert (status.extents, status.received) == (Extents(), 15)
        assert keep(make_store(), upload, 1, data[10:25]).duplicate
        with pytest.raises(Conflict):
            keep(make_store(), upload, 1, data[10:24])
        place(make_store(), upload, 0, data[:10], 0)
        make_store().gather(upload)
        status = loaded(make_store(), upload)
        assert (status.offset, status.received) == (25, 25)
        assert status.chunks[1].start == 10

    @pytest.mark.parametrize("seed", range(8))
    def test_chunks_of_any_size_in_any_order(
        self, make_store: MakeStore, upload: Upload, seed: int
    ) -> None:
        chance = random.Random(seed)
        data = some_bytes(300, seed)
        cuts = sorted(chance.choices(range(301), k=8))
        bounds = list(pairwise((0, *cuts, 300)))
        order = list(range(len(bounds)))
        chance.shuffle(order)
        if seed == 0:
            order.sort(reverse=True)
        for number in order:
            start, end = bounds[number]
            keep(make_store(), upload, number, data[start:end])
        status = loaded(make_store(), upload)
        assert sorted(status.chunks) == sorted(order)
        assert [status.chunks[number].start for number in sorted(order)] == [
            start for start, _ in bounds
        ]
        finished = finish(make_store(), upload, 300, crc32c=crc32c(data)).finished
        assert content(make_store(), finished) == data

    def test_the_next_free_number(self, make_store: MakeStore, upload: Upload) -> None:
        data = some_bytes(30)
        place(make_store(), upload, 0, data[:10], 0)
        keep(make_store(), upload, 2, data[20:])
        assert keep(make_store(), upload, None, data[10:20]).number == 1
        assert keep(make_store(), upload, None, b"end").number == 3
        status = loaded(make_store(), upload)
        assert (sorted(status.chunks), status.offset) == ([0, 1, 2, 3], 33)

    def test_racing_requests_get_different_numbers(
        self, make_store: MakeStore, upload: Upload
    ) -> None:
        stores = [make_store() for _ in range(8)]
        with ThreadPoolExecutor(8) as pool:
            placed = list(
                pool.map(lambda n: keep(stores[n], upload, None, bytes([n]) * 3), range(8))
            )
        assert sorted(one.number or 0 for one in placed) == list(range(8))
        data = content(make_store(), finish(make_store(), upload, 24).finished)
        assert data == b"".join(
            bytes([n]) * 3 for _, n in sorted((placed[n].number or 0, n) for n in range(8))
        )

    def test_a_waiting_chunk_is_sent_with_its_start(
        self, make_store: MakeStore, upload: Upload
    ) -> None:
        data = some_bytes(30)
        keep(make_store(), upload, 2, data[20:])
        place(make_store(), upload, 20, data[20:], 2)
        assert loaded(make_store(), upload).chunks[2].start == 20
        place(make_store(), upload, 0, data[:20], 0)
        assert content(make_store(), finish(make_store(), upload, 30).finished) == data

    def test_an_empty_chunk(self, make_store: MakeStore, upload: Upload) -> None:
        keep(make_store(), upload, 1, b"")
        keep(make_store(), upload, 2, b"b")
        place(make_store(), upload, 0, b"a", 0)
        status = loaded(make_store(), upload)
        assert (sorted(status.chunks), status.offset) == ([0, 1, 2], 2)
        assert content(make_store(), finish(make_store(), upload, 2).finished) == b"ab"

    def test_a_kept_chunk_that_is_cut_or_not_meant_leaves_nothing(
        self, make_store: MakeStore, upload: Upload
    ) -> None:
        with make_store().keeping(upload, 1) as keeping:
            keeping.write(memoryview(b"half"))
            keeping.keep()
        wrong = Digest("crc32c", b"1234")
        with make_store().keeping(upload, 1, digest=wrong) as keeping:
            keeping.write(memoryview(b"other"))
            with pytest.raises(DigestMismatch):
                keeping.commit(1)
        assert not loaded(make_store(), upload).chunks
        assert not keep(make_store(), upload, 1, b"third").duplicate

    def test_a_chunk_that_waits_keeps_the_end_open(
        self, make_store: MakeStore, upload: Upload
    ) -> None:
        place(make_store(), upload, 0, b"start", 0)
        keep(make_store(), upload, 2, b"end")
        with pytest.raises(Conflict):
            finish(make_store(), upload, 5)
        keep(make_store(), upload, 1, b"-")
        assert content(make_store(), finish(make_store(), upload, 9).finished) == b"start-end"
