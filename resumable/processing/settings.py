"""What the operator decides about processing: the program, the limits, quality, font and icon."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from resumable.model import GIB

HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class ProcessingLimits:
    """What one piece of work may use at most.

    `seconds` is the wall's time and `cpu_seconds` the processor's, for each run of the program.
    `memory` bounds its address space in bytes (ffmpeg needs 0.8 to 1.5 GB of it at 1080p; Linux
    only), `output_bytes` all that it writes. `duration` is the longest recording in seconds,
    `pixels` the largest picture, `streams` the most tracks a file may have.
    """

    seconds: float = 2 * HOUR
    cpu_seconds: int = 4 * 3600
    memory: int = 4 * GIB
    output_bytes: int = 20 * GIB
    duration: float = 4 * HOUR
    pixels: int = 8192 * 4320
    streams: int = 16


@dataclass(frozen=True, slots=True)
class VideoSettings:
    """How recordings are processed here.

    `ffmpeg` is the program's path (None: the environment, PATH, then the package imageio-ffmpeg).
    `preset` and `quality` are x264's: a faster preset makes larger files, a smaller number a better
    picture. `audio_bitrate` is in bits per second. `threads` and `niceness` keep the machine usable
    for everybody else. `font` is a font file for labels, `icon` a picture for wishes without one.
    """

    ffmpeg: str | Path | None = None
    preset: str = "veryfast"
    quality: int = 23
    audio_bitrate: int = 128_000
    threads: int = 2
    niceness: int = 5
    font: str | Path | None = None
    icon: str | Path | None = None
    limits: ProcessingLimits = field(default_factory=ProcessingLimits)
