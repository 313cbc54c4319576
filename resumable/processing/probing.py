"""What a recording is: how long, how large, in which codecs. Asked of ffmpeg alone, not ffprobe."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from resumable.model import MIB
from resumable.processing.failures import LimitReached, Refused
from resumable.processing.inputs import Input
from resumable.processing.running import Progress, Runner
from resumable.processing.settings import ProcessingLimits
from resumable.processing.wording import time_in_words

# Up to here every packet is read, so that figures are measured and no header is believed.
MEASURED_BYTES = 64 * MIB
_DURATION = re.compile(r"^  Duration: (\d+):(\d\d):(\d\d\.\d+)", re.MULTILINE)
_STREAM = re.compile(
    r"^  Stream #0:\d+(?:\[0x[0-9a-f]+\])?(?:\([^)\n]*\))?: (Video|Audio): ([^\n]+)", re.MULTILINE
)
_ROTATION = re.compile(
    r"^      (?:displaymatrix|Display Matrix): rotation of (-?\d+(?:\.\d+)?) degrees", re.MULTILINE
)
_CODEC = re.compile(r"(\w+)((?: \([^()]*\))*)")
_SIZE = re.compile(r"(\d{1,6})x(\d{1,6})(?: \[?SAR (\d+):(\d+))?")
_ASPECT = re.compile(r"SAR (\d+):(\d+)")
_RATE = re.compile(r"(\d+(?:\.\d+)?)(k?) fps")
_HERTZ = re.compile(r"(\d+) Hz")
_MATRICES = frozenset(
    ("bt709", "smpte170m", "bt470bg", "bt2020nc", "bt2020c", "fcc", "smpte240m", "gbr", "ycgco")
)
# A header may round; it is believed where it says this much more, in seconds, than the packets.
_ROUNDING = 1.0


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """The picture. `width` and `height` are those of what is seen, rotated and with square pixels.

    `coded_width` and `coded_height` are what is stored. `matrix` and `full_range` say how colours
    are meant. `fps` is None where the frames follow no rate, as in recordings of a tab. `frames`
    is None where nobody counted.
    """

    codec: str
    profile: str | None
    width: int
    height: int
    coded_width: int
    coded_height: int
    pixel_format: str
    matrix: str | None = None
    full_range: bool = False
    fps: float | None = None
    frames: int | None = None
    rotation: int = 0


@dataclass(frozen=True, slots=True)
class AudioFacts:
    """The sound: codec, samples per second, and channels as ffmpeg calls them ("mono", "5.1")."""

    codec: str
    rate: int
    channels: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a recording. `duration` is in seconds, `size` in bytes."""

    media_type: str
    size: int
    duration: float
    video: VideoFacts | None
    audio: AudioFacts | None

    def as_dict(self) -> Mapping[str, Any]:
        """The facts as JSON's values."""
        return asdict(self)


def probe(source: Input, runner: Runner) -> Facts:
    """The facts of a recording, from one run of ffmpeg.

    The packets of a file up to MEASURED_BYTES are all read (without decoding them), and those of a
    larger one whose header gives no duration: its duration is then that of its packets.
    Raises Refused for what is no recording and LimitReached for one that is too long or too large.
    """
    limits = runner.limits
    measure = source.size <= MEASURED_BYTES
    run = runner.run(_reading(source, limits, whole=measure), loud=True)
    if not measure and not _DURATION.search(run.log):
        measure = True
        run = runner.run(_reading(source, limits, whole=True), loud=True)
    facts = outlined(source, run.log, limits)
    if measure:
        return measured(facts, run.progress, limits)
    check_duration(facts.duration, limits)
    return facts


def outline(source: Input, runner: Runner) -> Facts:
    """The facts by the first packets alone: no frames are counted, and the header's duration
    is not to be believed. Raises Refused and LimitReached.
    """
    run = runner.run(_reading(source, runner.limits, whole=False), loud=True)
    return outlined(source, run.log, runner.limits)


def outlined(source: Input, log: str, limits: ProcessingLimits) -> Facts:
    """The same from the log of any loud run on the source, as soon as it describes its input."""
    facts = _parsed(source, log)
    _check_pixels(facts, limits)
    return facts


def measured(facts: Facts, progress: Progress, limits: ProcessingLimits) -> Facts:
    """The facts by the packets, after a run that has copied them all. Raises LimitReached.

    Some versions of ffmpeg leave out the length of the last packet.
    """
    seconds = progress.seconds
    if seconds <= facts.duration <= seconds + _ROUNDING:
        seconds = facts.duration
    check_duration(seconds, limits)
    video = replace(facts.video, frames=progress.frames) if facts.video else None
    return replace(facts, duration=seconds, video=video)


