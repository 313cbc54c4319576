"""The files for browsers that the package ships, by name, and the HTML that loads its modules."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from functools import cache
from html import escape
from importlib import resources

from werkzeug.http import parse_etags

from resumable.http import Request, Response

_TYPES = {
    "js": "text/javascript; charset=utf-8",
    "ts": "text/plain; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "svg": "image/svg+xml",
    "json": "application/json",
}
_VERSIONED = re.compile(r"(\d[\w.+-]{0,63})/(?=[^/]+$)")
_AGAIN = ("Cache-Control", "no-cache")
_FOR_EVER = ("Cache-Control", "public, max-age=31536000, immutable")
_IMPORTED = re.compile(r"""(?:\bfrom|\bimport)\s*\(?\s*['"]\./([\w.-]+)['"]""")


def serve(request: Request, name: str) -> Response | None:
    """One shipped file, as `NAME` or `VERSION/NAME`, or None.

    Under this package's version it may be kept for ever. Under its bare name, or the version that
    another worker has during a release, a browser asks again each time and mostly hears 304.
    """
    versioned = _VERSIONED.match(name)
    name = name[versioned.end() :] if versioned else name
    if name not in _names():
        return None
    packed = _takes_gzip(request)
    content, etag = _asset(name, packed)
    headers = (
        ("ETag", f'"{etag}"'),
        _FOR_EVER if versioned and versioned[1] == _version() else _AGAIN,
        ("Vary", "Accept-Encoding"),
        ("X-Content-Type-Options", "nosniff"),
        ("Access-Control-Allow-Origin", "*"),
    )
    # A proxy that compresses makes the tag a weak one.
    if parse_etags(request.headers.get("if-none-match")).contains_weak(etag):
        return Response(304, headers)
    content_type = ("Content-Type", _TYPES[name.rpartition(".")[2]])
    encoding = (("Content-Encoding", "gzip"),) if packed else ()
    return Response(200, (content_type, *encoding, *headers), content)


def module_path(name: str) -> str:
    """Where a module is, below the mount point: under this version, so that it is cached for ever.

    Raises ValueError for a name that is not shipped.
    """
    _check(name)
    return f"/resumable/static/{_version()}/{name}"


def integrity(name: str) -> str:
    """The SHA-384 of a shipped file, as the attribute `integrity` takes it (W3C SRI, 3.1).

    Raises ValueError for a name that is not shipped.
    """
    _check(name)
    content, _ = _asset(name, packed=False)
    return f"sha384-{base64.b64encode(hashlib.sha384(content).digest()).decode()}"


def module_tags(name: str, mount: str = "") -> str:
    """HTML that loads a module and, each with its digest, all modules that it imports.

    `mount` is what stands before the middleware's paths: SCRIPT_NAME and its prefix.
    Raises ValueError for a name that is not shipped.
    """
    _check(name)

    def attributes(module: str, address: str) -> str:
        url = escape(mount.rstrip("/") + module_path(module))
        return f'{address}="{url}" integrity="{integrity(module)}" crossorigin="anonymous"'

    preloads = (f'<link rel="modulepreload" {attributes(one, "href")}>\n' for one in _imports(name))
    return f'{"".join(preloads)}<script type="module" {attributes(name, "src")}></script>'


def _check(name: str) -> None:
    if name not in _names():
        raise ValueError(f"No file called {name!r} is shipped; there are {sorted(_names())}.")


def _takes_gzip(request: Request) -> bool:
    told = request.headers.get("accept-encoding", "")
    return re.search(r"\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))", told, re.IGNORECASE) is not None


@cache
def _version() -> str:
    """Equal to `resumable.__version__`, which stands above this room."""
    content, _ = _asset("package.json", packed=False)
    return str(json.loads(content)["version"])


@cache
def _names() -> frozenset[str]:
    """Known by listing, so that no name can lead out of the folder."""
    listed = (file.name for file in resources.files("resumable.static").iterdir())
    return frozenset(name for name in listed if name.rpartition(".")[2] in _TYPES)


@cache
def _asset(name: str, packed: bool) -> tuple[bytes, str]:
    content = (resources.files("resumable.static") / name).read_bytes()
    etag = hashlib.sha256(content).hexdigest()[:32]
    return (gzip.compress(content, mtime=0), f"{etag}-gzip") if packed else (content, etag)


@cache
def _imports(name: str) -> tuple[str, ...]:
    """The modules that a module imports, and those that they import, each once."""
    found: dict[str, None] = {}
    waiting = [name]
    while waiting:
        content, _ = _asset(waiting.pop(), packed=False)
        for one in _IMPORTED.findall(content.decode()):
            if one in _names() and one != name and one not in found:
                found[one] = None
                waiting.append(one)
    return tuple(found)
