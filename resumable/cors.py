"""Which pages may use the uploads from another origin, and which requests are refused as forged."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

from resumable.errors import Forbidden
from resumable.http import Request, Response

EXPOSED = "Content-Range, ETag, Location, Retry-After, Tus-Resumable, Upload-Length, Upload-Offset"
ALLOWED_HEADERS = (
    "Authorization, Content-Range, Content-Type, X-Chunk-Digest, X-Chunk-Index, X-Chunk-Size, "
    "X-Requested-With, X-Total-Chunks, X-Upload-Id"
)
_PREFLIGHT_SECONDS = "7200"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Cors:
    """Cross-origin rules: off without origins; "*" never with credentials.

    `origins` are written as browsers send them, for example "https://app.example".
    """

    def __init__(self, origins: Collection[str] = (), *, credentials: bool = False) -> None:
        if isinstance(origins, str):
            origins = (origins,)
        if credentials and "*" in origins:
            raise ValueError("cors: '*' cannot be combined with credentials; list the origins.")
        self._origins = frozenset(origin.rstrip("/") for origin in origins)
        self._credentials = credentials

    def check(self, request: Request) -> None:
        """Refuse a writing request that a foreign page sent; raises Forbidden.

        Browsers label every such request, so forms of other sites cannot upload in a visitor's
        name, while programs, which send no label, are not bothered.
        """
        origin = request.headers.get("origin")
        if origin is None or request.method in _SAFE_METHODS or self._allows(origin):
            return
        site = request.headers.get("sec-fetch-site")
        same = site in ("same-origin", "none") if site else _is_host(origin, request)
        if not same:
            raise Forbidden(
                "Pages of this origin may not upload here; add it to the `cors` option.",
                code="foreign-origin",
            )

    def apply(self, request: Request, response: Response) -> Response:
        """The answer with its CORS headers, errors included."""
        if not self._origins:
            return response
        origin = request.headers.get("origin")
        vary = () if "*" in self._origins else (("Vary", "Origin"),)
        if origin is None or not self._allows(origin):
            return response.with_headers(*vary)
        allowed = "*" if "*" in self._origins else origin
        headers = [("Access-Control-Allow-Origin", allowed), *vary]
        if self._credentials:
            headers.append(("Access-Control-Allow-Credentials", "true"))
        headers.append(("Access-Control-Expose-Headers", EXPOSED))
        return response.with_headers(*headers)

    def preflight(self, request: Request, methods: Collection[str]) -> Response:
        """The answer to OPTIONS."""
        allow = ", ".join((*methods, "OPTIONS"))
        response = Response(204, (("Allow", allow),))
        if "access-control-request-method" not in request.headers or not self._origins:
            return response
        return response.with_headers(
            ("Access-Control-Allow-Methods", allow),
            ("Access-Control-Allow-Headers", ALLOWED_HEADERS),
            ("Access-Control-Max-Age", _PREFLIGHT_SECONDS),
        )

    def _allows(self, origin: str) -> bool:
        return "*" in self._origins or origin in self._origins


def _is_host(origin: str, request: Request) -> bool:
    host = request.headers.get("host", "")
    return bool(host) and urlsplit(origin).netloc.lower() == host.lower()
