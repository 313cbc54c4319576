"""Posters and thumbnails: the right moment, the right size, and cues that fit."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from PIL import Image

from resumable.processing.pictures import Poster, Sprite
from tests.processing.conftest import MakeWork
from tests.processing.media import Media, near

RED, GREEN, BLUE, WHITE = (254, 0, 0), (0, 255, 0), (0, 0, 254), (255, 255, 255)
CUE = re.compile(r"(\S+) --> (\S+)\nsprite\.jpg#xywh=(\d+),(\d+),(\d+),(\d+)")


def opened(path: Path) -> Image.Image:
    return Image.open(io.BytesIO(path.read_bytes())).convert("RGB")


@pytest.mark.parametrize(
    ("at", "colour"), [(0, RED), (0.5, RED), (None, GREEN), (2.5, BLUE), (3.4, WHITE), (99, WHITE)]
)
def test_the_poster_shows_the_wished_moment(
    work: MakeWork, media: Media, at: float | None, colour: tuple[int, int, int]
) -> None:
    (result,) = Poster()(work(media.colours(), {"poster": True, "posterAt": at})).results
    assert (result.role, result.media_type, result.name) == ("poster", "image/jpeg", "poster.jpg")
    picture = opened(result.path)
    assert picture.size == (320, 240)
    assert near(picture.getpixel((160, 120)), colour, 10)


def test_a_poster_late_in_an_indexed_file(work: MakeWork, media: Media) -> None:
    source = media.make(
        "long.mp4",
        *("-f", "lavfi", "-i", "color=red:s=64x36:r=2:d=30", "-f", "lavfi"),
        *("-i", "color=lime:s=64x36:r=2:d=10", "-filter_complex", "[0][1]concat"),
        *("-c:v", "libx264", "-pix_fmt", "yuv420p"),
    )
    for at, colour in ((29.5, RED), (30.6, GREEN)):
        (result,) = Poster()(work(source, {"posterAt": at})).results
        assert near(opened(result.path).getpixel((32, 18)), colour, 10)


def test_a_poster_behind_the_last_frame_shows_it(work: MakeWork) -> None:
    """In recordings of a tab the sound goes on after the last frame."""
    (result,) = Poster()(work("tab_accept.webm", {"posterAt": 4.4})).results
    assert opened(result.path).size == (1280, 720)
    assert result.size < 100_000


def test_the_poster_of_a_large_recording_is_smaller(work: MakeWork, media: Media) -> None:
    source = media.make(
        "wide.webm", "-f", "lavfi", "-i", "color=s=2560x720:r=2:d=1", "-c:v", "libvpx"
    )
    (result,) = Poster()(work(source)).results
    assert opened(result.path).size == (1280, 360)


def test_the_sprite_has_a_tile_for_each_interval(work: MakeWork, media: Media) -> None:
    picture, cues = Sprite()(work(media.colours(), {"spriteInterval": 1})).results
    sheet = opened(picture.path)
    assert sheet.size == (4 * 160, 120)
    text = cues.path.read_text()
    assert text.startswith("WEBVTT\n\n")
    found = CUE.findall(text)
    assert [(start, end) for start, end, *_ in found] == [
        ("00:00:00.000", "00:00:01.000"),
        ("00:00:01.000", "00:00:02.000"),
        ("00:00:02.000", "00:00:03.000"),
        ("00:00:03.000", found[-1][1]),
    ]
    for (*_, x, y, width, height), colour in zip(found, (RED, GREEN, BLUE, WHITE), strict=True):
        middle = int(x) + int(width) // 2, int(y) + int(height) // 2
        assert near(sheet.getpixel(middle), colour, 10)
    assert (cues.role, cues.media_type, cues.mentions) == (
        "thumbnails", "text/vtt", ("sprite.jpg",)
    )  # fmt: skip


def test_a_long_recording_has_a_hundred_tiles_at_most(work: MakeWork, media: Media) -> None:
    source = media.make(
        "minutes.webm", "-f", "lavfi", "-i", "color=s=64x36:r=1:d=130", "-c:v", "libvpx"
    )
    picture, cues = Sprite()(work(source, {"spriteInterval": 0.5})).results
    assert picture.facts["tiles"] == 100
    assert opened(picture.path).size == (10 * 64, 10 * 36)
    assert len(CUE.findall(cues.path.read_text())) == 100
    picture, _ = Sprite()(work(source)).results
    assert picture.facts["interval"] == 2.0
    assert picture.facts["tiles"] == 65


def test_tiles_after_the_last_frame_are_not_black(work: MakeWork) -> None:
    picture, _ = Sprite()(work("tab_accept.webm", {"spriteInterval": 0.5})).results
    assert picture.facts["tiles"] in (10, 11)
    last = 9 * 160 + 150, 80
    assert near(opened(picture.path).getpixel(last), WHITE, 12)


def test_of_sound_alone_there_are_no_pictures(work: MakeWork, media: Media) -> None:
    source = media.make("tone.ogg", "-f", "lavfi", "-i", "sine=d=1", "-c:a", "libopus")
    for processor, what in ((Poster(), "poster"), (Sprite(), "sprite")):
        outcome = processor(work(source))
        assert outcome.results == ()
        assert outcome.notes == (f"There is no picture in this recording, so no {what} was made.",)
