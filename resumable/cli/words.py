"""What people write on the command line for a client, and what they read of it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Any

import click

_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,15})?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


class Size(click.ParamType[int]):
    """A count of bytes, as 500K, 8MiB or 1.5G: always powers of 1024."""

    name = "size"

    def convert(
        self, value: Any, parameter: click.Parameter | None, context: click.Context | None
    ) -> int:
        if isinstance(value, int):
            return value
        match = _SIZE.fullmatch(value.strip())
        size = int(float(match[1]) * 1024 ** _POWERS[match[2].upper()]) if match else 0
        if size < 1:
            self.fail(f"{value!r} is no size; write 500K, 8M or 1.5G.", parameter, context)
        return size


class ChunkSize(Size):
    """The same, or `auto`: by the line's speed."""

    def convert(
        self, value: Any, parameter: click.Parameter | None, context: click.Context | None
    ) -> Any:
        return None if value == "auto" else super().convert(value, parameter, context)


def pairs(text_of: str, separator: str) -> Callable[..., dict[str, str]]:
    """A callback for options that are given several times as NAME`separator`VALUE."""

    def parsed(
        context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
    ) -> dict[str, str]:
        found = {}
        for text in values:
            name, there, value = text.partition(separator)
            if not there or not name.strip():
                raise click.BadParameter(f"write {text_of}, not {text!r}.")
            found[name.strip()] = value.strip()
        return found

    return parsed


def as_value(text: str) -> Any:
    """JSON where it is some, else the text itself: a key of digits alone is to be quoted."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def shortened(path: str, most: int) -> str:
    """The end of a path, in at most so many characters: names differ there."""
    return path if len(path) <= most else "…" + path[-max(1, most - 1) :]


def size_of(count: float) -> str:
    """Bytes for a person: 734 B, 12.3 MiB."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1000 or unit == "GiB":
            break
        count /= 1024
    return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"


def percent_of(acknowledged: int, length: int | None) -> str:
    """Rounded down, so that 100 % is never said too early; empty where nobody knows the length."""
    if length is None:
        return ""
    return f"{100 if not length else 100 * acknowledged // length} %"


def moment_of(seconds: float) -> str:
    """Seconds since the epoch as date and minute, by this machine's clock."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def time_of(seconds: float) -> str:
    """Seconds for a person: 0:07, 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