def _reading(source: Input, limits: ProcessingLimits, *, whole: bool) -> tuple[str, ...]:
    """Copies the packets to nowhere: all, or none."""
    some = () if whole else ("-t", "0.001")
    streams = ("-map", "0:V:0?", "-map", "0:a:0?", "-c", "copy")
    return (*source.arguments(limits), *streams, *some, "-f", "null", "-")


def _parsed(source: Input, log: str) -> Facts:
    """The facts from ffmpeg's description of its input, which precedes that of its output."""
    described = log.partition("\nOutput #0")[0]
    video, audio = _streams(described)
    if video is None and audio is None:
        raise Refused("There is neither a picture nor sound in this file.", log=log)
    return Facts(source.media_type, source.size, _duration(described), video, audio)


def written(log: str) -> tuple[VideoFacts | None, AudioFacts | None]:
    """The streams that a loud run said it writes; neither where its log does not reach back."""
    return _streams(log.partition("\nOutput #0")[2])


def _streams(described: str) -> tuple[VideoFacts | None, AudioFacts | None]:
    video, audio = None, None
    streams = list(_STREAM.finditer(described))
    for number, stream in enumerate(streams):
        end = streams[number + 1].start() if number + 1 < len(streams) else len(described)
        if stream[1] == "Video" and video is None and "(attached pic)" not in stream[2]:
            video = _video(stream[2], described[stream.end() : end])
        elif stream[1] == "Audio" and audio is None:
            audio = _audio(stream[2])
    return video, audio


def _duration(described: str) -> float:
    found = _DURATION.search(described)
    if found is None:
        return 0.0
    return int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3])


def _video(text: str, details: str) -> VideoFacts | None:
    codec, *rest = _parts(text)
    size = next(filter(None, map(_SIZE.match, rest)), None)
    named, rate = _CODEC.match(codec), _RATE.search(text)
    if named is None or size is None:
        return None
    width, height = int(size[1]), int(size[2])
    rotated = _ROTATION.search(details)
    rotation = round(float(rotated[1])) % 360 if rotated else 0
    shown = (_square(width, text), height)
    if rotation in (90, 270):
        shown = (shown[1], shown[0])
    pixel_format, _, colours = rest[0].partition("(")
    return VideoFacts(
        codec=named[1],
        profile=_profile(named[2]),
        width=shown[0],
        height=shown[1],
        coded_width=width,
        coded_height=height,
        pixel_format=pixel_format,
        matrix=_matrix(colours),
        full_range=colours.startswith("pc") or pixel_format.startswith("yuvj"),
        fps=float(rate[1]) * (1000 if rate[2] else 1) if rate else None,
        rotation=rotation,
    )


def _square(width: int, text: str) -> int:
    """The width with square pixels."""
    aspect = _ASPECT.search(text)
    if aspect is None or not int(aspect[1]) or not int(aspect[2]):
        return width
    return max(1, round(width * int(aspect[1]) / int(aspect[2])))


def _matrix(colours: str) -> str | None:
    """The first of "range, matrix/primaries/transfer, order"; None where it is not said."""
    words = re.split(r"[,/ )]+", colours)
    return next((word for word in words if word in _MATRICES), None)


def _profile(brackets: str) -> str | None:
    """From " (libdav1d) (Main)" or " (High) (avc1 / 0x31637661)": neither decoder nor tag."""
    words = re.findall(r"\(([^()]*)\)", brackets)
    return next((word for word in words if "/" not in word and not word.startswith("lib")), None)


def _audio(text: str) -> AudioFacts | None:
    codec, *rest = _parts(text)
    named, rate = _CODEC.match(codec), _HERTZ.search(text)
    if named is None or rate is None:
        return None
    channels = rest[1] if len(rest) > 1 else "unknown"
    return AudioFacts(named[1], int(rate[1]), channels)


def _parts(text: str) -> list[str]:
    """The text cut at its commas, but not at those in brackets."""
    return list(_cut(text))


def _cut(text: str) -> Iterator[str]:
    depth, start = 0, 0
    for position, character in enumerate(text):
        depth += (character in "([") - (character in ")]")
        if character == "," and depth == 0:
            yield text[start:position].strip()
            start = position + 1
    yield text[start:].strip()


def _check_pixels(facts: Facts, limits: ProcessingLimits) -> None:
    video = facts.video
    if video is not None and video.coded_width * video.coded_height > limits.pixels:
        raise LimitReached(
            f"The picture of {video.coded_width} x {video.coded_height} is larger than the"
            f" {limits.pixels} pixels that are processed here."
        )


def check_duration(seconds: float, limits: ProcessingLimits) -> None:
    """Raises LimitReached for what is longer than a recording may be."""
    if seconds > limits.duration:
        raise LimitReached(
            f"The recording lasts {time_in_words(seconds)}; at most"
            f" {time_in_words(limits.duration)} are processed here."
        )
