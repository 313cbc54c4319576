"""`RecordingStore`: one list of what is here and there, addresses that work, both sides deleted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.conftest import Lab, until
from tests.browser.http_proxy import Answer, Exchange, Swallow, refusal

pytestmark = pytest.mark.browser

SCRIPT = """async () => {
  const { RecordingStore } = await import('/resumable/static/recording-store.js');
  const { LiveRecorder } = await import('/resumable/static/live-recorder.js');
  Object.assign(window, { LiveRecorder, store: new RecordingStore() });
  window.changes = 0;
  store.addEventListener('change', () => (changes += 1));
}"""


class Shelf:
    """The store on a page; `lab` has the line to the server."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.page = lab.page
        self.page.evaluate(SCRIPT)

    def ask(self, script: str, argument: object = None) -> Any:
        return self.page.evaluate(f"async (given) => {script}", argument)

    def list(self) -> Any:
        return self.ask("store.list()")

    def keep(self, text: str, name: str) -> Any:
        return self.ask(
            "store.keep(new Blob([given[0]], { type: 'video/webm' }), given[1])",
            [
                text,
                {"name": name, "duration": 7, "options": {"probe": True}},
            ],
        )

    def upload(self, id: str) -> Any:
        return self.ask("LiveRecorder.resume(given).finished", id)

    def text(self, url: str) -> str:
        return self.page.request.get(url).text()


@pytest.fixture
def shelf(lab: Lab) -> Iterator[Shelf]:
    """Nothing is on the server's list, neither before nor after."""
    shelf = Shelf(lab)
    yield shelf
    lab.proxy.rule = lambda exchange: None
    for recording in shelf.list():
        shelf.ask("store.remove(given)", recording)


def test_what_is_here_goes_there_and_keeps_what_only_we_know(shelf: Shelf) -> None:
    kept = shelf.keep("some bytes", "mine.webm")
    assert (kept["state"], kept["kept"], kept["size"]) == ("kept", 10, 10)
    assert kept["url"] is None
    shelf.upload(kept["id"])
    (there,) = shelf.list()
    assert (there["state"], there["kept"], there["id"]) == ("finished", 0, kept["id"])
    assert (there["duration"], there["options"]) == (7, {"probe": True})
    assert there["created"] == kept["created"]
    assert there["finished"] >= kept["created"]
    assert shelf.text(there["url"]) == "some bytes"
    saved = shelf.page.request.get(there["downloadUrl"])
    assert "attachment" in saved.headers["content-disposition"]


def test_what_others_uploaded_is_in_the_same_list(shelf: Shelf) -> None:
    shelf.lab.give("other.webm", b"theirs")
    shelf.lab.upload("uploadDirect", "other.webm")
    shelf.keep("ours", "ours.webm")
    ours, theirs = shelf.list()
    assert (ours["name"], ours["state"], ours["path"]) == ("ours.webm", "kept", None)
    assert (theirs["name"], theirs["state"], theirs["id"]) == ("other.webm", "finished", None)
    assert shelf.text(theirs["url"]) == "theirs"


def test_deleted_on_both_sides(shelf: Shelf) -> None:
    kept = shelf.keep("some bytes", "mine.webm")
    shelf.upload(kept["id"])
    (there,) = shelf.list()
    shelf.ask("store.remove(given)", there)
    assert shelf.list() == shelf.ask("store.local()") == []
    assert shelf.page.request.get(there["url"]).status == 404


def test_what_is_only_here_is_deleted_here(shelf: Shelf) -> None:
    kept = shelf.keep("some bytes", "mine.webm")
    shelf.ask("store.remove(given)", kept)
    assert shelf.list() == []
    assert shelf.ask("store.space()")["kept"] == 0
    assert shelf.lab.proxy.seen("DELETE", "/") == []


def test_what_the_server_will_not_delete_stays_in_the_list(shelf: Shelf) -> None:
    kept = shelf.keep("some bytes", "mine.webm")
    shelf.upload(kept["id"])
    (there,) = shelf.list()
    shelf.lab.proxy.rule = lambda e: refusal(405) if e.method == "DELETE" else None
    told = shelf.ask("store.remove(given).catch(({ message, status }) => [message, status])", there)
    assert told == ["This server does not let you delete recordings.", 405]
    assert len(shelf.list()) == 1


def test_a_server_without_a_list(shelf: Shelf) -> None:
    kept = shelf.keep("some bytes", "mine.webm")
    shelf.upload(kept["id"])
    shelf.lab.proxy.rule = lambda e: refusal(404) if e.path == "/recordings" else None
    (there,) = shelf.list()
    assert shelf.ask("store.listed") is False
    assert shelf.text(there["url"]) == "some bytes"


