"""Finished objects, the sweeper's view, and bytes that belong to no upload."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from resumable.errors import Interrupted, NotFound
from resumable.interfaces import Store
from resumable.model import MIB, State, Upload
from resumable.testing.contract.base import (
    ContractBase,
    GivenPayload,
    MakeStore,
    an_upload,
    content,
    finish,
    keep,
    loaded,
    place,
    some_bytes,
)


class ObjectContract(ContractBase):
    """find, list_finished, read, delete, each, tidy, spool."""

    def test_objects_are_listed(self, make_store: MakeStore) -> None:
        assert list(make_store().list_finished()) == []
        tokens = set()
        for number in range(3):
            upload = an_upload()
            make_store().begin(upload)
            place(make_store(), upload, 0, bytes(number))
            finish(make_store(), upload, number)
            tokens.add(upload.token)
        make_store().begin(an_upload())
        assert {one.token for one in make_store().list_finished()} == tokens
        assert make_store().find(an_upload().token) is None

    @pytest.mark.parametrize(
        ("start", "end"), [(0, 0), (0, 1), (5, 9), (999_999, 1_000_000), (7, 1_000_000)]
    )
    def test_ranges_are_read(
        self, make_store: MakeStore, upload: Upload, start: int, end: int
    ) -> None:
        data = some_bytes(1_000_000)
        place(make_store(), upload, 0, data)
        finished = finish(make_store(), upload, len(data)).finished
        assert finished is not None
        with closing(make_store().read(finished, start, end)) as stored:
            assert b"".join(stored) == data[start:end]
        make_store().read(finished, start, end).close()

    def test_a_deleted_object_is_gone(self, make_store: MakeStore, upload: Upload) -> None:
        place(make_store(), upload, 0, b"all")
        finished = finish(make_store(), upload, 3).finished
        assert finished is not None
        make_store().delete(finished)
        make_store().delete(finished)
        assert make_store().find(upload.token) is None
        assert list(make_store().list_finished()) == []
        with pytest.raises(NotFound), closing(make_store().read(finished, 0, 3)) as stored:
            list(stored)

    def test_every_upload_is_seen(self, make_store: MakeStore, upload: Upload) -> None:
        other = an_upload()
        make_store().begin(other)
        keep(make_store(), other, 4, b"kept")
        place(make_store(), upload, 0, b"all")
        finish(make_store(), upload, 3)
        seen = {status.upload.id: status.state for status in make_store().each()}
        assert seen == {upload.id: State.COMPLETE, other.id: State.RECEIVING}

    def test_tidying_takes_nothing_that_is_needed(
        self, make_store: MakeStore, upload: Upload
    ) -> None:
        waiting = an_upload()
        make_store().begin(waiting)
        keep(make_store(), waiting, 1, b"kept")
        place(make_store(), waiting, 0, b"first", 0)
        keep(make_store(), waiting, 3, b"kept")
        place(make_store(), upload, 0, b"all")
        finish(make_store(), upload, 3)
        make_store().tidy(time.time() + 1_000_000)
        assert content(make_store(), make_store().find(upload.token)) == b"all"
        assert sorted(loaded(make_store(), waiting).chunks) == [0, 1, 3]
        keep(make_store(), waiting, 2, b"third")
        status = finish(make_store(), waiting, 18)
        assert content(make_store(), status.finished) == b"firstkeptthirdkept"

    def test_a_spool_is_read_again(self, store: Store) -> None:
        pieces = [some_bytes(MIB + 1), b"", some_bytes(10)]
        with closing(store.spool(GivenPayload(pieces))) as spooled:
            assert (spooled.whole, spooled.cut) == (True, None)
            assert spooled.length == MIB + 11
            for _ in range(2):
                assert b"".join(map(bytes, spooled)) == b"".join(pieces)
        spooled.close()

    def test_a_cut_spool_says_so(self, store: Store) -> None:
        cut = Interrupted("cut")
        with closing(store.spool(GivenPayload([b"half"], cut))) as spooled:
            assert (spooled.whole, spooled.cut) == (False, cut)
            assert b"".join(map(bytes, spooled)) == b"half"

    def test_a_broken_spool_leaves_nothing(self, store: Store) -> None:
        class Broken(GivenPayload):
            def __iter__(self) -> Iterator[memoryview]:
                yield memoryview(b"half")
                raise RuntimeError("broken")

        with pytest.raises(RuntimeError):
            store.spool(Broken([]))
        assert store.tidy(time.time() + 1_000_000) == 0
