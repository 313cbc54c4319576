"""tus-js-client from npm in Node, with a real server: paused, cut, killed, in parallel."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.clients import npm
from tests.clients.conftest import MakeFile
from tests.clients.world import KIB, MIB, World, run_world
from tests.servers.fault_proxy import FaultProxy

PATIENT = [50, 100, 200, 400, 800, 1600, 1600, 1600]


@pytest.fixture(autouse=True)
def installed() -> None:
    npm.require("tus-js-client")


@dataclass
class Run:
    """One process of the client, and what it said."""

    process: subprocess.Popen[str]
    events: list[dict[str, Any]] = field(default_factory=list)

    def next(self, event: str) -> dict[str, Any]:
        """Wait until it says that."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.append(json.loads(line))
            if self.events[-1]["event"] == event:
                return self.events[-1]
        raise AssertionError(f"it never came to {event}: {self.events}")

    def end(self) -> Run:
        code, out, err = npm.end(self.process)
        self.events += [json.loads(line) for line in out.splitlines()]
        assert (code, err) == (0, ""), (self.events, err)
        return self

    def all(self, event: str) -> list[dict[str, Any]]:
        return [one for one in self.events if one["event"] == event]

    @property
    def url(self) -> str:
        (success,) = self.all("success")
        url: str = success["url"]
        return url

    @property
    def answers(self) -> list[tuple[str, int]]:
        return [(one["method"], one["status"]) for one in self.all("answer")]


class Client:
    """Starts the client, with its script where it finds the package."""

    def __init__(self, folder: Path, endpoint: str) -> None:
        self.endpoint = endpoint
        self._script = npm.furnish(folder) / "tus_js.mjs"
        shutil.copy(npm.HERE / "tus_js.mjs", self._script)

    def start(self, path: Path, endpoint: str | None = None, **told: Any) -> Run:
        options = {"endpoint": endpoint or self.endpoint, "retryDelays": None}
        told["options"] = options | told.get("options", {})
        words = json.dumps({"file": str(path), **told})
        return Run(npm.start(self._script, words))

    def upload(self, path: Path, endpoint: str | None = None, **told: Any) -> Run:
        return self.start(path, endpoint, **told).end()


@pytest.fixture
def client(tmp_path: Path, world: World) -> Client:
    return Client(tmp_path / "script", world.endpoint)


# ---------------------------------------------------------------- the straight ways


def test_a_whole_file_in_one_patch(client: Client, world: World, make_file: MakeFile) -> None:
    path = make_file(3 * MIB + 17)
    run = client.upload(path)
    assert run.answers == [("POST", 201), ("PATCH", 204)]
    world.check(run.url, path.read_bytes())


def test_chunks_and_names_that_are_not_latin(
    client: Client, world: World, make_file: MakeFile
) -> None:
    path = make_file(1000 * KIB)
    said = {"filename": "наблюдения 日本語 😀.txt", "filetype": "text/plain", "note": "a,b c\n"}
    run = client.upload(path, options={"chunkSize": 300 * KIB, "metadata": said})
    assert run.answers == [("POST", 201)] + 4 * [("PATCH", 204)]
    finished = world.check(run.url, path.read_bytes())
    assert finished.filename == said["filename"]
    assert finished.metadata == said


def test_the_first_bytes_come_with_the_creation(
    client: Client, world: World, make_file: MakeFile
) -> None:
    path = make_file(700 * KIB)
    options = {"uploadDataDuringCreation": True}
    run = client.upload(path, options=options)
    assert run.answers == [("POST", 201)]
    world.check(run.url, path.read_bytes())
    run = client.upload(path, options={**options, "chunkSize": 300 * KIB})
    assert run.answers == [("POST", 201)] + 2 * [("PATCH", 204)]
    world.check(run.url, path.read_bytes())


@pytest.mark.parametrize("with_creation", [False, True])
def test_an_empty_file(
    client: Client, world: World, make_file: MakeFile, with_creation: bool
) -> None:
    run = client.upload(make_file(0), options={"uploadDataDuringCreation": with_creation})
    assert run.answers == [("POST", 201)]
    world.check(run.url, b"")


def test_patch_in_the_clothes_of_post(client: Client, world: World, make_file: MakeFile) -> None:
    path = make_file(500 * KIB)
    run = client.upload(path, options={"overridePatchMethod": True, "chunkSize": 200 * KIB})
    assert run.answers == [("POST", 201)] + 3 * [("POST", 204)]
    assert {one["override"] for one in run.all("answer")[1:]} == {"PATCH"}
    world.check(run.url, path.read_bytes())


STREAM: dict[str, Any] = {
    "source": "stream",
    "options": {"uploadLengthDeferred": True, "chunkSize": 128 * KIB},
}


