"""A ledger's CRC32C of the whole is joined as the pieces become known."""

from __future__ import annotations

import pytest

from resumable.digests import crc32c
from resumable.extents import Extent
from resumable.stores import records
from resumable.stores.ledger import Ledger
from resumable.testing.contract.base import some_bytes


@pytest.mark.parametrize("synced", [True, False])
@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (1, 0, 3, 2, 1, 0)])
def test_pieces_are_joined_in_whatever_order_they_come(
    order: tuple[int, ...], synced: bool
) -> None:
    data, known = some_bytes(40), Ledger("boot")
    for piece in order:
        start = 10 * piece
        extent = Extent(start, 10, crc32c(data[start : start + 10]))
        known.fold(records.placed(Extent(start, 0, 0), "boot"))
        known.fold(records.placed(extent, "boot"))
        if synced:
            known.fold(records.synced(extent))
    expected = {0: 0, 10: crc32c(data[:10]), 35: None, 40: crc32c(data), 50: None}
    assert {length: known.crc32c(length) for length in expected} == expected


def test_a_longer_piece_may_come_after_a_shorter_one() -> None:
    data, known = some_bytes(30), Ledger("boot")
    for start, end in ((0, 10), (0, 25), (25, 30)):
        known.fold(records.synced(Extent(start, end - start, crc32c(data[start:end]))))
    assert known.crc32c(25) == crc32c(data[:25])
    assert known.crc32c(30) == crc32c(data)


def test_a_void_piece_is_in_no_crc() -> None:
    known = Ledger("boot")
    known.fold(records.synced(Extent(0, 3, crc32c(b"all"))))
    known.fold(records.placed(Extent(3, 4, crc32c(b"lost")), "boot"))
    assert known.crc32c(7) == crc32c(b"alllost")
    known.fold(records.void())
    assert [known.crc32c(length) for length in (3, 7)] == [crc32c(b"all"), None]
    known.fold(records.placed(Extent(3, 5, crc32c(b"again")), "boot"))
    assert known.crc32c(8) == crc32c(b"allagain")
