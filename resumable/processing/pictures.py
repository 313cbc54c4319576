"""Still pictures of a recording: a poster, and a sheet of thumbnails for a player's seek bar."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from resumable.processing.graph import colours_of
from resumable.processing.meter import Meter
from resumable.processing.probing import VideoFacts
from resumable.processing.work import Outcome, Result, Work

_POSTER_SIDE = 1280
_POSTER_AT = 1.0
# A poster's time is exact to this many frames a second, whatever the recording's own.
_POSTER_RATE = 10
# An indexed file is entered this many seconds before the wished time.
_RUN_UP = 10.0
_TILE_WIDTH = 160
_TALLEST_TILE = 320
_COLUMNS = 10
_MOST_TILES = 100
_QUALITY = ("-c:v", "mjpeg", "-q:v", "4", "-fflags", "+bitexact", "-flags:v", "+bitexact")
# JPEG files mean their colours in one way only (ITU-T T.871).
_JPEG = "out_color_matrix=smpte170m:out_range=pc,format=yuvj420p"
_NO_PICTURE = "There is no picture in this recording, so no {} was made."


@dataclass(frozen=True, slots=True)
class Poster:
    """A JPEG of what is seen at `posterAt`, by default after a second; 1280 pixels wide at most."""

    name: ClassVar[str] = "poster"
    share: ClassVar[float] = 0.5
    of_result: ClassVar[bool] = True

    def __call__(self, work: Work) -> Outcome:
        facts = work.facts
        if facts.video is None:
            return Outcome(notes=(_NO_PICTURE.format("poster"),))
        at = min(work.wishes.poster_at or _POSTER_AT, facts.duration * 0.9)
        if work.wishes.poster_at == 0:
            at = 0.0
        width, height = _within(facts.video, _POSTER_SIDE, _POSTER_SIDE)
        entered = max(0.0, at - _RUN_UP) if work.input.indexed else 0.0
        path = work.folder / "poster.jpg"
        steps = (
            f"fps={_POSTER_RATE}:start_time=0",
            f"tpad=stop_mode=clone:stop={math.ceil(facts.duration * _POSTER_RATE)}",
            f"trim=start={at - entered:.3f}",
            f"scale={width}:{height}:{_JPEG}",
        )
        work.runner.run(
            (
                *(("-ss", f"{entered:.3f}") if entered else ()),
                *work.input.arguments(work.settings.limits),
                *_one_picture(facts.video, steps),
                *("-f", "mjpeg", "-y", f"file:{path}"),
            )
        )
        work.report(1.0, 0.0)
        return Outcome(
            (Result(path, "poster", "image/jpeg", {"width": width, "height": height, "at": at}),)
        )


@dataclass(frozen=True, slots=True)
class Sprite:
    """Thumbnails in one JPEG, and the WebVTT file that says which of them stands for which time.

    One for each `spriteInterval` seconds; by default as many as fit into 10 x 10.
    """

    name: ClassVar[str] = "sprite"
    share: ClassVar[float] = 3.0
    of_result: ClassVar[bool] = True

    def __call__(self, work: Work) -> Outcome:
        facts = work.facts
        if facts.video is None:
            return Outcome(notes=(_NO_PICTURE.format("sprite"),))
        sheet = _sheet(facts.video, facts.duration, work.wishes.sprite_interval)
        picture, cues = work.folder / "sprite.jpg", work.folder / "sprite.vtt"
        # Such a rate, rounded to the nearest, takes what is seen in the middle of each interval.
        steps = (
            f"fps=1/{sheet.interval:.6f}:start_time=0",
            f"tpad=stop_mode=clone:stop={sheet.tiles}",
            f"trim=end_frame={sheet.tiles}",
            f"scale={sheet.width}:{sheet.height}:{_JPEG}",
            f"tile={sheet.columns}x{sheet.rows}",
        )
        work.runner.run(
            (
                *work.input.arguments(work.settings.limits),
                *_one_picture(facts.video, steps),
                *("-f", "mjpeg", "-y", f"file:{picture}"),
            ),
            watch=Meter(work.report, facts.duration),
        )
        cues.write_text("\n".join(_vtt(sheet, facts.duration, picture.name)), "utf-8")
        work.report(1.0, 0.0)
        return Outcome(
            (
                Result(picture, "sprite", "image/jpeg", sheet.as_dict()),
                Result(cues, "thumbnails", "text/vtt", mentions=(picture.name,)),
            )
        )


@dataclass(frozen=True, slots=True)
class _Sheet:
    """How thumbnails lie on their sheet; `interval` in seconds, sizes in pixels."""

    interval: float
    tiles: int
    width: int
    height: int

    @property
    def columns(self) -> int:
        return min(self.tiles, _COLUMNS)

    @property
    def rows(self) -> int:
        return -(-self.tiles // _COLUMNS)

    def as_dict(self) -> dict[str, float]:
        return {
            "interval": self.interval,
            "tiles": self.tiles,
            "columns": self.columns,
            "rows": self.rows,
            "tile_width": self.width,
            "tile_height": self.height,
        }


def _sheet(video: VideoFacts, duration: float, wished: float | None) -> _Sheet:
    least = max(duration / _MOST_TILES, 0.001)
    interval = max(wished, least) if wished else max(1.0, math.ceil(least))
    tiles = min(max(1, math.ceil(duration / interval - 0.01)), _MOST_TILES)
    width, height = _within(video, _TILE_WIDTH, _TALLEST_TILE)
    return _Sheet(interval, tiles, width, height)


def _vtt(sheet: _Sheet, duration: float, picture: str) -> Iterator[str]:
    """WebVTT whose cues name a part of a picture (W3C Media Fragments, 4.2.2)."""
    yield "WEBVTT"
    for tile in range(sheet.tiles):
        start = tile * sheet.interval
        end = duration if tile == sheet.tiles - 1 else start + sheet.interval
        left = tile % _COLUMNS * sheet.width
        top = tile // _COLUMNS * sheet.height
        yield ""
        yield f"{_clock(start)} --> {_clock(end)}"
        yield f"{picture}#xywh={left},{top},{sheet.width},{sheet.height}"
    yield ""


def _clock(seconds: float) -> str:
    milliseconds = round(seconds * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{milliseconds // 1000:02}.{milliseconds % 1000:03}"


def _one_picture(video: VideoFacts, steps: tuple[str, ...]) -> tuple[str, ...]:
    graph = ",".join((colours_of(video), *steps))
    return ("-filter_complex", f"[0:V:0]{graph}[v]", "-map", "[v]", "-frames:v", "1", *_QUALITY)


def _within(video: VideoFacts, width: int, height: int) -> tuple[int, int]:
    """The picture's size in a box, never larger than it is."""
    factor = min(1.0, width / video.width, height / video.height)
    return max(1, round(video.width * factor)), max(1, round(video.height * factor))
