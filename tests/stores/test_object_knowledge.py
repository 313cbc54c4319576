"""What the names of segments tell: a range is covered without a gap, or it is not."""

from __future__ import annotations

import pytest

from resumable.digests import crc32c
from resumable.stores.objects.bucket import Description
from resumable.stores.objects.knowledge import Knowledge
from resumable.stores.objects.manifest import Manifest
from resumable.stores.objects.names import Segment
from resumable.testing.contract.base import an_upload, some_bytes

DATA = some_bytes(40)


def knowing(*ranges: tuple[int, int]) -> Knowledge:
    """An upload of which these ranges are stored, each as a segment."""
    description = Description("text/plain", {})
    known = Knowledge(Manifest("birth", an_upload(part_size=16), "key", description), "1")
    for start, end in ranges:
        name = f"{start}-{end}"
        known.segments[name] = Segment(name, start, end - start, crc32c(DATA[start:end]))
    return known


@pytest.mark.parametrize(
    "ranges",
    [
        [],
        [(0, 5), (10, 20)],
        [(5, 20)],
        [(0, 5), (0, 8), (9, 20)],
        [(0, 19)],
    ],
)
def test_a_gap_covers_nothing(ranges: list[tuple[int, int]]) -> None:
    known = knowing(*ranges)
    assert known.covering(0, 20) is None
    assert known.crc32c(20) is None


@pytest.mark.parametrize(
    ("ranges", "pieces"),
    [
        ([(0, 20)], [(0, 0, 20)]),
        ([(0, 8), (8, 20)], [(0, 0, 8), (8, 8, 20)]),
        ([(8, 20), (0, 12)], [(0, 0, 12), (8, 12, 20)]),
        ([(0, 20), (3, 9), (0, 2)], [(0, 0, 20)]),
        ([(0, 12), (10, 40)], [(0, 0, 12), (10, 12, 20)]),
    ],
)
def test_a_range_is_covered_once(
    ranges: list[tuple[int, int]], pieces: list[tuple[int, int, int]]
) -> None:
    """By the longest of one start, and each byte by one segment."""
    covering = knowing(*ranges).covering(0, 20)
    assert covering is not None
    assert [(one.origin, one.start, one.end) for one in covering] == pieces


def test_the_names_tell_the_crc32c_of_whole_segments_alone() -> None:
    assert knowing((0, 8), (8, 20)).crc32c(20) == crc32c(DATA[:20])
    assert knowing((0, 8), (8, 21)).crc32c(20) is None
    assert knowing((0, 8), (7, 20)).crc32c(20) is None
