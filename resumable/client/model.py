"""The values that callers of the client meet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

KIB = 1024
MIB = 1024 * KIB


class Phase(Enum):
    """What is being done for a file."""

    STARTING = "starting"
    UPLOADING = "uploading"
    FINISHING = "finishing"
    PROCESSING = "processing"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one file is.

    `acknowledged` bytes are safe on the server, `sent` ones were handed to the network, `length`
    is None for a stream whose end nobody knows yet. `speed` is in bytes a second, smoothed; `left`
    are the seconds that the rest will take. `percent` is that of the processing, in its phase.
    `note` says in a sentence what a person should know (why nothing moves, why it begins anew),
    and is empty when all is well.
    """

    name: str
    phase: Phase
    acknowledged: int = 0
    sent: int = 0
    length: int | None = None
    speed: float = 0.0
    left: float | None = None
    percent: int | None = None
    note: str = ""


Listener = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Retry:
    """How long to believe in a server.

    A network that is gone is waited for, `patience` seconds without one byte of progress. A server
    that answers with failures is asked `attempts` times in a row. Between two tries lies a random
    time (full jitter) of at most `first`, then twice as much each time, up to `most` seconds; what
    the server wishes in `Retry-After` is added.
    """

    patience: float = 900.0
    attempts: int = 10
    first: float = 0.5
    most: float = 30.0

    def longest_wait(self, failures: int) -> float:
        """Seconds, for the `failures`-th failure in a row (from 1)."""
        return float(min(self.most, self.first * 2 ** min(failures - 1, 30)))


@dataclass(frozen=True, slots=True)
class Wish:
    """What shall be made of the bytes: a file of that name.

    `options` are those of processing (chunk protocol only), `checksum` an algorithm by which the
    server checks each chunk before it counts.
    """

    filename: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    checksum: str | None = None


@dataclass(frozen=True, slots=True)
class Uploaded:
    """A file that is on the server as a whole.

    `answer` is what the server said of it (chunk protocol; empty for tus), `job` what it said of
    the processing when that had ended, None where nothing was made or waited for. `already` means
    that an earlier run had finished it.
    """

    url: str
    size: int
    filename: str
    protocol: str
    answer: Mapping[str, Any] = field(default_factory=dict)
    job: Mapping[str, Any] | None = None
    already: bool = False
