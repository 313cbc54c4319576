"""Where a request's bytes belong and what it says of the whole upload: values in, values out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from resumable.errors import BadRequest, Conflict
from resumable.model import Status
from resumable.operations import Place

FACTS = ("total_chunks", "length", "chunk_size")
# What clients call them.
_WORDS = {"total_chunks": "totalChunks", "length": "totalSize", "chunk_size": "chunkSize"}


def start_of(operation: Place, status: Status) -> int | None:
    """Where the bytes belong, if that is known yet."""
    if operation.start is not None or operation.number is None:
        return operation.start
    chunk_size = operation.chunk_size or status.facts.get("chunk_size")
    return operation.number * chunk_size if chunk_size else status.start_of(operation.number)


def whole_chunk(operation: Place, status: Status, start: int | None, received: int) -> int | None:
    """The number of the chunk that these bytes are the whole of.

    Raises BadRequest where the declared chunk size says that they must be whole and are not.
    """
    number, size = operation.number, operation.chunk_size or status.facts.get("chunk_size")
    if number is None or start is None or size is None:
        return number
    length = operation.length if operation.length is not None else status.length
    total = operation.total_chunks or status.facts.get("total_chunks")
    end = start + received
    last = end == length or (length is None and total in (None, number + 1))
    inside = number * size <= start and (end <= (number + 1) * size or last)
    whole = start == number * size and (received == size or last)
    if not inside or not (whole or operation.start is not None):
        raise BadRequest(
            f"Chunk {number} of {size} bytes each cannot be the {received} bytes at {start}.",
            code="chunk-length",
        )
    return number if whole else None


def range_in(previous: Status | None, operation: Place, size: int | None) -> tuple[int, int] | None:
    """Where the same bytes would be in a finished upload; None when they cannot be the same."""
    if previous is None or previous.finished is None:
        return None
    start = operation.start
    if operation.number is not None:
        known = previous.chunk(operation.number)
        if known is not None:
            same_place = start in (None, known[0])
            return known if same_place and size in (None, known[1] - known[0]) else None
    if start is None or size is None or start + size > previous.finished.size:
        return None
    return start, start + size


def new_facts(operation: Place, status: Status) -> dict[str, Any]:
    """What this request declares of the whole upload and nobody has said before."""
    declared = {
        name: getattr(operation, name) for name in FACTS if getattr(operation, name) is not None
    }
    known = {**dict(status.facts), **({"length": status.length} if status.length else {})}
    check_facts(declared, known)
    news = {name: value for name, value in declared.items() if name not in known}
    total = declared.get("total_chunks", known.get("total_chunks"))
    beyond = [number for number in status.chunks if total is not None and number >= total]
    if beyond or status.extents.end > news.get("length", status.extents.end):
        raise Conflict(
            "More has been sent already than this request declares in all.",
            code="total-conflict",
        )
    check_number(operation, total)
    return news


def check_facts(declared: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    """What was said first counts; raises Conflict when somebody says otherwise."""
    for name, value in declared.items():
        if name in known and known[name] != value:
            raise Conflict(
                f"{_WORDS.get(name, name)} was {known[name]} when this upload began "
                f"and cannot become {value}.",
                code="total-conflict",
            )


def check_number(operation: Place, total: int | None) -> None:
    if operation.number is not None and total is not None and operation.number >= total:
        raise BadRequest(
            f"chunkIndex {operation.number} is not below totalChunks {total}.",
            code="chunk-index",
        )
