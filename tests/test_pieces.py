"""Pieces that outlive their view."""

from __future__ import annotations

from resumable.pieces import kept


def test_bytes_that_nobody_can_change_are_not_copied() -> None:
    content = b"content"
    assert kept(memoryview(content)) is content


def test_everything_else_is_copied() -> None:
    buffer = bytearray(b"content")
    mine = kept(memoryview(buffer))
    buffer[:] = b"changed"
    assert mine == b"content"
    assert kept(memoryview(b"content")[3:]) == b"tent"
    assert kept(memoryview(b"content")[::-1]) == b"tnetnoc"
