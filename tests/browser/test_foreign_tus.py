"""The element and the recorder before tus servers of other people, on another origin."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.conftest import CHUNK, MakeBytes, until
from tests.browser.foreign_tus import NAMES, started
from tests.browser.http_proxy import Action, Cut, Exchange, HttpProxy, Swallow
from tests.browser.test_element import Element
from tests.browser.test_live_recorder import SLICED, Studio, studio_on

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser


@dataclass
class Foreign:
    """A server of another origin, and the line to it that a test can spoil."""

    line: HttpProxy
    data: Path

    @property
    def endpoint(self) -> str:
        return f"{self.line.url}/files/"

    def stored(self, url: str) -> bytes:
        """Both kinds keep an upload under the last word of its URL."""
        return (self.data / url.rpartition("/")[2]).read_bytes()

    def patches(self) -> list[Exchange]:
        return self.line.seen("PATCH", "/files")

    def spoil(self, *actions: Action) -> None:
        """One of them for each PATCH, from the second one on."""
        left: list[Action | None] = [None, *actions]

        def rule(exchange: Exchange) -> Action | None:
            return left.pop(0) if left and exchange.method == "PATCH" else None

        self.line.rule = rule


@pytest.fixture(params=NAMES)
def foreign(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Foreign]:
    process = started(request.param, tmp_path / "foreign")
    line = HttpProxy(("127.0.0.1", process.port))
    yield Foreign(line, process.data)
    line.close()
    process.stop()


@pytest.fixture
def studio(page: Page, proxy: HttpProxy) -> Iterator[Studio]:
    yield from studio_on(page, proxy)


def test_the_element_sends_a_file(
    page: Page, proxy: HttpProxy, foreign: Foreign, make_bytes: MakeBytes
) -> None:
    element = Element(page, proxy)
    element.plain(f'protocol="tus" endpoint="{foreign.endpoint}"')
    data = make_bytes(5 * CHUNK + 3)
    foreign.spoil(Cut(after=500), Swallow())
    element.give(clip=data)
    element.in_state("done")
    assert foreign.stored(page.evaluate("element.value")) == data
    assert len(foreign.patches()) >= 7
    assert element.problems == []


def test_the_recorder_sends_while_it_records(studio: Studio, foreign: Foreign) -> None:
    settings = {"protocol": "tus", "endpoint": foreign.endpoint}
    foreign.spoil(Cut(after=500), Swallow())
    id = studio.record("canvas", settings)
    until(studio.page, "() => seen.filter(([type]) => type === 'retry').length >= 2")
    until(studio.page, "() => recorder.acknowledged > 0")
    [creation] = foreign.line.seen("POST", "/files")
    assert creation.headers["upload-defer-length"] == "1"
    assert studio.page.evaluate("recorder.state") == "recording"
    answer = studio.stop()
    studio.hear(answer["size"])
    assert foreign.stored(answer["url"]) == studio.recorded()
    assert [e.headers.get("upload-length") for e in foreign.patches()][-1] == str(answer["size"])
    until(studio.page, "async (id) => (await slices(id)) === 0", id)


def test_a_recording_goes_on_there_after_a_reload(studio: Studio, foreign: Foreign) -> None:
    studio.page.on("dialog", lambda dialog: dialog.accept())
    settings = {"protocol": "tus", "endpoint": foreign.endpoint}
    id = studio.record("canvas", settings)
    until(studio.page, "() => recorder.acknowledged > 0")
    foreign.line.rule = lambda exchange: Cut(after=0)
    until(studio.page, SLICED, 3)
    foreign.line.rule = lambda exchange: None
    studio.open()
    unfinished = "async (settings) => (await live()).LiveRecorder.unfinished(settings)"
    (found,) = studio.page.evaluate(unfinished, settings)
    assert found["id"] == id
    assert found["uploadId"].startswith(foreign.endpoint)
    studio.page.evaluate("id => goOn(id)", id)
    answer = studio.answer()
    assert answer["size"] == found["size"]
    shorter = studio.recorded()[: answer["size"]]
    assert foreign.stored(answer["url"])[: len(shorter)] == shorter
    assert len(foreign.line.seen("POST", "/files")) == 1
    assert studio.page.evaluate(unfinished, settings) == []


def test_a_lost_answer_to_the_end_is_asked_for(studio: Studio, foreign: Foreign) -> None:
    lost: list[Exchange] = []

    def rule(exchange: Exchange) -> Action | None:
        if exchange.method == "PATCH" and "upload-length" in exchange.headers and not lost:
            lost.append(exchange)
            return Swallow()
        return None

    foreign.line.rule = rule
    studio.record("canvas", {"protocol": "tus", "endpoint": foreign.endpoint})
    until(studio.page, "() => recorder.acknowledged > 0")
    answer = studio.stop()
    studio.hear(answer["size"])
    assert lost
    assert foreign.stored(answer["url"]) == studio.recorded()


def test_discarded_it_is_gone_there(studio: Studio, foreign: Foreign) -> None:
    studio.record("canvas", {"protocol": "tus", "endpoint": foreign.endpoint})
    until(studio.page, "() => recorder.acknowledged > 0")
    studio.page.evaluate("recorder.discard()")
    assert studio.page.evaluate("result")["error"]["name"] == "AbortError"
    assert [e.status for e in foreign.line.seen("DELETE", "/files/")] == [204]
