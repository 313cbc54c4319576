"""Cuts, size, rate and loudness."""

from __future__ import annotations

from pathlib import Path

import pytest

from resumable.processing.converting import Mp4
from resumable.processing.failures import Refused
from tests.processing.conftest import MakeWork
from tests.processing.media import Media, near

RED, GREEN, BLUE, WHITE = (254, 0, 0), (0, 255, 0), (0, 0, 254), (255, 255, 255)


@pytest.fixture(params=["webm", "mp4"])
def colours(request: pytest.FixtureRequest, media: Media) -> Path:
    """Red, green, blue, white, a second each: with an index and without."""
    webm = media.colours()
    if request.param == "webm":
        return webm
    encoded = ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac")
    return media.make("colours.mp4", "-i", str(webm), *encoded)


def test_the_cut_is_exact(work: MakeWork, media: Media, colours: Path) -> None:
    (result,) = Mp4()(work(colours, {"trimStart": 1.5, "trimEnd": 3.5})).results
    assert result.facts["duration"] == pytest.approx(2.0, abs=0.1)
    for at, colour in ((0.0, GREEN), (0.4, GREEN), (0.6, BLUE), (1.4, BLUE), (1.6, WHITE)):
        assert near(media.picture(result.path, at).getpixel((160, 120)), colour, 10), at
    assert media.loudness(result.path) == pytest.approx(media.loudness(colours), rel=0.2)


def test_a_cut_may_be_open_at_the_end(work: MakeWork, media: Media, colours: Path) -> None:
    (result,) = Mp4()(work(colours, {"trimStart": 3})).results
    assert result.facts["duration"] == pytest.approx(1.0, abs=0.1)
    assert near(media.picture(result.path, 0).getpixel((160, 120)), WHITE, 10)
    (result,) = Mp4()(work(colours, {"trimEnd": 60})).results
    assert result.facts["duration"] == pytest.approx(4.0, abs=0.1)


def test_a_cut_begins_with_a_picture(work: MakeWork, media: Media) -> None:
    """Where a tab stood still there is no frame for long; the last one before is still seen."""
    still = media.make(
        "still.webm",
        *("-f", "lavfi", "-i", "color=c=red:s=320x240:r=10:d=4", "-f", "lavfi", "-i", "sine=d=4"),
        *("-vf", "select='eq(n,0)+eq(n,30)'", "-fps_mode", "vfr", "-c:v", "libvpx"),
    )
    (result,) = Mp4()(work(still, {"trimStart": 1})).results
    assert result.facts["duration"] == pytest.approx(3.0, abs=0.1)
    assert near(media.picture(result.path, 0).getpixel((160, 120)), RED, 10)


def test_a_cut_behind_the_end_is_refused(work: MakeWork, colours: Path) -> None:
    with pytest.raises(Refused, match="nothing is left of it from trimStart 9 on"):
        Mp4()(work(colours, {"trimStart": 9}))


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({"width": 160}, (160, 120)),
        ({"height": 60}, (80, 60)),
        ({"width": 100, "height": 100}, (100, 76)),
        ({"width": 640}, (640, 480)),
        ({"width": 101}, (102, 76)),
        ({"width": 160, "frame": True, "frameSize": 10}, (180, 140)),
    ],
)
def test_the_size_fits_into_what_is_wished(
    work: MakeWork, media: Media, options: dict[str, object], size: tuple[int, int]
) -> None:
    (result,) = Mp4()(work(media.colours(), options)).results
    assert (result.facts["video"]["width"], result.facts["video"]["height"]) == size


@pytest.mark.parametrize("fps", [5, 25])
def test_the_rate_is_as_wished(work: MakeWork, media: Media, fps: int) -> None:
    (result,) = Mp4()(work("tab_accept.webm", {"fps": fps, "width": 160})).results
    assert result.facts["video"]["fps"] == fps
    assert result.facts["video"]["frames"] == pytest.approx(4.32 * fps, abs=2)


def test_a_recording_of_many_frames_keeps_sixty(work: MakeWork, media: Media) -> None:
    fast = media.make(
        "fast.mp4", "-f", "lavfi", "-i", "testsrc2=s=64x36:r=240:d=0.5", "-c:v", "mpeg4"
    )
    (result,) = Mp4()(work(fast)).results
    assert result.facts["video"]["frames"] == pytest.approx(30, abs=1)


@pytest.mark.parametrize(("gain", "factor"), [(-20, 0.1), (6, 1.995)])
def test_the_gain_changes_the_sound_alone(
    work: MakeWork, media: Media, gain: float, factor: float
) -> None:
    source = media.make(
        "quiet.mp4",
        *("-f", "lavfi", "-i", "testsrc2=s=64x36:r=10:d=2", "-f", "lavfi", "-i", "sine=d=2"),
        *("-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac"),
    )
    (result,) = Mp4()(work(source, {"audioGain": gain})).results
    louder = media.loudness(result.path) / media.loudness(source)
    assert louder == pytest.approx(factor, rel=0.15)
    assert media.digests(result.path) == media.digests(source)


def test_a_turned_recording_stands_upright(work: MakeWork, media: Media) -> None:
    plain = ("-f", "lavfi", "-i", "testsrc2=s=64x36:r=10:d=0.3", "-c:v", "libx264")
    path = media.make("turned.mp4", *plain, "-pix_fmt", "yuv420p")
    data = path.read_bytes()
    at = data.index(b"tkhd") + 4 + 40
    turned = b"".join(
        number.to_bytes(4, "big") for number in (0, 0x10000, 0, 0xFFFF0000, 0, 0, 0, 0)
    )
    path.write_bytes(data[:at] + turned + data[at + 32 :])
    for options in ({}, {"frame": True, "frameSize": 10}):
        (result,) = Mp4()(work(path, options)).results
        size = (56, 84) if options else (36, 64)
        assert media.picture(result.path).size == size
