"""The font of labels: the one that was set, a bold one of the system's, or Pillow's own."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from resumable.processing.failures import ProgramMissing

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

# Arial and what has its measures come first. Pillow looks for them where the system keeps fonts.
_BOLD = (
    "Arial Bold.ttf",
    "arialbd.ttf",
    "LiberationSans-Bold.ttf",
    "DejaVuSans-Bold.ttf",
    "NotoSans-Bold.ttf",
)
# The embedded font is thin; its strokes are made this much wider, in pixels, to pass for bold.
_BOLDER = 0.5
_NO_CHARACTER = "\uffff"


@dataclass(frozen=True, slots=True)
class Face:
    """A font of one size, and how many pixels its strokes are to be widened by."""

    font: FreeTypeFont
    bolder: float = 0.0

    def width(self, text: str) -> float:
        """Pixels."""
        return self.font.getlength(text)

    def legible(self, text: str) -> tuple[str, bool]:
        """The text in characters that this font has, and whether any had to give way.

        An accent goes before its letter does; what is left without a sign becomes a question mark.
        """
        shown = "".join(self._known(character) for character in text)
        return shown, shown != text

    def _known(self, character: str) -> str:
        if self._has(character):
            return character
        base = unicodedata.normalize("NFKD", character)[0]
        return base if self._has(base) else "?"

    def _has(self, character: str) -> bool:
        return character.isspace() or self._drawn(character) != self._drawn(_NO_CHARACTER)

    def _drawn(self, character: str) -> bytes:
        return bytes(self.font.getmask(character))


@lru_cache(maxsize=8)
def face(setting: str | Path | None, size: int) -> Face:
    """The face for labels of `size` pixels. Raises ProgramMissing for a setting that is no font."""
    fonts = import_module("PIL.ImageFont")
    if setting is not None:
        try:
            return Face(fonts.truetype(str(setting), size))
        except OSError as error:
            raise ProgramMissing(f"The font {setting} cannot be used: {error}.") from error
    for name in _BOLD:
        try:
            return Face(fonts.truetype(name, size))
        except OSError:
            continue
    return Face(fonts.load_default(size), _BOLDER)