@pytest.mark.parametrize("size", [500 * KIB, 100])
def test_a_stream_whose_length_nobody_knows(
    client: Client, world: World, make_file: MakeFile, size: int
) -> None:
    path = make_file(size)
    run = client.upload(path, **STREAM)
    world.check(run.url, path.read_bytes())


def test_a_stream_that_ends_where_a_chunk_ends(
    client: Client, world: World, make_file: MakeFile
) -> None:
    """In Node the client itself then goes to sleep for ever (its issue 779).

    All bytes are there, and the empty PATCH with the length, which it sends in browsers, ends it.
    """
    path = make_file(512 * KIB)
    run = client.upload(path, **STREAM)
    url = run.all("url")[0]["url"]
    if not run.all("success"):
        head = world.head(url)
        assert (head["upload-offset"], head["upload-defer-length"]) == (str(512 * KIB), "1")
        last = {
            "Upload-Offset": str(512 * KIB),
            "Upload-Length": str(512 * KIB),
            "Content-Type": "application/offset+octet-stream",
        }
        assert world.ask("PATCH", url, headers=last).status == 204
    world.check(url, path.read_bytes())


# ---------------------------------------------------------------- in parallel


@pytest.mark.parametrize("parts", [2, 5])
def test_parallel_uploads_are_put_together(
    client: Client, world: World, make_file: MakeFile, parts: int
) -> None:
    path = make_file(2 * MIB + 3)
    options = {
        "parallelUploads": parts,
        "metadata": {"filename": "whole.bin"},
        "metadataForPartialUploads": {"filename": "part.bin"},
    }
    before = len(world.everything())
    run = client.upload(path, options=options)
    assert sorted(run.answers) == parts * [("PATCH", 204)] + (parts + 1) * [("POST", 201)]
    finished = world.check(run.url, path.read_bytes())
    assert finished.filename == "whole.bin"
    assert len(world.everything()) == before + 1
    assert world.head(run.url)["upload-concat"].startswith("final;")


def test_parallel_uploads_over_a_line_that_breaks(
    client: Client, world: World, make_file: MakeFile
) -> None:
    path = make_file(4 * MIB)

    def rule(number: int) -> dict[str, Any]:
        return {"c2s_cut": 500_000 + 1000 * number} if number < 6 else {}

    with FaultProxy(world.server.host, world.server.port, rule) as proxy:
        options = {"parallelUploads": 3, "retryDelays": PATIENT}
        run = client.upload(path, f"http://{proxy.host}:{proxy.port}/files/", options=options)
    assert ("HEAD", 200) in run.answers
    world.check(run.url, path.read_bytes())


# ---------------------------------------------------------------- pause, resume, end


def test_pause_and_resume(client: Client, world: World, make_file: MakeFile) -> None:
    """The line is so slow that the whole file would take six seconds."""
    path = make_file(6 * MIB)
    told: dict[str, Any] = {"options": {"headers": {"Connection": "close"}}, "source": "file"}

    def rule(number: int) -> dict[str, Any]:
        return {"bw": MIB} if number == 1 else {}

    with FaultProxy(world.server.host, world.server.port, rule) as proxy:
        endpoint = f"http://{proxy.host}:{proxy.port}/files/"
        run = client.upload(path, endpoint, pauseWhenSent=MIB, then="resume", **told)
    assert run.answers == [("POST", 201), ("HEAD", 200), ("PATCH", 204)]
    world.check(run.url, path.read_bytes())


@pytest.mark.parametrize("parts", [1, 3])
def test_another_process_goes_on(
    client: Client, world: World, make_file: MakeFile, tmp_path: Path, parts: int
) -> None:
    path = make_file(3 * MIB)
    told: dict[str, Any] = {
        "source": "file" if parts == 1 else "bytes",
        "storage": str(tmp_path / "urls.json"),
        "options": {"chunkSize": 256 * KIB, "parallelUploads": parts},
    }
    (tmp_path / "urls.json").write_text("{}")
    first = client.upload(path, pauseWhenAccepted=MIB, then="exit", **told)
    assert first.all("success") == []
    second = client.upload(path, **told)
    assert second.all("previous")[0]["url"] is not None
    heads = [one for one in second.all("answer") if one["method"] == "HEAD"]
    assert 1 <= len(heads) <= parts
    known = sum(int(one["offset"]) for one in heads)
    assert known >= (MIB if parts == 1 else 256 * KIB)
    world.check(second.url, path.read_bytes())


def test_terminate(client: Client, world: World, make_file: MakeFile) -> None:
    options = {"chunkSize": 100 * KIB}
    run = client.upload(make_file(MIB), pauseWhenAccepted=1, then="terminate", options=options)
    assert run.answers[-1] == ("DELETE", 204)
    url = run.all("paused")[0]["url"]
    for method in ("HEAD", "GET", "DELETE"):
        assert world.ask(method, url).status in (404, 410)


