"""Every way in which a request can fail, each with the fact a dialect needs to say so.

    UploadError
    ├── BadRequest            400  the request is not well formed
    ├── Forbidden             403  `authorize` or an origin rule said no
    ├── NotFound              404  unknown, foreign, or another route's business
    ├── MethodNotAllowed      405
    ├── IdleTimeout           408  the client stopped sending
    ├── Conflict              409  known bytes or facts say otherwise
    ├── Gone                  410  it was here and has expired or been cancelled
    ├── LengthRequired        411  the server cannot tell where this body ends
    ├── UnknownVersion        412  a version of the protocol that is not spoken here
    ├── TooLarge              413  a limit of bytes
    ├── UnsupportedType       415
    ├── TooMany               429  a limit of uploads
    ├── HeadersTooLarge       431
    ├── DigestMismatch        460  the bytes are not those the digest names (tus 1.0, checksum)
    ├── Interrupted           499  the body was cut; nobody is left to read the answer
    ├── Broken                500  stored bytes do not pass their own check
    ├── Unavailable           503  passes by itself; try again
    └── NoRoom                507  the storage is full

An error *hints* at a status; the dialect decides how its clients are told.
"""

from __future__ import annotations

from typing import ClassVar


class UploadError(Exception):
    """What went wrong, for a person (`message`) and for a program (`code`, `status`).

    `retry_after` is in seconds; `None` says nothing about trying again. `request_id` is set where
    the log says more than the client may know, `known` (a `Status`) where a client is helped by
    what is known of its upload.
    """

    status: ClassVar[int] = 500
    default_code: ClassVar[str] = "error"

    def __init__(
        self, message: str, *, code: str | None = None, retry_after: int | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.retry_after = retry_after
        self.request_id: str | None = None
        self.known: object | None = None


class BadRequest(UploadError):
    """The request is not well formed; sending it again will not help."""

    status = 400
    default_code = "bad-request"


class Forbidden(UploadError):
    """The caller may not do this."""

    status = 403
    default_code = "forbidden"


class NotFound(UploadError):
    """Unknown and foreign look the same."""

    status = 404
    default_code = "not-found"


class MethodNotAllowed(UploadError):
    """The route exists, the method does not."""

    status = 405
    default_code = "method-not-allowed"


class IdleTimeout(UploadError):
    """The client sent nothing, or too little, for too long; what arrived is kept."""

    status = 408
    default_code = "idle-timeout"


class Conflict(UploadError):
    """What is already known contradicts the request."""

    status = 409
    default_code = "conflict"


class Gone(UploadError):
    """The upload expired or was cancelled."""

    status = 410
    default_code = "gone"


class LengthRequired(UploadError):
    """This server cannot tell the end of a body without Content-Length (RFC 9110, 15.5.12)."""

    status = 411
    default_code = "length-required"


class UnknownVersion(UploadError):
    """The client speaks a version of its protocol that is not spoken here."""

    status = 412
    default_code = "unknown-version"


class TooLarge(UploadError):
    """More bytes than a limit or than the client's own declaration allows."""

    status = 413
    default_code = "too-large"


class UnsupportedType(UploadError):
    """The body has a content type that this route does not take."""

    status = 415
    default_code = "unsupported-type"


class TooMany(UploadError):
    """The owner has as many uploads open as the limits allow."""

    status = 429
    default_code = "too-many"


class HeadersTooLarge(UploadError):
    """A header field is larger than this protocol has use for."""

    status = 431
    default_code = "headers-too-large"


class DigestMismatch(UploadError):
    """The bytes that arrived are not the bytes the client's digest names; nothing was kept."""

    status = 460
    default_code = "digest-mismatch"


class Interrupted(UploadError):
    """The body ended before its length; the durable prefix is kept."""

    status = 499
    default_code = "interrupted"


class Broken(UploadError):
    """Stored bytes fail their own check: the one error that is ours."""

    status = 500
    default_code = "broken"


class Unavailable(UploadError):
    """The storage cannot do it now; the same request may succeed later."""

    status = 503
    default_code = "unavailable"

    def __init__(
        self, message: str, *, code: str | None = None, retry_after: int | None = 2
    ) -> None:
        super().__init__(message, code=code, retry_after=retry_after)


class NoRoom(UploadError):
    """The storage is full, or would fall under its free-space floor."""

    status = 507
    default_code = "no-room"
