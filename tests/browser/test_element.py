"""`<resumable-upload>`: six lines of HTML, keyboard, form, both protocols, bad weather, strings."""

from __future__ import annotations

import base64
import os
import re
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from resumable import assets
from tests.browser.conftest import CHUNK, MakeBytes, eventually, playwright_api
from tests.browser.http_proxy import Cut, Exchange, Hold, HttpProxy, once, refusal
from tests.docs.blocks import REPOSITORY, blocks_of

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

pytestmark = pytest.mark.browser
expect = playwright_api().expect

FRAME = """<!doctype html>
<html lang="{language}" dir="{direction}">
<meta charset="utf-8">
<title>Page</title>
<link rel="icon" href="data:,">
{head}
<body>{body}</body>
"""
SCRIPT = '<script type="module" src="/resumable/static/resumable-upload.js"></script>'
EVENTS = """
<script>
  window.heard = [];
  for (const type of ['start', 'finish', 'error', 'remove'])
    document.addEventListener(`upload-${type}`, ({ detail }) => heard.push([type, detail.name]));
  document.addEventListener('change', ({ target }) => heard.push(['change', target.value]));
</script>
"""


def page_with(body: str, head: str = SCRIPT, language: str = "en", direction: str = "ltr") -> bytes:
    text = FRAME.format(body=body, head=head + EVENTS, language=language, direction=direction)
    return text.encode()


class Element:
    """A page with the element on it, over the line that a test can spoil."""

    def __init__(self, page: Page, proxy: HttpProxy) -> None:
        self.page = page
        self.proxy = proxy
        self.problems: list[str] = []
        page.on("pageerror", lambda error: self.problems.append(str(error)))

    def show(self, html: bytes) -> None:
        self.proxy.pages["/page"] = ("text/html", html)
        self.page.goto(f"{self.proxy.url}/page")
        expect(self.page.locator("resumable-upload input")).to_be_attached()

    def plain(self, attributes: str = "") -> None:
        """The element alone, with short waits and small chunks."""
        self.show(page_with(f"<resumable-upload {attributes}></resumable-upload>"))
        self.page.evaluate(
            """(chunkSize) => {
              window.element = document.querySelector('resumable-upload');
              element.settings = { chunkSize, retryDelay: 20, maxRetryDelay: 200 };
            }""",
            CHUNK,
        )

    def give(self, **files: bytes) -> None:
        """Files named `name.bin` after their keywords."""
        payload: Any = [
            {"name": f"{name}.bin", "mimeType": "application/octet-stream", "buffer": data}
            for name, data in files.items()
        ]
        self.page.set_input_files("resumable-upload input", payload)

    def press(self, words: str) -> None:
        self.page.get_by_role("button", name=words, exact=True).click()

    def in_state(self, state: str, count: int = 1) -> None:
        expect(self.page.locator(f".row[data-state={state}]")).to_have_count(count)

    def finished(self, at: int = 0) -> bytes:
        path = self.page.evaluate("at => element.values[at]", at)
        return self.file(path)

    def file(self, path: str) -> bytes:
        response = self.page.request.get(urllib.parse.urljoin(self.proxy.url, path))
        assert response.ok
        return response.body()

    def heard(self) -> list[list[str]]:
        heard: list[list[str]] = self.page.evaluate("heard")
        return heard

    def said(self) -> list[str]:
        return self.page.locator("resumable-upload [role=status] p").all_inner_texts()


@pytest.fixture
def element(page: Page, proxy: HttpProxy) -> Iterator[Element]:
    element = Element(page, proxy)
    yield element
    assert element.problems == []


def six_lines() -> str:
    """The block of the documentation that a stranger pastes into a page."""
    page = REPOSITORY / "docs" / "recorder-and-widget.md"
    source = next(block.source for block in blocks_of(page) if block.language == "html")
    assert len(source.splitlines()) == 6
    return source


def test_six_lines_make_a_resumable_upload(element: Element, make_bytes: MakeBytes) -> None:
    element.show(page_with(six_lines(), head=""))
    page, film = element.page, make_bytes(5 * CHUNK)
    page.get_by_role("button", name="Save").click()
    assert page.url.endswith("/page"), "the form is sent without its film"
    element.proxy.rule = once(lambda exchange: exchange.is_chunk, Cut(after=1000))
    payload: Any = {"name": "film.webm", "mimeType": "video/webm", "buffer": film}
    with page.expect_file_chooser() as chooser:
        page.get_by_text("Film", exact=True).click()
        page.keyboard.press("Space")
    chooser.value.set_files(payload)
    element.in_state("done")
    with page.expect_request("**/films") as sent:
        page.get_by_role("button", name="Save").click()
    ((name, path),) = urllib.parse.parse_qsl(sent.value.post_data or "")
    assert name == "film"
    assert re.fullmatch(r"/recordings/[\w-]{22}/film\.webm", path)
    assert element.file(path) == film


