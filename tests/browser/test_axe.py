"""axe-core finds nothing on the demo page and on the element: light and dark, desk and phone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.conftest import playwright_api
from tests.browser.http_proxy import HttpProxy
from tests.browser.test_access import fill_page, open_page
from tests.clients import npm

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
expect = playwright_api().expect

LOOK = """async () => {
  const { violations, passes } = await axe.run(document, { resultTypes: ['violations'] });
  const found = violations.map(({ id, nodes }) => [id, nodes.map(({ html, failureSummary }) =>
    [html, failureSummary])]);
  return [found, passes.length];
}"""
WIDGET = b"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>Element</title>
<link rel="icon" href="data:,">
<style>body { background: Canvas; color: CanvasText; }</style>
<script type="module" src="/resumable/static/resumable-upload.js"></script>
<main>
  <h1>Element</h1>
  <label for="film">Film</label>
  <resumable-upload id="film" name="film" multiple></resumable-upload>
</main>
"""
STATES = """(states) => {
  const { shadowRoot } = document.querySelector('resumable-upload');
  shadowRoot.querySelectorAll('.row').forEach((row, at) => (row.dataset.state = states[at]));
}"""
SHOWN = ["uploading", "paused", "retrying", "failed", "done"]


@pytest.fixture(scope="module")
def axe() -> str:
    npm.require("axe-core")
    return npm.path("axe-core/axe.min.js").read_text()


def look(page: Page, axe: str) -> None:
    """In light and dark, at a desk and on a phone."""
    page.evaluate(axe)
    for scheme in ("light", "dark"):
        for width in (390, 1280):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            page.set_viewport_size({"width": width, "height": 900})
            found, passed = page.evaluate(LOOK)
            assert (scheme, width, found) == (scheme, width, [])
            assert passed > 10


def test_the_demo_page(page: Page, proxy: HttpProxy, axe: str) -> None:
    open_page(page, proxy)
    look(page, axe)
    fill_page(page, proxy, "clip.webm")
    look(page, axe)
    page.get_by_role("button", name="Discard: clip.webm").click()
    look(page, axe)


def test_the_element(page: Page, proxy: HttpProxy, axe: str) -> None:
    proxy.pages["/element"] = ("text/html", WIDGET)
    page.goto(f"{proxy.url}/element")
    files: Any = [
        {"name": f"{state}.webm", "mimeType": "video/webm", "buffer": bytes(300)} for state in SHOWN
    ]
    page.set_input_files("resumable-upload input", files)
    expect(page.get_by_role("button", name="Remove: ")).to_have_count(len(SHOWN))
    page.evaluate(STATES, SHOWN)
    look(page, axe)
