"""A picture that is copied without a look before: right guesses, and wrong ones that cost a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from resumable.processing.converting import Mp4
from resumable.processing.copying import kept
from resumable.processing.failures import LimitReached, ProgramMissing, Refused
from resumable.processing.running import Run, Runner
from tests.processing.conftest import MakeWork
from tests.processing.media import Media

CARD = ("-f", "lavfi", "-i", "testsrc2=s=64x36:r=10:d=1")
TONE = ("-f", "lavfi", "-i", "sine=d=1")
H264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p")

RIGHT = {
    "opus.mkv": (*CARD, *TONE, *H264, "-c:a", "libopus"),
    "silent.mkv": (*CARD, *H264),
    "aac.mp4": (*CARD, *TONE, *H264, "-c:a", "aac"),
    "silent.mov": (*CARD, *H264),
}
WRONG = {
    "aac.mkv": (*CARD, *TONE, *H264, "-c:a", "aac"),
    "mp3.mp4": (*CARD, *TONE, *H264, "-c:a", "libmp3lame"),
    "vp8.mkv": (*CARD, *TONE, "-c:v", "libvpx", "-c:a", "libopus"),
    "vp9.mp4": (*CARD, *TONE, "-c:v", "libvpx-vp9", "-c:a", "aac"),
    "rich.mp4": (*CARD, "-c:v", "libx264", "-pix_fmt", "yuv444p"),
    "sound.mkv": (*TONE, "-c:a", "libopus"),
    "sound.mp4": (*TONE, "-c:a", "aac"),
}


def is_look(arguments: Sequence[str]) -> bool:
    return "0.001" in arguments


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_guess_needs_one_run_and_makes_what_a_look_would(
    work: MakeWork, media: Media, asked: list[Sequence[str]], name: str
) -> None:
    source = media.make(name, *RIGHT[name])
    (result,) = Mp4()(work(source)).results
    assert len(asked) == 1
    data = result.path.read_bytes()
    task = work(source)
    (looked,) = kept(task, task.outline).results
    assert looked.path.read_bytes() == data
    assert looked.facts == result.facts


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_guess_ends_soon_and_leaves_nothing(
    work: MakeWork, media: Media, asked: list[Sequence[str]], name: str
) -> None:
    task = work(media.make(name, *WRONG[name]))
    (result,) = Mp4()(task).results
    source = f"file:{task.source}"
    looks = [is_look(one) for one in asked if source in one]
    assert len(looks) >= 2
    assert not any(looks)
    facts = result.facts
    assert facts["duration"] == pytest.approx(1.0, abs=0.15)
    assert facts["audio"] is None or facts["audio"]["codec"] == "aac"
    assert facts["video"] is None or facts["video"]["pixel_format"] == "yuv420p"
    assert (facts["video"] is None) == name.startswith("sound")
    assert list(task.folder.iterdir()) == [result.path]


def test_sound_that_may_stay_is_not_encoded_by_a_guess(work: MakeWork, media: Media) -> None:
    source = media.make("aac.mkv", *WRONG["aac.mkv"])
    (result,) = Mp4()(work(source)).results
    sound = ("-map", "0:a:0", "-c", "copy", "-f", "adts", "-")
    assert media.run("-i", str(result.path), *sound) == media.run("-i", str(source), *sound)


@pytest.mark.parametrize(
    ("name", "options"), [("camera_vp8.webm", {}), ("camera_h264.webm", {"width": 64})]
)
def test_nothing_is_guessed_where_it_would_be_wrong(
    work: MakeWork, asked: list[Sequence[str]], name: str, options: dict[str, Any]
) -> None:
    Mp4()(work(name, options))
    assert not any("copy" in one and "mp4" in one for one in asked)


def test_nothing_is_guessed_of_what_is_known(
    work: MakeWork, media: Media, asked: list[Sequence[str]]
) -> None:
    task = work(media.make("aac.mkv", *WRONG["aac.mkv"]))
    assert task.facts.audio is not None
    asked.clear()
    Mp4()(task)
    assert len(asked) == 1


def test_a_picture_that_is_too_large_ends_the_guess(
    work: MakeWork, media: Media, asked: list[Sequence[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its description, whether or not its reader minds it."""
    task = work("hostile/bomb.mp4", {"convertToMp4": True})
    with pytest.raises(LimitReached, match=r"16000 x 16000 is larger than the \d+ pixels"):
        Mp4()(task)
    assert len(asked) == 1


@pytest.mark.parametrize("failure", [Refused("No."), ProgramMissing("No.")])
def test_what_fails_before_it_is_described_is_left_to_a_look(
    work: MakeWork, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    run = Runner.run

    def fails_first(self: Runner, arguments: Sequence[str], **rest: Any) -> Run:
        monkeypatch.setattr(Runner, "run", run)
        raise failure

    monkeypatch.setattr(Runner, "run", fails_first)
    (result,) = Mp4()(work("camera_h264.webm")).results
    assert result.facts["video"]["frames"] == 100


def test_a_run_that_describes_nothing_is_not_believed(
    work: MakeWork, asked: list[Sequence[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Runner.run

    def mute(self: Runner, arguments: Sequence[str], **rest: Any) -> Run:
        return run(self, arguments, **{**rest, "described": None})

    monkeypatch.setattr(Runner, "run", mute)
    (result,) = Mp4()(work("camera_h264.webm")).results
    assert list(map(is_look, asked)) == [False, True, False]
    assert result.facts["video"]["frames"] == 100


def test_a_right_guess_that_fails_is_no_guess(
    work: MakeWork, asked: list[Sequence[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What fails after that would fail again."""
    run = Runner.run

    def breaks(self: Runner, arguments: Sequence[str], **rest: Any) -> Run:
        run(self, arguments, **rest)
        raise Refused("It ended badly.")

    monkeypatch.setattr(Runner, "run", breaks)
    with pytest.raises(Refused, match="ended badly"):
        Mp4()(work("camera_h264.webm"))
    assert len(asked) == 1


def test_a_guess_at_a_cut_file_has_the_words_of_a_look(
    work: MakeWork, media: Media, tmp_path: Path
) -> None:
    whole = media.make("aac.mp4", *RIGHT["aac.mp4"])
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(Refused, match="ends before its index"):
        Mp4()(work(path))
