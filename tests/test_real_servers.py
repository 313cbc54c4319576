"""Over real sockets: the manual's command lines with curl, and the old client's habits."""

from __future__ import annotations

import http.client
import json
import random
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.calls import BOUNDARY, file, multipart
from tests.servers.raw_client import wait_for
from tests.servers.running import Server, missing, run_server

# One that tells a cut, one with processes of its own, one for development, one that buffers.
KINDS = ("gunicorn-gthread", "granian", "werkzeug", "waitress")
DATA = random.Random(4).randbytes(3_000_000)
CHUNKS = [DATA[at : at + 150_000] for at in range(0, len(DATA), 150_000)]


@pytest.fixture(scope="module", params=KINDS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    if missing(request.param):
        pytest.skip(str(missing(request.param)))
    root = tmp_path_factory.mktemp(request.param)
    workers = 2 if request.param in ("gunicorn-gthread", "granian") else 1
    with run_server(
        request.param,
        "tests.served_app:app",
        env={"SERVED_ROOT": str(root)},
        workers=workers,
        threads=24 if workers == 1 else 12,
    ) as running:
        yield running


def ask(
    server: Server, method: str, target: str, body: bytes = b"", **headers: str
) -> tuple[int, bytes, http.client.HTTPMessage]:
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection(server.host, server.port, timeout=30)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        connection.request(method, target, body, named)
        response = connection.getresponse()
        return response.status, response.read(), response.headers
    finally:
        connection.close()


def send_chunk(server: Server, id: str, index: int, total: int, content: bytes) -> dict[str, Any]:
    """As the old client does: the file part first."""
    fields = {"uploadId": id, "chunkIndex": str(index), "totalChunks": str(total)}
    form = multipart([file("chunk", content), *fields.items()])
    status, answer, _ = ask(
        server,
        "POST",
        "/upload-chunk",
        form,
        Content_Type=f"multipart/form-data; boundary={BOUNDARY}",
    )
    assert status == 200, answer
    document: dict[str, Any] = json.loads(answer)
    return document


def finalize(server: Server, id: str, **words: Any) -> dict[str, Any]:
    status, answer, _ = ask(
        server, "POST", "/finalize-upload", json.dumps({"uploadId": id, **words}).encode()
    )
    assert status == 200, answer
    document: dict[str, Any] = json.loads(answer)
    return document


def at_once(work: list[Any]) -> list[Any]:
    """Calls everything in `work` in threads of its own; what they return, or the first error."""
    results: list[Any] = [None] * len(work)
    failures: list[BaseException] = []

    def run(index: int) -> None:
        try:
            results[index] = work[index]()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(work))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return results


# ---------------------------------------------------------------- curl


def curl(server: Server, folder: Path, *words: str) -> dict[str, Any]:
    """A command line of the manual; `words` begin with the path."""
    path, *rest = words
    command = ["curl", "-sS", "-X", "POST", server.url + path, *rest]
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=30, check=True)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl: apt-get install curl")
def test_the_three_command_lines_twice(server: Server, tmp_path: Path) -> None:
    (tmp_path / "test.webm").write_bytes(DATA)
    (tmp_path / "chunk1").write_bytes(DATA[:100_000])
    paths = []
    for _ in range(2):
        direct = curl(server, tmp_path, "/process-video-chunks", "-F", "file=@test.webm")
        assert (direct["ok"], direct["size"]) == (True, len(DATA))
        assert direct["filename"] == "test.webm"
        chunk = curl(
            server, tmp_path, "/upload-chunk", "-F", "chunk=@chunk1", "-F", "uploadId=test123"
        )
        assert chunk["ok"] is chunk["received"] is True
        assert (chunk["uploadId"], chunk["chunkIndex"]) == ("test123", 0)
        finished = curl(server, tmp_path, "/finalize-upload", "-d", '{"uploadId":"test123"}')
        assert (finished["ok"], finished["uploadId"]) == (True, "test123")
        assert finished["size"] == 100_000
        for document, content in ((direct, DATA), (finished, DATA[:100_000])):
            assert ask(server, "GET", document["path"])[:2] == (200, content)
            paths.append(document["path"])
    assert len(set(paths)) == 4


# ---------------------------------------------------------------- the old client


def test_all_chunks_at_once(server: Server) -> None:
    """Without `maxConcurrent` it sends every chunk at the same time; none may be turned away."""
    total = len(CHUNKS)
    answers = at_once(
        [
            lambda index=index: send_chunk(server, "parallel", index, total, CHUNKS[index])
            for index in range(total)
        ]
    )
    assert [answer["chunkIndex"] for answer in answers] == list(range(total))
    status = json.loads(ask(server, "GET", "/upload-status/parallel")[1])
    assert (status["completedChunks"], status["isComplete"]) == (total, True)
    finished = at_once([lambda: finalize(server, "parallel", filename="a.webm")] * 4)
    assert all(one == finished[0] for one in finished)
    assert ask(server, "GET", finished[0]["path"])[:2] == (200, DATA)