def test_without_a_server_there_is_the_local_list(shelf: Shelf) -> None:
    shelf.keep("some bytes", "mine.webm")
    shelf.lab.proxy.rule = lambda exchange: Swallow()
    told = shelf.ask("store.list().catch(({ name, message, status }) => [name, message, status])")
    assert told == ["StoreError", "The server cannot be reached.", 0]
    (kept,) = shelf.ask("store.local()")
    blob = "store.blob(given).then((blob) => blob.text())"
    assert shelf.ask(blob, kept) == "some bytes"
    with shelf.page.expect_download() as saved:
        shelf.ask("store.save(given)", kept)
    assert saved.value.suggested_filename == "mine.webm"
    assert saved.value.path().read_bytes() == b"some bytes"


def test_what_is_gone_on_the_server_leaves_the_list(shelf: Shelf) -> None:
    kept = shelf.keep("some bytes", "mine.webm")
    answer = shelf.upload(kept["id"])
    assert shelf.page.request.delete(f"{shelf.lab.proxy.url}{answer['url']}").status == 204
    assert shelf.list() == []


def test_the_space_is_told(shelf: Shelf) -> None:
    shelf.keep("some bytes", "mine.webm")
    space = shelf.ask("store.space()")
    assert space["kept"] == 10
    assert space["quota"] > space["usage"] > 0
    assert space["persisted"] in (True, False)
    assert shelf.ask("store.persist()") in (True, False)


def test_changes_are_told_in_every_tab_until_closed(shelf: Shelf) -> None:
    other = shelf.page.context.new_page()
    other.goto(f"{shelf.lab.proxy.url}/lab")
    other.evaluate(SCRIPT)
    kept = shelf.keep("some bytes", "mine.webm")
    until(other, "() => changes === 1")
    assert shelf.page.evaluate("changes") == 1
    other.evaluate("store.close()")
    shelf.ask("store.remove(given)", kept)
    assert shelf.page.evaluate("changes") == 2
    assert other.evaluate("store.local()") == []
    assert other.evaluate("changes") == 1


def test_below_a_mount_the_addresses_are_right(shelf: Shelf) -> None:
    script = """async () => {
      const { RecordingStore } = await import('/resumable/static/recording-store.js');
      const mounted = new RecordingStore({ endpoint: '/files/' });
      const path = '/recordings/t/a';
      await mounted.note({ filename: 'a', size: 1, path, url: `/files${path}` });
      const [{ url }] = await mounted.local();
      return [url, mounted.endpoint, (await store.local()).length];
    }"""
    found = shelf.page.evaluate(script)
    assert found == [f"{shelf.lab.proxy.url}/files/recordings/t/a", "/files", 0]


def test_the_work_on_a_recording_is_followed_begun_again_and_called_off(shelf: Shelf) -> None:
    kept = shelf.keep("some bytes", "mine.webm")
    shelf.upload(kept["id"])
    (there,) = shelf.list()
    assert shelf.ask("store.job({ id: null, statusUrl: null })") is None
    asked: list[Exchange] = []
    result = {"role": "poster", "type": "image/jpeg", "url": "/recordings/t/p.jpg", "size": 3}
    done = {"state": "done", "percent": 100, "results": [result], "facts": {"duration": 9.5}}
    work = {"job": "j1", "status_url": "/jobs/j1", "state": "queued"}

    def rule(exchange: Exchange) -> Answer | None:
        if not exchange.path.startswith("/jobs"):
            return None
        asked.append(exchange)
        told = {"POST": (202, work), "GET": (200, done), "DELETE": (204, {})}[exchange.method]
        return Answer(told[0], json.dumps(told[1]).encode() if told[0] != 204 else b"")

    shelf.lab.proxy.rule = rule
    begun = shelf.ask("store.process(given, { poster: true })", there)
    assert (begun["job"], begun["statusUrl"]) == ("j1", "/jobs/j1")
    job = shelf.ask("store.job(given)", begun)
    assert (job["state"], job["percent"], job["secondsLeft"]) == ("done", 100, None)
    url = f"{shelf.lab.proxy.url}/recordings/t/p.jpg"
    assert job["results"] == [{**result, "url": url}]
    (now,) = shelf.ask("store.local()")
    assert (now["duration"], now["results"]) == (9.5, job["results"])
    shelf.ask("store.cancelJob(given)", begun)
    assert [(e.method, e.path) for e in asked] == [
        ("POST", "/jobs"),
        ("GET", "/jobs/j1"),
        ("DELETE", "/jobs/j1"),
    ]
