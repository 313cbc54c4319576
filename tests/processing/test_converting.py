"""MP4 and repair on real recordings: codecs, lengths, frames, index, and what is left alone."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from resumable.processing.chain import chain_for
from resumable.processing.converting import Mp4, Overlay
from resumable.processing.copying import Repair
from resumable.processing.failures import LimitReached, Refused
from resumable.processing.index import seconds_of_mp4
from resumable.processing.work import Outcome
from tests.processing.conftest import MakeWork
from tests.processing.media import Media, boxes, h264_level

# Seconds and frames of what was recorded, counted once by hand.
RECORDINGS = {
    "recorded.webm": (4.99, 75),
    "tab_accept.webm": (5.02, 85),
    "camera_vp8.webm": (4.98, 41),
    "camera_av1.webm": (4.98, 99),
    "camera_h264.webm": (5.0, 100),
    "camera.mp4": (4.95, 99),
    "recovered_after_reload.webm": (2.6, 50),
}


def only(outcome: Outcome) -> Path:
    (result,) = outcome.results
    return result.path


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_recording_becomes_an_mp4_that_plays_everywhere(
    work: MakeWork, media: Media, name: str
) -> None:
    seconds, frames = RECORDINGS[name]
    outcome = Mp4()(work(name))
    (result,) = outcome.results
    facts = result.facts
    assert (result.role, result.media_type, result.name) == ("video", "video/mp4", "video.mp4")
    assert facts["duration"] == pytest.approx(seconds, abs=0.1)
    assert (facts["video"]["codec"], facts["audio"]["codec"]) == ("h264", "aac")
    assert facts["video"]["pixel_format"] == "yuv420p"
    assert facts["video"]["frames"] == frames
    assert len(media.digests(result.path)) == frames
    assert h264_level(result.path) <= 42
    assert boxes(result.path)[:2] == ["ftyp", "moov"]
    assert media.picture(result.path, at=seconds / 2).size == (1280, 720)
    assert outcome.notes == ()


def test_h264_is_copied(work: MakeWork, media: Media) -> None:
    """The packets are the same; only the sound is encoded."""
    made = only(Mp4()(work("camera_h264.webm")))
    assert media.digests(made) == media.digests(work("camera_h264.webm").source)


@pytest.mark.parametrize("options", [{"convertToMp4": True}, {"repair": True}])
def test_a_copy_reads_the_recording_once(
    work: MakeWork, asked: list[Sequence[str]], options: dict[str, Any]
) -> None:
    """The run that copies measures and describes it too; all else is a look at a beginning."""
    heard: list[float] = []
    task = work("camera_h264.webm", options, report=lambda done, left: heard.append(done))
    outcome = chain_for(task.wishes)(task)
    source = outcome.facts["source"]
    assert source["duration"] == pytest.approx(4.95, abs=0.1)
    assert source["video"]["frames"] == outcome.results[0].facts["video"]["frames"] == 100
    # An MP4 is known by ffmpeg's words and its own index.
    looked = [False] if "convertToMp4" in options else [True, False, True]
    assert ["0.001" in one for one in asked] == looked
    assert max(heard[:-1]) > 0.5


@pytest.mark.parametrize("rotated", [False, True])
def test_what_ffmpeg_said_of_a_copy_is_what_a_look_shows(
    work: MakeWork, media: Media, asked: list[Sequence[str]], rotated: bool
) -> None:
    """Where it may not say all, it is looked at."""
    source = work("camera_h264.webm").source
    if rotated and not media.knows("-display_rotation"):
        pytest.skip("this ffmpeg turns no recordings; one from version 6 on does")
    if rotated:
        plain = media.make("camera_upright.mp4", "-i", str(source), "-c:v", "copy", "-t", "2")
        turn = ("-display_rotation", "90", "-i", str(plain), "-c", "copy")
        source = media.make("camera_turned.mp4", *turn)
    task = work(source, {"convertToMp4": True})
    (result,) = Mp4()(task).results
    assert len(asked) == (2 if rotated else 1)
    looked = work(result.path).facts.as_dict()
    # ffmpeg rounds it to hundredths of a second.
    assert result.facts["duration"] == pytest.approx(looked["duration"], abs=0.01)
    assert {**result.facts, "duration": 0.0} == {**looked, "duration": 0.0}
    assert (result.facts["video"]["height"] == 1280) == rotated


def test_a_result_that_is_cut_is_looked_at(work: MakeWork, tmp_path: Path) -> None:
    """The index alone proves nothing: it stands in front of what it tells of."""
    made = only(Mp4()(work("camera_h264.webm")))
    data = made.read_bytes()
    assert seconds_of_mp4(made) == pytest.approx(5.0, abs=0.1)
    for cut in (len(data) - 1, len(data) // 2, data.index(b"mvhd") + 2, 10):
        made.write_bytes(data[:cut])
        assert seconds_of_mp4(made) == 0.0
    made.write_bytes(bytes(64))
    assert seconds_of_mp4(made) == 0.0
    made.write_bytes(data.replace(b"mvhd", b"mvxd"))
    assert seconds_of_mp4(made) == 0.0
    at = data.index(b"mvhd") + 4
    scale, length = data[at + 12 : at + 16], data[at + 16 : at + 20]
    long = b"\x01" + data[at + 1 : at + 12] + bytes(8) + scale + bytes(4) + length
    size = int.from_bytes(data[:4], "big")
    made.write_bytes(
        data[:size]
        + struct.pack(">I", 8 + 8 + len(long))
        + b"moov"
        + struct.pack(">I", 8 + len(long))
        + b"mvhd"
        + long
    )
    assert seconds_of_mp4(made) == pytest.approx(5.0, abs=0.1)


@pytest.mark.parametrize("options", [{"convertToMp4": True}, {"repair": True}])
def test_a_copy_that_turns_out_too_long_is_none(
    work: MakeWork, media: Media, options: dict[str, Any]
) -> None:
    picture = ("-f", "lavfi", "-i", "testsrc2=s=64x36:r=1:d=2", "-pix_fmt", "yuv420p")
    source = media.make(
        "far_apart_h264.webm",
        *(*picture, "-c:v", "libx264", "-bf", "0", "-f", "matroska"),
        *("-vf", "setpts=PTS*36000", "-fps_mode", "vfr"),
    )
    task = work(source, options)
    with pytest.raises(LimitReached, match="The recording lasts 10 h"):
        chain_for(task.wishes)(task)


def test_an_mp4_is_only_put_in_order(work: MakeWork, media: Media) -> None:
    """Nothing is encoded, neither picture nor sound, where both may stay; the index comes first."""
    source = media.make(
        "order.mp4",
        *("-f", "lavfi", "-i", "testsrc2=s=64x36:r=10:d=1", "-f", "lavfi", "-i", "sine=d=1"),
        *("-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac"),
    )
    assert boxes(source).index("moov") > boxes(source).index("mdat")
    made = only(Mp4()(work(source)))
    assert boxes(made).index("moov") < boxes(made).index("mdat")
    assert media.digests(made) == media.digests(source)
    sound = ("-map", "0:a:0", "-c", "copy", "-f", "adts", "-")
    assert media.run("-i", str(made), *sound) == media.run("-i", str(source), *sound)


@pytest.mark.parametrize("pixels", ["yuv444p", "yuv422p"])
def test_h264_that_browsers_do_not_play_is_encoded(
    work: MakeWork, media: Media, pixels: str
) -> None:
    source = media.make(
        f"{pixels}.mp4",
        *("-f", "lavfi", "-i", "testsrc2=s=64x36:r=10:d=0.5", "-c:v", "libx264"),
        *("-pix_fmt", pixels),
    )
    (result,) = Mp4()(work(source)).results
    assert result.facts["video"]["pixel_format"] == "yuv420p"


@pytest.mark.parametrize("size", ["65x37", "64x37", "1x1"])
def test_odd_sizes_become_even(work: MakeWork, media: Media, size: str) -> None:
    source = media.make(
        f"odd{size}.webm",
        *("-f", "lavfi", "-i", "color=s=128x128:r=10:d=0.5"),
        *("-vf", f"format=rgb24,crop={size.replace('x', ':')}", "-c:v", "libvpx"),
    )
    (result,) = Mp4()(work(source)).results
    width, height = map(int, size.split("x"))
    video = work(source).facts.video
    assert video is not None
    assert (video.width, video.height) == (width, height)
    assert result.facts["video"]["width"] == width + width % 2
    assert result.facts["video"]["height"] == height + height % 2


def test_a_window_that_changed_its_size_keeps_all_its_frames(work: MakeWork, media: Media) -> None:
    made = only(Mp4()(work(media.resizing())))
    assert len(media.digests(made)) == 30
    assert media.picture(made, at=1.5).getpixel((310, 230)) == pytest.approx((254, 0, 0), abs=4)


def test_large_pictures_get_a_level_that_is_large_enough(work: MakeWork, media: Media) -> None:
    source = media.make(
        "large.webm",
        *("-f", "lavfi", "-i", "color=s=2560x1440:r=2:d=1", "-c:v", "libvpx", "-b:v", "100k"),
    )
    assert h264_level(only(Mp4()(work(source)))) == 52


def test_pictures_beyond_the_last_level_are_made_smaller(work: MakeWork, media: Media) -> None:
    source = media.make(
        "huge.webm",
        *("-f", "lavfi", "-i", "color=s=6000x3000:r=1:d=1", "-c:v", "libvpx", "-b:v", "100k"),
    )
    (result,) = Mp4()(work(source)).results
    width, height = result.facts["video"]["width"], result.facts["video"]["height"]
    assert 4096 * 2304 * 0.95 < width * height <= 4096 * 2304
    assert width / height == pytest.approx(2.0, abs=0.01)


def test_sound_alone_becomes_an_m4a(work: MakeWork, media: Media) -> None:
    source = media.make("alone.ogg", "-f", "lavfi", "-i", "sine=d=1", "-c:a", "libopus")
    (result,) = Mp4()(work(source)).results
    assert (result.role, result.media_type, result.name) == ("audio", "audio/mp4", "audio.m4a")
    assert result.facts["media_type"] == "audio/mp4"
    assert result.facts["audio"]["codec"] == "aac"
    assert result.facts["duration"] == pytest.approx(1.0, abs=0.1)


def test_the_same_recording_gives_the_same_bytes(
    work: MakeWork, scratch: Path, tmp_path: Path
) -> None:
    """So a job that was done twice has one result."""
    first = only(Mp4()(work("tab_accept.webm"))).read_bytes()
    assert only(Mp4()(work("tab_accept.webm"))).read_bytes() == first


@pytest.mark.parametrize("flipped", [False, True], ids=["cut", "flipped"])
def test_damaged_recordings_give_what_is_in_them(
    work: MakeWork, tmp_path: Path, flipped: bool
) -> None:
    data = bytearray(work("recorded.webm").source.read_bytes())
    if flipped:
        for position in range(50_000, 51_000, 50):
            data[position] ^= 0xFF
    else:
        del data[100_000:]
    path = tmp_path / "damaged.webm"
    path.write_bytes(data)
    for processor in (Repair(), Mp4()):
        (result,) = processor(work(path)).results
        assert result.facts["duration"] > 1.5
        assert result.facts["video"]["frames"] > 20


def test_progress_grows_to_the_end(work: MakeWork) -> None:
    heard: list[tuple[float, float | None]] = []
    Mp4()(work("camera.mp4", report=lambda *told: heard.append(told)))
    shares = [share for share, _ in heard]
    assert shares == sorted(shares)
    assert heard[-1] == (1.0, 0.0)


# ---------------------------------------------------------------- repair


@pytest.mark.parametrize(
    ("name", "made", "media_type"),
    [
        ("recorded.webm", "repaired.webm", "video/webm"),
        ("tab_accept.webm", "repaired.webm", "video/webm"),
        ("recovered_after_reload.webm", "repaired.webm", "video/webm"),
        ("camera_h264.webm", "repaired.mkv", "video/x-matroska"),
        ("camera.mp4", "repaired.mp4", "video/mp4"),
    ],
)
def test_a_repaired_recording_knows_its_length_and_its_key_frames(
    work: MakeWork, media: Media, name: str, made: str, media_type: str
) -> None:
    seconds, frames = RECORDINGS[name]
    (result,) = Repair()(work(name)).results
    assert (result.name, result.media_type) == (made, media_type)
    assert result.facts["media_type"] == media_type
    assert media.digests(result.path) == media.digests(work(name).source)
    assert result.facts["video"]["frames"] == frames
    data = result.path.read_bytes()
    if media_type == "video/mp4":
        assert boxes(result.path)[:2] == ["ftyp", "moov"]
    else:
        # Duration in the header; cues, and they stand before the first cluster (RFC 9559).
        assert b"\x44\x89" in data[:4096]
        assert 0 < data.find(b"\x1c\x53\xbb\x6b") < data.find(b"\x1f\x43\xb6\x75")
    header = work(result.path, limits={}).facts
    assert header.duration == pytest.approx(seconds, abs=0.1)


def test_the_overlay_alone_stays_in_its_kind_of_file(work: MakeWork) -> None:
    frame = {"convertToMp4": False, "frame": True, "width": 64}
    (result,) = Overlay()(work("recorded.webm", frame)).results
    assert (result.name, result.media_type) == ("video.webm", "video/webm")
    assert (result.facts["video"]["codec"], result.facts["audio"]["codec"]) == ("vp9", "opus")
    (result,) = Overlay()(work("camera.mp4", frame)).results
    assert (result.name, result.facts["video"]["codec"]) == ("video.mp4", "h264")


def test_nothing_is_made_of_a_file_without_packets(work: MakeWork, tmp_path: Path) -> None:
    path = tmp_path / "header.webm"
    path.write_bytes(work("recorded.webm").source.read_bytes()[:600])
    with pytest.raises(Refused):
        Mp4()(work(path))