def test_the_keyboard_alone_is_enough(element: Element, make_bytes: MakeBytes) -> None:
    element.plain()
    page, data, hold = element.page, make_bytes(3 * CHUNK), Hold(after=100)
    element.proxy.rule = once(lambda exchange: exchange.is_chunk, hold)
    page.keyboard.press("Tab")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Space")
    payload: Any = {"name": "a.bin", "mimeType": "", "buffer": data}
    chooser.value.set_files(payload)
    hold.wait()

    def tab_to(words: str) -> None:
        for _ in range(3):
            page.keyboard.press("Tab")
            at = "document.activeElement.shadowRoot?.activeElement?.getAttribute('aria-label')"
            if page.evaluate(at) == words:
                return
        raise AssertionError(f"{words} cannot be reached")

    tab_to("Pause: a.bin")
    page.keyboard.press("Enter")
    element.in_state("paused")
    hold.drop()
    page.keyboard.press("Space")
    element.in_state("done")
    page.keyboard.press("Space")
    expect(page.locator(".row")).to_have_count(0)
    focused = "document.activeElement.shadowRoot.activeElement.type"
    assert page.evaluate(focused) == "file"
    assert element.heard() == [
        ["start", "a.bin"],
        ["finish", "a.bin"],
        ["change", element.heard()[2][1]],
        ["remove", "a.bin"],
        ["change", ""],
    ]


@pytest.mark.parametrize("attributes", ["multiple", 'multiple protocol="tus"'])
def test_both_protocols_in_bad_weather(
    element: Element, make_bytes: MakeBytes, attributes: str
) -> None:
    element.plain(attributes)
    contents = {"one": make_bytes(5 * CHUNK + 7), "two": make_bytes(10), "none": b""}
    spoilt: list[Exchange] = []

    def rule(exchange: Exchange) -> Any:
        if exchange.method not in ("PUT", "PATCH") or len(spoilt) == 3:
            return None
        spoilt.append(exchange)
        return (Cut(after=500), refusal(503), Cut(after=0))[len(spoilt) - 1]

    element.proxy.rule = rule
    element.give(**contents)
    element.in_state("done", 3)
    assert [element.finished(at) for at in range(3)] == list(contents.values())
    bars = element.page.get_by_role("progressbar").all()
    assert [bar.get_attribute("aria-valuenow") for bar in bars] == ["100"] * 3


def test_tus_goes_on_after_a_reload(element: Element, make_bytes: MakeBytes) -> None:
    data, hold = make_bytes(14 * CHUNK), Hold(after=100)
    patched: list[Exchange] = []

    def rule(exchange: Exchange) -> Any:
        if exchange.method == "PATCH":
            patched.append(exchange)
            return hold if len(patched) == 12 else None
        return None

    element.proxy.rule = rule
    element.plain('protocol="tus" keep')
    element.give(clip=data)
    hold.wait()
    element.proxy.forget()
    element.plain('protocol="tus" keep')
    hold.drop()
    element.in_state("done")
    assert element.finished() == data
    assert element.proxy.seen("POST", "/files") == []
    again = sum(e.body_bytes for e in element.proxy.exchanges if e.method == "PATCH")
    # The rest, and once more what came while the old page's request was still open.
    assert again <= 7 * CHUNK


def test_kept_files_go_on_by_themselves_and_are_forgotten(
    element: Element, make_bytes: MakeBytes
) -> None:
    data, hold = make_bytes(6 * CHUNK), Hold(after=100)
    element.proxy.rule = once(lambda exchange: exchange.is_chunk and exchange.chunk == 4, hold)
    element.plain("keep")
    element.give(clip=data)
    hold.wait()
    element.plain("keep")
    hold.drop()
    element.in_state("done")
    assert element.finished() == data
    element.plain("keep")
    expect(element.page.locator(".row")).to_have_count(0)


def drop(element: Element, *paths: Path) -> None:
    """Files and folders of this machine, let go over the element as by a mouse."""
    box = element.page.locator("resumable-upload .drop").bounding_box()
    assert box is not None
    session = element.page.context.new_cdp_session(element.page)
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2, "data": data}
    for type in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": type, **place})


def metadata(element: Element, url: str) -> dict[str, str]:
    response = element.page.request.head(url, headers={"Tus-Resumable": "1.0.0"})
    pairs = [pair.split(" ") for pair in response.headers["upload-metadata"].split(",")]
    return {key: base64.b64decode(value).decode() for key, value in pairs}


