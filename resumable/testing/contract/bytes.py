"""Bytes at their position: known ones are compared, unknown ones written, all of it durable."""

from __future__ import annotations

import hashlib
from contextlib import suppress

import pytest

from resumable.digests import HASHERS, crc32c
from resumable.errors import Conflict, DigestMismatch, Unavailable
from resumable.extents import Extents
from resumable.interfaces import Store
from resumable.model import MIB, Digest, Upload
from resumable.testing.contract.base import (
    ContractBase,
    MakeStore,
    content,
    finish,
    loaded,
    place,
    shapes,
    some_bytes,
)


class ByteContract(ContractBase):
    """placing."""

    def test_bytes_in_order(self, make_store: MakeStore, upload: Upload) -> None:
        data = some_bytes(30)
        for start in (0, 10, 20):
            placed = place(make_store(), upload, start, data[start : start + 10])
            assert not placed.duplicate
            assert placed.status.offset == loaded(make_store(), upload).offset == start + 10
        assert content(make_store(), finish(make_store(), upload, 30).finished) == data

    def test_bytes_out_of_order(self, make_store: MakeStore, upload: Upload) -> None:
        data = some_bytes(30)
        place(make_store(), upload, 20, data[20:])
        assert loaded(make_store(), upload).offset == 0
        place(make_store(), upload, 0, data[:10])
        status = loaded(make_store(), upload)
        assert status.extents == Extents([(0, 10), (20, 30)])
        assert status.missing() == [(10, 20), (30, None)]
        assert place(make_store(), upload, 10, data[10:20]).status.offset == 30

    def test_a_duplicate_changes_nothing(self, make_store: MakeStore, upload: Upload) -> None:
        data = some_bytes(1000)
        assert not place(make_store(), upload, 0, data, piece=100).duplicate
        assert place(make_store(), upload, 0, data, piece=333).duplicate
        assert place(make_store(), upload, 100, data[100:200]).duplicate
        assert loaded(make_store(), upload).extents == Extents([(0, 1000)])

    def test_an_overlap_of_the_same_bytes(self, make_store: MakeStore, upload: Upload) -> None:
        data = some_bytes(100)
        place(make_store(), upload, 20, data[20:40])
        place(make_store(), upload, 60, data[60:70])
        assert not place(make_store(), upload, 10, data[10:80], piece=7).duplicate
        assert loaded(make_store(), upload).extents == Extents([(10, 80)])
        place(make_store(), upload, 0, data, piece=13)
        assert content(make_store(), finish(make_store(), upload, 100).finished) == data

    @pytest.mark.parametrize("at", [0, 5, 9])
    def test_other_bytes_are_a_conflict(
        self, make_store: MakeStore, upload: Upload, at: int
    ) -> None:
        data = some_bytes(20)
        place(make_store(), upload, 10, data[10:])
        other = bytearray(data)
        other[10 + at] ^= 1
        with pytest.raises(Conflict):
            place(make_store(), upload, 0, bytes(other), piece=4)
        status = loaded(make_store(), upload)
        assert status.extents.covers(10, 20)
        assert not status.chunks
        # Nobody has promised the bytes before the contradiction: they may still be sent.
        place(make_store(), upload, 0, data)
        assert content(make_store(), finish(make_store(), upload, 20).finished) == data

    @pytest.mark.parametrize("size", [0, 10])
    def test_a_commit_tells_facts_that_came_meanwhile(
        self, make_store: MakeStore, upload: Upload, size: int
    ) -> None:
        store = make_store()
        with store.placing(upload, 0, length=size) as placing:
            placing.write(memoryview(some_bytes(size)))
            store.note(upload, {"length": 10})
            assert placing.commit().status.length == 10

    def test_an_empty_body(self, make_store: MakeStore, upload: Upload) -> None:
        place(make_store(), upload, 0, b"")
        place(make_store(), upload, 5, b"")
        assert loaded(make_store(), upload).extents == Extents()

    def test_a_cut_body_leaves_its_prefix(self, make_store: MakeStore, upload: Upload) -> None:
        data = some_bytes(100)
        with make_store().placing(upload, 10, length=90) as placing:
            placing.write(memoryview(data)[10:30])
            placing.write(memoryview(data)[30:42])
            placing.keep()
        assert loaded(make_store(), upload).extents == Extents([(10, 42)])
        place(make_store(), upload, 0, data)
        assert content(make_store(), finish(make_store(), upload, 100).finished) == data

    @pytest.mark.parametrize("error", [Unavailable("later"), OSError(5, "io"), None])
    def test_leaving_early_leaves_no_lie(
        self, make_store: MakeStore, upload: Upload, error: Exception | None
    ) -> None:
        data = some_bytes(64)
        with (
            suppress(type(error or OSError())),
            make_store().placing(upload, 0, length=64) as placing,
        ):
            placing.write(memoryview(data)[:40])
            if error is not None:
                raise error
        extents = loaded(make_store(), upload).extents
        assert extents in (Extents(), Extents([(0, 40)]))
        # Where nothing is known other bytes are as good.
        other = data if extents else some_bytes(64, 1)
        place(make_store(), upload, 0, other)
        assert content(make_store(), finish(make_store(), upload, 64).finished) == other

    def test_a_placing_that_is_never_entered_holds_nothing(
        self, store: Store, upload: Upload
    ) -> None:
        store.placing(upload, 0)
        store.keeping(upload, 0)
        assert store.discard(upload, unless_busy=store.capabilities.presence)

    @pytest.mark.parametrize("algorithm", sorted(HASHERS))
    def test_a_digest_that_fits(
        self, make_store: MakeStore, upload: Upload, algorithm: str
    ) -> None:
        data = some_bytes(5000)
        hasher = HASHERS[algorithm]()
        hasher.update(data)
        digest = Digest(algorithm, hasher.digest())
        place(make_store(), upload, 0, data, 0, digest=digest, piece=512)
        assert loaded(make_store(), upload).offset == 5000

    def test_a_digest_that_does_not_fit_leaves_nothing(
        self, make_store: MakeStore, upload: Upload
    ) -> None:
        data = some_bytes(50)
        wrong = Digest("sha256", hashlib.sha256(b"another").digest())
        with pytest.raises(DigestMismatch):
            place(make_store(), upload, 0, data, 0, digest=wrong)
        with make_store().placing(upload, 0, digest=wrong) as placing:
            placing.write(memoryview(data))
            placing.keep()
        status = loaded(make_store(), upload)
        assert status.extents == Extents()
        assert not status.chunks
        other = some_bytes(50, 1)
        place(make_store(), upload, 0, other)
        assert content(make_store(), finish(make_store(), upload, 50).finished) == other

    @pytest.mark.parametrize("seed", range(12))
    def test_the_crc32c_of_any_shape(
        self, make_store: MakeStore, upload: Upload, seed: int
    ) -> None:
        data = some_bytes(500, seed)
        for start, end in shapes(len(data), seed):
            place(make_store(), upload, start, data[start:end], piece=seed * 9 + 1)
        finished = finish(make_store(), upload, len(data), crc32c=crc32c(data)).finished
        assert content(make_store(), finished) == data
        assert finished is not None
        assert finished.crc32c == crc32c(data)

    def test_a_long_body(self, make_store: MakeStore, upload: Upload) -> None:
        data = some_bytes(20 * MIB + 7)
        place(make_store(), upload, 0, data, piece=MIB - 3)
        status = finish(make_store(), upload, len(data), crc32c=crc32c(data))
        assert content(make_store(), status.finished) == data
