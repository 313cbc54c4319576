"""Tells another program over HTTP that a job has ended, signed so that it can be believed."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from resumable.job import JobStatus

_PREFIX = "whsec_"
_LEAST_SECRET = 24
# Less than a lease, so that nobody else tells the same meanwhile.
_TIMEOUT = 5.0
_LONGEST_REST = 60.0


class WebhookFailed(Exception):
    """The receiver did not take a message; it will be sent again."""


class Webhook:
    """`Processing(ended=Webhook("https://app.example/hooks", secret))`.

    Each job's end is POSTed as JSON and counts as told with an answer of 2xx; else it is sent
    again, with the same `webhook-id`. Redirects are not followed. Messages are signed as in
    Standard Webhooks (https://www.standardwebhooks.com), version 1: its libraries verify them.

    `secret` is `whsec_` and at least 24 bytes in base64, or these bytes themselves; `timeout` in
    seconds. Raises ValueError for a URL or a secret that cannot be meant.
    """

    def __init__(
        self,
        url: str,
        secret: str | bytes,
        *,
        timeout: float = _TIMEOUT,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._url = _checked_url(url)
        self._key = _key(secret)
        self._timeout = timeout
        self._clock = clock
        self._open = build_opener(_NoRedirects).open
        self._lock = threading.Lock()
        self._silences = 0
        self._resting_until = 0.0

    def __repr__(self) -> str:
        """Without the secret, and without what a URL may hold of one."""
        return f"Webhook({urlsplit(self._url).hostname!r})"

    def __call__(self, status: JobStatus) -> None:
        """Raises WebhookFailed."""
        if time.monotonic() < self._resting_until:
            raise WebhookFailed("The receiver of webhooks has not answered; it is left alone.")
        body = json.dumps(document(status), separators=(",", ":")).encode("ascii")
        self.deliver(status.job.id, body)

    def deliver(self, id: str, body: bytes) -> None:
        """Send one message once. Raises WebhookFailed."""
        request = Request(self._url, body, self._headers(id, body), method="POST")
        try:
            with self._open(request, timeout=self._timeout):
                self._answered()
        except HTTPError as error:
            self._answered()
            error.close()
            raise WebhookFailed(f"The receiver of webhooks answered {error.code}.") from None
        except (OSError, ValueError) as error:
            self._silent()
            reason = error.reason if isinstance(error, URLError) else error
            raise WebhookFailed(f"The receiver of webhooks cannot be reached: {reason}") from None

    def _headers(self, id: str, body: bytes) -> dict[str, str]:
        moment = str(int(self._clock()))
        return {
            "Content-Type": "application/json",
            "User-Agent": "resumable",
            "webhook-id": id,
            "webhook-timestamp": moment,
            "webhook-signature": f"v1,{signature(self._key, id, moment, body)}",
        }

    def _answered(self) -> None:
        with self._lock:
            self._silences = 0

    def _silent(self) -> None:
        """Many jobs must not each wait for a receiver that is gone."""
        with self._lock:
            rest = min(2.0**self._silences, _LONGEST_REST)
            self._silences = min(self._silences + 1, 16)
            self._resting_until = time.monotonic() + rest


def signature(key: bytes, id: str, moment: str, body: bytes) -> str:
    """HMAC-SHA256 over `id.moment.body`, in base64."""
    signed = f"{id}.{moment}.".encode("ascii") + body
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode("ascii")


def document(status: JobStatus) -> dict[str, Any]:
    """What a message says of a job that has ended. Paths are those below the app's mount point."""
    ending = status.ending
    assert ending is not None
    return {
        "type": f"job.{status.state.value}",
        "timestamp": datetime.fromtimestamp(ending.ended, UTC).isoformat(),
        "data": {
            "job": status.job.id,
            "state": status.state.value,
            "attempt": status.attempt,
            "recording": status.job.original,
            "owner": status.job.owner,
            "error": ending.error,
            "code": ending.code,
            "notes": list(ending.notes),
            "facts": dict(ending.facts),
            "results": [
                {
                    "role": one.role,
                    "path": one.path,
                    "filename": one.filename,
                    "size": one.size,
                    "type": one.content_type,
                    "facts": dict(one.facts),
                }
                for one in ending.results
            ],
        },
    }


class _NoRedirects(HTTPRedirectHandler):
    """Whoever answers for the receiver does not say who hears the next message."""

    def redirect_request(self, *request: Any) -> None:
        return None


def _checked_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(
            f"A webhook's URL must look like 'https://app.example/hooks', not {url!r}."
        )
    if parts.username is not None:
        raise ValueError("A webhook's URL may not hold a name and password; messages are signed.")
    return url


def _key(secret: str | bytes) -> bytes:
    key = secret if isinstance(secret, bytes) else _decoded(secret)
    if len(key) < _LEAST_SECRET:
        raise ValueError(f"A webhook's secret must have {_LEAST_SECRET} bytes or more.")
    return key


def _decoded(secret: str) -> bytes:
    try:
        if not secret.startswith(_PREFIX):
            raise ValueError(secret)
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (ValueError, binascii.Error):
        raise ValueError(
            f"A webhook's secret is '{_PREFIX}' and at least {_LEAST_SECRET} random bytes in "
            f"base64, such as '{_PREFIX}' + base64.b64encode(secrets.token_bytes(32)).decode()."
        ) from None
