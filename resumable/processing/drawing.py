"""Draws frame, label and icon once, as a transparent picture of the canvas's size."""

from __future__ import annotations

import io
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resumable.processing import fonts
from resumable.processing.failures import ProgramMissing, Refused
from resumable.processing.fonts import Face
from resumable.processing.graph import Layout
from resumable.processing.options import Frame, Icon, Wishes
from resumable.processing.settings import VideoSettings

if TYPE_CHECKING:
    from PIL import Image

LABEL_SIZE = 24
LABEL_MARGIN = 20
LABEL_STROKE = 2
ICON_SIZE = 48
ICON_MARGIN = 16
ICON_MARGIN_OVER_LABEL = 60
_ICON_PIXELS = 4096 * 4096
_ICON_KINDS = ("PNG", "JPEG", "GIF", "WEBP")


@dataclass(frozen=True, slots=True)
class Drawing:
    """A PNG to be laid over the canvas, or nothing; and notes on what could not be drawn."""

    image: bytes | None
    notes: tuple[str, ...] = ()


def draw(
    wishes: Wishes, canvas: tuple[int, int], where: Layout, settings: VideoSettings
) -> Drawing:
    """All that is wished, on one canvas with a hole for the picture.

    Raises Refused for an icon that is no picture, and ProgramMissing without Pillow.
    """
    if not wishes.draws:
        return Drawing(None)
    pillow = _pillow()
    image = pillow.new("RGBA", canvas, (0, 0, 0, 0))
    if wishes.frame:
        _draw_frame(image, wishes.frame, where)
    notes = _draw_icon(image, wishes, where, settings) if wishes.icon else ()
    if wishes.label:
        face = fonts.face(settings.font, LABEL_SIZE)
        notes = (*notes, *_draw_label(image, wishes.label, where, face))
    if image.getbbox() is None:
        return Drawing(None, notes)
    return Drawing(_png(image), notes)


def _pillow() -> Any:
    try:
        return import_module("PIL.Image")
    except ImportError:
        raise ProgramMissing(
            "Frames, labels and icons are drawn by Pillow: pip install 'wsgi-resumable[video]'."
        ) from None


def _draw_frame(image: Image.Image, frame: Frame, where: Layout) -> None:
    """A gradient from top to bottom, with a hole that is the picture."""
    width, height = image.size
    column = _pillow().new("RGBA", (1, height))
    start, end = _colour(frame.start), _colour(frame.end)
    for row in range(height):
        column.putpixel((0, row), _between(start, end, (row + 0.5) / height))
    image.paste(column.resize((width, height)))
    left, top = where.band, where.band
    image.paste((0, 0, 0, 0), (left, top, left + where.width, top + where.height))


def _colour(text: str) -> tuple[int, int, int]:
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def _between(
    start: tuple[int, int, int], end: tuple[int, int, int], share: float
) -> tuple[int, int, int, int]:
    red, green, blue = (
        round(first + (last - first) * share) for first, last in zip(start, end, strict=True)
    )
    return red, green, blue, 255


def _draw_label(image: Image.Image, wanted: str, where: Layout, face: Face) -> tuple[str, ...]:
    """White over a black stroke; its right end and baseline lie 20 pixels inside the picture."""
    draws = import_module("PIL.ImageDraw").Draw(image)
    right = where.band + where.width - LABEL_MARGIN
    baseline = where.band + where.height - LABEL_MARGIN
    legible, changed = face.legible(wanted)
    text = _fitting(legible, face, where.width - 2 * LABEL_MARGIN)
    for colour, stroke in (("black", LABEL_STROKE + face.bolder), ("white", face.bolder)):
        draws.text(
            (right, baseline),
            text,
            font=face.font,
            anchor="rs",
            fill=colour,
            stroke_width=stroke,
            stroke_fill=colour,
        )
    return ("The font has no sign for some characters of the label.",) if changed else ()


def _fitting(text: str, face: Face, width: int) -> str:
    """As much of the text as fits into `width` pixels, with dots for the rest."""
    if face.width(text) <= width:
        return text
    while text and face.width(f"{text}...") > width:
        text = text[:-1]
    return f"{text.rstrip()}..." if text else ""


def _draw_icon(
    image: Image.Image, wishes: Wishes, where: Layout, settings: VideoSettings
) -> tuple[str, ...]:
    """At the bottom right, above the label if there is one."""
    assert wishes.icon is not None
    icon = _icon(wishes.icon, settings.icon)
    if icon is None:
        return ("No icon was drawn: neither the options nor the settings give a picture for it.",)
    margin = ICON_MARGIN_OVER_LABEL if wishes.label else ICON_MARGIN
    left = where.band + where.width - ICON_MARGIN - ICON_SIZE
    top = where.band + where.height - margin - ICON_SIZE
    square = _pillow().new("RGBA", (ICON_SIZE, ICON_SIZE), (0, 0, 0, 0))
    square.paste(icon, ((ICON_SIZE - icon.width) // 2, (ICON_SIZE - icon.height) // 2))
    alpha = square.getchannel("A").point(lambda value: round(value * wishes.icon.opacity / 100))
    square.putalpha(alpha)
    layer = _pillow().new("RGBA", image.size, (0, 0, 0, 0))
    layer.paste(square, (left, top))
    image.alpha_composite(layer)
    return ()


def _icon(icon: Icon, default: str | Path | None) -> Image.Image | None:
    """The icon in its proportions, as large as its square allows."""
    if icon.image is None and default is None:
        return None
    data = icon.image if icon.image is not None else Path(str(default)).read_bytes()
    try:
        with _pillow().open(io.BytesIO(data), formats=_ICON_KINDS) as picture:
            if picture.width * picture.height > _ICON_PIXELS:
                raise Refused("The icon has too many pixels.")
            image = picture.convert("RGBA")
    except (OSError, ValueError, SyntaxError, _pillow().DecompressionBombError) as error:
        raise Refused("The icon is not a PNG, JPEG, GIF or WebP picture.") from error
    scale = ICON_SIZE / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    resized: Image.Image = image.resize(size, _pillow().Resampling.LANCZOS)
    return resized


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    return file.getvalue()