def test_every_chunk_three_times_at_once(server: Server) -> None:
    chunks = [content[:2000] for content in CHUNKS[:7]]
    at_once(
        [
            lambda index=index: send_chunk(server, "thrice", index, 7, chunks[index])
            for index in [*range(7), *reversed(range(7)), *range(7)]
        ]
    )
    finished = finalize(server, "thrice")
    assert ask(server, "GET", finished["path"])[:2] == (200, b"".join(chunks))


def test_the_whole_walk_of_the_old_client(server: Server) -> None:
    """Asks for a status that is not there, sends slices one by one, finalizes with all options."""
    id = "upload_1700000000000_k3j9x0a2b"
    assert ask(server, "GET", f"/upload-status/{id}")[0] == 404
    for index, content in enumerate(CHUNKS[:5]):
        assert send_chunk(server, id, index, 5, content)["ok"] is True
    options = {"chunkThreshold": 5242880, "maxConcurrent": 3, "resumable": True, "frame": True}
    finished = finalize(server, id, filename="r.webm", options=options)
    assert finished["ok"] is True
    assert finished["processed"] is False
    assert (finished["filename"], finished["size"]) == ("r.webm", 750_000)
    late = send_chunk(server, id, 3, 5, CHUNKS[3])
    assert late["duplicate"] is True
    assert finalize(server, id) == finished


# ---------------------------------------------------------------- the rest of HTTP


def test_downloads_over_the_wire(server: Server) -> None:
    send_chunk(server, "download", 0, 1, DATA)
    path = finalize(server, "download")["path"]
    status, content, headers = ask(server, "GET", path, Range="bytes=1000000-1999999")
    assert (status, content) == (206, DATA[1_000_000:2_000_000])
    assert headers["Content-Range"] == "bytes 1000000-1999999/3000000"
    etag = headers["ETag"]
    assert ask(server, "GET", path, If_None_Match=etag)[:2] == (304, b"")
    status, content, headers = ask(server, "HEAD", path)
    assert (status, content, headers["Content-Length"]) == (200, b"", "3000000")
    assert ask(server, "GET", path, Range="bytes=3000000-")[0] == 416


def test_answers_without_a_body_end_where_they_should(server: Server) -> None:
    """On one connection, so that a byte too many would spoil the next answer."""
    connection = http.client.HTTPConnection(server.host, server.port, timeout=30)
    try:
        for _ in range(2):
            for method, target, status in [
                ("HEAD", "/upload-config", 200),
                ("OPTIONS", "/upload-chunk", 204),
                ("HEAD", "/upload-status/nobody", 404),
                ("GET", "/upload-status/nobody", 404),
                ("HEAD", "/recordings", 200),
                ("GET", "/resumable/static/demo.css", 200),
                ("GET", "/elsewhere", 200),
                ("PATCH", "/upload-chunk", 405),
            ]:
                connection.request(method, target, headers={"Content-Length": "0"})
                response = connection.getresponse()
                body = response.read()
                assert response.status == status, (method, target, body)
                if method == "HEAD" or status == 204:
                    assert body == b""
    finally:
        connection.close()


def test_a_large_body_that_is_refused_hears_why(server: Server) -> None:
    status, answer, _ = ask(server, "PUT", "/upload-chunk", DATA)
    assert (status, json.loads(answer)["code"]) == (400, "missing-chunk-data")


def test_a_raw_body_that_is_cut_keeps_what_came(server: Server) -> None:
    if server.kind == "waitress":
        pytest.skip("waitress never calls the application for a body that is cut")
    head = (
        f"PUT /upload-chunk HTTP/1.1\r\nHost: {server.host}\r\nX-Upload-Id: cut\r\n"
        "Content-Range: bytes 0-2999999/3000000\r\nContent-Length: 3000000\r\n\r\n"
    )
    with socket.create_connection((server.host, server.port), 30) as connection:
        connection.sendall(head.encode() + DATA[:1_234_567])

    def received() -> int:
        status, answer, _ = ask(server, "GET", "/upload-status/cut")
        return json.loads(answer)["offset"] if status == 200 else 0

    wait_for("the bytes before the cut", lambda: received() == 1_234_567)
    rest = DATA[1_234_567:]
    status, answer, _ = ask(
        server,
        "PUT",
        "/upload-chunk",
        rest,
        X_Upload_Id="cut",
        Content_Range="bytes 1234567-2999999/3000000",
    )
    assert status == 200, answer
    assert ask(server, "GET", finalize(server, "cut")["path"])[1] == DATA
