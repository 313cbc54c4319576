"""Both ways of bytes into a local upload."""

from __future__ import annotations

import pytest

from resumable.stores import small_placing


@pytest.fixture
def the_long_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bodies of a few bytes are placed as large ones are."""
    monkeypatch.setattr(small_placing, "MOST", -1)


@pytest.fixture(params=["in one step", "the long way"])
def either_way(request: pytest.FixtureRequest) -> None:
    """Small bodies as they are placed in truth, then as large ones are."""
    if request.param == "the long way":
        request.getfixturevalue("the_long_way")
