"""Figures as a person says them."""

from __future__ import annotations


def time_in_words(seconds: float) -> str:
    """ "4 h", "1 h 30 min", "2 min 5 s", "0.5 s"."""
    if seconds < 60:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(hours, "h"), (minutes, "min"), (0 if hours else rest, "s")]
    return " ".join(f"{number} {unit}" for number, unit in parts if number)


def bytes_in_words(size: int) -> str:
    """ "20 GiB", "512 MiB", "40 KiB", "12 bytes"."""
    for shift, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if size >= 1 << shift:
            return f"{size / (1 << shift):.1f}".removesuffix(".0") + f" {unit}"
    return f"{size} bytes"
