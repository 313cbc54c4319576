"""What went wrong with a file system that may raise anything."""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from resumable.errors import NoRoom, Unavailable, UploadError
from resumable.stores.connections import is_missing
from resumable.stores.objects.bucket import Missing, Occupied

_FULL = (errno.ENOSPC, errno.EDQUOT)
_log = logging.getLogger("resumable")


@contextmanager
def translated(operation: str, key: str) -> Iterator[None]:
    """Raises Missing, NoRoom or Unavailable for whatever a file system raised."""
    try:
        yield
    except (UploadError, Missing, Occupied, NotImplementedError, TypeError, AttributeError):
        raise
    except Exception as error:
        raise _meaning(operation, key, error) from error


@contextmanager
def writing() -> Iterator[None]:
    """What is not there while something is written is a folder: nothing that was asked for."""
    try:
        yield
    except Exception as error:
        if is_missing(error):
            raise Unavailable("The storage did not keep what was written. Try again.") from error
        raise


def _meaning(operation: str, key: str, error: Exception) -> Exception:
    if is_missing(error):
        return Missing(key)
    if isinstance(error, OSError) and error.errno in _FULL:
        return NoRoom("The storage is full.")
    if isinstance(error, PermissionError) or type(error).__name__ == "AuthenticationException":
        trouble = "the account has no permission for this"
        _log.error("storage, %s of %s: %s (%s)", operation, key, trouble, error)
        return Unavailable(
            f"The storage cannot be used: {trouble}.", code="storage-misconfigured", retry_after=30
        )
    _log.warning("storage, %s of %s failed: %s: %s", operation, key, type(error).__name__, error)
    return Unavailable("The storage does not answer as it should. Try again.")
