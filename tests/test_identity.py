"""Ids: random, derived, checked."""

from __future__ import annotations

import re

import pytest

from resumable.errors import NotFound
from resumable.identity import checked_id, derived_id, new_id


def test_new_ids_have_128_random_bits() -> None:
    ids = {new_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{22}", id) for id in ids)
    assert all(checked_id(id) == id for id in ids)


def test_derived_ids_are_told_apart() -> None:
    one = derived_id("anna", "test123", 0)
    assert one == derived_id("anna", "test123", 0)
    others = [
        derived_id("ben", "test123", 0),
        derived_id(None, "test123", 0),
        derived_id("", "test123", 0),
        derived_id("+anna", "test123", 0),
        derived_id("anna", "test123", 1),
        derived_id("anna", "test12", 30),
        derived_id("annatest123", "", 0),
        derived_id("anna", "7:test123", 0),
    ]
    assert len({one, *others}) == 1 + len(others)
    assert all(checked_id(id) == id for id in (one, *others))


@pytest.mark.parametrize("client_id", ["../../evil", "\ud800", "a\0b", "x" * 10_000, "", "é😀"])
def test_any_text_makes_a_plain_id(client_id: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]{32}", derived_id(None, client_id, 0))


@pytest.mark.parametrize(
    "text",
    ["", "a" * 21, "a" * 65, "a" * 21 + "/", "a" * 21 + ".", "../" * 10, "a" * 22 + "\n", "ä" * 22],
)
def test_what_cannot_be_an_id_is_unknown(text: str) -> None:
    with pytest.raises(NotFound, match="Recording not found"):
        checked_id(text, "Recording")
