"""The application whose workers die by SIGKILL before or after a request to their storage.

More often around the steps of a finish than around the many others; each writes down where.
"""

from __future__ import annotations

import os
import random
import re
import signal
from collections.abc import Callable
from typing import Any

from resumable.stores.s3 import S3Bucket
from tests.killed_app import app

__all__ = ["app"]

_FINISH = re.compile(r"/(e|d)\.\d+$|/done$|/finished/[^/]+$")
_ENDS = frozenset({"complete_multipart_upload", "delete_objects"})
_random = random.Random()


def _die_perhaps(moment: str, operation: str, key: str) -> None:
    finishing = operation in _ENDS or _FINISH.search(key) is not None
    share = "DYING_IN_FINISH" if finishing else "DYING"
    if _random.random() >= float(os.environ[share]):
        return
    line = f"{moment} {operation} {'finish' if finishing else 'write'}\n".encode()
    file = os.open(os.environ["DYING_NOTES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, line)
    os.kill(os.getpid(), signal.SIGKILL)


def _mortal(method: Callable[..., Any]) -> Callable[..., Any]:
    def around(self: S3Bucket, operation: str, key: str, /, **parameters: Any) -> Any:
        _die_perhaps("before", operation, key)
        answer = method(self, operation, key, **parameters)
        _die_perhaps("after", operation, key)
        return answer

    return around


S3Bucket.call = _mortal(S3Bucket.call)  # type: ignore[method-assign]
S3Bucket.start = _mortal(S3Bucket.start)  # type: ignore[method-assign]
