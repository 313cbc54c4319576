"""A multipart form as it arrives: fields by name, and the one file part as a payload."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator
from typing import Any

from multipart import (
    MultipartError,
    MultipartSegment,
    ParserLimitReached,
    PushMultipartParser,
    parse_options_header,
)

from resumable.errors import BadRequest, Interrupted, TooLarge, UploadError
from resumable.interfaces import Payload
from resumable.model import KIB

MOST_PARTS = 32
MOST_PART_HEADERS = 8
LONGEST_PART_HEADER = 8 * KIB
MOST_FIELD_BYTES = 64 * KIB
MOST_OVERHEAD = 1024 * KIB  # boundaries, headers, preamble, epilogue
_LONGEST_BOUNDARY = 256


def boundary_of(content_type: str) -> str:
    """The boundary of a multipart/form-data body (RFC 7578, 4.1).

    Raises BadRequest for another type and for a missing or overlong boundary.
    """
    media_type, options = parse_options_header(content_type)
    if media_type != "multipart/form-data":
        raise BadRequest("Send this as multipart/form-data.", code="not-a-form")
    boundary: str = options.get("boundary", "")
    if not 1 <= len(boundary) <= _LONGEST_BOUNDARY or "\r" in boundary or "\n" in boundary:
        raise BadRequest("The form's Content-Type has no usable boundary.", code="bad-form")
    return boundary


class Form:
    """Reads a form part by part; `fields` holds what has come so far.

    A part is the file if it has a file name or one of `file_parts` as its name; a second file is
    refused, as is a field given twice. Raises BadRequest, TooLarge; a cut body is told by the
    file part, or as Interrupted.
    """

    def __init__(self, body: Payload, boundary: str, *, file_parts: Collection[str]) -> None:
        self.fields: dict[str, str] = {}
        self.complete = False
        self._body = body
        self._file_parts = file_parts
        self._field_bytes = 0
        self._overhead = 0
        self._parser = PushMultipartParser(
            boundary,
            max_header_size=LONGEST_PART_HEADER,
            max_header_count=MOST_PART_HEADERS,
            max_segment_count=MOST_PARTS,
        )
        self._events = self._parsed()

    def close(self) -> None:
        """Let go of the body, wherever the reading stopped."""
        self._events.close()

    def to_file(self) -> FilePart | None:
        """Read fields until the file begins; None when the form ended without one."""
        part = self._advance()
        if part is None and self.cut is not None:
            raise self.cut
        return part

    def rest(self) -> None:
        """Read what follows the file."""
        if self._advance() is not None:
            raise BadRequest("The form has more than one file.", code="bad-form")

    def _advance(self) -> FilePart | None:
        for event in self._events:
            assert isinstance(event, MultipartSegment)
            if event.filename is not None or event.name in self._file_parts:
                return FilePart(self, event, self._events)
            self._read_field(event)
        return None

    def _read_field(self, segment: MultipartSegment) -> None:
        value = bytearray()
        for event in self._events:
            if event is None:
                break
            value += event
            self._field_bytes += len(event)
            if self._field_bytes > MOST_FIELD_BYTES:
                raise TooLarge(f"A form's fields may have at most {MOST_FIELD_BYTES} bytes.")
        else:
            return
        if segment.name in self.fields:
            raise BadRequest(f"The field {segment.name:.40} is given twice.", code="bad-form")
        try:
            self.fields[segment.name] = value.decode("utf-8")
        except UnicodeDecodeError:
            raise BadRequest(
                f"The field {segment.name:.40} is not UTF-8.", code="bad-form"
            ) from None

    def _parsed(self) -> Generator[Any, None, None]:
        """The parser's events; ends at the end of the form or where the body was cut."""
        try:
            for view in self._body:
                self._overhead += len(view)
                for event in self._parser.parse(bytes(view)):
                    if isinstance(event, bytes):
                        self._overhead -= len(event)
                    yield event
                if self._overhead > MOST_OVERHEAD:
                    raise TooLarge(f"A form may spend at most {MOST_OVERHEAD} bytes on its form.")
            self.complete = self._is_closed()
        except ParserLimitReached as error:
            raise BadRequest(f"The form is too complex: {error}.", code="form-limits") from None
        except MultipartError as error:
            raise BadRequest(f"The form is malformed: {error}.", code="bad-form") from None

    def _is_closed(self) -> bool:
        """Whether the last boundary was the final one, which no cut body has."""
        try:
            self._parser.close()
        except MultipartError:
            return False
        return True

    @property
    def cut(self) -> UploadError | None:
        """Why the form ended early: the network's fault or the sender's."""
        if self.complete:
            return None
        return self._body.cut or self.fault or Interrupted("The form ended early.")

    @property
    def fault(self) -> BadRequest | None:
        """What is wrong with a form that arrived whole and yet has no end."""
        if self.complete or not self._body.whole:
            return None
        return BadRequest("The form ends before its last boundary.", code="bad-form")


class FilePart:
    """The bytes of the form's file. They count as whole only with the whole form behind them.

    `then` is called with everything read; what it raises refuses the bytes.
    """

    length: int | None = None

    def __init__(self, form: Form, segment: MultipartSegment, events: Iterator[Any]) -> None:
        self.name: str = segment.filename or ""
        self.field: str = segment.name
        self.then: Callable[[], object] | None = None
        self._form = form
        self._events = events

    @property
    def whole(self) -> bool:
        return self._form.complete

    @property
    def cut(self) -> UploadError | None:
        return self._form.cut

    def __iter__(self) -> Iterator[memoryview]:
        for event in self._events:
            if event is None:
                self._form.rest()
                break
            yield memoryview(event)
        if self._form.fault is not None:
            raise self._form.fault
        if self.whole and self.then is not None:
            self.then()
