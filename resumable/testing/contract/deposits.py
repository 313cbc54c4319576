"""A whole file in one step: all of it is there afterwards, or nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from resumable.digests import crc32c
from resumable.errors import Interrupted, NotFound
from resumable.interfaces import Depository, Store
from resumable.model import Finished, State
from resumable.testing.contract.base import (
    ContractBase,
    GivenPayload,
    MakeStore,
    an_upload,
    content,
    describe,
    describing,
    finish,
    loaded,
    some_bytes,
)


class DepositContract(ContractBase):
    """deposit, for the stores that have it."""

    @pytest.fixture
    def depository(self, store: Store) -> Depository:
        if not isinstance(store, Depository):
            pytest.skip("this store has no way to take a whole file in one step")
        return store

    @pytest.mark.parametrize("sizes", [(), (1,), (70_000, 1, 50_000)])
    def test_a_deposit_makes_one_object(
        self, make_store: MakeStore, depository: Depository, sizes: tuple[int, ...]
    ) -> None:
        upload = an_upload(owner="Zo\xeb", length=sum(sizes), metadata={"title": "\xfc"})
        pieces = [some_bytes(size, seed) for seed, size in enumerate(sizes)]
        data = b"".join(pieces)
        heard: list[Any] = []

        def listening(
            facts: Mapping[str, Any], head: bytes, crc: int | None, size: int
        ) -> Finished:
            heard.append((dict(facts), head, crc, size))
            return describing(upload)(facts, head, crc, size)

        facts = {"filename": "a.bin", "options": {"frame": True}}
        status = depository.deposit(upload, GivenPayload(pieces), listening, facts=facts)
        assert heard == [(facts, data[: 64 * 1024], crc32c(data), len(data))]
        assert (status.upload, status.state, dict(status.facts)) == (upload, State.COMPLETE, facts)
        known = loaded(make_store(), upload)
        assert (known.upload, known.state) == (upload, State.COMPLETE)
        assert known.finished == status.finished == make_store().find(upload.token)
        assert content(make_store(), status.finished) == data

    def test_it_is_a_finished_upload_like_any_other(
        self, make_store: MakeStore, depository: Depository
    ) -> None:
        upload = an_upload()
        first = depository.deposit(upload, GivenPayload([b"all"]), describing(upload))
        make_store().tell(upload, "completed")
        assert finish(make_store(), upload, 0).finished == first.finished
        assert loaded(make_store(), upload).told == {"completed"}
        assert not make_store().begin(upload)
        assert [one.token for one in make_store().list_finished()] == [upload.token]
        make_store().tidy(time.time() + 1_000_000)
        make_store().remove(upload)
        assert make_store().load(upload.id) is None
        assert content(make_store(), make_store().find(upload.token)) == b"all"

    def test_a_cut_payload_leaves_nothing(
        self, make_store: MakeStore, depository: Depository
    ) -> None:
        upload, cut = an_upload(), Interrupted("cut")
        with pytest.raises(Interrupted) as raised:
            depository.deposit(upload, GivenPayload([b"half"], cut), describe)
        assert raised.value is cut
        self._check_nothing(make_store(), upload.id, upload.token)

    def test_trouble_with_the_payload_leaves_nothing(
        self, make_store: MakeStore, depository: Depository
    ) -> None:
        class Broken(GivenPayload):
            def __iter__(self) -> Iterator[memoryview]:
                yield memoryview(b"half")
                raise RuntimeError("broken")

        upload = an_upload()
        with pytest.raises(RuntimeError):
            depository.deposit(upload, Broken([]), describe)
        self._check_nothing(make_store(), upload.id, upload.token)

    def _check_nothing(self, store: Store, id: str, token: str) -> None:
        assert store.load(id) is None
        assert store.find(token) is None
        assert list(store.each()) == []
        assert store.tidy(time.time() + 1_000_000) == 0
        with pytest.raises(NotFound):
            store.discard(an_upload())
