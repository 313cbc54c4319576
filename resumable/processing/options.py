"""The wishes of whoever sent a recording: the options' names, their checks, and plain values."""

from __future__ import annotations

import base64
import binascii
import difflib
import math
import re
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from resumable.errors import BadRequest

# What the browser's uploader mixes in for itself.
CLIENT_SETTINGS = frozenset({"resumable", "maxConcurrent", "chunkThreshold"})
LONGEST_LABEL = 200
GREATEST_FRAME = 200
GREATEST_SIDE = 8192
GREATEST_RATE = 60
_UNREADABLE_FRAME = 30
_ICON_BYTES = 65_536
_LONGEST_TIME = 30 * 86_400
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_ICON = re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,([A-Za-z0-9+/=]+)")


@dataclass(frozen=True, slots=True)
class Frame:
    """A band of `size` pixels on each side, from the colour `start` on top to `end`."""

    size: int = 20
    start: str = "#4f46e5"
    end: str = "#9333ea"


@dataclass(frozen=True, slots=True)
class Icon:
    """A small picture at the bottom right. `opacity` is in percent; `image` a picture file."""

    opacity: int = 60
    image: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What shall be made of a recording. Times in seconds, sizes in pixels, gain in decibels.

    `mp4` None means: an MP4, if anything has to be encoded at all.
    """

    mp4: bool | None = None
    frame: Frame | None = None
    label: str | None = None
    icon: Icon | None = None
    trim_start: float = 0.0
    trim_end: float | None = None
    width: int | None = None
    height: int | None = None
    fps: int | None = None
    audio_gain: float = 0.0
    repair: bool = False
    poster: bool = False
    poster_at: float | None = None
    sprite: bool = False
    sprite_interval: float | None = None
    hls: bool = False
    hls_segment: float = 6.0
    sha256: bool = False
    probe: bool = False

    @property
    def draws(self) -> bool:
        """Whether anything is laid over the picture."""
        return bool(self.frame or self.label or self.icon)

    @property
    def trims(self) -> bool:
        return self.trim_start > 0 or self.trim_end is not None

    @property
    def scales(self) -> bool:
        return self.width is not None or self.height is not None

    @property
    def changes_picture(self) -> bool:
        """Whether the picture has to be encoded anew."""
        return self.draws or self.trims or self.scales or self.fps is not None

    @property
    def changes_sound(self) -> bool:
        return self.trims or self.audio_gain != 0

    @property
    def changes(self) -> bool:
        """Whether anything in the recording becomes other than it was sent."""
        return self.changes_picture or self.changes_sound

    @property
    def nothing(self) -> bool:
        """Whether nothing is wished at all."""
        return self == Wishes() or self == Wishes(mp4=False)


@dataclass(frozen=True, slots=True)
class Rules:
    """What the app says of its clients' options, in the options' own names.

    `defaults` count where a client says nothing, `forced` whatever it says; those in `forbidden`
    are passed over, as if they had not been sent.
    """

    defaults: Mapping[str, Any] = field(default_factory=dict)
    forced: Mapping[str, Any] = field(default_factory=dict)
    forbidden: Set[str] = frozenset()

    def applied(self, options: Mapping[str, Any]) -> dict[str, Any]:
        allowed = {name: value for name, value in options.items() if name not in self.forbidden}
        return {**self.defaults, **allowed, **self.forced}


def parse(options: Any, *, rules: Rules | None = None, lenient: bool = False) -> Wishes:
    """The wishes in a client's options (JSON's values).

    The settings of the browser's uploader among them are passed over; `lenient` passes over all
    unknown names. Raises BadRequest, with the code "bad-options", for everything that makes no
    sense: an unknown name, a wrong type, a value out of range, wishes that exclude each other.
    """
    if options is None:
        options = {}
    if not isinstance(options, Mapping):
        raise _bad("options must be a JSON object.")
    given = (rules or Rules()).applied(options)
    checked = {
        name: OPTIONS[name](name, value)
        for name, value in given.items()
        if _is_known(name, lenient) and value is not None
    }
    return _wishes(checked)


def checked(options: Mapping[str, Any]) -> dict[str, Any]:
    """The known options among a client's, each checked, as they are stored with its upload.

    Raises BadRequest, with the code "bad-options".
    """
    found = {
        name: value if name in _AS_SENT else OPTIONS[name](name, value)
        for name, value in options.items()
        if name in OPTIONS and value is not None
    }
    if found:
        parse(found)
    return found


def _wishes(checked: Mapping[str, Any]) -> Wishes:
    wishes = Wishes(
        frame=_frame(checked) if checked.get("frame") else None,
        label=(checked.get("labelText") or None) if checked.get("label") else None,
        icon=_icon(checked) if checked.get("icon") else None,
        **{field: checked[name] for name, field in _PLAIN.items() if name in checked},
    )
    if wishes.trim_end is not None and wishes.trim_end <= wishes.trim_start:
        raise _bad("trimEnd must be later than trimStart.")
    if wishes.hls and wishes.mp4 is False:
        raise _bad("hls needs H.264, so convertToMp4 must not be false.")
    return wishes


def _frame(checked: Mapping[str, Any]) -> Frame:
    default = Frame()
    return Frame(
        checked.get("frameSize", default.size),
        checked.get("frameColorStart", default.start),
        checked.get("frameColorEnd", default.end),
    )


def _icon(checked: Mapping[str, Any]) -> Icon:
    return Icon(checked.get("iconOpacity", Icon().opacity), checked.get("iconImage"))


def _is_known(name: Any, lenient: bool) -> bool:
    if name in OPTIONS:
        return True
    if lenient or name in CLIENT_SETTINGS:
        return False
    near = difflib.get_close_matches(str(name), OPTIONS, 1)
    hint = f" Did you mean {near[0]}?" if near else f" Known are {', '.join(sorted(OPTIONS))}."
    raise _bad(f"There is no option {str(name)[:60]!r}.{hint}")


# ---------------------------------------------------------------- one check for each kind


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _bad(f"The option {name} must be true or false.")
    return value


def _colour(name: str, value: Any) -> str:
    if not isinstance(value, str) or not _COLOUR.fullmatch(value):
        raise _bad(f"The option {name} must be a colour such as #4f46e5.")
    return value.lower()


def _label(name: str, value: Any) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_LABEL:
        raise _bad(f"The option {name} must be a text of at most {LONGEST_LABEL} characters.")
    return "".join(character for character in value if character.isprintable()).strip()


def _frame_size(name: str, value: Any) -> int:
    """Pixels; what cannot be read as a number counts as 30, as it always did."""
    number = _number_or_none(value)
    if number is None or number != int(number) or number < 0:
        return _UNREADABLE_FRAME
    if number > GREATEST_FRAME:
        raise _bad(f"The option {name} must be a whole number from 0 to {GREATEST_FRAME}.")
    return int(number)


def _image(name: str, value: Any) -> bytes:
    """A picture in a data URL. What is in it is looked at when it is drawn."""
    most = _ICON_BYTES * 4 // 3 + 64
    found = _ICON.fullmatch(value) if isinstance(value, str) and len(value) <= most else None
    if found is None:
        raise _bad(
            f"The option {name} must be a data URL of a PNG, JPEG, GIF or WebP picture of at most"
            f" {_ICON_BYTES // 1024} KiB."
        )
    try:
        return base64.b64decode(found[1], validate=True)
    except binascii.Error:
        raise _bad(f"The option {name} is not valid base64.") from None


def _number(least: float, most: float, unit: str) -> Callable[[str, Any], float]:
    def check(name: str, value: Any) -> float:
        number = _number_or_none(value)
        if number is None or not least <= number <= most:
            raise _bad(f"The option {name} must be a number of {unit} from {least} to {most}.")
        return number

    return check


def _whole(least: int, most: int, unit: str) -> Callable[[str, Any], int]:
    def check(name: str, value: Any) -> int:
        number = _number_or_none(value)
        if number is None or number != int(number) or not least <= number <= most:
            raise _bad(
                f"The option {name} must be a whole number of {unit} from {least} to {most}."
            )
        return int(number)

    return check


def _number_or_none(value: Any) -> float | None:
    """A finite number, or a text that is one: sliders and forms send texts."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        if len(value) > 20 or not re.fullmatch(r"[+-]?\d+(\.\d+)?", value, re.ASCII):
            return None
        value = float(value)
    if isinstance(value, int):
        value = float(value) if abs(value) < 2**53 else math.inf
    return value if isinstance(value, float) and math.isfinite(value) else None


