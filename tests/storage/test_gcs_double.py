"""The double of Google's storage keeps its documentation's rules; the emulator does not."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import fsspec
import httpx
import pytest

from tests.storage.server import StorageServer

RACERS = 12
QUARTER = 256 * 1024


class Google:
    """The JSON API by hand."""

    def __init__(self, server: StorageServer) -> None:
        self.client: httpx.Client = server.client()
        self.bucket = server.bucket
        self.objects = f"/storage/v1/b/{server.bucket}/o"

    def insert(self, name: str, content: bytes = b"", **query: Any) -> httpx.Response:
        wanted: dict[str, Any] = {"uploadType": "media", "name": name, **query}
        return self.client.post(f"/upload{self.objects}", params=wanted, content=content)

    def at(self, method: str, name: str, **query: Any) -> httpx.Response:
        address = f"{self.objects}/{quote(name, safe='')}"
        return self.client.request(method, address, params=dict(query))

    def read(self, name: str, **headers: str) -> httpx.Response:
        address = f"{self.objects}/{quote(name, safe='')}"
        return self.client.get(address, params={"alt": "media"}, headers=headers)

    def compose(self, name: str, sources: list[Any], **query: Any) -> httpx.Response:
        body = {
            "sourceObjects": [
                {"name": each} if isinstance(each, str) else each for each in sources
            ],
            "destination": {"contentType": "video/webm", "metadata": {"id": "some-id"}},
        }
        address = f"{self.objects}/{quote(name, safe='')}/compose"
        return self.client.post(address, params=dict(query), json=body)

    def page(self, **query: Any) -> Any:
        return self.client.get(self.objects, params=dict(query)).json()


@pytest.fixture
def google(gcs: StorageServer) -> Google:
    return Google(gcs.fresh())


def race(act: Callable[[int], httpx.Response]) -> list[int]:
    with ThreadPoolExecutor(RACERS) as pool:
        return sorted(answer.status_code for answer in pool.map(act, range(RACERS)))


def test_one_racer_creates_an_object(google: Google) -> None:
    statuses = race(lambda number: google.insert("a/b", b"%d" % number, ifGenerationMatch=0))
    assert statuses == [200] + [412] * (RACERS - 1)


def test_one_racer_composes_an_object(google: Google) -> None:
    google.insert("source", b"content")
    statuses = race(lambda _: google.compose("made", ["source"], ifGenerationMatch=0))
    assert statuses == [200] + [412] * (RACERS - 1)
    assert google.read("made").content == b"content"


def test_the_emulator_lets_everybody_win(gcs_emulator: StorageServer) -> None:
    google = Google(gcs_emulator.fresh())
    statuses = race(lambda number: google.insert("a/b", b"%d" % number, ifGenerationMatch=0))
    assert statuses == [200] * RACERS


def test_generations_decide_replacing_and_deleting(google: Google) -> None:
    first = google.insert("name", b"1").json()["generation"]
    second = google.insert("name", b"2", ifGenerationMatch=first).json()["generation"]
    assert int(second) > int(first)
    assert google.insert("name", b"3", ifGenerationMatch=first).status_code == 412
    assert google.at("DELETE", "name", ifGenerationMatch=first).status_code == 412
    assert google.at("GET", "name", generation=first).status_code == 404
    assert google.read("name").content == b"2"
    assert google.at("DELETE", "name", ifGenerationMatch=second).status_code == 204
    assert google.at("DELETE", "name").status_code == 404
    assert google.read("name").status_code == 404
    error = google.insert("name", b"4", ifGenerationMatch=second).json()["error"]
    assert (error["code"], error["errors"][0]["reason"]) == (412, "conditionNotMet")


def test_composing_takes_1_to_32_sources_in_the_order_given(google: Google) -> None:
    names = [f"part-{number:02d}" for number in range(33)]
    for name in names:
        google.insert(name, name.encode())
    assert google.compose("made", names).status_code == 400
    assert google.compose("made", []).status_code == 400
    assert google.compose("made", [*names[:3], "nothing"]).status_code == 404
    assert google.read("made").status_code == 404
    made = google.compose("made", names[31::-1]).json()
    assert google.read("made").content == "".join(names[31::-1]).encode()
    assert (made["componentCount"], made["contentType"], "md5Hash" in made) == (
        32,
        "video/webm",
        False,
    )
    assert made["metadata"] == {"id": "some-id"}
    assert google.compose("twice", ["made", names[32]]).json()["componentCount"] == 33


def test_a_source_may_be_asked_for_in_one_generation_only(google: Google) -> None:
    old = google.insert("source", b"old").json()["generation"]
    new = google.insert("source", b"new").json()["generation"]
    stale = {"name": "source", "objectPreconditions": {"ifGenerationMatch": old}}
    assert google.compose("made", [stale]).status_code == 412
    assert google.compose("made", [{"name": "source", "generation": old}]).status_code == 404
    assert google.compose("made", [{"name": "source", "generation": new}]).status_code == 200


def test_the_checksum_is_crc32c_and_a_wrong_one_is_refused(google: Google) -> None:
    assert google.insert("name", b"123456789").json()["crc32c"] == "4waSgw=="
    boundary = b'--x\r\nContent-Type: application/json\r\n\r\n{"name": "n", "crc32c": "AAAAAA=="}'
    body = boundary + b"\r\n--x\r\nContent-Type: text/plain\r\n\r\ncontent\r\n--x--"
    answer = google.client.post(
        f"/upload{google.objects}",
        params={"uploadType": "multipart"},
        headers={"Content-Type": "multipart/related; boundary=x"},
        content=body,
    )
    assert answer.status_code == 400
    assert google.read("n").status_code == 404


def test_reading_by_range(google: Google) -> None:
    google.insert("name", b"0123456789")
    part = google.read("name", Range="bytes=2-4")
    assert (part.status_code, part.content) == (206, b"234")
    assert part.headers["Content-Range"] == "bytes 2-4/10"
    assert google.read("name", Range="bytes=8-").content == b"89"
    assert google.read("name", Range="bytes=10-").status_code == 416


def test_pages_with_prefix_and_delimiter(google: Google) -> None:
    for name in ("a/1", "a/b/1", "a/b/2", "a/c/1", "a/d", "b", "ä"):
        google.insert(name)
    query: dict[str, Any] = {"prefix": "a/", "delimiter": "/", "maxResults": 2}
    first = google.page(**query)
    assert [each["name"] for each in first["items"]] == ["a/1"]
    assert first["prefixes"] == ["a/b/"]
    second = google.page(**query, pageToken=first["nextPageToken"])
    assert [each["name"] for each in second["items"]] == ["a/d"]
    assert second["prefixes"] == ["a/c/"]
    assert "nextPageToken" not in second
    assert [each["name"] for each in google.page(startOffset="a/d")["items"]] == ["a/d", "b", "ä"]
    assert "items" not in google.page(prefix="c")


def test_rewriting_moving_and_changing(google: Google) -> None:
    google.insert("one", b"content")
    address = f"{google.objects}/one/rewriteTo/b/{google.bucket}/o/two"
    assert google.client.post(address, params={"ifGenerationMatch": 0}).json()["done"] is True
    assert google.client.post(address, params={"ifGenerationMatch": 0}).status_code == 412
    moved = google.client.post(f"{google.objects}/two/moveTo/o/three").json()
    assert moved["name"] == "three"
    assert [each["name"] for each in google.page()["items"]] == ["one", "three"]
    changed = google.client.patch(f"{google.objects}/three", json={"metadata": {"id": "x"}}).json()
    assert (changed["metadata"], changed["metageneration"]) == ({"id": "x"}, "2")
    assert changed["generation"] == moved["generation"]


def test_a_resumable_upload_goes_in_order_and_decides_at_its_end(google: Google) -> None:
    query: dict[str, Any] = {"uploadType": "resumable", "name": "name", "ifGenerationMatch": 0}
    session = google.client.post(f"/upload{google.objects}", params=query).headers["Location"]

    def piece(told: str, content: bytes = b"") -> httpx.Response:
        headers = {"Content-Range": f"bytes {told}"}
        return google.client.put(session, headers=headers, content=content)

    assert piece("0-999/*", bytes(1000)).status_code == 400
    assert piece(f"0-{QUARTER - 1}/*", bytes(QUARTER)).status_code == 308
    assert piece("*/*").headers["Range"] == f"bytes=0-{QUARTER - 1}"
    google.insert("name", b"somebody was faster")
    last = f"{QUARTER}-{QUARTER + 2}/{QUARTER + 3}"
    assert piece(last, b"end").status_code == 412
    google.at("DELETE", "name")
    assert piece(last, b"end").json()["size"] == str(QUARTER + 3)
    assert google.read("name").content == bytes(QUARTER) + b"end"


def test_gcsfs_gets_there(gcs: StorageServer) -> None:
    server = gcs.fresh()
    filesystem, root = fsspec.core.url_to_fs(server.url, **server.options)
    name = f"{root}/a folder/ä"
    filesystem.pipe_file(name, b"content\r\n", mode="create")
    with pytest.raises(FileExistsError):
        filesystem.pipe_file(name, b"other", mode="create")
    assert filesystem.cat_file(name, start=2) == b"ntent\r\n"
    assert filesystem.find(root) == [name]
    filesystem.rm([name])
    assert filesystem.find(root) == []


def test_gcsfs_cuts_content_that_has_its_boundary_inside(gcs: StorageServer) -> None:
    """Why no upload's bytes may go through `pipe_file`: its boundary is always the same."""
    server = gcs.fresh()
    filesystem, root = fsspec.core.url_to_fs(server.url, **server.options)
    filesystem.pipe_file(f"{root}/name", b"before\n--==0==\nafter")
    assert filesystem.cat_file(f"{root}/name") == b"before"
