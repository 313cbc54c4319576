"""The Python client against a real server: over bad lines, past kills, with bounded waste."""

from __future__ import annotations

import io
import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from resumable.client import (
    Changed,
    ClientError,
    InUse,
    Phase,
    Progress,
    Refused,
    Retry,
    Stopped,
    Unreachable,
    Uploaded,
    Uploader,
)
from tests.clients.conftest import MakeFile
from tests.clients.world import KIB, MIB, World, run_world
from tests.reliability import Record
from tests.servers.fault_proxy import FaultProxy, Rules

QUICK = Retry(patience=60.0, attempts=20, first=0.02, most=0.2)
PROTOCOLS = ("chunks", "tus")
MakeUploader = Callable[..., Uploader]


@pytest.fixture
def make_uploader(tmp_path: Path) -> Iterator[MakeUploader]:
    """Uploaders with one memory, quick to try again, in chunks of 256 KiB."""
    made = []

    def make(endpoint: str, **settings: Any) -> Uploader:
        told = {"retry": QUICK, "memory": tmp_path / "memory", "chunk_size": 256 * KIB, **settings}
        made.append(Uploader(endpoint, **told))
        return made[-1]

    yield make
    for uploader in made:
        uploader.close()


def endpoint(world: World, protocol: str) -> str:
    return world.endpoint if protocol == "tus" else world.server.url


@contextmanager
def line(world: World, protocol: str, rules: Rules) -> Iterator[tuple[str, FaultProxy]]:
    """The world's endpoint, behind a proxy that spoils connections."""
    with FaultProxy(world.server.host, world.server.port, rules) as proxy:
        path = "/files/" if protocol == "tus" else "/"
        yield f"http://{proxy.host}:{proxy.port}{path}", proxy


def content(world: World, uploaded: Uploaded) -> bytes:
    """What the server gives out, past all proxies."""
    reply = world.ask("GET", urlsplit(uploaded.url).path)
    assert reply.status == 200, reply
    return reply.body


def heard(world: World, uploaded: Uploaded) -> int:
    """How often the host was told of the file."""
    known = {part for part in urlsplit(uploaded.url).path.split("/") if part}
    lines = world.heard_path.read_text().splitlines()
    return sum(bool(known & set(told.split())) for told in lines)


def check(world: World, uploaded: Uploaded, data: bytes) -> None:
    assert content(world, uploaded) == data
    assert heard(world, uploaded) == 1
    assert uploaded.size == len(data)


# ---------------------------------------------------------------- without trouble


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("size", [0, 1, 256 * KIB, 3 * MIB + 17])
def test_a_file(
    world: World, make_file: MakeFile, make_uploader: MakeUploader, protocol: str, size: int
) -> None:
    path = make_file(size)
    seen: list[Progress] = []
    uploader = make_uploader(endpoint(world, protocol))
    uploaded = uploader.upload(path, progress=seen.append, metadata={"album": "2"})
    assert uploaded.protocol == protocol
    check(world, uploaded, path.read_bytes())
    assert list(uploader.unfinished()) == []
    last = seen[-1]
    assert (last.phase, last.acknowledged, last.length) == (Phase.DONE, size, size)
    counts = [one.acknowledged for one in seen]
    assert counts == sorted(counts)
    (finished,) = [one for one in world.everything() if one.filename == path.name][-1:]
    assert finished.metadata["album"] == "2"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_parts_travel_side_by_side(
    world: World, make_file: MakeFile, make_uploader: MakeUploader, protocol: str
) -> None:
    path = make_file(6 * MIB)
    under_way, most = set(), 0

    def begin(request: httpx.Request) -> None:
        nonlocal most
        if request.method in ("PUT", "PATCH"):
            under_way.add(request)
            most = max(most, len(under_way))

    hooks = {"request": [begin], "response": [lambda answer: under_way.discard(answer.request)]}
    with (
        line(world, protocol, [{"bw": MIB}]) as (address, _),
        httpx.Client(event_hooks=hooks, timeout=60) as client,
    ):
        uploaded = make_uploader(address, parts=3, client=client).upload(path)
    assert most == 3
    check(world, uploaded, path.read_bytes())


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_file_objects_and_streams(world: World, make_uploader: MakeUploader, protocol: str) -> None:
    data = random.Random(3).randbytes(MIB + 5)
    uploader = make_uploader(endpoint(world, protocol))
    file = io.BytesIO(b"before" + data)
    file.seek(6)
    uploaded = uploader.upload(file, filename="object.bin")
    check(world, uploaded, data)
    assert not file.closed
    for length in (0, 256 * KIB, len(data)):
        stream = uploader.upload(Unseekable(data[:length]), filename="stream.bin")
        check(world, stream, data[:length])


