"""Pieces of a payload, kept beyond the moment for which their view is good."""

from __future__ import annotations


def kept(view: memoryview) -> bytes:
    """The bytes of a view; copied only where somebody might change them."""
    owner = view.obj
    if type(owner) is bytes and len(owner) == view.nbytes and view.c_contiguous:
        return owner
    return bytes(view)
