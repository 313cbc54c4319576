"""Resumable, chunked uploads for any WSGI app, into any storage."""

from resumable.errors import (
    BadRequest,
    Conflict,
    DigestMismatch,
    Forbidden,
    Gone,
    NoRoom,
    NotFound,
    TooLarge,
    TooMany,
    Unavailable,
    UploadError,
)
from resumable.job import JobState, JobStatus
from resumable.jobs.settings import Processing
from resumable.model import Finished, Limits, Objects, State, Status, Upload
from resumable.uploads import Uploads
from resumable.wsgi import ResumableUploads

__version__ = "0.1.0"

__all__ = [
    "BadRequest",
    "Conflict",
    "DigestMismatch",
    "Finished",
    "Forbidden",
    "Gone",
    "JobState",
    "JobStatus",
    "Limits",
    "NoRoom",
    "NotFound",
    "Objects",
    "Processing",
    "ResumableUploads",
    "State",
    "Status",
    "TooLarge",
    "TooMany",
    "Unavailable",
    "Upload",
    "UploadError",
    "Uploads",
]
