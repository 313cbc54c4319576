"""Which pages may use the uploads from another origin, and which requests are refused as forged."""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import urlsplit

from resumable.errors import Forbidden
from resumable.http import Request, Response

EXPOSED = (
    "Content-Disposition, Content-Range, ETag, Location, Retry-After, "
    "Tus-Checksum-Algorithm, Tus-Extension, Tus-Max-Size, Tus-Resumable, Tus-Version, "
    "Upload-Concat, Upload-Defer-Length, Upload-Expires, Upload-Length, Upload-Metadata, "
    "Upload-Offset"
)
_PREFLIGHT_SECONDS = "7200"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[a-z0-9.:\[\]_-]+")
_HEADER_NAMES = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~, -]{1,1024}")


class Cors:
    """Cross-origin rules: off without origins; "*" never with credentials.

    `origins` are written as browsers send them, for example "https://app.example". Raises
    ValueError for what no browser would send.
    """

    def __init__(self, origins: Collection[str] = (), *, credentials: bool = False) -> None:
        if isinstance(origins, str):
            origins = (origins,)
        self._origins = frozenset(_checked(origin) for origin in origins)
        self._any = "*" in self._origins
        self._credentials = credentials
        if credentials and self._any:
            raise ValueError("cors: '*' cannot be combined with credentials; list the origins.")

    def check(self, request: Request) -> None:
        """Refuse a writing request that a foreign page sent; raises Forbidden.

        Browsers label every such request, so forms of other sites cannot upload in a visitor's
        name, while programs, which send no label, are not bothered.
        """
        if request.method in _SAFE_METHODS or self._is_welcome(request):
            return
        raise Forbidden(
            "Pages of this origin may not upload here; add it to the `cors` option.",
            code="foreign-origin",
        )

    def _is_welcome(self, request: Request) -> bool:
        origin = request.headers.get("origin")
        site = request.headers.get("sec-fetch-site")
        if self._any or origin in self._origins:
            return True
        if site is not None:
            return site in ("same-origin", "none")
        return origin is None or _is_host(origin, request)

    def apply(self, request: Request, response: Response) -> Response:
        """The answer with its CORS headers, errors included."""
        if not self._origins:
            return response
        vary = () if self._any else (("Vary", "Origin"),)
        allowed = self._allowed(request)
        if allowed is None:
            return response.with_headers(*vary)
        headers = [("Access-Control-Allow-Origin", allowed), *vary]
        if self._credentials:
            headers.append(("Access-Control-Allow-Credentials", "true"))
        headers.append(("Access-Control-Expose-Headers", EXPOSED))
        return response.with_headers(*headers)

    def preflight(self, request: Request, methods: Collection[str]) -> Response:
        """The answer to OPTIONS. A welcome origin may send whatever headers it names."""
        allow = ", ".join((*methods, "OPTIONS"))
        response = Response(204, (("Allow", allow),))
        asked = "access-control-request-method" in request.headers
        if not asked or self._allowed(request) is None:
            return response
        names = request.headers.get("access-control-request-headers", "")
        if _HEADER_NAMES.fullmatch(names):
            response = response.with_headers(("Access-Control-Allow-Headers", names))
        return response.with_headers(
            ("Access-Control-Allow-Methods", allow),
            ("Access-Control-Max-Age", _PREFLIGHT_SECONDS),
        )

    def _allowed(self, request: Request) -> str | None:
        """What Access-Control-Allow-Origin says to this request, if anything."""
        origin = request.headers.get("origin")
        if origin is None:
            return None
        if self._any:
            return "*"
        return origin if origin in self._origins else None


def _checked(origin: str) -> str:
    plain = origin.rstrip("/").lower()
    if plain != "*" and not _ORIGIN.fullmatch(plain):
        raise ValueError(f"cors: write an origin like 'https://app.example', not {origin!r}.")
    return plain


def _is_host(origin: str, request: Request) -> bool:
    host = request.headers.get("host", "")
    try:
        return bool(host) and urlsplit(origin).netloc.lower() == host.lower()
    except ValueError:
        return False
