"""Every option's type and range, and what is said of those that make no sense."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from resumable.errors import BadRequest
from resumable.processing.options import OPTIONS, Frame, Icon, Rules, Wishes, parse


def test_nothing_is_wished() -> None:
    for options in (None, {}, {"frame": None}, {"frame": False, "label": False}):
        assert parse(options) == Wishes()
        assert parse(options).nothing
    assert parse({"convertToMp4": False}).nothing
    assert not parse({"convertToMp4": True}).nothing


def test_what_the_recorder_page_sends() -> None:
    wishes = parse(
        {
            "convertToMp4": True,
            "frame": True,
            "frameSize": "25",
            "frameColorStart": "#4F46E5",
            "frameColorEnd": "#9333ea",
            "label": True,
            "labelText": "My\u202e recording ",
            "icon": True,
            "iconOpacity": 60,
            "chunkThreshold": 5242880,
            "maxConcurrent": 3,
            "resumable": True,
        }
    )
    assert wishes.mp4
    assert wishes.frame == Frame(25, "#4f46e5", "#9333ea")
    assert wishes.label == "My recording"
    assert wishes.icon == Icon(60)


def test_values_of_what_is_not_wished_do_not_count() -> None:
    wishes = parse({"frameSize": 40, "labelText": "x", "iconOpacity": 20})
    assert wishes == Wishes()


def test_defaults_of_the_page() -> None:
    wishes = parse({"frame": True, "label": True, "icon": True})
    assert wishes.frame == Frame(20, "#4f46e5", "#9333ea")
    assert wishes.label is None
    assert wishes.icon == Icon(60, None)


@pytest.mark.parametrize(
    ("size", "pixels"), [("abc", 30), (-1, 30), (True, 30), (1.5, 30), ("40", 40), (0, 0), (33, 33)]
)
def test_a_frame_size_that_cannot_be_read_is_30(size: Any, pixels: int) -> None:
    frame = parse({"frame": True, "frameSize": size}).frame
    assert frame is not None
    assert frame.size == pixels


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([], "options must be a JSON object"),
        ({"frame": "yes"}, "frame must be true or false"),
        ({"frame": 1}, "frame must be true or false"),
        ({"frameSize": 201}, "frameSize must be a whole number from 0 to 200"),
        ({"frameColorStart": "red"}, "frameColorStart must be a colour such as #4f46e5"),
        ({"frameColorEnd": "#12345"}, "frameColorEnd must be a colour"),
        ({"frameColorEnd": "#123456\n"}, "frameColorEnd must be a colour"),
        ({"labelText": "x" * 201}, "labelText must be a text of at most 200 characters"),
        ({"labelText": 7}, "labelText must be a text"),
        ({"iconOpacity": 101}, "iconOpacity must be a whole number of percent from 0 to 100"),
        ({"iconOpacity": "x"}, "iconOpacity must be a whole number"),
        ({"iconImage": "https://example.com/x.png"}, "iconImage must be a data URL"),
        ({"iconImage": "data:image/svg+xml;base64,AAAA"}, "iconImage must be a data URL"),
        ({"iconImage": "data:image/png;base64," + "A" * 100_000}, "at most 64 KiB"),
        ({"iconImage": "data:image/png;base64,A=A"}, "iconImage is not valid base64"),
        ({"trimStart": -1}, "trimStart must be a number of seconds from 0"),
        ({"trimStart": float("nan")}, "trimStart must be a number"),
        ({"trimStart": "1e3"}, "trimStart must be a number"),
        ({"trimStart": 5, "trimEnd": 5}, "trimEnd must be later than trimStart"),
        ({"width": 15}, "width must be a whole number of pixels from 16 to 8192"),
        ({"height": 10**400}, "height must be a whole number of pixels"),
        ({"fps": 61}, "fps must be a whole number of frames a second from 1 to 60"),
        ({"fps": 29.97}, "fps must be a whole number"),
        ({"audioGain": 31}, "audioGain must be a number of decibels from -60 to 30"),
        ({"spriteInterval": 0.1}, "spriteInterval must be a number of seconds from 0.5"),
        ({"hlsSegment": 0}, "hlsSegment must be a number of seconds from 1 to 60"),
        ({"hls": True, "convertToMp4": False}, "hls needs H.264"),
        ({"colour": "#123456"}, "There is no option 'colour'. Known are audioGain, convertToMp4"),
        ({"framesize": 20}, "There is no option 'framesize'. Did you mean frameSize?"),
        ({"x" * 999: 1}, "There is no option 'x"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(options: Any, sentence: str) -> None:
    with pytest.raises(BadRequest) as caught:
        parse(options)
    assert sentence in caught.value.message
    assert caught.value.code == "bad-options"
    assert len(caught.value.message) < 500


def test_unknown_names_may_be_passed_over() -> None:
    assert parse({"colour": 1, "poster": True}, lenient=True) == Wishes(poster=True)


@pytest.mark.parametrize("name", sorted(set(OPTIONS) - {"frameSize"}))
def test_no_option_takes_what_it_does_not_know(name: str) -> None:
    for value in ([], {}, object(), "\x00", b"x"):
        if name == "labelText" and isinstance(value, str):
            continue
        with pytest.raises(BadRequest, match=name):
            parse({name: value})


def test_numbers_may_come_as_texts() -> None:
    assert parse({"trimStart": "1.5", "trimEnd": "3", "width": "640"}) == Wishes(
        trim_start=1.5, trim_end=3.0, width=640
    )


def test_an_icon_comes_as_a_data_url() -> None:
    text = "data:image/png;base64," + base64.b64encode(b"picture").decode()
    assert parse({"icon": True, "iconImage": text}).icon == Icon(60, b"picture")


def test_the_app_has_the_last_word() -> None:
    rules = Rules(
        defaults={"convertToMp4": True, "poster": True},
        forced={"label": True, "labelText": "ours"},
        forbidden=frozenset({"hls", "iconImage"}),
    )
    wishes = parse({"poster": False, "hls": True, "labelText": "theirs"}, rules=rules)
    assert wishes == Wishes(mp4=True, label="ours")
    assert parse({"iconImage": "no data URL at all"}, rules=rules).icon is None
