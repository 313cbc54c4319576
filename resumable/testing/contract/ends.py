"""The ends of an upload: one object, or nothing; and nobody comes back after either."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from resumable.digests import crc32c
from resumable.errors import Conflict, DigestMismatch, NotFound
from resumable.extents import Extents
from resumable.interfaces import Placing, Store
from resumable.model import Finished, State, Upload
from resumable.testing.contract.base import (
    ContractBase,
    MakeStore,
    an_upload,
    content,
    describe,
    describing,
    finish,
    keep,
    loaded,
    place,
    some_bytes,
)


class EndContract(ContractBase):
    """finish, verdict, discard, remove."""

    def test_a_finish_makes_one_object(self, make_store: MakeStore, upload: Upload) -> None:
        data = some_bytes(100_000)
        place(make_store(), upload, 0, data)
        heard: list[Any] = []

        def listening(
            facts: Mapping[str, Any], head: bytes, crc: int | None, size: int
        ) -> Finished:
            heard.append((dict(facts), head, crc, size))
            return describing(upload)(facts, head, crc, size)

        assert make_store().find(upload.token) is None
        make_store().note(upload, {"total_chunks": 1})
        status = make_store().finish(upload, 100_000, listening, facts={"filename": "a.bin"})
        facts = {"total_chunks": 1, "filename": "a.bin"}
        assert heard == [(facts, data[: 64 * 1024], crc32c(data), 100_000)]
        assert status.state is State.COMPLETE
        assert dict(status.facts) == facts
        assert make_store().find(upload.token) == status.finished
        assert content(make_store(), status.finished) == data
        assert loaded(make_store(), upload).finished == status.finished

    def test_finishing_again_changes_nothing(self, make_store: MakeStore, upload: Upload) -> None:
        place(make_store(), upload, 0, b"all")
        first = finish(make_store(), upload, 3, facts={"filename": "first"})
        again = finish(make_store(), upload, 0, facts={"filename": "second"})
        assert again.finished == first.finished
        assert first.finished is not None
        assert first.finished.filename == "first"
        assert [one.token for one in make_store().list_finished()] == [upload.token]

    def test_racing_finishes_give_one_answer(self, make_store: MakeStore, upload: Upload) -> None:
        data = some_bytes(300)
        place(make_store(), upload, 0, data)
        stores = [make_store() for _ in range(8)]

        def end(number: int) -> Finished | None:
            facts = {"filename": f"name {number}"}
            return finish(stores[number], upload, 300, facts=facts).finished

        with ThreadPoolExecutor(8) as pool:
            finished = set(map(repr, pool.map(end, range(8))))
        assert finished == {repr(make_store().find(upload.token))}
        assert content(make_store(), make_store().find(upload.token)) == data

    @pytest.mark.parametrize("length", [9, 11])
    def test_a_length_that_is_not_so_changes_nothing(
        self, make_store: MakeStore, upload: Upload, length: int
    ) -> None:
        place(make_store(), upload, 0, some_bytes(10))
        with pytest.raises(Conflict):
            make_store().finish(upload, length, describe, facts={"filename": "wrong"})
        status = loaded(make_store(), upload)
        assert status.state is State.RECEIVING
        assert "filename" not in status.facts
        assert make_store().find(upload.token) is None
        assert finish(make_store(), upload, 10).state is State.COMPLETE

    def test_missing_bytes_change_nothing(self, make_store: MakeStore, upload: Upload) -> None:
        data = some_bytes(30)
        place(make_store(), upload, 0, data[:10])
        place(make_store(), upload, 20, data[20:])
        with pytest.raises(Conflict):
            make_store().finish(upload, 30, describe)
        place(make_store(), upload, 10, data[10:20])
        assert content(make_store(), finish(make_store(), upload, 30).finished) == data

    def test_another_crc32c_changes_nothing(self, make_store: MakeStore, upload: Upload) -> None:
        data = some_bytes(30)
        place(make_store(), upload, 0, data)
        with pytest.raises(DigestMismatch):
            make_store().finish(upload, 30, describe, crc32c=crc32c(data) ^ 1)
        assert loaded(make_store(), upload).state is State.RECEIVING
        assert finish(make_store(), upload, 30, crc32c=crc32c(data)).state is State.COMPLETE

    def test_an_empty_object(self, make_store: MakeStore, upload: Upload) -> None:
        status = finish(make_store(), upload, 0, crc32c=0)
        assert status.state is State.COMPLETE
        assert content(make_store(), make_store().find(upload.token)) == b""

    def test_a_finished_upload_takes_nothing_more(
        self, make_store: MakeStore, upload: Upload
    ) -> None:
        place(make_store(), upload, 0, b"all")
        finish(make_store(), upload, 3)
        with pytest.raises(Conflict):
            place(make_store(), upload, 3, b"more")
        with pytest.raises(Conflict):
            keep(make_store(), upload, 1, b"more")
        with pytest.raises(Conflict):
            make_store().discard(upload)
        assert content(make_store(), make_store().find(upload.token)) == b"all"

    def test_a_late_writer_cannot_touch_the_object(
        self, make_store: MakeStore, upload: Upload
    ) -> None:
        place(make_store(), upload, 0, b"all")
        with make_store().placing(upload, 3) as late, make_store().keeping(upload, 7) as later:
            late.write(memoryview(b"x"))
            later.write(memoryview(b"x"))
            finish(make_store(), upload, 3)
            with pytest.raises(Conflict):
                _add(late, b"y")
            with pytest.raises(Conflict):
                later.commit(7)
        assert content(make_store(), make_store().find(upload.token)) == b"all"

    def test_a_late_commit_is_not_acknowledged(self, make_store: MakeStore, upload: Upload) -> None:
        place(make_store(), upload, 0, b"all")
        with make_store().placing(upload, 3) as late:
            late.write(memoryview(b"x"))
            finish(make_store(), upload, 3)
            with pytest.raises(Conflict):
                late.commit()
        assert content(make_store(), make_store().find(upload.token)) == b"all"

    # ------------------------------------------------------------ whole-file digests

    def test_a_digest_waits_for_its_verdict(self, make_store: MakeStore, upload: Upload) -> None:
        place(make_store(), upload, 0, b"all")
        status = finish(make_store(), upload, 3, facts={"digest": "sha256:00"})
        assert status.state is State.VERIFYING
        assert make_store().find(upload.token) is None
        assert list(make_store().list_finished()) == []
        assert finish(make_store(), upload, 3).state is State.VERIFYING
        assert content(make_store(), status.finished) == b"all"
        assert make_store().verdict(upload, True).state is State.COMPLETE
        assert content(make_store(), make_store().find(upload.token)) == b"all"
        assert make_store().verdict(upload, False).state is State.COMPLETE

    def test_a_rejected_object_is_removed(self, make_store: MakeStore, upload: Upload) -> None:
        place(make_store(), upload, 0, b"all")
        finished = finish(make_store(), upload, 3, facts={"digest": "sha256:00"}).finished
        assert make_store().verdict(upload, False).state is State.REJECTED
        assert make_store().verdict(upload, True).state is State.REJECTED
        assert make_store().find(upload.token) is None
        assert finished is not None
        with pytest.raises(NotFound):
            content(make_store(), finished)
        make_store().remove(upload)
        assert make_store().load(upload.id) is None

    # ------------------------------------------------------------ no object

    def test_a_discarded_upload_is_gone(self, make_store: MakeStore, upload: Upload) -> None:
        place(make_store(), upload, 0, b"some", 0)
        keep(make_store(), upload, 2, b"more")
        assert make_store().discard(upload)
        assert make_store().discard(upload)
        status = make_store().load(upload.id)
        assert status is None or status.state is State.CANCELLED
        with pytest.raises(NotFound):
            place(make_store(), upload, 0, b"some")
        with pytest.raises(NotFound):
            keep(make_store(), upload, 1, b"some")
        with pytest.raises(NotFound):
            make_store().finish(upload, 4, describe)
        make_store().remove(upload)
        make_store().remove(upload)
        assert make_store().load(upload.id) is None
        assert all(one.upload.id != upload.id for one in make_store().each())

    def test_an_id_can_be_begun_again(self, make_store: MakeStore, upload: Upload) -> None:
        place(make_store(), upload, 0, b"first content")
        keep(make_store(), upload, 5, b"kept")
        make_store().discard(upload)
        make_store().remove(upload)
        assert make_store().begin(upload)
        status = loaded(make_store(), upload)
        assert (status.extents, dict(status.chunks)) == (Extents(), {})
        place(make_store(), upload, 0, b"2nd")
        assert content(make_store(), finish(make_store(), upload, 3).finished) == b"2nd"

    def test_a_late_writer_finds_nothing_to_revive(
        self, make_store: MakeStore, upload: Upload
    ) -> None:
        with make_store().placing(upload, 0) as late:
            late.write(memoryview(b"x"))
            make_store().discard(upload)
            with pytest.raises(NotFound):
                late.commit()
        assert make_store().load(upload.id) is None or (
            loaded(make_store(), upload).state is State.CANCELLED
        )

    def test_a_late_writer_leaves_the_next_upload_alone(
        self, make_store: MakeStore, upload: Upload
    ) -> None:
        with make_store().placing(upload, 0) as late, make_store().keeping(upload, 4) as later:
            late.write(memoryview(b"old"))
            later.write(memoryview(b"old"))
            make_store().discard(upload)
            make_store().remove(upload)
            make_store().begin(upload)
            with pytest.raises(NotFound):
                _add(late, b"old")
            with pytest.raises(NotFound):
                late.commit()
            with pytest.raises(NotFound):
                later.commit(4)
        place(make_store(), upload, 0, b"new")
        assert content(make_store(), finish(make_store(), upload, 3).finished) == b"new"

    def test_another_upload_under_the_same_id_is_another_one(
        self, make_store: MakeStore, upload: Upload
    ) -> None:
        """Whoever still means the first one must not touch the second."""
        make_store().discard(upload)
        make_store().remove(upload)
        second = replace(upload, token=an_upload().token)
        assert make_store().begin(second)
        place(make_store(), second, 0, b"2nd", 0)
        with pytest.raises(NotFound):
            place(make_store(), upload, 3, b"1st", 1)
        with pytest.raises(NotFound):
            keep(make_store(), upload, 5, b"1st")
        with pytest.raises(NotFound):
            make_store().note(upload, {"length": 9})
        with pytest.raises(NotFound):
            make_store().discard(upload)
        with pytest.raises(NotFound):
            make_store().finish(upload, 3, describe)
        make_store().remove(upload)
        assert content(make_store(), finish(make_store(), second, 3).finished) == b"2nd"

    def test_an_upload_at_work_is_not_discarded(
        self, make_store: MakeStore, upload: Upload
    ) -> None:
        presence = make_store().capabilities.presence
        with make_store().placing(upload, 0) as placing:
            placing.write(memoryview(b"x"))
            assert not make_store().discard(upload, unless_busy=True)
            placing.commit()
        with make_store().keeping(upload, 3) as keeping:
            assert not make_store().discard(upload, unless_busy=True)
            keeping.write(memoryview(b"y"))
            keeping.commit(3)
        assert loaded(make_store(), upload).received == 2
        # Without presence it cannot be told from one that is at work.
        assert make_store().discard(upload, unless_busy=presence)
        status = make_store().load(upload.id)
        assert status is None or status.state is State.CANCELLED

    def test_what_is_removed_leaves_its_object(self, store: Store, upload: Upload) -> None:
        place(store, upload, 0, b"all")
        finished = finish(store, upload, 3).finished
        store.remove(upload)
        assert store.load(upload.id) is None
        assert store.find(upload.token) == finished
        assert content(store, finished) == b"all"


def _add(placing: Placing, data: bytes) -> None:
    """Write and commit: a store may notice at either that it is too late."""
    placing.write(memoryview(data))
    placing.commit()
