"""One request and its answer, told apart by what they mean for an upload."""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

import httpx

from resumable.client.errors import Forgotten, Refused, Trouble
from resumable.client.model import MIB

_LONGEST_ANSWER = 16 * MIB
_LONGEST_WAIT = 600.0
_MOST_HOPS = 5
# tus: 423 and 460 pass, as a conflict does once the true offset is known.
_PASSING = {408, 409, 423, 425, 429, 422, 460, 500, 502, 503, 504, 507}
_GONE = {404, 410}
_MOVED = {301, 302, 303, 307, 308}
# Words of the chunk protocol for a conflict that no other try will mend.
_FINAL = {"other-bytes", "total-conflict", "length-conflict", "name-taken", "finished"}
_TIMEOUT = httpx.Timeout(60.0, connect=15.0)
_USER_AGENT = "resumable-client"
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e]*")


@dataclass(frozen=True, slots=True)
class Answer:
    """A success: 2xx."""

    status: int
    headers: httpx.Headers
    body: bytes
    url: str

    def json(self) -> dict[str, Any]:
        """The body as an object; empty where it is none."""
        with suppress(ValueError, RecursionError):
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
    if `endpoint` names it as the place of an upload or leads there. Name and password of the
    address are kept apart from it. Raises `Refused` where address or headers make no sense.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        headers: Mapping[str, str] | None = None,
        client: httpx.Client | None = None,
    ) -> None:
        parts = _split(endpoint)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Refused(f"{shown(endpoint)!r} is no http:// or https:// address.")
        self.endpoint = without_userinfo(endpoint)
        self._own = dict(headers or {})
        for name, value in self._own.items():
            if not (_TOKEN.fullmatch(name) and _VALUE.fullmatch(value)):
                raise Refused(f"{name!r} is no header: only plain ASCII on one line can be sent.")
        self._origin = _origin(endpoint)
        self._auth = _credentials(parts)
        self._client = client or httpx.Client(
            timeout=_TIMEOUT, limits=httpx.Limits(max_connections=None)
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
        """The answer where it is a success; else `Trouble`, `Forgotten` or `Refused`.

        With `follow` to where the server says, by the same method.
        """
        for _ in range(_MOST_HOPS):
            answer = self._once(method, url, headers or {}, content)
            if 200 <= answer.status < 300:
                return answer
            location = answer.headers.get("location")
            if not (follow and answer.status in _MOVED and location):
                raise _failure(answer, method, url)
            url = self.place(location, url)
        raise Refused(f"{shown(self.endpoint)} leads from one address to the next without end.")

    def _once(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: Iterable[bytes] | bytes | None,
    ) -> Answer:
        own = _origin(url) == self._origin
        merged = {"User-Agent": _USER_AGENT, **(self._own if own else {}), **headers}
        try:
            request = self._client.build_request(method, url, headers=merged, content=content)
            auth = self._auth if own else None
            response = self._client.send(request, auth=auth, stream=True, follow_redirects=False)
            with closing(response):
                body = b"".join(_at_most(response.iter_bytes(), _LONGEST_ANSWER))
        except (httpx.RequestError, httpx.StreamError) as error:
            raise _broken(error) from None
        except (httpx.InvalidURL, UnicodeError) as error:
            raise Refused(f"{shown(url)!r} cannot be asked: {error}.") from None
        return Answer(response.status_code, response.headers, body, str(response.url))

    def place(self, location: str, base: str) -> str:
        """The address that a `Location` of `base`'s answer means.

        A server behind a proxy that speaks TLS for it often does not know, and says http://; what
        was to be secret goes nowhere else in plain text.
        """
        url = urljoin(base, location)
        asked, told = _split(base), _split(url)
        if (asked.scheme, told.scheme) != ("https", "http"):
            return url
        if asked.hostname == told.hostname and told.port in (None, asked.port):
            return told._replace(scheme="https").geturl()
        raise Refused(f"The server leads from https to {shown(url)}, which is not safe.")


def without_userinfo(url: str) -> str:
    """The address without name and password."""
    parts = _split(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def shown(url: str) -> str:
    """The address without anything that may be a secret, for a person's eyes."""
    with suppress(Refused):
        return _split(without_userinfo(url))._replace(query="", fragment="").geturl()
    return url.rpartition("@")[2].partition("?")[0]


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise Refused(f"{url.rpartition('@')[2]!r} is no address: {error}.") from None
    return parts


def _credentials(parts: SplitResult) -> httpx.BasicAuth | None:
    userinfo = parts.netloc.rpartition("@")[0]
    name, _, password = userinfo.partition(":")
    return httpx.BasicAuth(unquote(name), unquote(password)) if userinfo else None


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = _split(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname, port


# ---------------------------------------------------------------- what went wrong


def _broken(error: httpx.RequestError | httpx.StreamError) -> Trouble | Refused:
    """No answer. Some of that no other try mends."""
    text = (str(error) or type(error).__name__).rstrip(".")
    final = isinstance(error, httpx.UnsupportedProtocol | httpx.LocalProtocolError)
    if final or (isinstance(error, httpx.ConnectError) and _is_tls(error)):
        return Refused(f"The server cannot be asked: {text}.")
    if isinstance(error, httpx.ConnectTimeout | httpx.ConnectError):
        return Trouble(f"Nobody answers: {text}.")
    if isinstance(error, httpx.TimeoutException):
        return Trouble("The server does not answer in time.")
    if isinstance(error, httpx.DecodingError):
        return Trouble(f"The server's answer cannot be read: {text}.", answered=True)
    return Trouble(f"The connection broke: {text}.")


def _is_tls(error: BaseException | None) -> bool:
    """A certificate that is not trusted, or no TLS at all behind the address."""
    while error is not None:
        if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _failure(answer: Answer, method: str, url: str) -> Exception:
    document = answer.json()
    code = str(document.get("code", ""))
    sentence = _reason(answer, document, f"{method} {shown(url)}")
    if answer.status in _GONE:
        return Forgotten(sentence)
    if answer.status in _PASSING and code not in _FINAL:
        return Trouble(sentence, wait=_retry_after(answer), answered=True)
    return Refused(sentence, status=answer.status, code=code)


def _reason(answer: Answer, document: dict[str, Any], asked: str) -> str:
    told = document.get("error") or document.get("message")
    location = answer.headers.get("location")
    if 300 <= answer.status < 400 and location:
        place = shown(urljoin(answer.url, location))
        return f"{asked} was answered with {answer.status}: use {place}."
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
