"""An upload's birth, its facts, and what is told of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from resumable.errors import NotFound
from resumable.interfaces import Store
from resumable.model import State, Upload
from resumable.testing.contract.base import (
    ContractBase,
    MakeStore,
    an_upload,
    describe,
    finish,
    loaded,
    place,
)


class BirthContract(ContractBase):
    """begin, load, note, tell, echo."""

    def test_a_birth_is_seen_by_every_process(self, make_store: MakeStore) -> None:
        upload = an_upload(
            owner="Zoë",
            client_id="my id/..",
            length=12,
            filename="a\n\u2028b",
            content_type="video/webm",
            metadata={"title": "ünïcode \U0001f600", "nested": {"list": [1, None, True]}},
        )
        assert make_store().begin(upload)
        status = loaded(make_store(), upload)
        assert status.upload == upload
        assert status.state is State.RECEIVING
        assert (status.offset, status.received, dict(status.chunks)) == (0, 0, {})

    def test_an_id_is_begun_once(self, make_store: MakeStore, upload: Upload) -> None:
        another = an_upload(owner="somebody else")
        again = type(upload)(id=upload.id, token=another.token, part_size=1, created=2.0)
        assert not make_store().begin(again)
        assert loaded(make_store(), upload).upload == upload

    def test_of_racing_births_one_wins(self, make_store: MakeStore) -> None:
        id = an_upload().id
        rivals = [Upload(id=id, token=f"{n:-<22}", part_size=1, created=float(n)) for n in range(8)]
        stores = [make_store() for _ in rivals]
        with ThreadPoolExecutor(len(rivals)) as pool:
            won = list(pool.map(lambda store, rival: store.begin(rival), stores, rivals))
        assert won.count(True) == 1
        assert loaded(make_store(), rivals[0]).upload == rivals[won.index(True)]

    def test_the_unknown_is_not_found(self, store: Store) -> None:
        stranger = an_upload()
        assert store.load(stranger.id) is None
        assert store.find(stranger.token) is None
        with pytest.raises(NotFound), store.placing(stranger, 0):
            raise AssertionError("entered")
        with pytest.raises(NotFound), store.keeping(stranger, 0):
            raise AssertionError("entered")
        with pytest.raises(NotFound):
            store.note(stranger, {"filename": "a"})
        with pytest.raises(NotFound):
            store.finish(stranger, 0, describe)
        with pytest.raises(NotFound):
            store.discard(stranger)
        store.remove(stranger)

    def test_facts_are_learned_once(self, make_store: MakeStore, upload: Upload) -> None:
        assert make_store().note(upload, {"length": 5, "options": {"a": [1]}})["length"] == 5
        known = make_store().note(upload, {"length": 6, "filename": "b"})
        expected = {"length": 5, "options": {"a": [1]}, "filename": "b"}
        assert dict(known) == expected
        assert dict(loaded(make_store(), upload).facts) == expected
        assert dict(make_store().note(upload, {})) == expected

    def test_of_racing_facts_one_wins(self, make_store: MakeStore, upload: Upload) -> None:
        stores = [make_store() for _ in range(8)]

        def note(number: int) -> Any:
            return stores[number].note(upload, {"total_chunks": number + 1})["total_chunks"]

        with ThreadPoolExecutor(8) as pool:
            known = set(pool.map(note, range(8)))
        assert len(known) == 1
        assert known == {loaded(make_store(), upload).facts["total_chunks"]}

    def test_facts_that_come_after_the_finish_change_nothing(
        self, make_store: MakeStore, upload: Upload
    ) -> None:
        place(make_store(), upload, 0, b"all")
        assert finish(make_store(), upload, 3).state is State.COMPLETE
        make_store().note(upload, {"digest": "sha256:00", "filename": "late"})
        status = loaded(make_store(), upload)
        assert status.state is State.COMPLETE
        assert "digest" not in status.facts

    def test_what_the_host_heard_is_remembered(self, make_store: MakeStore, upload: Upload) -> None:
        make_store().tell(upload, "created")
        make_store().tell(upload, "created")
        assert loaded(make_store(), upload).told == {"created"}
        place(make_store(), upload, 0, b"all")
        finish(make_store(), upload, 3)
        make_store().tell(upload, "completed")
        assert loaded(make_store(), upload).told == {"created", "completed"}

    def test_echoes_are_remembered(self, make_store: MakeStore, upload: Upload) -> None:
        place(make_store(), upload, 0, b"all", 0)
        finish(make_store(), upload, 3)
        assert make_store().echoed(upload) == frozenset()
        for number in (0, 2, 0):
            make_store().echo(upload, number)
        assert make_store().echoed(upload) == {0, 2}
        assert loaded(make_store(), upload).state is State.COMPLETE
