"""The grammar of the chunk protocol: numbers, ranges, digests, options, as clients spell them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from resumable.digests import parse_digest
from resumable.errors import BadRequest
from resumable.http import Request, whole_number
from resumable.media import safe_name
from resumable.model import GREATEST_LENGTH, Digest
from resumable.processing.options import checked

_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19}|\*)")
_CHUNK_DIGESTS = ("sha256", "crc32c")
_LONGEST_FILENAME = 1024
_QUOTED = re.compile(r'"((?:[^"\\]|\\["\\])*)"')
_WAIT = re.compile(r"(?:^|[,;\s])wait=([0-9]{1,5})(?:$|[,;\s])")


@dataclass(frozen=True, slots=True)
class Position:
    """Where a chunk belongs, as far as its sender says: start and size, and the whole's length."""

    start: int | None = None
    size: int | None = None
    length: int | None = None


class ChunkWords:
    """What one chunk request says, wherever it says it: form field, query or header."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._form = request.content_type == "multipart/form-data" and request.method == "POST"
        self.upload_id = self._said("uploadId", "X-Upload-Id")

    @property
    def enough(self) -> bool:
        """False while fields that decide where the bytes go may still follow the file."""
        decisive = (
            ("uploadId", "X-Upload-Id"),
            ("chunkIndex", "X-Chunk-Index"),
            ("totalChunks", "X-Total-Chunks"),
        )
        waiting = self._form and not self._request.form_complete
        return not waiting or all(self._said(*name) is not None for name in decisive)

    @property
    def has_bytes(self) -> bool:
        return not self._form or self._request.file_name is not None

    def _said(self, field: str, header: str) -> str | None:
        request = self._request
        told = {
            value
            for value in (
                request.fields.get(field),
                request.query.get(field),
                request.headers.get(header),
            )
            if value is not None
        }
        if len(told) > 1:
            raise BadRequest(
                f"{field} is given as a field, in the query or as {header}, and not alike.",
                code="contradiction",
            )
        return told.pop() if told else None

    def number(
        self, field: str, header: str, *, least: int = 0, missing: str | None = None
    ) -> int | None:
        text = self._said(field, header)
        if text is None:
            return None
        try:
            value = whole_number(text, field, greatest=GREATEST_LENGTH)
        except BadRequest:
            if missing is not None:
                raise BadRequest(missing, code="missing-chunk-data") from None
            raise
        return _at_least(value, least, field)

    def digest(self) -> Digest | None:
        text = self._said("chunkDigest", "X-Chunk-Digest")
        return None if text is None else parse_digest(text, algorithms=_CHUNK_DIGESTS)

    def range(self) -> Position:
        """Content-Range (RFC 9110, 14.4), or `byteOffset` and `totalSize` one by one."""
        total = self.number("totalSize", "X-Total-Size")
        offset = self.number("byteOffset", "X-Byte-Offset")
        text = self._request.headers.get("content-range")
        if text is None:
            return Position(offset, None, total)
        position = parse_content_range(text)
        for said, name in ((offset, "byteOffset"), (total, "totalSize")):
            meant = position.start if name == "byteOffset" else position.length
            if None not in (said, meant) and said != meant:
                raise BadRequest(f"{name} and Content-Range disagree.", code="contradiction")
        length = position.length if position.length is not None else total
        return Position(position.start, position.size, length)


def key(text: str) -> str:
    """What an Idempotency-Key says: a quoted text (RFC 8941, 3.3.3), or all of it as it is."""
    quoted = _QUOTED.fullmatch(text.strip())
    return text.strip() if quoted is None else re.sub(r"\\(.)", r"\1", quoted[1])


def parse_content_range(text: str) -> Position:
    """`bytes first-last/total`; raises BadRequest for anything else."""
    match = _CONTENT_RANGE.fullmatch(text.strip())
    if match is None:
        raise BadRequest(
            "Content-Range must read 'bytes first-last/total', with * for an unknown total.",
            code="bad-range",
        )
    first, last = int(match[1]), int(match[2])
    total = None if match[3] == "*" else int(match[3])
    beyond = total is not None and last >= total
    if last < first or beyond or max(last + 1, total or 0) > GREATEST_LENGTH:
        raise BadRequest("Content-Range names bytes that cannot be.", code="bad-range")
    return Position(first, last - first + 1, total)


def json_number(document: Mapping[str, Any], name: str, *, least: int = 0) -> int | None:
    """A whole number in JSON, also written as a text."""
    value = document.get(name)
    if value is None:
        return None
    if isinstance(value, str):
        value = whole_number(value, name)
    if not isinstance(value, int) or isinstance(value, bool) or value > GREATEST_LENGTH:
        raise BadRequest(f"{name} must be a whole number.", code="bad-number")
    return _at_least(value, least, name)


def _at_least(value: int, least: int, name: str) -> int:
    if value < least:
        raise BadRequest(f"{name} must be at least {least}.", code="bad-number")
    return value


def json_digest(value: Any) -> Digest | None:
    """A whole-file digest."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise BadRequest("digest must be a text such as sha256:<hex>.", code="bad-digest")
    return parse_digest(value)


def filename(value: Any) -> str | None:
    """A name to show; what is left of it without paths and control characters, or None."""
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > _LONGEST_FILENAME:
        raise BadRequest(
            f"filename must be a text of at most {_LONGEST_FILENAME} characters.",
            code="bad-filename",
        )
    return safe_name(value) or None


def options_in_form(text: str | None) -> Mapping[str, Any]:
    """Options as a form carries them; a text that is not JSON is ignored, as it always was."""
    if not text:
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return options(value) if isinstance(value, dict) else {}


def options(value: Any) -> Mapping[str, Any]:
    """The processing options among those sent, checked.

    Clients mix their own settings in (`resumable`, `maxConcurrent`, …): unknown keys are ignored.
    Raises BadRequest for a known key whose value makes no sense.
    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadRequest("options must be a JSON object.", code="bad-options")
    return checked(value)


def metadata(value: Any) -> Mapping[str, str]:
    """What the client wants to be kept with its file: texts by name.

    Raises BadRequest for anything else.
    """
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        raise BadRequest("metadata must be a JSON object of texts.", code="bad-metadata")
    return value


def wait(text: str | None) -> float:
    """The seconds of `Prefer: wait=N` (RFC 7240, 4.3); 0 for everything else that is there."""
    found = _WAIT.search(text or "")
    return float(found[1]) if found else 0.0
