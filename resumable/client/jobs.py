"""What is made of a file on the server, followed to its end."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin

from resumable.client.errors import Stopped, Trouble
from resumable.client.halt import Halt
from resumable.client.model import Phase
from resumable.client.pace import Meter
from resumable.client.persistence import Persistence
from resumable.client.transport import Transport

ENDED = frozenset({"done", "failed", "cancelled"})
_ASK_SECONDS = 20
_REST_SECONDS = 0.5


def follow(
    transport: Transport,
    url: str,
    answer: Mapping[str, Any],
    meter: Meter,
    persistence: Persistence,
    halt: Halt,
) -> Mapping[str, Any] | None:
    """What the server says of the job in `answer` when it has ended; None where there is none."""
    status_url = answer.get("status_url")
    if not isinstance(status_url, str):
        return None
    place = urljoin(url, status_url)
    meter.phase(Phase.PROCESSING, percent=0)
    while True:
        began = time.monotonic()
        told = persistence.insist(lambda: _ask(transport, place))
        meter.phase(Phase.PROCESSING, percent=told.get("percent"))
        if told["state"] in ENDED:
            return told
        # A server that does not wait with its answer is not to be asked without a rest.
        if halt.wait(max(0.0, _REST_SECONDS - (time.monotonic() - began))):
            raise Stopped(0, None)


def _ask(transport: Transport, place: str) -> dict[str, Any]:
    told = transport.ask("GET", place, headers={"Prefer": f"wait={_ASK_SECONDS}"}).json()
    if not isinstance(told.get("state"), str):
        raise Trouble("The server's answer says nothing of the job's state.", answered=True)
    return told
