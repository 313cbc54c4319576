"""A client that costs next to nothing: raw sockets, keep-alive, bodies from one buffer."""

from __future__ import annotations

import json
import os
import secrets
import socket
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin, urlsplit

MIB = 1024 * 1024
_BUFFER = memoryview(os.urandom(8 * MIB))
_BOUNDARY = "bench" + "x" * 20


@dataclass
class Client:
    """One connection. `requests` counts what was sent."""

    host: str
    port: int
    requests: int = 0
    location: str = ""
    _socket: socket.socket = field(init=False)

    def __post_init__(self) -> None:
        self._connect()

    def _connect(self) -> None:
        self._socket = socket.create_connection((self.host, self.port), 120)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self) -> None:
        self._socket.close()

    def send(
        self, method: str, target: str, headers: dict[str, Any], parts: list[memoryview | bytes]
    ) -> bytes:
        """One request; the answer's body. Anything but 2xx is an error."""
        length = sum(len(part) for part in parts)
        lines = [f"{method} {target} HTTP/1.1", "Host: bench", f"Content-Length: {length}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        head = "\r\n".join([*lines, "", ""]).encode("ascii")
        if length < 256 * 1024:
            self._socket.sendall(head + b"".join(parts))
        else:
            self._socket.sendall(head)
            for part in parts:
                self._socket.sendall(part)
        self.requests += 1
        return self._answer()

    def _answer(self) -> bytes:
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._more()
        head, _, body = received.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 2"):
            raise RuntimeError(f"the server answered {(head + body)[:500]!r}")
        fields = dict(
            line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line
        )
        self.location = _location(head)
        length = int(fields.get(b"content-length", b"0"))
        while len(body) < length:
            body += self._more()
        if fields.get(b"connection") == b"close":
            self.close()
            self._connect()
        return body

    def _more(self) -> bytes:
        piece = self._socket.recv(65536)
        if not piece:
            raise RuntimeError("the server hung up")
        return piece


def _location(head: bytes) -> str:
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"location:"):
            return line[9:].strip().decode("ascii")
    return ""


def bare_chunks(client: Client, total: int, chunk: int) -> None:
    """A file in chunks to the bare app."""
    name = secrets.token_hex(8)
    for start in range(0, total, chunk):
        client.send("PUT", f"/?{name},{start}", {}, [_BUFFER[:chunk]])


def bare_files(client: Client, count: int, size: int) -> None:
    """Small files, one request each, to the bare app."""
    for _ in range(count):
        client.send("PUT", f"/?{secrets.token_hex(8)},0", {}, [_BUFFER[:size]])


def raw_chunks(client: Client, total: int, chunk: int) -> float:
    """A file in raw chunks and its finish; seconds that the finish took."""
    upload_id = "upload_" + secrets.token_urlsafe(24)
    for start in range(0, total, chunk):
        headers = {
            "X-Upload-Id": upload_id,
            "Content-Range": f"bytes {start}-{start + chunk - 1}/{total}",
        }
        whole, rest = divmod(chunk, len(_BUFFER))
        client.send("PUT", "/upload-chunk", headers, [_BUFFER] * whole + [_BUFFER[:rest]])
    return _finish(client, upload_id)


def form_chunks(client: Client, total: int, chunk: int) -> float:
    """A file in multipart chunks, fields first, and its finish; seconds of the finish."""
    upload_id = "upload_" + secrets.token_urlsafe(24)
    for index in range(total // chunk):
        fields = {
            "uploadId": upload_id,
            "chunkIndex": index,
            "totalChunks": total // chunk,
            "chunkSize": chunk,
        }
        _send_form(client, "/upload-chunk", fields, "chunk", _BUFFER[:chunk])
    return _finish(client, upload_id)


def form_files(client: Client, count: int, size: int) -> None:
    """Small files, one form each."""
    for _ in range(count):
        _send_form(client, "/process-video-chunks", {}, "file", _BUFFER[:size])


def raw_files(client: Client, count: int, size: int) -> None:
    """Small files, a raw chunk and a finish each: two requests."""
    for _ in range(count):
        raw_chunks(client, size, size)


def patches(client: Client, total: int, chunk: int, path: str = "/files/") -> str:
    """A file by tus in PATCHes of one size; its URL."""
    version = {"Tus-Resumable": "1.0.0"}
    told = {**version, "Upload-Length": total, "Upload-Metadata": "filename YQ==,filetype Yi9j"}
    client.send("POST", path, told, [])
    url = urlsplit(urljoin(f"http://bench{path}", client.location)).path
    for start in range(0, total, chunk):
        headers = {
            **version,
            "Upload-Offset": start,
            "Content-Type": "application/offset+octet-stream",
        }
        whole, rest = divmod(chunk, len(_BUFFER))
        client.send("PATCH", url, headers, [_BUFFER] * whole + [_BUFFER[:rest]])
    return url


def patched_files(client: Client, count: int, size: int, path: str = "/files/") -> None:
    """Small files by tus: a POST and a PATCH each."""
    for _ in range(count):
        patches(client, size, size, path)


def bare_request(client: Client, total: int) -> None:
    """A file in one request to the bare app."""
    whole = total // len(_BUFFER)
    client.send("PUT", f"/?{secrets.token_hex(8)},0", {}, [_BUFFER] * whole)


def _send_form(
    client: Client, target: str, fields: dict[str, Any], file: str, data: memoryview
) -> None:
    head = "".join(
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    )
    head += (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{file}"; filename="blob"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    headers = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}
    tail = f"\r\n--{_BOUNDARY}--\r\n".encode()
    client.send("POST", target, headers, [head.encode(), data, tail])


def _finish(client: Client, upload_id: str) -> float:
    body = json.dumps({"uploadId": upload_id, "filename": "bench.webm"}).encode()
    began = time.perf_counter()
    client.send("POST", "/finalize-upload", {"Content-Type": "application/json"}, [body])
    return time.perf_counter() - began
