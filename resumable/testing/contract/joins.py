"""One object out of finished ones: their bytes in their order, and they stay."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from resumable.digests import crc32c
from resumable.errors import UploadError
from resumable.interfaces import Store
from resumable.model import Finished, State, Upload
from resumable.testing.contract.base import (
    ContractBase,
    MakeStore,
    an_upload,
    content,
    describing,
    finish,
    loaded,
    place,
    some_bytes,
)

PART = 20_000


def a_partial(store: Store, data: bytes, **more: Any) -> Finished:
    """A finished piece of a file."""
    upload = an_upload(partial=True, length=len(data), **more)
    assert store.begin(upload)
    place(store, upload, 0, data)
    described = describing(upload)

    def describe(*told: Any) -> Finished:
        return replace(described(*told), partial=True)

    finished = store.finish(upload, len(data), describe).finished
    assert finished is not None
    return finished


def joined(store: Store, sources: list[Finished], **more: Any) -> Upload:
    upload = an_upload(partials=tuple(one.id for one in sources), **more)
    assert store.begin(upload)
    finish(store, upload, sum(one.size for one in sources), sources=sources)
    return upload


class JoinContract(ContractBase):
    """finish with sources."""

    @pytest.mark.parametrize(
        "sizes",
        [(5,), (0,), (0, 0), (3, 0, 4), (PART, PART), (PART + 1, 7, 3 * PART - 5), (1,) * 40],
    )
    def test_the_bytes_of_all_in_their_order(
        self, make_store: MakeStore, sizes: tuple[int, ...]
    ) -> None:
        pieces = [some_bytes(size, seed) for seed, size in enumerate(sizes)]
        sources = [a_partial(make_store(), piece) for piece in pieces]
        upload = joined(make_store(), sources)
        status = loaded(make_store(), upload)
        assert (status.upload, status.state) == (upload, State.COMPLETE)
        data = b"".join(pieces)
        assert status.finished == make_store().find(upload.token)
        assert content(make_store(), status.finished) == data
        assert status.finished is not None
        assert status.finished.crc32c in (None, crc32c(data))

    def test_one_may_be_used_twice_and_again(self, make_store: MakeStore) -> None:
        first, second = (a_partial(make_store(), data) for data in (b"ab", b"cde"))
        for sources, data in (([first, second, first], b"abcdeab"), ([second, first], b"cdeab")):
            upload = joined(make_store(), sources)
            assert content(make_store(), make_store().find(upload.token)) == data
        assert content(make_store(), first) == b"ab"

    def test_partial_ones_are_in_no_list(self, make_store: MakeStore) -> None:
        source = a_partial(make_store(), b"ab")
        assert list(make_store().list_finished()) == []
        assert make_store().find(source.token) == source
        upload = joined(make_store(), [source])
        assert [one.token for one in make_store().list_finished()] == [upload.token]

    def test_the_whole_outlives_its_pieces(self, make_store: MakeStore) -> None:
        source = a_partial(make_store(), b"ab")
        upload = joined(make_store(), [source, source])
        make_store().delete(source)
        assert make_store().find(source.token) is None
        assert content(make_store(), make_store().find(upload.token)) == b"abab"

    def test_a_finish_may_be_asked_for_again(self, make_store: MakeStore) -> None:
        sources = [a_partial(make_store(), b"ab")]
        upload = joined(make_store(), sources)
        first = loaded(make_store(), upload).finished
        assert finish(make_store(), upload, 2, sources=sources).finished == first
        assert finish(make_store(), upload, 0).finished == first

    def test_a_piece_that_has_gone_leaves_no_object(self, make_store: MakeStore) -> None:
        source = a_partial(make_store(), b"ab")
        make_store().delete(source)
        upload = an_upload(partials=(source.id,))
        assert make_store().begin(upload)
        with pytest.raises(UploadError):
            finish(make_store(), upload, 2, sources=[source])
        assert make_store().find(upload.token) is None