@pytest.mark.parametrize("protocol", ["tus", "chunks"])
def test_a_dropped_folder_comes_with_its_paths(
    element: Element, tmp_path: Path, make_bytes: MakeBytes, protocol: str
) -> None:
    contents = {
        "holiday/plan.txt": b"sun",
        "holiday/day one/beach.bin": make_bytes(2 * CHUNK + 1),
        # As empty as the other, and of the same name and time.
        "holiday/day one/note.txt": b"",
        "holiday/day two/note.txt": b"",
        # A browser lists a hundred at a time.
        **{f"holiday/many/{number}.txt": b"%d" % number for number in range(101)},
    }
    for name, content in contents.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
        os.utime(tmp_path / name, (1_700_000_000, 1_700_000_000))
    (tmp_path / "alone.txt").write_bytes(b"one file beside it")
    ends: list[Any] = []
    element.page.on(
        "request",
        lambda r: ends.append(r.post_data_json) if r.url.endswith("/finalize-upload") else None,
    )
    element.plain(f'multiple protocol="{protocol}"')
    drop(element, tmp_path / "holiday", tmp_path / "alone.txt")
    element.in_state("done", len(contents) + 1)
    uploads = element.page.evaluate("element.uploads")
    found = {one["relativePath"]: element.file(one["result"]["url"]) for one in uploads}
    assert found == {**contents, "": b"one file beside it"}
    if protocol == "tus":
        told = {metadata(element, one["result"]["url"]).get("relativePath") for one in uploads}
        assert told == {*contents, None}
    else:
        told = {end["metadata"].get("relativePath") for end in ends}
        # Empty files go in one form, which has no place for metadata.
        assert told == {*(name for name, content in contents.items() if content), None}


