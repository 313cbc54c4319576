"""One request and one response as plain values, the only HTTP that dialects ever see."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from resumable.errors import BadRequest

EMPTY: Mapping[str, str] = MappingProxyType({})


class Headers(Mapping[str, str]):
    """Header fields of a request by name, in any case of letters."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Mapping[str, str] = EMPTY) -> None:
        self._fields = {name.lower(): value for name, value in fields.items()}

    def __getitem__(self, name: str) -> str:
        return self._fields[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked. `path` begins behind the mount `root`; `fields` are a form's, so far."""

    method: str
    path: str
    root: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Headers = field(default_factory=Headers)
    content_length: int | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    file_name: str | None = None
    form_complete: bool = False

    @property
    def content_type(self) -> str:
        """The media type alone, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def with_method(self, method: str) -> Request:
        """The same request with another method."""
        return replace(self, method=method)

    def with_form(
        self, fields: Mapping[str, str], *, file_name: str | None, complete: bool
    ) -> Request:
        """The same request with what its form has told up to now; `file_name` None: no file yet."""
        return Request(
            self.method,
            self.path,
            self.root,
            self.query,
            self.headers,
            self.content_length,
            dict(fields),
            file_name,
            complete,
        )


@dataclass(frozen=True, slots=True)
class Response:
    """What to answer. `body` is bytes, or an iterable whose size is `length` bytes.

    With `open_end` nobody knows how much an iterable will give. Raises ValueError for a header that
    must not reach the wire.
    """

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | Iterable[bytes] = b""
    length: int | None = None
    open_end: bool = False

    def __post_init__(self) -> None:
        for name, value in self.headers:
            check_header(name, value)

    @property
    def size(self) -> int:
        """Bytes of the body, also of one that HEAD leaves out."""
        if self.length is not None:
            return self.length
        return len(self.body) if isinstance(self.body, bytes) else 0

    def close(self) -> None:
        """Free what an unsent body holds."""
        close = getattr(self.body, "close", None)
        if close is not None:
            close()

    def with_headers(self, *extra: tuple[str, str]) -> Response:
        """The same answer with more header fields behind its own."""
        return replace(self, headers=(*self.headers, *extra)) if extra else self

    def without_body(self) -> Response:
        """The same answer as HEAD gives it: the headers of the body, but no body."""
        self.close()
        return replace(self, body=b"", length=self.size, open_end=False)


def check_header(name: str, value: str) -> None:
    """Refuse header text that five WSGI servers would pass on as new header lines.

    Raises ValueError for anything outside 0x20-0x7e (RFC 9110, 5.5).
    """
    text = name + value
    if not (text.isascii() and text.isprintable()):
        raise ValueError(f"header {name!r} holds a character outside printable ASCII")


def whole_number(text: str, what: str, *, greatest: int = 2**63 - 1) -> int:
    """A decimal number as protocols spell it: digits only, no sign, no space, at most 19.

    Raises BadRequest, naming `what`.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 19):
        raise BadRequest(f"{what} must be a whole number of at most 19 digits.")
    number = int(text)
    if number > greatest:
        raise BadRequest(f"{what} must not be greater than {greatest}.")
    return number


def json_response(
    status: int, document: Mapping[str, Any], headers: tuple[tuple[str, str], ...] = ()
) -> Response:
    """An answer in JSON that no cache keeps."""
    body = json.dumps(document, ensure_ascii=True, separators=(",", ":")).encode("ascii")
    return Response(
        status,
        (("Content-Type", "application/json"), ("Cache-Control", "no-store"), *headers),
        body,
    )
