"""tus servers of other people for the browser's tests; `python -m tests.browser.foreign_tus` gets them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.conformance.peers import CACHE, PEERS, Peer, Process, installed

NAMES = ("@tus/server", "tuspyserver")
_HERE = Path(__file__).parent
_PLAIN = {peer.name: peer for peer in PEERS if peer.name in NAMES}
# As it comes, no page of another origin may use it.
_OPENED = _PLAIN["tuspyserver"].start.replace("{here}", str(_HERE)).replace("_app:", "_for_pages:")
_FOREIGN = {**_PLAIN, "tuspyserver": replace(_PLAIN["tuspyserver"], start=_OPENED)}


def _is_here(peer: Peer) -> bool:
    home = CACHE / f"{peer.name.strip('@').replace('/', '-')}-{peer.version}"
    return (home / ".installed").exists()


def started(name: str, data: Path) -> Process:
    """A running server with an empty folder; without its program the caller's test is skipped."""
    peer = _FOREIGN[name]
    if not _is_here(peer):
        pytest.skip(f"needs {name} {peer.version}: python -m tests.browser.foreign_tus")
    data.mkdir()
    return Process(peer, data)


if __name__ == "__main__":
    for one in _PLAIN.values():
        print(installed(one))
