"""Uploads from Python: to this library's middleware and to any tus server, never in vain.

It needs the extra `client`: `pip install "wsgi-resumable[client]"`.
"""

from resumable.client.errors import (
    Changed,
    ClientError,
    InUse,
    Refused,
    Stopped,
    Unreachable,
)
from resumable.client.memory import Remembered
from resumable.client.model import Phase, Progress, Retry, Uploaded
from resumable.client.uploader import Uploader

__all__ = [
    "Changed",
    "ClientError",
    "InUse",
    "Phase",
    "Progress",
    "Refused",
    "Remembered",
    "Retry",
    "Stopped",
    "Unreachable",
    "Uploaded",
    "Uploader",
]
