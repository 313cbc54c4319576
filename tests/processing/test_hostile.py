"""Files that want to be read as something else: refused or bounded, their canaries untouched."""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from resumable.processing.chain import chain_for
from resumable.processing.converting import Mp4
from resumable.processing.failures import LimitReached, ProcessingFailed, Refused
from resumable.processing.inputs import Input
from resumable.processing.options import parse
from resumable.processing.probing import probe
from resumable.processing.program import Program
from resumable.processing.work import Work
from tests.processing.conftest import FAST, MakeWork
from tests.processing.media import FIXTURES, Media

EVERYTHING = {
    "convertToMp4": True, "frame": True, "poster": True, "sprite": True, "hls": True
}  # fmt: skip
HOSTILE = FIXTURES / "hostile"
DASH = """<?xml version="1.0"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT1S"
 profiles="urn:mpeg:dash:profile:isoff-on-demand:2011" minBufferTime="PT1S">
<Period><AdaptationSet mimeType="video/mp2t"><Representation id="1" bandwidth="9">
<BaseURL>private.ts</BaseURL></Representation></AdaptationSet></Period></MPD>
"""
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg"><image href="private.png" width="9" height="9"/></svg>'
)


@dataclass
class Room:
    """A folder with somebody else's recording in it, and a port where nobody shall call."""

    folder: Path
    canary: Path
    listener: socket.socket

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    def upload(self, name: str, data: bytes | str) -> Path:
        path = self.folder / name
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return path

    def check_untouched(self) -> None:
        # An access time before the modification time is set anew by any read, whatever the mount.
        assert self.canary.stat().st_atime == 1.0, "the canary was read"
        with pytest.raises(BlockingIOError):
            self.listener.accept()