class Unseekable(io.RawIOBase):
    """A stream that gives a little at a time."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def seekable(self) -> bool:
        return False

    def read(self, size: int = -1) -> bytes:
        some, self._data = self._data[: min(size, 10_000)], self._data[min(size, 10_000) :]
        return some


def test_the_chunk_size_follows_the_line(
    world: World, make_file: MakeFile, make_uploader: MakeUploader
) -> None:
    """A quick line gets larger chunks: fewer requests than of the wished size."""
    path = make_file(1)
    with path.open("r+b") as file:
        file.truncate(80 * MIB)
    sizes: list[int] = []

    def note(request: httpx.Request) -> None:
        if request.method == "PUT":
            sizes.append(int(request.headers["Content-Length"]))

    with httpx.Client(event_hooks={"request": [note]}, timeout=60) as client:
        make_uploader(world.server.url, chunk_size=None, parts=1, client=client).upload(path)
    assert sum(sizes) == 80 * MIB
    assert max(sizes) > sizes[0] == 8 * MIB


# ---------------------------------------------------------------- bad lines


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_line_that_is_cut_again_and_again(
    world: World, make_file: MakeFile, make_uploader: MakeUploader, protocol: str
) -> None:
    """Each connection dies after 300 to 900 KiB, every fifth answer gets lost."""
    path = make_file(5 * MIB)
    dice = random.Random(protocol)

    def rule(number: int) -> dict[str, Any]:
        if number % 5 == 4:
            return {"drop_response": True}
        return {"c2s_cut": dice.randrange(300 * KIB, 900 * KIB), "how": dice.choice(["fin", "rst"])}

    seen: list[Progress] = []
    with line(world, protocol, rule) as (address, proxy):
        uploaded = make_uploader(address).upload(path, progress=seen.append)
        crossed = sum(passed.sent for passed in proxy.log)
        cuts = len(proxy.log)
    check(world, uploaded, path.read_bytes())
    # What a broken request had sent counts as not sent.
    assert all(one.acknowledged <= one.sent <= uploaded.size for one in seen)
    assert cuts > 6
    # No more than one chunk for each connection that broke.
    assert crossed < path.stat().st_size + cuts * (256 * KIB + 4 * KIB)


@pytest.mark.chaos
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_hundred_uploads_over_a_bad_line(
    world: World,
    tmp_path: Path,
    make_uploader: MakeUploader,
    record_figure: Record,
    protocol: str,
) -> None:
    """Each connection is cut after 8 MB on average, every twentieth answer gets lost."""
    dice, path, total = random.Random(protocol), tmp_path / "large", 0

    def rule(number: int) -> dict[str, Any]:
        if dice.random() < 0.05:
            return {"drop_response": True}
        return {"c2s_cut": int(dice.expovariate(1 / 8e6)), "how": dice.choice(["fin", "rst"])}

    with line(world, protocol, rule) as (address, proxy):
        uploader = make_uploader(address, chunk_size=None)
        for _ in range(100):
            data = dice.randbytes(dice.randrange(20_000_000, 200_000_000))
            path.write_bytes(data)
            uploaded = uploader.upload(path)
            assert content(world, uploaded) == data
            total += len(data)
            world.forget(uploaded.url)
        crossed = sum(passed.sent for passed in proxy.log)
    waste = crossed / total - 1
    assert waste < 0.15
    record_figure(
        f"100 uploads of 20 to 200 MB by the Python client over cut connections ({protocol})",
        f"100 exact, {len(proxy.log)} connections, {waste:.1%} crossed the line twice",
    )


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_bytes_that_change_on_the_way_are_sent_again(
    world: World, make_file: MakeFile, make_uploader: MakeUploader, protocol: str
) -> None:
    path = make_file(MIB)

    def rule(number: int) -> dict[str, Any]:
        return {"garble": 100 * KIB} if number in (0, 1) else {}

    with line(world, protocol, rule) as (address, _):
        uploaded = make_uploader(address, checksum="sha256", parts=1).upload(path)
    check(world, uploaded, path.read_bytes())


def test_a_server_that_is_not_there_is_waited_for(
    make_file: MakeFile, make_uploader: MakeUploader
) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        address = f"http://127.0.0.1:{taken.getsockname()[1]}/"
    seen: list[str] = []
    uploader = make_uploader(address, retry=Retry(patience=0.5, first=0.05, most=0.1))
    with pytest.raises(Unreachable, match="Nothing moved"):
        uploader.upload(make_file(10), progress=lambda now: seen.append(now.note))
    assert any("Trying again in" in note for note in seen)


def test_a_server_that_only_fails_is_given_up(
    world: World, make_file: MakeFile, make_uploader: MakeUploader
) -> None:
    retry = Retry(attempts=3, first=0.01, most=0.01)
    with line(world, "chunks", [{"status": 503}]) as (address, proxy):
        with pytest.raises(Unreachable, match="That was try 3"):
            make_uploader(address, retry=retry).upload(make_file(10))
        assert len(proxy.log) == 3


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_server_that_is_killed(
    tmp_path: Path, make_file: MakeFile, make_uploader: MakeUploader, protocol: str
) -> None:
    path = make_file(4 * MIB)
    with run_world(tmp_path / "killed") as first:
        port = first.server.port
        uploader = make_uploader(endpoint(first, protocol), limit_rate=2 * MIB)
        half = threading.Event()

        def listen(now: Progress) -> None:
            if now.acknowledged >= 2 * MIB:
                half.set()

        with Background(lambda: uploader.upload(path, progress=listen)) as upload:
            assert half.wait(30)
            first.server.kill()
            with run_world(tmp_path / "killed", port=port) as second:
                check(second, upload.outcome(), path.read_bytes())


class Background:
    """A call in a thread."""

    def __init__(self, call: Callable[[], Uploaded]) -> None:
        self._call = call
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._result: Uploaded | BaseException | None = None

    def _run(self) -> None:
        try:
            self._result = self._call()
        except BaseException as error:
            self._result = error

    def __enter__(self) -> Background:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._thread.join(60)

    def outcome(self) -> Uploaded:
        self._thread.join(60)
        if isinstance(self._result, BaseException):
            raise self._result
        assert self._result is not None
        return self._result


# ---------------------------------------------------------------- going on later


def stop_at(uploader: Uploader, path: Path, acknowledged: int) -> Stopped:
    """Upload until so many bytes are safe, then stop."""

    def listen(now: Progress) -> None:
        if now.acknowledged >= acknowledged:
            uploader.stop()

    with pytest.raises(Stopped) as stopped:
        uploader.upload(path, progress=listen)
    return stopped.value


@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_same_path_goes_on(
    world: World, make_file: MakeFile, make_uploader: MakeUploader, protocol: str, parts: int
) -> None:
    path = make_file(6 * MIB)
    address = endpoint(world, protocol)
    stopped = stop_at(make_uploader(address, parts=parts, limit_rate=8 * MIB), path, 2 * MIB)
    assert 2 * MIB <= stopped.acknowledged < 6 * MIB
    (known,) = make_uploader(address).unfinished()
    assert known.identity.path == str(path.resolve())
    assert (make_uploader(address).arrived(known) or 0) >= stopped.acknowledged
    with line(world, protocol, [{}]) as (_, proxy):
        # The endpoint is what an upload is remembered by: the proxy stands in its place.
        with through(proxy) as client:
            uploaded = make_uploader(address, client=client).upload(path)
        crossed = sum(passed.sent for passed in proxy.log)
    check(world, uploaded, path.read_bytes())
    assert crossed < 6 * MIB - stopped.acknowledged + 100 * KIB
    assert list(make_uploader(address).unfinished()) == []


def through(proxy: FaultProxy) -> httpx.Client:
    """A client whose every connection leads to `proxy`."""

    class Redirected(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            request.url = request.url.copy_with(host=proxy.host, port=proxy.port)
            return super().handle_request(request)

    return httpx.Client(transport=Redirected(), timeout=20)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_file_that_has_changed_begins_anew(
    world: World, make_file: MakeFile, make_uploader: MakeUploader, protocol: str
) -> None:
    path = make_file(3 * MIB)
    address = endpoint(world, protocol)
    stop_at(make_uploader(address, limit_rate=8 * MIB), path, MIB)
    data = bytes(reversed(path.read_bytes()))
    path.write_bytes(data)
    notes: list[str] = []
    uploaded = make_uploader(address).upload(path, progress=lambda now: notes.append(now.note))
    check(world, uploaded, data)
    assert any("has changed" in note for note in notes)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_upload_that_the_server_has_forgotten_begins_anew(
    world: World, make_file: MakeFile, make_uploader: MakeUploader, protocol: str
) -> None:
    path = make_file(3 * MIB)
    address = endpoint(world, protocol)
    uploader = make_uploader(address, limit_rate=8 * MIB)
    stop_at(uploader, path, MIB)
    (known,) = uploader.unfinished()
    paths = [urlsplit(track["url"]).path for track in known.line.get("tracks", ())]
    for gone in paths or [f"/upload-status/{known.line['id']}"]:
        assert world.ask("DELETE", gone).status == 204
    assert make_uploader(address).arrived(known) in (None, 0)
    uploaded = make_uploader(address).upload(path)
    check(world, uploaded, path.read_bytes())


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_upload_that_is_deleted_while_it_is_sent_begins_anew(
    world: World, make_file: MakeFile, make_uploader: MakeUploader, protocol: str
) -> None:
    path = make_file(3 * MIB)
    uploader = make_uploader(endpoint(world, protocol), limit_rate=4 * MIB)
    notes: list[str] = []
    deleted: list[int] = []

    def listen(now: Progress) -> None:
        notes.append(now.note)
        if now.acknowledged >= MIB and not deleted:
            (known,) = uploader.unfinished()
            paths = [urlsplit(track["url"]).path for track in known.line.get("tracks", ())]
            for gone in paths or [f"/upload-status/{known.line['id']}"]:
                deleted.append(world.ask("DELETE", gone).status)

    uploaded = uploader.upload(path, progress=listen)
    assert set(deleted) == {204}
    assert any("begins anew" in note for note in notes)
    assert content(world, uploaded) == path.read_bytes()


def test_a_server_that_comes_back_without_its_storage(
    tmp_path: Path, make_file: MakeFile, make_uploader: MakeUploader
) -> None:
    """The id is unknown there, and is not to be filled from its middle on."""
    path = make_file(4 * MIB)
    with run_world(tmp_path / "first") as first:
        port = first.server.port
        uploader = make_uploader(first.server.url, limit_rate=2 * MIB, parts=1)
        half = threading.Event()

        def listen(now: Progress) -> None:
            if now.acknowledged >= 2 * MIB:
                half.set()

        with Background(lambda: uploader.upload(path, progress=listen)) as upload:
            assert half.wait(30)
            first.server.kill()
            with run_world(tmp_path / "second", port=port) as second:
                check(second, upload.outcome(), path.read_bytes())


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_a_batch_has_finished_is_left_out_while_it_is_there(
    world: World, make_file: MakeFile, make_uploader: MakeUploader, protocol: str
) -> None:
    path = make_file(1000)
    uploader = make_uploader(endpoint(world, protocol))
    first = uploader.upload(path, keep=True)
    again = uploader.upload(path, keep=True)
    assert (first.already, again.already, again.url) == (False, True, first.url)
    # Other wishes are another upload, and so is one that is no batch's.
    other = uploader.upload(path, keep=True, metadata={"album": "3"})
    assert not other.already
    assert other.url != first.url
    alone = uploader.upload(path)
    assert not alone.already
    last = uploader.upload(path, keep=True)
    if protocol == "tus":
        assert world.ask("DELETE", last.url).status == 204
    else:
        world.forget(last.url)
    anew = uploader.upload(path, keep=True)
    assert not anew.already
    check(world, anew, path.read_bytes())


def test_other_wishes_for_a_tus_upload_that_is_unfinished(
    world: World, make_file: MakeFile, make_uploader: MakeUploader
) -> None:
    """Name and metadata were said at its beginning."""
    path = make_file(3 * MIB)
    stop_at(make_uploader(world.endpoint, limit_rate=8 * MIB, parts=1), path, MIB)
    notes: list[str] = []
    uploaded = make_uploader(world.endpoint).upload(
        path, metadata={"album": "9"}, progress=lambda now: notes.append(now.note)
    )
    assert any("other wishes" in note for note in notes)
    assert world.finished(uploaded.url).metadata["album"] == "9"


def test_pipes_and_devices_by_name_are_streams(
    world: World, make_uploader: MakeUploader, tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(b"from a pipe"))
    writer.start()
    uploaded = make_uploader(world.server.url).upload(pipe)
    writer.join()
    check(world, uploaded, b"from a pipe")


def test_a_stop_ends_a_request_without_answer(
    make_file: MakeFile, make_uploader: MakeUploader
) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        uploader = make_uploader(f"http://127.0.0.1:{silent.getsockname()[1]}/")
        threading.Timer(0.5, uploader.stop).start()
        began = time.monotonic()
        with pytest.raises(Stopped):
            uploader.upload(make_file(10))
        assert time.monotonic() - began < 20
        with pytest.raises(Stopped):
            uploader.upload(make_file(10))


def test_a_signal_handler_may_stop_it(world: World, make_file: MakeFile, tmp_path: Path) -> None:
    """Again and again, in the middle of whatever the main thread waits for."""
    script = (
        "import signal, sys\n"
        "from resumable.client import Retry, Stopped, Unreachable, Uploader\n"
        "retry = Retry(patience=60, first=0.001, most=0.001)\n"
        "for n in range(40):\n"
        "    uploader = Uploader('http://127.0.0.1:9/', retry=retry, memory=sys.argv[1])\n"
        "    signal.signal(signal.SIGALRM, lambda *_: uploader.stop())\n"
        "    signal.setitimer(signal.ITIMER_REAL, 0.02 + n / 2000)\n"
        "    try:\n"
        "        uploader.upload(__file__ if '__file__' in globals() else sys.executable)\n"
        "    except Stopped:\n"
        "        print('stopped')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "memory")],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.stdout.splitlines() == ["stopped"] * 40, done.stderr


def test_nobody_deletes_what_another_one_sends(
    world: World, make_file: MakeFile, make_uploader: MakeUploader
) -> None:
    path = make_file(2 * MIB)
    slow = make_uploader(world.server.url, limit_rate=MIB)
    begun = threading.Event()

    def listen(now: Progress) -> None:
        if now.acknowledged:
            begun.set()

    with Background(lambda: slow.upload(path, progress=listen)) as first:
        assert begun.wait(20)
        with pytest.raises(InUse):
            make_uploader(world.server.url).cancel(path)
        check(world, first.outcome(), path.read_bytes())


def test_a_memory_that_cannot_be_written_is_no_hindrance(
    world: World, make_file: MakeFile, make_uploader: MakeUploader, tmp_path: Path
) -> None:
    blocked = tmp_path / "blocked"
    blocked.touch()
    path, notes = make_file(1000), []
    uploader = make_uploader(world.server.url, memory=blocked / "below")
    uploaded = uploader.upload(path, progress=lambda now: notes.append(now.note))
    check(world, uploaded, path.read_bytes())
    assert any("could not be gone on with" in note for note in notes)


def test_what_is_no_file_of_bytes(world: World, make_uploader: MakeUploader) -> None:
    uploader = make_uploader(world.server.url)
    with pytest.raises(TypeError, match="binary"):
        uploader.upload(io.StringIO("text"))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="texts by name"):
        uploader.upload(io.BytesIO(b"x"), metadata={"a": 3})  # type: ignore[dict-item]
    with pytest.raises(ClientError, match="Is a directory"):
        uploader.upload("/")


def test_a_name_that_is_no_text(world: World, make_uploader: MakeUploader, tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/\xff.bin"
    with open(path, "wb") as file:
        file.write(b"x")
    for protocol in PROTOCOLS:
        uploaded = make_uploader(endpoint(world, protocol)).upload(os.fsdecode(path))
        check(world, uploaded, b"x")


def test_an_answer_to_the_finish_that_got_lost(
    world: World, make_file: MakeFile, make_uploader: MakeUploader
) -> None:
    """All bytes are there, the file is finished, and nobody heard of it."""
    path = make_file(MIB)
    uploader = make_uploader(world.server.url)

    def listen(now: Progress) -> None:
        if now.phase is Phase.FINISHING:
            uploader.stop()
            raise Stopped(0, None)

    with pytest.raises(Stopped):
        uploader.upload(path, progress=listen)
    (known,) = uploader.unfinished()
    wish = {"uploadId": known.line["id"], "filename": path.name, "totalSize": MIB}
    first = world.ask("POST", "/finalize-upload", json.dumps(wish).encode())
    assert first.status == 200
    uploaded = make_uploader(world.server.url).upload(path)
    assert urlsplit(uploaded.url).path == json.loads(first.body)["path"]
    check(world, uploaded, path.read_bytes())


def test_one_process_at_a_time(
    world: World, make_file: MakeFile, make_uploader: MakeUploader
) -> None:
    path = make_file(2 * MIB)
    slow = make_uploader(world.server.url, limit_rate=MIB)
    begun = threading.Event()
    with Background(lambda: slow.upload(path, progress=lambda now: begun.set())) as first:
        assert begun.wait(20)
        with pytest.raises(InUse, match="Another upload"):
            make_uploader(world.server.url).upload(path)
        check(world, first.outcome(), path.read_bytes())


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_cancel_deletes_on_both_sides(
    world: World, make_file: MakeFile, make_uploader: MakeUploader, protocol: str
) -> None:
    path = make_file(3 * MIB)
    address = endpoint(world, protocol)
    stop_at(make_uploader(address, limit_rate=8 * MIB), path, MIB)
    uploader = make_uploader(address)
    (known,) = uploader.unfinished()
    assert uploader.cancel(path)
    assert list(uploader.unfinished()) == []
    assert uploader.arrived(known) in (None, 0)
    assert not uploader.cancel(path)


def test_a_file_that_is_written_to_meanwhile(
    world: World, make_file: MakeFile, make_uploader: MakeUploader
) -> None:
    path = make_file(2 * MIB)

    def grow(now: Progress) -> None:
        if now.acknowledged >= MIB and path.stat().st_size == 2 * MIB:
            with path.open("ab") as file:
                file.write(b"more")

    before = len(world.everything())
    with pytest.raises(Changed, match="written to"):
        make_uploader(world.server.url, limit_rate=4 * MIB).upload(path, progress=grow)
    assert len(world.everything()) == before


# ---------------------------------------------------------------- limits


def test_memory_is_flat(world: World, tmp_path: Path) -> None:
    """A gigabyte, sparse, by a process of its own; and how much memory that took."""
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(1024 * MIB)
    script = (
        "import re, sys\n"
        "from resumable.client import Uploader\n"
        "with Uploader(sys.argv[1], memory=sys.argv[3]) as uploader:\n"
        "    uploader.upload(sys.argv[2])\n"
        "status = open('/proc/self/status').read()\n"
        "print(re.search(r'VmHWM:\\s+(\\d+) kB', status)[1])\n"
    )
    words = [world.server.url, str(path), str(tmp_path / "memory")]
    done = subprocess.run(
        [sys.executable, "-c", script, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) / 1024 < 64


def test_a_rate_limit(world: World, make_file: MakeFile, make_uploader: MakeUploader) -> None:
    path = make_file(2 * MIB)
    began = time.monotonic()
    make_uploader(world.server.url, limit_rate=MIB).upload(path)
    assert time.monotonic() - began > 1.5


def test_the_memory_is_private(
    world: World, make_file: MakeFile, make_uploader: MakeUploader, tmp_path: Path
) -> None:
    path = make_file(3 * MIB)
    address = world.server.url.replace("http://", "http://name:secret@")
    stop_at(make_uploader(address, limit_rate=8 * MIB), path, MIB)
    (kept,) = (tmp_path / "memory").glob("*.json")
    assert kept.stat().st_mode & 0o077 == 0
    assert (tmp_path / "memory").stat().st_mode & 0o077 == 0
    assert "secret" not in kept.read_text()
    # Without the password it is the same endpoint.
    check(world, make_uploader(world.server.url).upload(path), path.read_bytes())


def test_a_file_that_is_not_there(world: World, make_uploader: MakeUploader) -> None:
    with pytest.raises(Exception, match=r"Cannot read .*nowhere: No such file"):
        make_uploader(world.server.url).upload("/nowhere")


def test_an_address_that_speaks_nothing(
    world: World, make_file: MakeFile, make_uploader: MakeUploader
) -> None:
    with pytest.raises(Refused, match="speaks neither the chunk protocol nor tus"):
        make_uploader(world.server.url + "/nothing/").upload(make_file(1))
    with pytest.raises(Refused, match="is no http"):
        make_uploader("ftp://example.com")
