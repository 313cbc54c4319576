"""Locks, and what they guard, that are whole again in a forked child."""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class Forked(Protocol):
    """Something that a child inherits in whatever state the parent's threads had it."""

    def after_fork(self) -> None:
        """In the child: the parent's other threads are gone, and never give back what they held."""


_owners: WeakSet[Forked] = WeakSet()


def renew_after_fork(owner: Forked) -> None:
    """From now on each child of this process begins with `owner.after_fork()`."""
    _owners.add(owner)


def _renew() -> None:
    for owner in list(_owners):
        owner.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
