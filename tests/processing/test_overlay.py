"""Frame, label and icon: the pixels that are seen in the result, against the options."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from resumable.processing import fonts
from resumable.processing.converting import Mp4, Overlay
from resumable.processing.drawing import draw
from resumable.processing.failures import ProgramMissing, Refused
from resumable.processing.graph import Layout
from resumable.processing.options import parse
from resumable.processing.settings import VideoSettings
from resumable.processing.work import Outcome
from tests.processing.conftest import MakeWork
from tests.processing.media import Media, near

RED, GREEN, BLUE, WHITE, BLACK = (
    (254, 0, 0), (0, 255, 0), (0, 0, 254), (255, 255, 255), (0, 0, 0)
)  # fmt: skip
FRAME = {"frame": True, "frameColorStart": "#ff0000", "frameColorEnd": "#0000ff"}


def icon(size: tuple[int, int] = (64, 64), colour: str = "#00ff00", kind: str = "PNG") -> str:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, kind)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"


def seen(outcome: Outcome, media: Media, at: float) -> Image.Image:
    return media.picture(outcome.results[0].path, at)


@pytest.fixture
def black(media: Media) -> Path:
    """Half a second of black, 320 x 240."""
    source = ("-f", "lavfi", "-i", "color=c=black:s=320x240:r=10:d=0.5")
    return media.make("black.webm", *source, "-c:v", "libvpx")


@pytest.mark.parametrize("size", [10, 15, 20, 39])
@pytest.mark.parametrize("name", ["tab_accept.webm", "camera.mp4"])
def test_the_frame_lies_around_the_picture(
    work: MakeWork, media: Media, name: str, size: int
) -> None:
    """In either way of meaning colours, with bands of even and odd widths."""
    options = {**FRAME, "frameSize": size, "trimEnd": 0.5}
    picture = seen(Mp4()(work(name, options)), media, 0.3)
    whole = media.picture(work(name).source, 0.3)
    width, height = picture.size
    assert (width, height) == (1280 + 2 * size, 720 + 2 * size)
    assert near(picture.getpixel((width // 2, 1)), RED)
    assert near(picture.getpixel((width // 2, height - 2)), BLUE)
    middle = height // 2
    for x in (1, size - 4, width - 2, width - size + 4):
        assert near(picture.getpixel((x, middle)), (127, 0, 127), 8)
    # Just inside there is the picture, unmoved and unscaled.
    for x, y in ((6, 6), (1273, 6), (6, 713), (1273, 713), (640, 360)):
        assert near(picture.getpixel((x + size, y + size)), whole.getpixel((x, y)), 24)  # type: ignore[arg-type]


def test_the_picture_keeps_its_colours(work: MakeWork, media: Media) -> None:
    """Recordings of a tab say BT.709 in their header, and something else in each frame."""
    outcome = Mp4()(work("tab_accept.webm", {**FRAME, "frameSize": 20}))
    facts = outcome.results[0].facts
    assert facts["video"]["matrix"] == "bt709"
    assert facts["video"]["frames"] == 85
    picture = seen(outcome, media, 2.5)
    assert near(picture.getpixel((720, 340)), (217, 64, 46), 12)


def test_the_gradient_runs_from_top_to_bottom(work: MakeWork, media: Media, black: Path) -> None:
    options = {**FRAME, "frameSize": 40, "frameColorStart": "#204060", "frameColorEnd": "#e0c0a0"}
    picture = seen(Mp4()(work(black, options)), media, 0.2)
    height = picture.height
    for y in range(4, height, 32):
        share = (y + 0.5) / height
        expected = (
            round(0x20 + 0xC0 * share), round(0x40 + 0x80 * share), round(0x60 + 0x40 * share)
        )  # fmt: skip
        assert near(picture.getpixel((8, y)), expected), y


@pytest.mark.parametrize("label", [None, "Hello"])
@pytest.mark.parametrize("band", [0, 20])
def test_the_icon_is_at_the_bottom_right(
    work: MakeWork, media: Media, black: Path, band: int, label: str | None
) -> None:
    options: dict[str, Any] = {"icon": True, "iconOpacity": 100, "iconImage": icon()}
    if band:
        options |= {**FRAME, "frameSize": band}
    if label:
        options |= {"label": True, "labelText": label}
    picture = seen(Mp4()(work(black, options)), media, 0.2)
    bottom = 60 if label else 16
    left, top = band + 320 - 16 - 48, band + 240 - bottom - 48
    for x, y in ((2, 2), (45, 2), (2, 45), (45, 45), (24, 24)):
        assert near(picture.getpixel((left + x, top + y)), GREEN, 20), (x, y)
    for x, y in ((-4, 24), (51, 24), (24, -4)):
        assert near(picture.getpixel((left + x, top + y)), BLACK, 20), (x, y)


@pytest.mark.parametrize("opacity", [20, 60])
def test_the_icon_is_as_opaque_as_wished(
    work: MakeWork, media: Media, black: Path, opacity: int
) -> None:
    options = {
        "icon": True, "iconOpacity": opacity, "iconImage": icon(colour="#ffffff", kind="WEBP")
    }  # fmt: skip
    picture = seen(Mp4()(work(black, options)), media, 0.2)
    grey = round(255 * opacity / 100)
    assert near(picture.getpixel((320 - 16 - 24, 240 - 16 - 24)), (grey, grey, grey))


def test_an_icon_keeps_its_proportions() -> None:
    where = Layout(320, 240, 0)
    wishes = parse({"icon": True, "iconOpacity": 100, "iconImage": icon((64, 32), kind="JPEG")})
    image = drawn(wishes_drawing=draw(wishes, (320, 240), where, VideoSettings()).image)
    assert image.getchannel("A").getbbox() == (256, 188, 304, 212)


def drawn(wishes_drawing: bytes | None) -> Image.Image:
    assert wishes_drawing is not None
    return Image.open(io.BytesIO(wishes_drawing))


@pytest.mark.parametrize("band", [0, 30])
def test_the_label_stands_at_the_bottom_right(band: int) -> None:
    """Its baseline and right end lie 20 pixels inside the picture; white over black."""
    where = Layout(640, 360, band)
    options: dict[str, Any] = {"label": True, "labelText": "HHHHH"}
    canvas = where.width + 2 * band, where.height + 2 * band
    image = drawn(draw(parse(options), canvas, where, VideoSettings()).image)
    left, top, right, bottom = image.getchannel("A").getbbox() or (0, 0, 0, 0)
    assert right == pytest.approx(band + 640 - 20, abs=4)
    assert bottom == pytest.approx(band + 360 - 20, abs=4)
    assert 15 <= bottom - top <= 26
    colours = image.getcolors(100_000)
    assert colours is not None
    counted = {colour: number for number, colour in colours}
    assert counted[(255, 255, 255, 255)] > 200
    assert counted[(0, 0, 0, 255)] > 200
    # A strong stroke: a bold letter's upright is three pixels wide and more.
    row = [image.getpixel((x, (top + bottom) // 2)) for x in range(left, right)]
    assert "".join("W" if one == (255, 255, 255, 255) else "." for one in row).count("WWW") >= 5


def test_the_label_is_seen_in_the_recording(work: MakeWork, media: Media, black: Path) -> None:
    text = "100% it's: a [label]; %{pts} \\ 'x'"
    picture = seen(Mp4()(work(black, {"label": True, "labelText": text})), media, 0.2)
    box = picture.point(lambda value: 255 if value > 128 else 0).getbbox()
    assert box is not None
    assert box[0] >= 16
    assert box[2] == pytest.approx(300, abs=4)
    assert box[3] == pytest.approx(227, abs=8)


def test_a_long_label_is_cut() -> None:
    wishes = parse({"label": True, "labelText": "W" * 200})
    image = drawn(draw(wishes, (320, 240), Layout(320, 240, 0), VideoSettings()).image)
    left, _, right, _ = image.getchannel("A").getbbox() or (0, 0, 0, 0)
    assert left >= 15
    assert right <= 304


def test_without_a_system_font_there_is_still_a_label(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "_BOLD", ())
    fonts.face.cache_clear()
    try:
        wishes = parse({"label": True, "labelText": "Höhe 録"})
        drawing = draw(wishes, (320, 240), Layout(320, 240, 0), VideoSettings())
    finally:
        fonts.face.cache_clear()
    assert drawn(drawing.image).getbbox() is not None
    assert drawing.notes == ("The font has no sign for some characters of the label.",)


def test_a_font_that_is_none_is_the_operators_mistake(tmp_path: Path) -> None:
    path = tmp_path / "font.ttf"
    path.write_bytes(b"no font")
    wishes = parse({"label": True, "labelText": "x"})
    with pytest.raises(ProgramMissing, match="cannot be used"):
        draw(wishes, (320, 240), Layout(320, 240, 0), VideoSettings(font=path))


def test_without_an_icon_nothing_is_drawn_and_that_is_said(work: MakeWork, black: Path) -> None:
    outcome = Mp4()(work(black, {"icon": True}))
    assert outcome.notes[0].startswith("No icon was drawn")


def test_the_apps_icon_is_taken_where_the_options_have_none(
    work: MakeWork, media: Media, black: Path, tmp_path: Path
) -> None:
    path = tmp_path / "icon.png"
    Image.new("RGB", (48, 48), "blue").save(path)
    options = {"icon": True, "iconOpacity": 100}
    picture = seen(Mp4()(work(black, options, settings={"icon": path})), media, 0.2)
    assert near(picture.getpixel((320 - 16 - 24, 240 - 16 - 24)), BLUE)


def test_an_icon_that_is_no_picture_is_refused(work: MakeWork, black: Path) -> None:
    text = "data:image/png;base64," + base64.b64encode(b"<svg/>").decode()
    with pytest.raises(Refused, match="The icon is not a PNG, JPEG, GIF or WebP picture"):
        Mp4()(work(black, {"icon": True, "iconImage": text}))


def test_an_icon_that_is_a_bomb_is_refused(work: MakeWork, black: Path) -> None:
    file = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(file, "PNG")
    text = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
    with pytest.raises(Refused, match="The icon"):
        Mp4()(work(black, {"icon": True, "iconImage": text}))


def test_the_drawing_stays_when_the_recorder_changes_its_size(work: MakeWork, media: Media) -> None:
    options = {**FRAME, "frameSize": 20}
    outcome = Mp4()(work(media.resizing(), options))
    for at in (0.5, 1.5, 2.5):
        picture = seen(outcome, media, at)
        assert near(picture.getpixel((180, 2)), RED)
        assert near(picture.getpixel((180, 277)), BLUE)
        assert near(picture.getpixel((330, 250)), RED)


def test_small_pictures_show_what_fits(work: MakeWork, media: Media) -> None:
    source = media.make(
        "tiny.webm", "-f", "lavfi", "-i", "color=c=blue:s=32x20:r=10:d=0.3", "-c:v", "libvpx"
    )
    options = {
        **FRAME, "frameSize": 10, "label": True, "labelText": "long", "icon": True,
        "iconImage": icon(),
    }  # fmt: skip
    assert seen(Mp4()(work(source, options)), media, 0.1).size == (52, 40)


def test_h264_and_webm_get_the_same_drawing(work: MakeWork, media: Media, black: Path) -> None:
    options = {**FRAME, "convertToMp4": False, "frameSize": 20}
    picture = seen(Overlay()(work(black, options)), media, 0.2)
    assert near(picture.getpixel((180, 2)), RED, 10)
    assert near(picture.getpixel((180, 277)), BLUE, 10)
