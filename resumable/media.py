"""What a file is by its first bytes, for the few types that a browser may show; and safe names."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

UNKNOWN = "application/octet-stream"
_EBML = b"\x1aE\xdf\xa3"
_FIRST = 64
# What a file begins with; a full stop stands for any byte.
_SIGNATURES: tuple[tuple[re.Pattern[bytes], str], ...] = tuple(
    (re.compile(pattern, re.DOTALL), media_type)
    for pattern, media_type in (
        (rb"\x89PNG\r\n\x1a\n", "image/png"),
        (rb"\xff\xd8\xff", "image/jpeg"),
        (rb"GIF8[79]a", "image/gif"),
        (rb"RIFF....WEBP", "image/webp"),
        (rb"RIFF....WAVE", "audio/wav"),
        (rb"OggS.{,56}theora", "video/ogg"),
        (rb"OggS", "audio/ogg"),
        (rb"ID3|\xff[\xf2\xf3\xfa\xfb]", "audio/mpeg"),
        (rb"fLaC", "audio/flac"),
        (rb"....ftypqt  ", "video/quicktime"),
        (rb"....ftypM4[AB] ", "audio/mp4"),
        (rb"....ftyp(avif|avis|heic|heix|mif1|msf1)", UNKNOWN),
        (rb"....ftyp", "video/mp4"),
    )
)
EXTENSIONS = {
    "video/webm": "webm",
    "video/x-matroska": "mkv",
    "video/mp4": "mp4",
    "video/quicktime": "mov",
    "video/ogg": "ogv",
    "audio/ogg": "ogg",
    "audio/mp4": "m4a",
    "audio/mpeg": "mp3",
    "audio/wav": "wav",
    "audio/flac": "flac",
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/gif": "gif",
    "image/webp": "webp",
}
# Types that a browser may render in our origin: none of them can carry a script.
INLINE = frozenset(EXTENSIONS)
# What only we write: nobody's text is served as one of these.
MADE_HERE = frozenset({"application/vnd.apple.mpegurl", "text/vtt", "video/iso.segment"})
_LONGEST_NAME = 200
_LONGEST_EXTENSION = 20
# Windows takes these for devices, whatever their extension.
_DEVICE = re.compile(r"(CON|PRN|AUX|NUL|COM[0-9]|LPT[0-9])(\..*)?", re.IGNORECASE)
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"|?*\\/]')


def sniff(head: bytes) -> str:
    """The media type of a file that begins with `head`; what a client says of it is not asked."""
    if head.startswith(_EBML):
        # Chromium calls its H.264 recordings webm and writes matroska: the DocType tells.
        return "video/webm" if b"webm" in head[:_FIRST] else "video/x-matroska"
    found = (media_type for pattern, media_type in _SIGNATURES if pattern.match(head))
    return next(found, UNKNOWN)


def default_name(media_type: str, created: float) -> str:
    """A name for a file whose sender gave none; its extension tells the truth."""
    return f"recording_{int(created * 1000)}.{EXTENSIONS.get(media_type, 'bin')}"


@lru_cache(maxsize=256)
def safe_name(name: str) -> str:
    """The last part of a client's file name without what any system or header trips over.

    It is shown and offered for download, and never becomes a path here. May be empty.
    """
    name = unicodedata.normalize("NFC", name.encode("utf-8", "replace").decode("utf-8"))
    last = re.split(r"[/\\]", name)[-1]
    plain = "".join(c for c in _FORBIDDEN.sub("", last) if unicodedata.category(c)[0] != "C")
    cut = _shortened(plain.strip(" ."))
    return f"_{cut}" if _DEVICE.fullmatch(cut) else cut


def _shortened(name: str) -> str:
    """At most `_LONGEST_NAME` characters, with the extension if it looks like one."""
    stem, dot, extension = name.rpartition(".")
    if len(name) > _LONGEST_NAME and dot and len(extension) <= _LONGEST_EXTENSION:
        return f"{stem[: _LONGEST_NAME - len(extension) - 1]}.{extension}"
    return name[:_LONGEST_NAME].rstrip(" .")