def test_twins_in_two_folders_are_two_uploads(
    element: Element, tmp_path: Path, make_bytes: MakeBytes
) -> None:
    content = make_bytes(4 * CHUNK)
    for name in ("box/one/a.bin", "box/two/a.bin"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(content)
        os.utime(tmp_path / name, (1_700_000_000, 1_700_000_000))
    element.plain('multiple protocol="tus"')
    drop(element, tmp_path / "box")
    element.in_state("done", 2)
    urls = element.page.evaluate("element.values")
    told = {metadata(element, url)["relativePath"] for url in urls}
    assert told == {"box/one/a.bin", "box/two/a.bin"}


KEPT = """async (paths) => {
  const { putFile } = await import('/resumable/static/local-store.js');
  for (const [at, relativePath] of paths.entries()) {
    const file = { name: 'a.txt', type: 'text/plain', size: 3, lastModified: 1700000000000 };
    const owner = `${location.pathname} tus `;
    await putFile({ id: `id${at}`, owner, ...file, relativePath, created: at, blob: null });
  }
}"""


def test_a_folder_that_is_dropped_again_gives_each_row_its_file(
    element: Element, tmp_path: Path
) -> None:
    paths = ["box/second/a.txt", "box/first/a.txt"]
    for name in paths:
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(name[4:7].encode())
        os.utime(tmp_path / name, (1_700_000_000, 1_700_000_000))
    attributes = 'multiple keep protocol="tus"'
    element.plain(attributes)
    element.page.evaluate(KEPT, paths)
    element.plain(attributes)
    element.in_state("blobless", 2)
    drop(element, tmp_path / "box")
    element.in_state("done", 2)
    uploads = element.page.evaluate("element.uploads")
    found = {one["relativePath"]: element.file(one["result"]["url"]) for one in uploads}
    assert found == {name: name[4:7].encode() for name in paths}


def test_what_is_not_taken_is_said(element: Element) -> None:
    element.plain('accept="video/*,.txt" max-size="1000"')
    element.give(picture=b"x")
    page = element.page
    refused = page.locator(".refused")
    expect(refused).to_have_text("picture.bin is not of a kind that is taken here.")
    big: Any = {"name": "big.txt", "mimeType": "text/plain", "buffer": bytes(1001)}
    page.set_input_files("resumable-upload input", big)
    expect(refused).to_have_text("big.txt is too large: it has 1.0 kB, at most 1.0 kB are taken.")
    page.evaluate("element.add([new File(['x'], 'a.txt'), new File(['y'], 'b.txt')])")
    element.in_state("done")
    expect(refused).to_have_text("Only one file is taken here.")
    assert "Only one file is taken here." in element.said()


def test_a_refused_file_can_be_tried_again(element: Element, make_bytes: MakeBytes) -> None:
    data = make_bytes(2 * CHUNK)
    element.plain()
    element.proxy.rule = lambda exchange: refusal(403) if exchange.is_chunk else None
    element.give(a=data)
    element.in_state("failed")
    expect(element.page.locator(".details")).to_have_text("Refused with 403.")
    element.proxy.rule = lambda exchange: None
    element.press("Try again: a.bin")
    element.in_state("done")
    assert element.finished() == data
    assert [kind for kind, _ in element.heard()] == ["start", "error", "start", "finish", "change"]


def test_cancelled_it_is_deleted_on_the_server(element: Element, make_bytes: MakeBytes) -> None:
    hold = Hold(after=100)
    element.plain()
    element.proxy.rule = once(lambda exchange: exchange.is_chunk and exchange.chunk == 2, hold)
    element.give(a=make_bytes(4 * CHUNK))
    hold.wait()
    element.press("Cancel: a.bin")
    expect(element.page.locator(".row")).to_have_count(0)
    hold.drop()

    def deleted() -> list[int | None]:
        return [e.status for e in element.proxy.seen("DELETE", "/upload-status/")]

    eventually(element.page, lambda: any(deleted()), "nothing was deleted")
    assert deleted() == [204]


def test_one_polite_region_hears_each_quarter_once(element: Element, make_bytes: MakeBytes) -> None:
    element.plain()
    element.give(a=make_bytes(8 * CHUNK))
    element.in_state("done")
    assert element.said() == [
        "Upload of a.bin has started.",
        "a.bin: 25 percent.",
        "a.bin: 50 percent.",
        "a.bin: 75 percent.",
        "a.bin is uploaded.",
    ]
    assert element.page.locator("resumable-upload [aria-live]").count() == 1


def test_strings_language_and_direction(element: Element) -> None:
    html = page_with("<resumable-upload></resumable-upload>", language="ar", direction="rtl")
    element.show(html)
    page = element.page
    page.evaluate(
        """() => {
          window.element = document.querySelector('resumable-upload');
          element.strings = { choose: 'اختر ملفا', done: 'تم.', action: (w, n) => `${n} ${w}` };
        }"""
    )
    expect(page.locator("strong")).to_have_text("اختر ملفا")
    element.give(a=bytes(3000))
    element.in_state("done")
    expect(page.locator(".details")).to_contain_text("تم.")
    expect(page.get_by_role("button", name="a.bin Remove")).to_be_visible()
    name, percent = (page.locator(f".{part}").bounding_box() for part in ("name", "percent"))
    assert name is not None
    assert percent is not None
    assert name["x"] > percent["x"], "the line begins at the right"


def test_variables_parts_and_less_motion(element: Element) -> None:
    style = """<style>
      resumable-upload { --resumable-accent: rgb(1, 2, 3); }
      resumable-upload::part(drop) { border-style: dotted; }
    </style>"""
    element.page.emulate_media(reduced_motion="reduce")
    element.show(page_with("<resumable-upload></resumable-upload>", head=SCRIPT + style))
    look = "(e, name) => getComputedStyle(e)[name]"
    drop = element.page.locator("resumable-upload .drop")
    assert drop.evaluate(look, "borderStyle") == "dotted"
    assert element.page.locator("strong").evaluate(look, "color") == "rgb(1, 2, 3)"
    element.give(a=b"x")
    element.in_state("done")
    for part in (".drop", ".fill", "button"):
        duration = element.page.locator(f"resumable-upload {part}").first
        assert duration.evaluate(look, "transitionDuration") == "0s", part


def test_no_policy_is_in_its_way(element: Element) -> None:
    policy = """<meta http-equiv="Content-Security-Policy"
      content="default-src 'none'; script-src 'self'; connect-src 'self'; img-src data:">"""
    body = "<resumable-upload></resumable-upload>"
    html = FRAME.format(body=body, head=policy + SCRIPT, language="en", direction="ltr")
    element.show(html.encode())
    element.give(a=b"x")
    element.in_state("done")
    drop = element.page.locator("resumable-upload .drop")
    assert drop.evaluate("e => getComputedStyle(e).borderTopStyle") == "dashed"


def test_the_tags_of_the_package_run_and_a_changed_module_does_not(
    element: Element, context: BrowserContext
) -> None:
    tags = assets.module_tags("resumable-upload.js")
    body = "<resumable-upload></resumable-upload>"
    element.show(page_with(body, head=tags))
    element.give(a=b"x")
    element.in_state("done")
    versioned = [e for e in element.proxy.exchanges if e.path.startswith("/resumable/static/")]
    assert {e.path.rpartition("/")[0] for e in versioned} == {
        assets.module_path("tus-upload.js").rpartition("/")[0]
    }
    before = len(versioned)
    element.page.reload()
    expect(element.page.locator("resumable-upload input")).to_be_attached()
    again = [e for e in element.proxy.exchanges if e.path.startswith("/resumable/static/")]
    assert len(again) == before, "what is kept for ever is not asked for again"

    path = assets.module_path("tus-upload.js")
    element.proxy.pages[path] = ("text/javascript", b"export class TusUploader {}\n")
    other = context.browser.new_context().new_page() if context.browser else None
    assert other is not None
    other.goto(f"{element.proxy.url}/page")
    other.wait_for_load_state("networkidle")
    assert other.evaluate("customElements.get('resumable-upload') === undefined")
    other.context.close()
