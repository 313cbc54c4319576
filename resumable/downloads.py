"""Finished objects over HTTP: ranges, conditions, and headers under which no upload can do harm."""

from __future__ import annotations

from enum import Enum
from urllib.parse import quote

from werkzeug.http import (
    http_date,
    parse_date,
    parse_etags,
    parse_if_range_header,
    parse_range_header,
)

from resumable.http import Request, Response, json_response
from resumable.interfaces import Store
from resumable.media import INLINE, MADE_HERE, UNKNOWN
from resumable.model import Finished

Headers = tuple[tuple[str, str], ...]
# A stored file is another person's text: it runs nothing, frames nothing and loads nothing.
_SAFETY = (
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Security-Policy", "sandbox; default-src 'none'"),
    ("Cross-Origin-Resource-Policy", "same-site"),
    ("Accept-Ranges", "bytes"),
)
_CACHING = ("Cache-Control", "private, no-cache")


class _Condition(Enum):
    """What the conditional headers of a request come to."""

    MET = 200
    NOT_MODIFIED = 304
    FAILED = 412


def redirect(
    request: Request, finished: Finished, store: Store, seconds: int | None
) -> Response | None:
    """The way to the storage's own URL, good for `seconds`; None where the bytes come from here."""
    if seconds is None or request.method != "GET":
        return None
    location = store.url(finished, seconds, _disposition(request, finished))
    if location is None:
        return None
    return Response(302, (("Location", location), ("Cache-Control", "no-store")))


def serve(request: Request, finished: Finished, store: Store) -> Response:
    """The object, the part of it that was asked for, or the news that nothing changed.

    One range is served (RFC 9110, 14.2); several are answered with the whole.
    """
    modified = ("Last-Modified", http_date(int(finished.finished)))
    headers: Headers = (*_SAFETY, ("ETag", f'"{finished.etag}"'), modified)
    condition = _condition(request, finished)
    if condition is _Condition.FAILED:
        return _refusal(412, "The file is another one than the request expects.", headers)
    if condition is _Condition.NOT_MODIFIED:
        return Response(304, (*headers, _CACHING))
    wanted = _range(request, finished)
    described = (*headers, _CACHING, *_description(request, finished))
    if wanted is None:
        return Response(200, described, store.read(finished, 0, finished.size), finished.size)
    start, end = wanted
    if start >= end:
        content_range = ("Content-Range", f"bytes */{finished.size}")
        return _refusal(416, "The file has no such range.", (*headers, content_range))
    content_range = ("Content-Range", f"bytes {start}-{end - 1}/{finished.size}")
    body = store.read(finished, start, end)
    return Response(206, (*described, content_range), body, end - start)


def _refusal(status: int, message: str, headers: Headers) -> Response:
    names = {412: "precondition-failed", 416: "no-such-range"}
    return json_response(status, {"error": message, "code": names[status]}, headers)


def _description(request: Request, finished: Finished) -> Headers:
    safe = INLINE if finished.original is None else INLINE | MADE_HERE
    media_type = finished.content_type if finished.content_type in safe else UNKNOWN
    disposition = _disposition(request, finished)
    return (("Content-Type", media_type), ("Content-Disposition", disposition))


def _disposition(request: Request, finished: Finished) -> str:
    shown = finished.content_type in INLINE and "download" not in request.query
    return content_disposition("inline" if shown else "attachment", finished.filename)


def content_disposition(kind: str, filename: str) -> str:
    """RFC 6266 with an ASCII name for old clients and the true one as RFC 8187 writes it."""
    plain = "".join(c if " " <= c <= "~" and c not in '"\\%' else "_" for c in filename)
    value = f'{kind}; filename="{plain}"'
    if plain == filename:
        return value
    return f"{value}; filename*=UTF-8''{quote(filename, safe='')}"


def _condition(request: Request, finished: Finished) -> _Condition:
    """The headers in the order that RFC 9110, 13.2.2, gives them."""
    told = request.headers
    if "if-match" in told:
        etags = parse_etags(told["if-match"])
        met = etags.star_tag or etags.is_strong(finished.etag)
        if not met:
            return _Condition.FAILED
    elif not _unchanged_since(told.get("if-unmodified-since"), finished, default=True):
        return _Condition.FAILED
    if "if-none-match" in told:
        etags = parse_etags(told["if-none-match"])
        known = etags.star_tag or etags.contains_weak(finished.etag)
    else:
        known = _unchanged_since(told.get("if-modified-since"), finished, default=False)
    return _Condition.NOT_MODIFIED if known else _Condition.MET


def _unchanged_since(date: str | None, finished: Finished, *, default: bool) -> bool:
    """Whether the object is no younger than a date; `default` where there is none to read."""
    parsed = parse_date(date)
    return default if parsed is None else int(finished.finished) <= parsed.timestamp()


def _range(request: Request, finished: Finished) -> tuple[int, int] | None:
    """The one range to serve; None for the whole; an empty one cannot be satisfied."""
    if request.method != "GET" or not _still_the_same(request.headers.get("if-range"), finished):
        return None
    parsed = parse_range_header(request.headers.get("range"))
    if parsed is None or parsed.units != "bytes" or len(parsed.ranges) != 1:
        return None
    start, end = parsed.ranges[0]
    if start < 0:
        # The last bytes; more of them than there are means all (RFC 9110, 14.1.2).
        return max(0, finished.size + start), finished.size
    return start, finished.size if end is None else min(end, finished.size)


def _still_the_same(if_range: str | None, finished: Finished) -> bool:
    """If-Range (RFC 9110, 13.1.5): only a strong match, and a date only to the second."""
    condition = parse_if_range_header(if_range)
    if condition.date is not None:
        return condition.date.timestamp() == int(finished.finished)
    return if_range is None or if_range.strip() == f'"{finished.etag}"'
