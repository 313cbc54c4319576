"""Small files: created once, replaced whole, listed with a version that tells of every change."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from resumable.interfaces import Store
from resumable.testing.contract.base import ContractBase, MakeStore

FOLDER = "jobs"


class SmallFileContract(ContractBase):
    """small_files."""

    def test_a_small_file_is_created_once(self, make_store: MakeStore, store: Store) -> None:
        files = store.small_files
        assert files.read(FOLDER, "a.job") is None
        assert files.listed(FOLDER) == []
        assert files.create(FOLDER, "a.job", b"first")
        assert not make_store().small_files.create(FOLDER, "a.job", b"second")
        assert make_store().small_files.read(FOLDER, "a.job") == b"first"
        assert files.create(FOLDER, "b.job", b"")
        assert files.read(FOLDER, "b.job") == b""
        assert files.create("results", "a.job", b"elsewhere")
        assert {one.name for one in files.listed(FOLDER)} == {"a.job", "b.job"}

    def test_a_small_file_is_replaced_whole(self, make_store: MakeStore, store: Store) -> None:
        files, versions = store.small_files, set()
        for data in (b"longer than the next", b"short", b"", b"once more"):
            files.write(FOLDER, "a.beat-1", data)
            assert make_store().small_files.read(FOLDER, "a.beat-1") == data
            (listed,) = files.listed(FOLDER)
            assert listed.name == "a.beat-1"
            assert listed.modified > 1_500_000_000
            versions.add(listed.version)
        assert len(versions) == 4
        assert not files.create(FOLDER, "a.beat-1", b"late")

    def test_small_files_are_removed(self, store: Store) -> None:
        files = store.small_files
        for name in ("a.job", "b.job", "c.job"):
            assert files.create(FOLDER, name, name.encode())
        files.remove(FOLDER, ["a.job", "c.job", "none.job"])
        assert [one.name for one in files.listed(FOLDER)] == ["b.job"]
        assert files.create(FOLDER, "a.job", b"anew")
        assert files.read(FOLDER, "a.job") == b"anew"
        files.remove("nowhere", ["a.job"])

    def test_many_small_files_are_read_at_once(self, store: Store) -> None:
        files = store.small_files
        assert files.create(FOLDER, "a.job", b"first")
        assert files.create(FOLDER, "b.job", b"")
        assert files.create(FOLDER, "c.job", b"third")
        wished = ["a.job", "b.job", "none.job"]
        assert files.read_all(FOLDER, wished) == {"a.job": b"first", "b.job": b""}
        assert files.read_all(FOLDER, []) == files.read_all("nowhere", wished) == {}

    def test_of_many_creators_one_wins(self, make_store: MakeStore) -> None:
        stores = [make_store() for _ in range(8)]
        for name in ("a.try-1", "b.try-1", "c.try-1"):
            with ThreadPoolExecutor(len(stores)) as pool:
                won = list(
                    pool.map(
                        lambda at, name=name: at[1].small_files.create(FOLDER, name, b"%d" % at[0]),
                        enumerate(stores),
                    )
                )
            assert sum(won) == 1
            assert stores[0].small_files.read(FOLDER, name) == b"%d" % won.index(True)

    def test_small_files_are_no_leftovers(self, store: Store) -> None:
        assert store.small_files.create(FOLDER, "a.job", b"waiting")
        store.tidy(2**40)
        assert store.small_files.read(FOLDER, "a.job") == b"waiting"
