"""What a recording is, read from it by ffmpeg alone."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from resumable.processing.failures import LimitReached, Refused
from resumable.processing.inputs import Input
from resumable.processing.probing import _parsed
from tests.processing.conftest import MakeWork
from tests.processing.media import Media


@pytest.mark.parametrize(
    ("name", "media_type", "codec", "seconds", "frames", "fps"),
    [
        ("recorded.webm", "video/webm", "vp8", 4.93, 75, None),
        ("tab_accept.webm", "video/webm", "vp8", 4.96, 85, None),
        ("camera_vp8.webm", "video/webm", "vp8", 4.92, 41, None),
        ("camera_av1.webm", "video/webm", "av1", 4.92, 99, 20.0),
        ("camera_h264.webm", "video/x-matroska", "h264", 4.95, 100, 20.0),
        ("camera.mp4", "video/mp4", "vp9", 4.95, 99, 20.01),
        ("recovered_after_reload.webm", "video/webm", "vp8", 2.56, 50, None),
    ],
)
def test_recordings_are_known(
    work: MakeWork,
    name: str,
    media_type: str,
    codec: str,
    seconds: float,
    frames: int,
    fps: float | None,
) -> None:
    facts = work(name).facts
    assert facts.video is not None
    assert facts.audio is not None
    assert facts.media_type == media_type
    assert facts.duration == pytest.approx(seconds, abs=0.1)
    assert (facts.video.codec, facts.video.frames, facts.video.fps) == (codec, frames, fps)
    assert (facts.video.width, facts.video.height) == (1280, 720)
    assert (facts.audio.codec, facts.audio.rate, facts.audio.channels) == ("opus", 48000, "mono")
    assert facts.as_dict()["video"]["codec"] == codec


def test_what_is_seen_is_rotated_and_has_square_pixels(media: Media, work: MakeWork) -> None:
    plain = ("-f", "lavfi", "-i", "testsrc2=s=64x36:r=10:d=0.5", "-c:v", "libx264")
    wide = media.make("wide.mp4", *plain, "-vf", "setsar=2/1")
    video = work(wide).facts.video
    assert video is not None
    assert (video.width, video.height, video.coded_width) == (128, 36, 64)
    upright = media.make("upright.mp4", *plain)
    data = upright.read_bytes()
    at = data.index(b"tkhd") + 4 + 40
    unit, none = (0x10000).to_bytes(4, "big"), bytes(4)
    turned = b"".join((none, unit, none, (0xFFFF0000).to_bytes(4, "big"), none, none, none, none))
    upright.write_bytes(data[:at] + turned + data[at + 32 :])
    video = work(upright).facts.video
    assert video is not None
    assert video.rotation in (90, 270)
    assert (video.width, video.height, video.coded_width) == (36, 64, 64)


def test_sound_alone_is_a_recording(media: Media, work: MakeWork) -> None:
    path = media.make("sound.ogg", "-f", "lavfi", "-i", "sine=d=1", "-c:a", "libopus")
    facts = work(path).facts
    assert facts.video is None
    assert facts.audio is not None
    assert facts.duration == pytest.approx(1.0, abs=0.1)


def test_a_long_header_is_not_believed(media: Media, work: MakeWork) -> None:
    """A file of one second may call itself ten hours long: its packets are counted."""
    assert work(claiming(media, 36_000.0)).facts.duration == pytest.approx(1.0, abs=0.1)


def claiming(media: Media, seconds: float) -> Path:
    """A second of Matroska whose header claims another duration."""
    path = media.make(
        "second.webm", "-f", "lavfi", "-i", "testsrc2=s=64x36:r=10:d=1", "-c:v", "libvpx"
    )
    data = bytearray(path.read_bytes())
    at = data.index(b"\x44\x89\x88") + 3
    data[at : at + 8] = struct.pack(">d", seconds * 1000)
    claim = path.with_name("claim.webm")
    claim.write_bytes(data)
    return claim


def test_packets_that_lie_ten_hours_apart_are_too_long(media: Media, work: MakeWork) -> None:
    path = media.make(
        "ten_hours.webm",
        *("-f", "lavfi", "-i", "testsrc2=s=64x36:r=1:d=2", "-c:v", "libvpx"),
        *("-vf", "setpts=PTS*36000", "-fps_mode", "vfr"),
    )
    with pytest.raises(LimitReached, match="lasts 10 h; at most 4 h are processed here"):
        _ = work(path).facts


def test_too_many_pixels(work: MakeWork) -> None:
    with pytest.raises(LimitReached, match=r"larger than.* 10000 pixels"):
        _ = work("recorded.webm", limits={"pixels": 10_000}).facts
    with pytest.raises(LimitReached, match="16000 x 16000 is larger than the 35389440 pixels"):
        _ = work("hostile/bomb.mp4").facts


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "The file is empty"),
        (b"Hello, this is a text.", "is not a recording: it begins like no"),
        (b"\x89PNG\r\n\x1a\n" + bytes(99), "is not a recording but image/png"),
        (b"\x1aE\xdf\xa3" + b"webm" * 99, "damaged, or it is not a recording"),
        (bytes(4) + b"ftypisom" + bytes(99), "damaged|ends before its index"),
    ],
)
def test_what_is_no_recording(work: MakeWork, tmp_path: Path, data: bytes, sentence: str) -> None:
    path = tmp_path / "upload.webm"
    path.write_bytes(data)
    with pytest.raises(Refused, match=sentence):
        _ = work(path).facts


LOG = """
Input #0, matroska,webm, from 'file:/x':
  Metadata:
    title           : a film
                    :   Stream #0:9: Video: h264 (High), yuv420p, 2x2, 1 fps
  Duration: 01:02:03.50, start: 0.000000, bitrate: N/A
  Stream #0:0(eng): Video: av1 (libdav1d) (Main), yuv420p(pc, bt2020nc/bt2020/smpte2084), \
3840x2160 [SAR 1:1 DAR 16:9], 59.94 fps, 59.94 tbr, 1k tbn
  Stream #0:1[0x2](und): Audio: aac (LC) (mp4a / 0x6134706D), 44100 Hz, 5.1(side), fltp, 341 kb/s
  Stream #0:2: Audio: mp3, 8000 Hz, mono
Output #0, null, to 'pipe:':
  Stream #0:0: Video: wrapped_avframe, yuv420p, 1x1
"""


def test_only_the_input_is_read_and_no_metadata() -> None:
    facts = _parsed(Input(Path("/x"), "video/webm", 9), LOG)
    assert facts.duration == 3723.5
    video, audio = facts.video, facts.audio
    assert video is not None
    assert audio is not None
    assert (video.codec, video.profile, video.width, video.fps) == ("av1", "Main", 3840, 59.94)
    assert (video.matrix, video.full_range) == ("bt2020nc", True)
    assert (audio.codec, audio.rate, audio.channels) == ("aac", 44100, "5.1(side)")
