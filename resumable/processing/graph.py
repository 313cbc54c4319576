"""The chain of ffmpeg's filters that makes of the source's picture the wished one."""

from __future__ import annotations

import math
from dataclasses import dataclass

from resumable.processing.formats import LARGEST_BLOCKS, blocks
from resumable.processing.options import GREATEST_RATE, Wishes
from resumable.processing.probing import VideoFacts

# After a cut the first picture must be there at once, and recordings of a tab that stands still
# have none for seconds: a rate fills them in.
_RATE_AFTER_A_CUT = 30
_HD = 720
_COMMON_MATRICES = ("bt709", "smpte170m", "bt470bg")


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things are, in pixels: the picture, the band around it, the canvas of even sides."""

    width: int
    height: int
    band: int

    @property
    def canvas(self) -> tuple[int, int]:
        return _even(self.width + 2 * self.band), _even(self.height + 2 * self.band)


def layout(video: VideoFacts, wishes: Wishes) -> Layout:
    """The size as wished, in proportion, and with its band no larger than H.264 can be."""
    width, height = _wished_size(video, wishes)
    band = wishes.frame.size if wishes.frame else 0
    while blocks(width + 2 * band, height + 2 * band) > LARGEST_BLOCKS:
        smaller = min(0.99, math.sqrt(LARGEST_BLOCKS / blocks(width + 2 * band, height + 2 * band)))
        width, height = _at_least_one(width * smaller, height * smaller)
    return Layout(width, height, band)


def _wished_size(video: VideoFacts, wishes: Wishes) -> tuple[int, int]:
    """The size that fits into what is wished, keeping the proportions; even where it is scaled."""
    if not wishes.scales:
        return video.width, video.height
    factor = min(
        (wishes.width or math.inf) / video.width, (wishes.height or math.inf) / video.height
    )
    width, height = _at_least_one(video.width * factor, video.height * factor)
    return width + width % 2, height + height % 2


def _at_least_one(width: float, height: float) -> tuple[int, int]:
    return max(1, round(width)), max(1, round(height))


def matrix_of(video: VideoFacts) -> str:
    """How colours are meant; where nobody says, what browsers take for granted by the size."""
    return video.matrix or ("bt709" if video.height >= _HD else "smpte170m")


def _matrix_after(video: VideoFacts) -> str:
    """How they shall be meant: as they are, if that is one of the two that everybody knows."""
    matrix = matrix_of(video)
    return matrix if matrix in _COMMON_MATRICES else "bt709"


def colours_of(video: VideoFacts) -> str:
    """The filter that says how the colours of the recording are meant."""
    return _meaning(matrix_of(video), full_range=video.full_range)


def filters(video: VideoFacts, wishes: Wishes, where: Layout, *, drawn: bool) -> str:
    """ffmpeg's filter graph: from the first input's picture, and the drawing in the second, to [v].

    It begins with what the file says of its colours, because decoders of VP8 say otherwise, and
    with a fixed size, because recorders change theirs in mid-stream.
    """
    matrix = _matrix_after(video)
    colours = f"out_color_matrix={matrix}:out_range=tv"
    steps = [
        colours_of(video),
        f"scale={where.width}:{where.height}:flags=bicubic:{colours}",
        "setsar=1",
    ]
    rate = _rate(video, wishes)
    if rate is not None:
        steps.append(f"fps={rate}")
    # Colours are stored for pairs of pixels: a band of odd width needs one for each on the way.
    full = "yuv444p" if where.band % 2 else "yuv420p"
    steps.append(f"format={full}")
    width, height = where.canvas
    if (width, height) != (where.width, where.height):
        steps.append(f"pad={width}:{height}:{where.band}:{where.band}")
    steps.append(_meaning(matrix))
    picture = f"[0:V:0]{','.join(steps)}"
    if not drawn:
        return f"{picture},format=yuv420p[v]"
    over = f"scale={colours},format={full.replace('yuv', 'yuva')},{_meaning(matrix)}"
    laid = f"overlay=0:0:format={full.removesuffix('p')},format=yuv420p"
    return f"{picture}[base];[1:v]{over}[over];[base][over]{laid}[v]"


def _meaning(matrix: str, *, full_range: bool = False) -> str:
    """Says how the colours are meant, without changing them."""
    return f"setparams=range={'pc' if full_range else 'tv'}:colorspace={matrix}"


def _rate(video: VideoFacts, wishes: Wishes) -> float | None:
    """Frames a second, where they have to be made even; else each keeps its own time."""
    if wishes.fps is not None:
        return wishes.fps
    if wishes.trims:
        return min(video.fps or _RATE_AFTER_A_CUT, GREATEST_RATE)
    return GREATEST_RATE if (video.fps or 0) > GREATEST_RATE + 1 else None


def _even(number: int) -> int:
    return number + number % 2
