"""One request and its answer, told apart by what they mean for an upload."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx

from resumable.client.errors import Forgotten, Refused, Trouble
from resumable.client.model import MIB

_LONGEST_ANSWER = 16 * MIB
_LONGEST_WAIT = 600.0
# tus: 423 and 460 pass, as a conflict does once the true offset is known.
_PASSING = {408, 409, 423, 425, 429, 422, 460, 500, 502, 503, 504, 507}
_GONE = {404, 410}
# Words of the chunk protocol for a conflict that no other try will mend.
_FINAL = {"other-bytes", "total-conflict", "length-conflict", "name-taken", "finished"}
_TIMEOUT = httpx.Timeout(60.0, connect=15.0)
_USER_AGENT = "resumable-client"


@dataclass(frozen=True, slots=True)
class Answer:
    """A success: 2xx."""

    status: int
    headers: httpx.Headers
    body: bytes
    url: str

    def json(self) -> dict[str, Any]:
        """The body as an object; empty where it is none."""
        with suppress(ValueError):
            document = json.loads(self.body)
            if isinstance(document, dict):
                return document
        return {}

    def number(self, name: str) -> int:
        """A header that must be there and be a count of bytes."""
        text = self.headers.get(name, "")
        if not (text.isascii() and text.isdigit()):
            raise Refused(f"The server's answer has no {name} that is a number.")
        return int(text)

    def list(self, name: str) -> tuple[str, ...]:
        """A header of words with commas between."""
        return tuple(word.strip() for word in self.headers.get(name, "").split(",") if word.strip())


class Transport:
    """Asks the server at `endpoint`, any number of threads at once.

    `headers` are the caller's own, an Authorization for instance: no other server gets them, even
    if `endpoint` names it as the place of an upload.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        headers: Mapping[str, str] | None = None,
        client: httpx.Client | None = None,
    ) -> None:
        parts = urlsplit(endpoint)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Refused(f"{endpoint!r} is no http:// or https:// address.")
        self.endpoint = endpoint
        self._own = dict(headers or {})
        self._origin = _origin(endpoint)
        # Names and passwords in the address are for its own server, as the headers are.
        userinfo = parts.netloc.rpartition("@")[0]
        name, _, password = userinfo.partition(":")
        self._auth = httpx.BasicAuth(name, password) if userinfo else None
        self._client = client or httpx.Client(
            timeout=_TIMEOUT, limits=httpx.Limits(max_connections=None), http2=False
        )
        self._closes = client is None

    def close(self) -> None:
        """Let go of all connections."""
        if self._closes:
            self._client.close()

    def ask(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: Iterable[bytes] | bytes | None = None,
        follow: bool = False,
    ) -> Answer:
        """The answer where it is a success; else `Trouble`, `Forgotten` or `Refused`."""
        own = _origin(url) == self._origin
        merged = {"User-Agent": _USER_AGENT, **(self._own if own else {}), **(headers or {})}
        try:
            request = self._client.build_request(method, url, headers=merged, content=content)
            auth = self._auth if own else None
            response = self._client.send(request, auth=auth, stream=True, follow_redirects=follow)
            with closing(response):
                body = b"".join(_at_most(response.iter_bytes(), _LONGEST_ANSWER))
        except (httpx.TransportError, httpx.StreamError, httpx.TooManyRedirects) as error:
            raise Trouble(_sentence(error)) from None
        except httpx.InvalidURL as error:
            raise Refused(f"{url!r} is no address: {error}.") from None
        answer = Answer(response.status_code, response.headers, body, str(response.url))
        if 200 <= answer.status < 300:
            return answer
        raise _failure(answer, method, url)

    def place(self, location: str, base: str) -> str:
        """The address that a `Location` of `base`'s answer means.

        A server behind a proxy that speaks TLS for it often does not know, and says http://.
        """
        url = urljoin(base, location)
        asked, told = urlsplit(base), urlsplit(url)
        downgraded = (asked.scheme, told.scheme) == ("https", "http")
        if downgraded and asked.hostname == told.hostname and told.port in (None, asked.port):
            return told._replace(scheme="https").geturl()
        return url


def without_userinfo(url: str) -> str:
    """The address without name and password, to be shown and kept."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _failure(answer: Answer, method: str, url: str) -> Exception:
    document = answer.json()
    code = str(document.get("code", ""))
    sentence = _reason(answer, document, f"{method} {without_userinfo(url)}")
    if answer.status in _GONE:
        return Forgotten(sentence)
    if answer.status in _PASSING and code not in _FINAL:
        return Trouble(sentence, wait=_retry_after(answer), answered=True)
    return Refused(sentence, status=answer.status, code=code)


def _reason(answer: Answer, document: dict[str, Any], asked: str) -> str:
    told = document.get("error") or document.get("message")
    location = answer.headers.get("location")
    if 300 <= answer.status < 400 and location:
        return f"{asked} was answered with {answer.status}: use {urljoin(answer.url, location)}."
    if not told and "html" not in answer.headers.get("content-type", ""):
        told = answer.body[:200].decode("utf-8", "replace").strip().partition("\n")[0]
    return f"{told} ({answer.status})" if told else f"{asked} was answered with {answer.status}."


def _retry_after(answer: Answer) -> float:
    """Seconds (RFC 9110, 10.2.3: a number or a date), ten minutes at most."""
    text = answer.headers.get("retry-after", "")
    if text.isascii() and text.isdigit():
        return min(float(text), _LONGEST_WAIT)
    with suppress(ValueError, TypeError):
        then = parsedate_to_datetime(text)
        seconds = (then - datetime.now(UTC)).total_seconds()
        return max(0.0, min(seconds, _LONGEST_WAIT))
    return 0.0


def _at_most(blocks: Iterator[bytes], size: int) -> Iterator[bytes]:
    for block in blocks:
        size -= len(block)
        if size < 0:
            raise Refused("The server's answer does not end.")
        yield block


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname, port


def _sentence(error: Exception) -> str:
    if isinstance(error, httpx.ConnectTimeout | httpx.ConnectError):
        return f"Nobody answers: {error or 'no connection in time'}."
    if isinstance(error, httpx.TimeoutException):
        return "The server does not answer in time."
    return f"The connection broke: {error or type(error).__name__}."
