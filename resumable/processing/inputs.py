"""How a file that nobody trusts is given to ffmpeg: by what it is, with nothing else in reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from resumable.media import UNKNOWN, sniff
from resumable.processing.failures import Refused
from resumable.processing.settings import ProcessingLimits

_HEAD = 4096
# One reader for each kind of file. Those that follow names to other files (concat, HLS, DASH, SVG,
# picture sequences) are on no list: a forced reader never looks for another.
_READERS: Mapping[str, str] = {
    "video/webm": "matroska",
    "video/x-matroska": "matroska",
    "video/mp4": "mov",
    "video/quicktime": "mov",
    "audio/mp4": "mov",
    "video/ogg": "ogg",
    "audio/ogg": "ogg",
    "audio/mpeg": "mp3",
    "audio/wav": "wav",
    "audio/flac": "flac",
}
# What browsers, phones and cameras record. Nothing exotic is decoded, so nobody can reach the
# decoders that are hardly ever tested.
_DECODERS = (
    "vp8,vp9,libvpx,libvpx-vp9,av1,libdav1d,libaom-av1,h264,hevc,mpeg4,theora,mjpeg,"
    "opus,libopus,vorbis,aac,mp3,mp3float,flac,alac,"
    "pcm_s16le,pcm_s24le,pcm_s32le,pcm_f32le,pcm_u8,pcm_s16be,pcm_s24be,pcm_mulaw,pcm_alaw"
)


@dataclass(frozen=True, slots=True)
class Input:
    """A local file, its size in bytes, and the type that its first bytes show."""

    path: Path
    media_type: str
    size: int

    def arguments(self, limits: ProcessingLimits) -> tuple[str, ...]:
        """ffmpeg's arguments up to and including the input itself."""
        reader = _READERS[self.media_type]
        closed = ("-enable_drefs", "0", "-use_absolute_path", "0") if reader == "mov" else ()
        return (
            *("-protocol_whitelist", "file,pipe"),
            *("-codec_whitelist", _DECODERS),
            *("-max_pixels", str(limits.pixels)),
            *("-max_streams", str(limits.streams)),
            *closed,
            *("-f", reader, "-i", f"file:{self.path}"),
        )

    @property
    def indexed(self) -> bool:
        """Whether this kind of file can be entered in the middle: recordings of Matroska cannot."""
        return _READERS[self.media_type] == "mov"


def opened(path: Path) -> Input:
    """The file at `path`, if its first bytes are those of a recording; its name is not asked.

    Raises Refused.
    """
    path = path.absolute()
    with path.open("rb") as file:
        head = file.read(_HEAD)
    size = path.stat().st_size
    if not size:
        raise Refused("The file is empty: there is nothing to process.")
    media_type = sniff(head)
    if media_type not in _READERS:
        raise Refused(_what_it_is(media_type))
    return Input(path, media_type, size)


def _what_it_is(media_type: str) -> str:
    if media_type == UNKNOWN:
        return "The file is not a recording: it begins like no video or sound file that is known."
    return f"The file is not a recording but {media_type}."
