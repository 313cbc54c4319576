"""What the header fields of tus 1.0.0 say, checked: text in, values out."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from resumable.digests import HASHERS, SIZES
from resumable.errors import BadRequest, UnknownVersion, UnsupportedType
from resumable.http import Request, whole_number
from resumable.model import Digest

VERSION = "1.0.0"
BYTES = "application/offset+octet-stream"
# The digest that the protocol demands first.
ALGORITHMS = ("sha1", *sorted(set(HASHERS) - {"sha1"}))
_KEY = re.compile(r"[!-+\--~]+")
_NAMES = ("filename", "name")
_TYPES = ("filetype", "type", "contentType", "mimetype")


@dataclass(frozen=True, slots=True)
class Metadata:
    """`Upload-Metadata` as it was written, and what it says."""

    raw: str | None = None
    values: Mapping[str, str] = field(default_factory=dict)

    @property
    def filename(self) -> str | None:
        return self._first(_NAMES)

    @property
    def content_type(self) -> str | None:
        return self._first(_TYPES)

    def _first(self, names: tuple[str, ...]) -> str | None:
        return next((self.values[name] for name in names if self.values.get(name)), None)


def check_version(request: Request) -> None:
    """Raise UnknownVersion; a request that changes nothing may leave the version out."""
    version = request.headers.get("tus-resumable")
    if version is None and request.method in ("HEAD", "GET"):
        return
    if version != VERSION:
        raise UnknownVersion(f"Send the header Tus-Resumable: {VERSION}.")


def check_type(request: Request) -> None:
    """Raise UnsupportedType for a body that is not said to be bytes at an offset."""
    if request.content_type != BYTES:
        raise UnsupportedType(f"Send the bytes with Content-Type: {BYTES}.")


def number(request: Request, name: str) -> int | None:
    """A header that is a number of bytes; None without it. Raises BadRequest."""
    text = request.headers.get(name)
    return None if text is None else whole_number(text, name)


def length(request: Request) -> int | None:
    """The length that a new upload declares; None where it comes later. Raises BadRequest."""
    deferred = request.headers.get("upload-defer-length")
    declared = number(request, "Upload-Length")
    if deferred not in (None, "1"):
        raise BadRequest("Upload-Defer-Length can only be 1.")
    if (deferred is None) == (declared is None):
        raise BadRequest("Send either Upload-Length or Upload-Defer-Length: 1.")
    return declared


def digest(request: Request) -> Digest | None:
    """What `Upload-Checksum` says of the body; None without it. Raises BadRequest."""
    if "upload-checksum" in request.headers.get("trailer", "").lower():
        raise BadRequest("This server cannot read trailers; send Upload-Checksum as a header.")
    text = request.headers.get("upload-checksum")
    if text is None:
        return None
    algorithm, _, encoded = text.partition(" ")
    if algorithm not in ALGORITHMS:
        raise BadRequest(f"Upload-Checksum knows {', '.join(ALGORITHMS)}.", code="unknown-digest")
    value = _decoded(encoded)
    if value is None or len(value) != SIZES[algorithm]:
        raise BadRequest(
            f"Upload-Checksum must be: {algorithm} and, behind one space, the Base64 of "
            f"{SIZES[algorithm]} bytes.",
            code="bad-digest",
        )
    return Digest(algorithm, value)


def metadata(request: Request) -> Metadata:
    """Raises BadRequest for what the protocol's grammar does not allow."""
    raw = request.headers.get("upload-metadata")
    if raw is None or not raw.strip():
        # tuspy sends an empty one whenever it has nothing to say.
        return Metadata()
    values: dict[str, str] = {}
    for pair in raw.split(","):
        key, _, encoded = pair.strip(" \t").partition(" ")
        value = _decoded(encoded)
        if not _KEY.fullmatch(key):
            raise BadRequest("Each key of Upload-Metadata needs a name in ASCII.")
        if value is None:
            raise BadRequest(f"The value of {key!r} in Upload-Metadata is not Base64.")
        if key in values:
            raise BadRequest(f"Upload-Metadata has the key {key!r} twice.")
        values[key] = value.decode("utf-8", "replace")
    # Between pairs there may be tabs, with which no header can be answered.
    return Metadata(raw.replace("\t", " "), values)


@dataclass(frozen=True, slots=True)
class Concat:
    """`Upload-Concat` as it was written: a partial upload, or a final one made of `ids`."""

    raw: str
    ids: tuple[str, ...] = ()

    @property
    def partial(self) -> bool:
        return not self.ids


def concat(request: Request, mount: str) -> Concat | None:
    """None without the header. Raises BadRequest.

    Of a URL the path alone counts, and of that what stands behind the mount's own name: nothing is
    ever fetched, and a proxy may know this server under another prefix.
    """
    raw = request.headers.get("upload-concat")
    if raw is None:
        return None
    if raw == "partial":
        return Concat(raw)
    kind, separator, listed = raw.partition(";")
    urls = listed.split(" ")
    if kind != "final" or not separator or not all(urls) or not _can_be_repeated(raw):
        raise BadRequest(
            'Upload-Concat must be "partial", or "final;" and the URLs of partial uploads with one '
            "space between two."
        )
    return Concat(raw, tuple(_id_in(url, mount) for url in urls))


def _id_in(url: str, mount: str) -> str:
    try:
        path = urlsplit(url).path
    except ValueError:
        raise BadRequest(f"{url:.100} in Upload-Concat is no URL.") from None
    folder, _, id = path.rpartition("/")
    if folder.rpartition("/")[2] not in (mount.rpartition("/")[2], ".", ""):
        raise BadRequest(f"{url:.100} in Upload-Concat is no upload of this server.")
    return unquote(id)


def _can_be_repeated(raw: str) -> bool:
    """Whether a header may say it: the rules for those that are sent are stricter."""
    return raw.isascii() and raw.isprintable()


def _decoded(encoded: str) -> bytes | None:
    try:
        return base64.b64decode(encoded.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return None
