"""What an S3 server's answer means, by its code and status and never by Python's type of it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from resumable.errors import NoRoom, Unavailable, UploadError
from resumable.stores.objects.bucket import Missing, Occupied

_log = logging.getLogger("resumable")
_MISSING = frozenset({"NoSuchKey", "NoSuchUpload", "404", "NotFound"})
_TAKEN = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412"})
_FULL = frozenset({"QuotaExceeded", "InsufficientStorage", "EntityTooLarge"})
# What only the operator can mend: one sentence each.
_MISCONFIGURED = {
    "NoSuchBucket": "there is no such bucket",
    "AccessDenied": "the key has no permission for this",
    "AllAccessDisabled": "access is disabled",
    "InvalidAccessKeyId": "the access key is not known",
    "SignatureDoesNotMatch": "the secret key is wrong",
    "PermanentRedirect": "the bucket is in another region or at another endpoint",
    "AuthorizationHeaderMalformed": "the region is wrong",
    "IllegalLocationConstraintException": "the bucket is in another region",
    "ExpiredToken": "the session token has expired",
    "InvalidToken": "the session token is wrong",
    "403": "the key has no permission for this",
    "301": "the bucket is in another region or at another endpoint",
}


class Taken(Exception):
    """A condition was not met."""


@contextmanager
def translated(operation: str, key: str) -> Iterator[None]:
    """Raises Missing, Taken, NoRoom or Unavailable for whatever a call raised."""
    try:
        yield
    except RecursionError as error:
        raise meaning(operation, key, error) from None
    except (UploadError, Missing, Taken, Occupied, RuntimeError, NotImplementedError, TypeError):
        raise
    except Exception as error:
        raise meaning(operation, key, error) from error


def meaning(operation: str, key: str, error: BaseException) -> Exception:
    """The error in our words. The client is told nothing of keys or buckets; the log is."""
    code, status = reason(error)
    if code in _MISSING or (isinstance(error, FileNotFoundError) and code not in _MISCONFIGURED):
        return Missing(key)
    if code in _TAKEN or status == 412:
        return Taken(key)
    if code in _FULL or status == 507:
        return NoRoom("The storage is full.")
    bucket = key.partition("/")[0]
    trouble = _MISCONFIGURED.get(code) or _MISCONFIGURED.get(str(status))
    if trouble is not None:
        _log.error("storage bucket %s, %s: %s (%s)", bucket, operation, trouble, code)
        return Unavailable(
            f"The storage cannot be used: {trouble}.", code="storage-misconfigured", retry_after=30
        )
    _log.warning("storage bucket %s, %s failed: %s %s", bucket, operation, code, error)
    if "credentials" in str(error).lower():
        return Unavailable(
            "The storage cannot be used: no credentials are configured.",
            code="storage-misconfigured",
            retry_after=30,
        )
    return Unavailable("The storage does not answer as it should. Try again.")


def is_denied(error: BaseException) -> bool:
    """No permission for this; or no such object, where a listing of all is not permitted."""
    return reason(error)[0] in ("AccessDenied", "403")


def is_about_parts(error: BaseException) -> bool:
    """The parts that were named do not make an object."""
    return reason(error)[0] in ("InvalidPart", "EntityTooSmall")


def is_unknown(error: BaseException) -> bool:
    """The server has no such request."""
    code, status = reason(error)
    return code in ("NotImplemented", "MethodNotAllowed") or status == 501


def reason(error: BaseException) -> tuple[str, int | None]:
    """Code and status of the server's answer, from wherever in the chain it is."""
    if isinstance(error, RecursionError):
        # botocore asks for the region until it may not any more, where a redirection names none.
        return "PermanentRedirect", 301
    seen: BaseException | None = error
    while seen is not None:
        response = getattr(seen, "response", None)
        if isinstance(response, dict):
            status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            return str(response.get("Error", {}).get("Code", "")), status
        seen = seen.__cause__ or seen.__context__
    return type(error).__name__, None
