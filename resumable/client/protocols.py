"""Which protocol an endpoint speaks."""

from __future__ import annotations

from typing import Literal

from resumable.client.chunk_line import find_chunks
from resumable.client.errors import Refused
from resumable.client.lines import Line
from resumable.client.transport import Transport, shown
from resumable.client.tus_line import find_tus

Protocol = Literal["auto", "tus", "chunks"]

_FINDERS = {"chunks": find_chunks, "tus": find_tus}
_NAMES = {"chunks": "the chunk protocol", "tus": "tus 1.0.0"}
# Keys are wanted, or (0) the answer was the protocol's and made no sense.
_TELLING = {0, 401, 403, 407}


def find(transport: Transport, protocol: Protocol) -> Line:
    """The line of `protocol`, or of the first that the endpoint speaks; else `Refused`."""
    wanted = list(_FINDERS) if protocol == "auto" else [protocol]
    refusal: Refused | None = None
    for name in wanted:
        try:
            line: Line | None = _FINDERS[name](transport)
        except Refused as error:
            refusal = error if error.status in _TELLING else refusal
            continue
        if line is not None:
            return line
    if refusal is not None:
        raise refusal
    names = " nor ".join(_NAMES[name] for name in wanted)
    neither = "neither " if len(wanted) > 1 else "not "
    raise Refused(f"{shown(transport.endpoint)} speaks {neither}{names}.")
