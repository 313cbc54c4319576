"""How an app wants its recordings processed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from resumable.job import JobStatus
from resumable.processing import Processor, Rules, VideoSettings, chain_for, parse
from resumable.processing.chain import Chain
from resumable.processing.options import Wishes


@dataclass(frozen=True, slots=True, kw_only=True)
class Processing:
    """What is done with finished recordings, and by whom.

    video      ffmpeg and its limits
    rules      options that clients need not send, must have, or may not
    processors the app's own steps, which run behind the others, for every upload
    run        who does it: the number of threads in each process of the app, or a callable that is
               given a job's id and hands it on (Celery, RQ, anything; 0: only `resumable worker`)
    scratch    directory for working files (None: the system's); up to `scratch_space` bytes of it
               must be free beside each recording
    ended      called with the `JobStatus` of each job that has ended, at least once, by the process
               that ended it
    """

    video: VideoSettings = field(default_factory=VideoSettings)
    rules: Rules = field(default_factory=Rules)
    processors: Sequence[Processor] = ()
    run: int | Callable[[str], object] = 1
    scratch: Path | None = None
    scratch_space: int = 256 * 1024 * 1024
    ended: Callable[[JobStatus], object] | None = None

    def wishes(self, options: Mapping[str, Any]) -> Wishes:
        """Raises BadRequest ("bad-options")."""
        return parse(options, rules=self.rules, lenient=True)

    def chain(self, options: Mapping[str, Any]) -> Chain:
        """The steps for an upload with these options; an empty one where nothing is wished."""
        return chain_for(self.wishes(options), self.processors)
