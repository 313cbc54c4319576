"""What a file is by its first bytes, for the few types that a browser may show; and safe names."""

from __future__ import annotations

import re
import unicodedata

UNKNOWN = "application/octet-stream"
_EBML = b"\x1aE\xdf\xa3"
_EBML_HEAD = 64
_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (0, b"OggS", "video/ogg"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (8, b"WAVE", "audio/wav"),
    (0, b"fLaC", "audio/flac"),
    (4, b"ftypqt  ", "video/quicktime"),
    (4, b"ftyp", "video/mp4"),
)
EXTENSIONS = {
    "video/webm": "webm",
    "video/x-matroska": "mkv",
    "video/mp4": "mp4",
    "video/quicktime": "mov",
    "video/ogg": "ogv",
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
_LONGEST_NAME = 200
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"|?*\\/]')


def sniff(head: bytes) -> str:
    """The media type of a file that begins with `head`; what a client says of it is not asked."""
    if head.startswith(_EBML):
        # Chromium calls its H.264 recordings webm and writes matroska: the DocType tells.
        return "video/webm" if b"webm" in head[:_EBML_HEAD] else "video/x-matroska"
    for position, signature, media_type in _SIGNATURES:
        if head.startswith(signature, position):
            return media_type
    return UNKNOWN


def default_name(media_type: str, created: float) -> str:
    """A name for a file whose sender gave none; its extension tells the truth."""
    return f"recording_{int(created * 1000)}.{EXTENSIONS.get(media_type, 'bin')}"


def safe_name(name: str) -> str:
    """The last part of a client's file name without what any system or header trips over.

    It is shown and offered for download, and never becomes a path here. May be empty.
    """
    name = unicodedata.normalize("NFC", name.encode("utf-8", "replace").decode("utf-8"))
    last = re.split(r"[/\\]", name)[-1]
    plain = "".join(c for c in _FORBIDDEN.sub("", last) if unicodedata.category(c)[0] != "C")
    cut = plain.strip(" .")
    stem, dot, extension = cut.rpartition(".")
    if len(cut) > _LONGEST_NAME and dot and len(extension) < 20:
        return f"{stem[: _LONGEST_NAME - len(extension) - 1]}.{extension}"
    return cut[:_LONGEST_NAME]
