"""tus servers of other people, which pages of another origin may use."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.conformance.peers import Peer, Process, missing, named

NAMES = ("@tus/server", "tuspyserver")
_HERE = Path(__file__).parent


def started(name: str, data: Path) -> Process:
    """A running server with an empty folder; without its program the caller's test is skipped."""
    peer = named(name)
    reason = missing(peer)
    if reason is not None:
        pytest.skip(reason)
    data.mkdir()
    return Process(_opened(peer), data)


def _opened(peer: Peer) -> Peer:
    """As it comes, tuspyserver is closed to pages of another origin."""
    start = peer.start.replace("{here}", str(_HERE)).replace("server_app:", "server_for_pages:")
    return replace(peer, start=start) if peer.name == "tuspyserver" else peer
