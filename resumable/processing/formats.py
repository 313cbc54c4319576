"""The files that are written: MP4 for everybody, WebM where nothing else is wished."""

from __future__ import annotations

from dataclasses import dataclass

from resumable.processing.probing import AudioFacts, VideoFacts
from resumable.processing.settings import VideoSettings

# Codecs and pixel formats of H.264 that every browser and telephone plays.
_PLAYABLE_PROFILES = frozenset({"Baseline", "Constrained Baseline", "Main", "High"})
_PLAYABLE_PIXELS = frozenset({"yuv420p", "yuvj420p"})
# A key frame this often, in seconds: where players can enter, and where streams are cut.
KEY_FRAME_SECONDS = 2
# Level 4.2 ends at 1080p and 5.2 at 4096 x 2304, both counted in blocks of 16 x 16.
_BLOCKS = {"4.2": 8_704, "5.2": 36_864}
LARGEST_BLOCKS = _BLOCKS["5.2"]


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file: ffmpeg's name for its writer, the ending of its name, and its type."""

    writer: str
    extension: str
    media_type: str
    options: tuple[str, ...] = ()


MP4 = Format("mp4", "mp4", "video/mp4", ("-movflags", "+faststart"))
M4A = Format("ipod", "m4a", "audio/mp4", ("-movflags", "+faststart"))
WEBM = Format("webm", "webm", "video/webm", ("-cues_to_front", "1"))
MATROSKA = Format("matroska", "mkv", "video/x-matroska", ("-cues_to_front", "1"))
OGG = Format("ogg", "ogg", "audio/ogg")
MP3 = Format("mp3", "mp3", "audio/mpeg")
WAV = Format("wav", "wav", "audio/wav")
FLAC = Format("flac", "flac", "audio/flac")


def blocks(width: int, height: int) -> int:
    """The size of a picture as H.264's levels count it (ITU-T H.264, table A-1)."""
    return -(-width // 16) * -(-height // 16)


def can_be_kept(video: VideoFacts) -> bool:
    """Whether the picture can stand in an MP4 for everybody as it is."""
    return (
        video.codec == "h264"
        and video.profile in _PLAYABLE_PROFILES
        and video.pixel_format in _PLAYABLE_PIXELS
        and blocks(video.coded_width, video.coded_height) <= LARGEST_BLOCKS
    )


def h264(settings: VideoSettings, width: int, height: int) -> tuple[str, ...]:
    """Encodes the picture, with a level by its size: that of the stream's clock would be absurd."""
    level = "4.2" if blocks(width, height) <= _BLOCKS["4.2"] else "5.2"
    return (
        *("-c:v", "libx264", "-preset", settings.preset, "-crf", str(settings.quality)),
        *("-pix_fmt", "yuv420p", "-level:v", level),
    )


def vp9(settings: VideoSettings, width: int, height: int) -> tuple[str, ...]:
    """Encodes the picture for WebM, at the speed of a recording."""
    fast = ("-deadline", "realtime", "-cpu-used", "8", "-row-mt", "1")
    return ("-c:v", "libvpx-vp9", *fast, "-b:v", "0", "-crf", "33", "-pix_fmt", "yuv420p")


def aac(settings: VideoSettings, audio: AudioFacts, gain: float, *, anew: bool) -> tuple[str, ...]:
    """The sound in AAC: as it is, if it is that already and nothing has to be done to it."""
    if audio.codec == "aac" and not anew:
        return ("-c:a", "copy")
    return ("-c:a", "aac", "-b:a", str(settings.audio_bitrate), *_sound_filters(gain))


def opus(settings: VideoSettings, audio: AudioFacts, gain: float, *, anew: bool) -> tuple[str, ...]:
    """The sound in Opus, or as it is where WebM takes it."""
    if audio.codec in ("opus", "vorbis") and not anew:
        return ("-c:a", "copy")
    rate = ("-ar", "48000", "-b:a", str(settings.audio_bitrate))
    return ("-c:a", "libopus", *rate, *_sound_filters(gain))


def _sound_filters(gain: float) -> tuple[str, ...]:
    """Silence where the recorder left a gap, so that sound and picture stay together; and gain.

    What would become too loud is held back instead of being cut off.
    """
    louder = [f"volume={gain:g}dB"] if gain else []
    louder += ["alimiter=limit=0.98:level=false"] if gain > 0 else []
    return ("-af", ",".join(["aresample=async=1", *louder]))