def _bad(message: str) -> BadRequest:
    return BadRequest(message, code="bad-options")


OPTIONS: Mapping[str, Callable[[str, Any], Any]] = {
    "convertToMp4": _flag,
    "frame": _flag,
    "frameSize": _frame_size,
    "frameColorStart": _colour,
    "frameColorEnd": _colour,
    "label": _flag,
    "labelText": _label,
    "icon": _flag,
    "iconOpacity": _whole(0, 100, "percent"),
    "iconImage": _image,
    "trimStart": _number(0, _LONGEST_TIME, "seconds"),
    "trimEnd": _number(0, _LONGEST_TIME, "seconds"),
    "width": _whole(16, GREATEST_SIDE, "pixels"),
    "height": _whole(16, GREATEST_SIDE, "pixels"),
    "fps": _whole(1, GREATEST_RATE, "frames a second"),
    "audioGain": _number(-60, 30, "decibels"),
    "repair": _flag,
    "poster": _flag,
    "posterAt": _number(0, _LONGEST_TIME, "seconds"),
    "sprite": _flag,
    "spriteInterval": _number(0.5, 3600, "seconds"),
    "hls": _flag,
    "hlsSegment": _number(1, 60, "seconds"),
    "sha256": _flag,
    "probe": _flag,
}
# Bytes are nothing that JSON has.
_AS_SENT = frozenset({"iconImage"})
# The options that stand for themselves, and their names here.
_PLAIN: Mapping[str, str] = {
    "convertToMp4": "mp4",
    "trimStart": "trim_start",
    "trimEnd": "trim_end",
    "width": "width",
    "height": "height",
    "fps": "fps",
    "audioGain": "audio_gain",
    "repair": "repair",
    "poster": "poster",
    "posterAt": "poster_at",
    "sprite": "sprite",
    "spriteInterval": "sprite_interval",
    "hls": "hls",
    "hlsSegment": "hls_segment",
    "sha256": "sha256",
    "probe": "probe",
}
