"""Finished objects over HTTP: ranges, conditions, and headers under which no upload can do harm."""

from __future__ import annotations

from urllib.parse import quote

from werkzeug.http import (
    http_date,
    is_resource_modified,
    parse_if_range_header,
    parse_range_header,
)

from resumable.http import Request, Response
from resumable.interfaces import Store
from resumable.media import INLINE, UNKNOWN
from resumable.model import Finished

Headers = tuple[tuple[str, str], ...]
# A stored file is another person's text: it runs nothing, frames nothing and loads nothing.
_SAFETY = (
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Security-Policy", "sandbox; default-src 'none'"),
    ("Cross-Origin-Resource-Policy", "same-site"),
    ("Cache-Control", "private, no-cache"),
    ("Accept-Ranges", "bytes"),
)


def serve(request: Request, finished: Finished, store: Store) -> Response:
    """The object, the part of it that was asked for, or the news that nothing changed.

    One range is served (RFC 9110, 14.2); several are answered with the whole.
    """
    etag = f'"{finished.etag}"'
    headers: Headers = (
        *_SAFETY,
        ("ETag", etag),
        ("Last-Modified", http_date(int(finished.finished))),
    )
    environ = _conditions(request)
    if not is_resource_modified(
        environ, etag=etag, last_modified=http_date(int(finished.finished)), ignore_if_range=False
    ):
        return Response(304, headers)
    headers = (*headers, *_description(request, finished))
    wanted = _range(request, finished, etag)
    if wanted is None:
        return _part(store, finished, headers, 200, 0, finished.size)
    start, end = wanted
    if start >= end:
        return Response(416, (*headers, ("Content-Range", f"bytes */{finished.size}")))
    content_range = ("Content-Range", f"bytes {start}-{end - 1}/{finished.size}")
    return _part(store, finished, (*headers, content_range), 206, start, end)


def _part(
    store: Store,
    finished: Finished,
    headers: Headers,
    status: int,
    start: int,
    end: int,
) -> Response:
    return Response(status, headers, store.read(finished, start, end), end - start)


def _description(request: Request, finished: Finished) -> Headers:
    shown = finished.content_type in INLINE and "download" not in request.query
    media_type = finished.content_type if finished.content_type in INLINE else UNKNOWN
    disposition = content_disposition("inline" if shown else "attachment", finished.filename)
    return (("Content-Type", media_type), ("Content-Disposition", disposition))


def content_disposition(kind: str, filename: str) -> str:
    """RFC 6266 with an ASCII name for old clients and the true one as RFC 8187 writes it."""
    plain = "".join(c if " " <= c <= "~" and c not in '"\\%' else "_" for c in filename)
    value = f'{kind}; filename="{plain}"'
    if plain == filename:
        return value
    return f"{value}; filename*=UTF-8''{quote(filename, safe='')}"


def _range(request: Request, finished: Finished, etag: str) -> tuple[int, int] | None:
    """The one range to serve; None for the whole; an empty one cannot be satisfied."""
    parsed = parse_range_header(request.headers.get("range"))
    if parsed is None or parsed.units != "bytes" or len(parsed.ranges) != 1:
        return None
    condition = parse_if_range_header(request.headers.get("if-range"))
    if condition.etag is not None and f'"{condition.etag}"' != etag:
        return None
    if condition.date is not None and condition.date.timestamp() != int(finished.finished):
        return None
    return parsed.range_for_length(finished.size) or (0, 0)


def _conditions(request: Request) -> dict[str, str]:
    """The conditional headers in the form that werkzeug's comparison takes."""
    names = ("if-none-match", "if-modified-since", "if-match", "if-unmodified-since")
    found = {name: request.headers[name] for name in names if name in request.headers}
    environ = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in found.items()}
    return {"REQUEST_METHOD": "GET", **environ}
