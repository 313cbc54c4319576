"""Which steps follow from the options, and how they work together; HLS, facts, digest."""

from __future__ import annotations

import hashlib
import re
import threading
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from resumable.processing.chain import Chain, chain_for
from resumable.processing.failures import Cancelled, ProcessingFailed, Refused
from resumable.processing.options import parse
from resumable.processing.streaming import Hls
from resumable.processing.work import Outcome, Work
from tests.processing.conftest import MakeWork
from tests.processing.media import Media, near


@pytest.mark.parametrize(
    ("options", "steps"),
    [
        ({}, []),
        ({"convertToMp4": False}, []),
        ({"convertToMp4": True}, ["mp4", "probe"]),
        ({"frame": True}, ["mp4", "probe"]),
        ({"frame": True, "convertToMp4": False}, ["overlay", "probe"]),
        ({"repair": True}, ["repair", "probe"]),
        ({"repair": True, "convertToMp4": True}, ["mp4", "probe"]),
        ({"trimStart": 1}, ["mp4", "probe"]),
        ({"audioGain": 3, "convertToMp4": False}, ["overlay", "probe"]),
        ({"hls": True}, ["mp4", "probe", "hls"]),
        ({"poster": True}, ["probe", "poster"]),
        ({"sha256": True}, ["sha256"]),
        ({"probe": True}, ["probe"]),
        (
            {"convertToMp4": True, "poster": True, "sprite": True, "hls": True, "sha256": True},
            ["mp4", "probe", "poster", "sprite", "hls", "sha256"],
        ),
    ],
)
def test_steps_follow_from_the_options(options: dict[str, Any], steps: list[str]) -> None:
    chain = chain_for(parse(options))
    assert [step.name for step in chain.steps] == steps
    assert bool(chain) == bool(steps)


def test_everything_at_once(work: MakeWork, media: Media) -> None:
    """The pictures and the stream are those of the new recording; the digest is the old one's."""
    options = {
        "convertToMp4": True,
        "frame": True,
        "frameSize": 20,
        "frameColorStart": "#ff0000",
        "poster": True,
        "sprite": True,
        "hls": True,
        "hlsSegment": 2,
        "sha256": True,
    }
    heard: list[float] = []
    task = work(media.colours(), options, report=lambda done, left: heard.append(done))
    outcome = chain_for(task.wishes)(task)
    roles = [result.role for result in outcome.results]
    assert roles == [
        "video", "poster", "sprite", "thumbnails", "segment", "segment", "segment", "playlist"
    ]  # fmt: skip
    assert outcome.facts["sha256"] == hashlib.sha256(task.source.read_bytes()).hexdigest()
    assert outcome.facts["source"]["video"]["codec"] == "vp8"
    poster = Image.open(outcome.results[1].path).convert("RGB")
    assert poster.size == (360, 280)
    assert near(poster.getpixel((180, 2)), (250, 0, 0), 16)
    assert heard == sorted(heard)
    assert heard[-1] == 1.0
    names = {path.name for path in task.folder.iterdir()}
    assert names == {result.name for result in outcome.results}


def test_the_playlist_names_its_pieces(work: MakeWork, media: Media) -> None:
    task = work(media.colours(), {"hls": True, "hlsSegment": 2})
    outcome = chain_for(task.wishes)(task)
    playlist = outcome.results[-1]
    text = playlist.path.read_text()
    assert "#EXT-X-ENDLIST" in text
    assert "#EXT-X-PLAYLIST-TYPE:VOD" in text
    named = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert set(playlist.mentions) == {"init.mp4", *named}
    assert 'URI="init.mp4"' in text
    seconds = [float(one) for one in re.findall(r"#EXTINF:([\d.]+)", text)]
    assert seconds == pytest.approx([2.0, 2.0], abs=0.1)
    # It plays from the beginning to the end, and from each piece.
    joined = task.folder / "joined.mp4"
    joined.write_bytes(b"".join((task.folder / name).read_bytes() for name in playlist.mentions))
    assert len(media.digests(joined)) == 40
    assert near(media.picture(joined, 2.5).getpixel((160, 120)), (0, 0, 254), 10)


def test_a_stream_of_sound_alone(work: MakeWork, media: Media) -> None:
    source = media.make("long.ogg", "-f", "lavfi", "-i", "sine=d=5", "-c:a", "libopus")
    task = work(source, {"hls": True, "hlsSegment": 2})
    results = chain_for(task.wishes)(task).results
    assert [result.role for result in results][:2] == ["audio", "segment"]
    assert results[-1].facts["segments"] >= 2


def test_other_codecs_are_no_stream(work: MakeWork) -> None:
    with pytest.raises(Refused, match="has to become an MP4 first"):
        Hls()(work("recorded.webm"))


class Counting:
    """A step of the app's own."""

    name = "counting"
    share = 1.0
    of_result = True

    def __init__(self) -> None:
        self.seen: list[Path] = []

    def __call__(self, work: Work) -> Outcome:
        self.seen.append(work.source)
        work.report(0.5, None)
        return Outcome(facts={"counted": work.source.stat().st_size})


def test_the_app_adds_a_step(work: MakeWork) -> None:
    counting = Counting()
    task = work("tab_accept.webm", {"repair": True})
    outcome = chain_for(task.wishes, [counting])(task)
    assert counting.seen == [outcome.results[0].path]
    assert outcome.facts["counted"] == outcome.results[0].size
    assert [step.name for step in chain_for(parse({}), [counting]).steps] == ["counting"]


def test_any_file_has_a_digest(work: MakeWork, tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"no recording at all")
    task = work(path, {"sha256": True})
    assert chain_for(task.wishes)(task).facts == {
        "sha256": hashlib.sha256(b"no recording at all").hexdigest()
    }


def test_a_cancel_ends_the_chain_in_any_step(work: MakeWork, media: Media) -> None:
    options = {"convertToMp4": True, "poster": True, "sha256": True}
    steps = len(chain_for(parse(options)).steps)
    for number in range(steps):
        task = work(media.colours(), options, cancel=threading.Event())
        chain = chain_for(task.wishes)
        before, after = chain.steps[:number], chain.steps[number:]
        with pytest.raises(Cancelled):
            Chain((*before, Cancelling(), *after))(task)


class Cancelling(Counting):
    """Somebody calls the work off while this step runs."""

    def __call__(self, work: Work) -> Outcome:
        work.cancel.set()
        return Outcome()


def test_the_first_step_that_fails_ends_the_chain(work: MakeWork, tmp_path: Path) -> None:
    path = tmp_path / "upload.webm"
    path.write_bytes(b"a text")
    counting = Counting()
    task = work(path, {"convertToMp4": True})
    with pytest.raises(ProcessingFailed):
        chain_for(task.wishes, [counting])(task)
    assert counting.seen == []
