"""Every way in which processing can fail: what a job's record says, for a person and a program.

    ProcessingFailed
    ├── Refused            the file is not one we process; another try will not help
    ├── LimitReached       it needs more than is granted: time, processor, memory, disk
    ├── Cancelled          somebody called it off
    ├── ProgramMissing     there is no ffmpeg that can do it; the operator's business
    └── Unfinished         nothing is wrong with the file; another try may work

They are no `UploadError`: the request that began the work has long been answered.
"""

from __future__ import annotations

from typing import ClassVar


class ProcessingFailed(Exception):
    """One sentence for a person (`message`), one word for a program (`code`).

    `again` says whether the same work may succeed at another time. `log` is the end of what the
    program said: for the operator, not for whoever sent the file.
    """

    code: ClassVar[str] = "failed"
    again: ClassVar[bool] = False

    def __init__(self, message: str, *, log: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.log = log


class Refused(ProcessingFailed):
    """The bytes are not a recording that we process, or ask for what it does not have."""

    code = "refused"


class LimitReached(ProcessingFailed):
    """The work was stopped because it needed more than the limits grant."""

    code = "limit"


class Cancelled(ProcessingFailed):
    """The caller's cancel event was set; the child is gone."""

    code = "cancelled"

    def __init__(self, message: str = "The processing was called off.", *, log: str = "") -> None:
        super().__init__(message, log=log)


class ProgramMissing(ProcessingFailed):
    """No ffmpeg was found, or the one that was found lacks something."""

    code = "no-program"
    again = True


class Unfinished(ProcessingFailed):
    """The disk is full, or something ended the child from outside."""

    code = "unfinished"
    again = True