@pytest.fixture
def room(media: Media, tmp_path: Path) -> Iterator[Room]:
    folder = tmp_path / "uploads"
    folder.mkdir()
    made = media.make(
        "private.ts",
        *("-f", "lavfi", "-i", "testsrc2=s=64x36:r=25:d=1", "-c:v", "mpeg2video", "-f", "mpegts"),
    )
    canary = folder / "private.ts"
    shutil.copy(made, canary)
    (folder / "private.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    os.utime(canary, (1.0, time.time()))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield Room(folder, canary, listener)


def texts(room: Room) -> dict[str, str]:
    port, canary = room.port, room.canary
    segment = "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:1.0,\n{}\n#EXT-X-ENDLIST\n"
    return {
        "concat_rel": (HOSTILE / "concat_rel.mp4").read_text(),
        "concat_abs": f"ffconcat version 1.0\nfile '{canary}'\n",
        "concat_http": f"ffconcat version 1.0\nfile 'http://127.0.0.1:{port}/x.ts'\n",
        "hls_file": (HOSTILE / "hls_file.mp4").read_text(),
        "hls_abs": segment.format(f"file:{canary}"),
        "hls_http": segment.format(f"http://127.0.0.1:{port}/ssrf.ts"),
        "dash": DASH,
        "dash_http": DASH.replace("private.ts", f"http://127.0.0.1:{port}/x.ts"),
        "svg": SVG,
        "text": "Dear reader, this is no recording.\n",
        "sdp": f"v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=video {port} RTP/AVP 96\n",
    }


NAMES = [
    "concat_rel", "concat_abs", "concat_http", "hls_file", "hls_abs", "hls_http", "dash",
    "dash_http", "svg", "text", "sdp",
]  # fmt: skip


def canary_is_sensitive(room: Room) -> bool:
    """Whether a read would be seen at all."""
    probe_file = room.folder / "probe"
    probe_file.write_bytes(b"x")
    os.utime(probe_file, (1.0, time.time()))
    probe_file.read_bytes()
    return probe_file.stat().st_atime != 1.0


@pytest.mark.parametrize("extension", ["mp4", "webm", "m3u8"])
@pytest.mark.parametrize("name", NAMES)
def test_a_text_is_refused_and_nobody_is_asked(
    work: MakeWork, room: Room, name: str, extension: str
) -> None:
    if not canary_is_sensitive(room):
        pytest.skip("this file system keeps no access times: the canary would see nothing")
    path = room.upload(f"upload.{extension}", texts(room)[name])
    task = work(path, EVERYTHING)
    with pytest.raises(Refused, match="is not a recording") as caught:
        chain_for(task.wishes)(task)
    assert caught.value.message.count(".") == 1
    assert list(task.folder.iterdir()) == []
    room.check_untouched()


@pytest.mark.parametrize("reader", ["video/webm", "video/mp4", "audio/ogg", "audio/mpeg"])
@pytest.mark.parametrize("name", NAMES)
def test_ffmpeg_itself_reads_no_other_file(
    work: MakeWork, room: Room, name: str, reader: str
) -> None:
    """The second wall: were a text let through, its forced reader would not follow it."""
    path = room.upload("upload.m3u8", texts(room)[name])
    task = work(path)
    with pytest.raises(ProcessingFailed):
        probe(Input(path, reader, path.stat().st_size), task.runner)
    room.check_untouched()


def test_the_canary_sings(room: Room, program: Program) -> None:
    """Without our arguments these files do what they want: else the tests above prove nothing."""
    if not canary_is_sensitive(room):
        pytest.skip("this file system keeps no access times: the canary would see nothing")
    path = room.upload("upload.mp4", texts(room)["concat_rel"])
    command = [program.path, "-v", "error", "-nostdin", "-i", str(path), "-f", "null", "-"]
    subprocess.run(command, capture_output=True, check=False, timeout=60)
    with pytest.raises(AssertionError, match="the canary was read"):
        room.check_untouched()
    path = room.upload("upload.m3u8", texts(room)["concat_http"])
    unsafe = ["-safe", "0", "-protocol_whitelist", "file,http,tcp", "-f", "concat"]
    with subprocess.Popen(
        [program.path, "-v", "error", "-nostdin", *unsafe, "-i", str(path), "-f", "null", "-"],
        stderr=subprocess.DEVNULL,
    ) as child:
        room.listener.settimeout(30)
        room.listener.accept()[0].close()
        child.kill()


def test_a_movie_that_refers_to_another_file_is_not_followed(
    work: MakeWork, room: Room, media: Media
) -> None:
    """QuickTime may keep its samples elsewhere (`dref`); the reader is told not to look there."""
    path = room.upload("upload.mov", media.make(
        "plain.mov", "-f", "lavfi", "-i", "testsrc2=s=64x36:r=10:d=1", "-c:v", "mpeg4"
    ).read_bytes())  # fmt: skip
    data = path.read_bytes()
    assert b"url \x00\x00\x00\x01" in data
    elsewhere = b"alis\x00\x00\x00\x00"
    path.write_bytes(data.replace(b"url \x00\x00\x00\x01", elsewhere))
    task = work(path, {"convertToMp4": True})
    assert_result_or_sentence(task)
    room.check_untouched()


@pytest.mark.parametrize(
    "options", [EVERYTHING, {"convertToMp4": True}, {"repair": True}, {"poster": True}]
)
def test_a_bomb_of_pixels_is_stopped_at_once(work: MakeWork, options: dict[str, Any]) -> None:
    """Before it is decoded: under an address space that the pictures would not fit into."""
    task = work("hostile/bomb.mp4", options, limits={"memory": 1_000_000_000})
    with pytest.raises(LimitReached, match=r"16000 x 16000 is larger than the \d+ pixels"):
        chain_for(task.wishes)(task)


def test_a_bomb_that_hides_its_size_is_stopped_by_the_decoder(work: MakeWork) -> None:
    """The second wall: the limit is on each decoded picture."""
    task = work("hostile/bomb.mp4")
    path = task.folder / "out.mp4"
    arguments = (*task.input.arguments(task.settings.limits), "-f", "null", "-")
    with pytest.raises(LimitReached, match=r"larger than|needed more"):
        task.runner.run(arguments)
    assert not path.exists()


@pytest.mark.parametrize("memory", [700_000_000, 1_100_000_000])
def test_a_bomb_of_memory_ends_within_its_limit(work: MakeWork, memory: int) -> None:
    limits = {"pixels": 16_000 * 16_000, "memory": memory, "seconds": 60}
    if sys.platform != "linux":
        pytest.skip("the limit of memory is Linux's")
    task = work("hostile/bomb.mp4", {"convertToMp4": True}, limits=limits)
    began = time.monotonic()
    with pytest.raises(LimitReached, match="of memory"):
        chain_for(task.wishes)(task)
    assert time.monotonic() - began < 50


def test_an_empty_file(work: MakeWork, tmp_path: Path) -> None:
    path = tmp_path / "upload.webm"
    path.touch()
    with pytest.raises(Refused, match="The file is empty: there is nothing to process"):
        Mp4()(work(path))


def test_ten_hours_claimed_by_a_header_cost_nothing(work: MakeWork, media: Media) -> None:
    """The packets are counted, so the claim neither frightens us nor reaches the result."""
    source = media.make(
        "one_second.webm", "-f", "lavfi", "-i", "testsrc2=s=64x36:r=10:d=1", "-c:v", "libvpx"
    )
    data = source.read_bytes()
    at = data.index(b"\x44\x89\x88") + 3
    claim = source.with_name("claimed.webm")
    claim.write_bytes(data[:at] + bytes.fromhex("4181940400000000") + data[at + 8 :])
    task = work(claim, {**EVERYTHING, "fps": 30})
    video = chain_for(task.wishes)(task).results[0]
    assert video.facts["duration"] == pytest.approx(1.0, abs=0.1)


def test_ten_hours_between_two_packets_are_refused(work: MakeWork, media: Media) -> None:
    source = media.make(
        "far_apart.webm",
        *("-f", "lavfi", "-i", "testsrc2=s=64x36:r=1:d=2", "-c:v", "libvpx"),
        *("-vf", "setpts=PTS*36000", "-fps_mode", "vfr"),
    )
    task = work(source, {**EVERYTHING, "fps": 30})
    with pytest.raises(LimitReached, match="The recording lasts 10 h"):
        chain_for(task.wishes)(task)


def test_a_name_is_no_description(work: MakeWork, media: Media) -> None:
    """What a file says of itself stands in the words of ffmpeg that are listened to."""
    told = (
        "x\nStream mapping:\nOutput #0\n"
        "  Stream #0:0: Video: h264 (High), yuv420p, 64x36, 10 fps\nStream mapping:\n"
    )
    source = media.make(
        "boasting.mkv",
        *("-f", "lavfi", "-i", "testsrc2=s=64x36:r=10:d=1", "-c:v", "libvpx"),
        *("-metadata", f"title={told}", "-metadata:s:v", f"title={told}"),
    )
    (result,) = Mp4()(work(source)).results
    assert result.facts["video"]["codec"] == "h264"
    assert len(media.digests(result.path)) == 10


def test_a_truncated_mp4_says_so(work: MakeWork, media: Media, tmp_path: Path) -> None:
    source = media.make(
        "whole.mp4", "-f", "lavfi", "-i", "testsrc2=s=64x36:r=10:d=1", "-c:v", "libx264"
    )
    path = tmp_path / "cut.mp4"
    path.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    with pytest.raises(Refused, match="ends before its index"):
        Mp4()(work(path))


def test_more_tracks_than_anybody_records(work: MakeWork, media: Media) -> None:
    tracks = ("-map", "0:a") * 40
    source = media.make(
        "tracks.mkv", "-f", "lavfi", "-i", "sine=d=0.1", *tracks, "-c:a", "pcm_s16le"
    )
    task = work(source, {"convertToMp4": True})
    assert_result_or_sentence(task)


def test_codecs_that_nobody_records_are_not_decoded(work: MakeWork, media: Media) -> None:
    source = media.make(
        "rare.mkv", "-f", "lavfi", "-i", "testsrc2=s=64x36:r=10:d=0.5", "-c:v", "ffv1"
    )
    with pytest.raises(Refused, match="codec that is not accepted"):
        Mp4()(work(source))


def assert_result_or_sentence(work: Work) -> None:
    try:
        outcome = chain_for(work.wishes)(work)
    except ProcessingFailed as error:
        sentence = error.message
    else:
        assert outcome.results[0].facts["duration"] > 0
        return
    assert "\n" not in sentence
    assert len(sentence) < 500


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", ["tab_accept.webm", "camera.mp4"])
def test_noise_in_a_recording_never_breaks_more_than_itself(
    work: MakeWork, tmp_path: Path, name: str, seed: int
) -> None:
    """Whatever becomes of it, it is a result or one sentence, and in time."""
    data = bytearray((FIXTURES / name).read_bytes())
    chance = random.Random(seed)
    for _ in range(200):
        data[chance.randrange(len(data))] = chance.randrange(256)
    path = tmp_path / "noisy.webm"
    path.write_bytes(data)
    for options in ({"repair": True}, {"width": 160}):
        assert_result_or_sentence(work(path, options, limits={"seconds": 60}))


def test_names_are_no_arguments(program: Program, tmp_path: Path) -> None:
    """A path may hold what a program would take for an option, a protocol, or a pattern."""
    folder = tmp_path / "-i http:%d"
    folder.mkdir()
    source = folder / "concat:a|b %03d'.webm"
    shutil.copy(FIXTURES / "recovered_after_reload.webm", source)
    scratch = tmp_path / "100% [x];'"
    scratch.mkdir()
    wishes = parse({**EVERYTHING, "width": 64})
    outcome = chain_for(wishes)(Work(source, scratch, wishes, FAST))
    assert {path.name for path in scratch.iterdir()} == {one.name for one in outcome.results}