def test_what_has_expired_is_begun_anew(
    client: Client, world: World, make_file: MakeFile, tmp_path: Path
) -> None:
    """Also what was terminated elsewhere: the client drops the URL that it has stored."""
    path = make_file(MIB)
    told: dict[str, Any] = {
        "source": "file",
        "storage": str(tmp_path / "urls.json"),
        "options": {"chunkSize": 256 * KIB},
    }
    (tmp_path / "urls.json").write_text("{}")
    first = client.upload(path, pauseWhenAccepted=1, then="exit", **told)
    gone = first.all("paused")[0]["url"]
    assert world.ask("DELETE", gone).status == 204
    second = client.upload(path, **told)
    assert second.answers[0][0] == "HEAD"
    assert second.answers[1] == ("POST", 201)
    assert second.url != gone
    world.check(second.url, path.read_bytes())


def test_the_script_in_the_docs(world: World, make_file: MakeFile, tmp_path: Path) -> None:
    """It is stopped in the middle, and its second run goes on."""
    path = make_file(6 * MIB)
    script = npm.furnish(tmp_path / "script") / "send.mjs"
    with FaultProxy(world.server.host, world.server.port, [{"c2s_cut": 3 * MIB}, {}]) as proxy:
        here = npm.documented("createReadStream").replace(
            "127.0.0.1:8000", f"127.0.0.1:{proxy.port}"
        )
        script.write_text(here.replace("retryDelays: [0, 1000, 3000, 5000]", "retryDelays: []"))
        code, out, err = npm.end(npm.start(script, str(path)))
        assert (code, out) == (1, ""), err
        script.write_text(here)
        code, out, err = npm.end(npm.start(script, str(path)))
    assert (code, err) == (0, "")
    url = out.strip()
    world.check(url, path.read_bytes())
    assert len(proxy.log) <= 3


# ---------------------------------------------------------------- bad weather


@pytest.mark.parametrize("how", ["fin", "rst"])
def test_a_line_that_breaks_again_and_again(
    client: Client, world: World, make_file: MakeFile, how: str
) -> None:
    path = make_file(3 * MIB)

    def rule(number: int) -> dict[str, Any]:
        return {"c2s_cut": 600_000, "how": how} if number < 4 else {}

    with FaultProxy(world.server.host, world.server.port, rule) as proxy:
        endpoint = f"http://{proxy.host}:{proxy.port}/files/"
        run = client.upload(path, endpoint, options={"retryDelays": PATIENT})
    offsets = [int(one["offset"]) for one in run.all("answer") if one["method"] == "HEAD"]
    assert offsets == sorted(offsets)
    assert offsets[-1] > 500_000, "what came before a cut was not kept"
    world.check(run.url, path.read_bytes())


def test_answers_that_never_arrive(client: Client, world: World, make_file: MakeFile) -> None:
    """Each request is done, and its answer lost: the last one too, which finishes."""
    path = make_file(MIB)
    seen: list[int] = []

    def rule(number: int) -> dict[str, Any]:
        seen.append(number)
        return {"drop_response": True} if number in (1, 3, 5, 7) else {"s2c_cut": 5000}

    with FaultProxy(world.server.host, world.server.port, rule) as proxy:
        endpoint = f"http://{proxy.host}:{proxy.port}/files/"
        options = {
            "retryDelays": PATIENT,
            "chunkSize": 400 * KIB,
            "headers": {"Connection": "close"},
        }
        run = client.upload(path, endpoint, options=options)
    assert run.answers[-1] == ("HEAD", 200)
    world.check(run.url, path.read_bytes())


def test_the_server_is_killed_and_comes_back(tmp_path: Path, make_file: MakeFile) -> None:
    """SIGKILL for master and workers in the middle of one PATCH of the whole file.

    What a HEAD has told of that PATCH before is a promise.
    """
    path = make_file(24 * MIB)
    with run_world(tmp_path) as world:
        port = world.server.port
        # The line is slow, so that the death falls into the middle.
        with FaultProxy("127.0.0.1", port, [{"bw": 16 * MIB}]) as proxy:
            endpoint = f"http://{proxy.host}:{proxy.port}/files/"
            client = Client(tmp_path / "script", endpoint)
            run = client.start(path, source="file", options={"retryDelays": PATIENT})
            url = run.next("url")["url"]
            while not (promised := int(world.head(url)["upload-offset"])):
                assert run.process.poll() is None, "the upload ended before the server did"
            world.server.kill()
            with run_world(tmp_path, port=port) as again:
                run.end()
                assert run.url == url
                (offset,) = [one["offset"] for one in run.all("answer") if one["method"] == "HEAD"]
                assert promised <= int(offset) < 24 * MIB
                assert run.answers[-1] == ("PATCH", 204)
                again.check(url, path.read_bytes())
