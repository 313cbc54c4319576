"""The demo page for everybody: names, roles, keyboard, contrast, small screens, less motion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.conftest import playwright_api
from tests.browser.http_proxy import Action, Answer, Exchange, Hold, HttpProxy, refusal

if TYPE_CHECKING:
    from playwright.sync_api import FilePayload, Page

pytestmark = pytest.mark.browser
expect = playwright_api().expect

NAMELESS = """() => [...document.querySelectorAll('button, a, input, video, progress, dialog')]
  .filter((element) => {
    const labelled = element.getAttribute('aria-labelledby');
    const name = element.getAttribute('aria-label')
      || (labelled && document.getElementById(labelled).textContent)
      || [...(element.labels ?? [])].map((label) => label.textContent).join('')
      || element.textContent;
    return !name.trim();
  })
  .map((element) => element.outerHTML)"""

CONTRASTS = """() => {
  const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
  const rgb = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = (color) => {
    const [r, g, b] = rgb(color).slice(0, 3).map((byte) => {
      const part = byte / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      if (rgb(color)[3] === 255) return color;
    }
    return 'white';
  };
  const ownText = (element) => [...element.childNodes]
    .some((node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim());
  return [...document.querySelectorAll('body *')]
    .filter((element) => ownText(element) && element.checkVisibility())
    .map((element) => {
      const pair = [light(getComputedStyle(element).color), light(ground(element))];
      const [dark, bright] = pair.sort((a, b) => a - b);
      return [element.textContent.trim().slice(0, 40), (bright + 0.05) / (dark + 0.05)];
    });
}"""

RECORDINGS = """async (names) => {
  const { RecordingStore } = await import('/resumable/static/recording-store.js');
  const store = new RecordingStore({ endpoint: location.origin });
  store.list = () => store.local();
  for (const filename of names) {
    const path = `/recordings/none/${filename}`;
    const about = { path, url: path, filename, size: 12345678, type: 'video/webm' };
    await store.note(about, { duration: 12 });
  }
}"""
OPENED = """(panel) => {
  panel.open = true;
  for (const more of panel.querySelectorAll('.more')) more.hidden = false;
}"""
BROKEN = """async (name) => {
  const { putRecording, putSlice } = await import('/resumable/static/local-store.js');
  const about = { id: 'broken', endpoint: location.origin, name, type: 'video/webm', options: {} };
  await putRecording({ ...about, created: Date.now(), size: 0, duration: 3, ended: false });
  await putSlice({ recording: 'broken', start: 0, end: 9, blob: new Blob(['a slice.']) });
}"""

LONG = "a-very-long-name-" * 8 + ".webm"


def open_page(page: Page, proxy: HttpProxy) -> None:
    page.goto(proxy.url)
    expect(page.locator("#recordings-note")).not_to_have_text("Loading the list…")


def fill_page(page: Page, proxy: HttpProxy, *names: str) -> None:
    """Recordings of these names, a broken one, an upload that stands still, and the panel open."""
    hold = Hold(after=10)

    def spoilt(exchange: Exchange) -> Action | None:
        if exchange.path == "/upload-config":
            return Answer(200, b'{"processing": true}')
        return hold if exchange.is_chunk else None

    page.evaluate(RECORDINGS, names)
    page.evaluate(BROKEN, names[0])
    # The server of these tests lists nothing: the page shows what this browser knows.
    proxy.rule = lambda exchange: (
        refusal(404) if exchange.path == "/recordings" else spoilt(exchange)
    )
    page.reload()
    file: FilePayload = {"name": names[0], "mimeType": "video/webm", "buffer": bytes(1000)}
    page.set_input_files("#files input", file)
    hold.wait()
    expect(page.get_by_text("1.0 kB of 1.0 kB")).to_be_visible()
    expect(page.locator(".recording")).to_have_count(len(names))
    expect(page.get_by_text("Cut short after 0:03")).to_be_visible()
    page.locator("#processing").evaluate(OPENED)


def test_everything_has_a_name_and_the_page_a_structure(page: Page, proxy: HttpProxy) -> None:
    open_page(page, proxy)
    fill_page(page, proxy, "clip.webm", LONG)
    assert page.evaluate(NAMELESS) == []
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.title() != ""
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    expect(page.get_by_role("main")).to_have_count(1)
    expect(page.get_by_role("banner")).to_have_count(1)
    for name in ("New", "Not finished yet", "Recordings"):
        expect(page.get_by_role("region", name=name)).to_be_visible()
    bars = page.get_by_role("progressbar", name="Upload of clip.webm")
    expect(bars).to_have_count(2)
    expect(page.get_by_role("button", name="Play clip.webm")).to_have_attribute(
        "aria-expanded", "false"
    )


def test_one_polite_region_speaks_for_the_page_and_one_for_the_element(
    page: Page, proxy: HttpProxy
) -> None:
    open_page(page, proxy)
    live = "[aria-live], [role=status], [role=alert], [role=log]"
    expect(page.locator(live)).to_have_count(2)
    for region in (page.locator("#toasts"), page.locator("#files [aria-live]")):
        expect(region).to_have_attribute("role", "status")
        expect(region).to_have_attribute("aria-live", "polite")


def test_the_keyboard_reaches_everything_in_order(page: Page, proxy: HttpProxy) -> None:
    open_page(page, proxy)
    fill_page(page, proxy, "clip.webm")
    page.locator("#processing").evaluate("panel => panel.open = false")
    reached: list[str] = []
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                """() => {
                  let at = document.activeElement;
                  if (at.shadowRoot) at = at.shadowRoot.activeElement;
                  return at.id || at.getAttribute('aria-label') || at.localName;
                }"""
            )
        )
    assert reached == [
        "record-screen",
        "record-camera",
        "summary",
        "Choose files or drop them here",
        "Pause: clip.webm",
        "Cancel: clip.webm",
        "Finish: clip.webm",
        "Save here: clip.webm",
        "Discard: clip.webm",
        "Play clip.webm",
        "Download clip.webm",
        "Delete clip.webm",
    ]
    assert page.evaluate("[...document.querySelectorAll('[tabindex]')].every(e => e.tabIndex < 1)")


def test_focus_is_visible(page: Page, proxy: HttpProxy) -> None:
    open_page(page, proxy)
    for selector in ("#record-screen", "#record-camera", "#files .drop"):
        page.keyboard.press("Tab")
        width = page.locator(selector).evaluate("e => getComputedStyle(e).outlineWidth")
        assert width == "3px", selector


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(page: Page, proxy: HttpProxy, scheme: Any) -> None:
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    open_page(page, proxy)
    fill_page(page, proxy, "clip.webm")
    for state in ("uploading", "waiting", "paused", "failed", "cut"):
        page.evaluate("state => document.querySelector('.upload').dataset.state = state", state)
        contrasts = page.evaluate(CONTRASTS)
        assert len(contrasts) > 10
        assert [pair for pair in contrasts if pair[1] < 4.5] == []


@pytest.mark.parametrize("width", [360, 390, 768, 1280])
def test_nothing_is_wider_than_the_screen(page: Page, proxy: HttpProxy, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    open_page(page, proxy)
    fill_page(page, proxy, "clip.webm", LONG)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for button in page.locator("button:visible").all():
        box = button.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        assert box["height"] >= 24


def test_less_motion_when_asked(page: Page, proxy: HttpProxy) -> None:
    page.emulate_media(reduced_motion="reduce")
    open_page(page, proxy)
    moving = page.evaluate(
        """() => [...document.querySelectorAll('*')].filter((element) => {
          const { animationName, transitionDuration } = getComputedStyle(element);
          return animationName !== 'none' || parseFloat(transitionDuration) > 0;
        }).length"""
    )
    assert moving == 0


def test_a_browser_that_cannot_record_says_so(page: Page, proxy: HttpProxy) -> None:
    page.add_init_script("Object.defineProperty(navigator, 'mediaDevices', { value: undefined });")
    open_page(page, proxy)
    expect(page.get_by_role("button", name="Record screen")).to_be_disabled()
    expect(page.locator("#record-hint")).to_be_visible()
