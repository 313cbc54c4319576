"""What stands between client and server: TLS inside gunicorn, nginx before it."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.servers.raw_client import RawConnection, wait_for
from tests.servers.recording import (
    DIRECT,
    LARGE,
    MEBIBYTE,
    SMALL,
    Recording,
    assert_cut,
    chunk,
    chunked_head,
    next_name,
    run_recording,
    sample,
    upload_head,
)
from tests.servers.running import HOST, Server, free_port

OPENSSL = shutil.which("openssl")
NGINX = shutil.which("nginx", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))


class TlsRecording(Recording):
    """The same, spoken to in TLS."""

    def connect(self) -> RawConnection:
        connection = super().connect()
        trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trusting.check_hostname = False
        trusting.verify_mode = ssl.CERT_NONE
        connection.socket = trusting.wrap_socket(connection.socket)
        return connection


@pytest.fixture(scope="module", params=DIRECT)
def tls(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TlsRecording]:
    if OPENSSL is None:
        pytest.skip("openssl is not installed: apt-get install openssl")
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = str(folder / "key"), str(folder / "certificate")
    words = [OPENSSL, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=test"]
    words += ["-keyout", key, "-out", certificate]
    subprocess.run(words, check=True, capture_output=True)
    extra = ["--keyfile", key, "--certfile", certificate]
    with run_recording(request.param, folder, extra=extra, tls=True) as running:
        yield TlsRecording(running.server, folder)


@pytest.mark.parametrize("how", ["fin", "rst"])
def test_a_cut_in_tls_is_stored_up_to_the_cut(tls: TlsRecording, how: str) -> None:
    for position in sample(len(LARGE), 8):
        name = next_name()
        connection = tls.connect()
        connection.send(upload_head(name, len(LARGE)) + LARGE[:position])
        wait_for("the app to begin", lambda name=name: tls.has_started(name))
        connection.end(how)
        assert_cut(tls, name, LARGE, position)


def test_a_whole_body_in_tls(tls: TlsRecording) -> None:
    name = next_name()
    with tls.connect() as connection:
        connection.socket.sendall(upload_head(name, len(LARGE)) + LARGE)
        assert connection.answer()[0] == 200
    assert tls.facts(name)["whole"] is True
    assert tls.stored(name) == LARGE


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_silence_in_tls_is_answered_in_tls_and_its_bytes_are_kept(
    tls: TlsRecording, chunked: bool
) -> None:
    name = next_name()
    sent = LARGE[:100_001]
    if chunked:
        request = chunked_head(name, query="?idle=0.3") + chunk(LARGE)[: len(sent) + 8]
    else:
        request = upload_head(name, MEBIBYTE, "?idle=0.3") + sent
    with tls.connect() as connection:
        connection.send(request)
        assert connection.answer()[0] == 408
    assert tls.facts(name)["cut"] == "idle-timeout"
    assert tls.stored(name) == sent


NGINX_CONFIG = """
daemon off; user {user}; error_log {folder}/error.log; pid {folder}/pid; worker_processes 1;
events {{ worker_connections 64; }}
http {{
    access_log off; client_max_body_size 0; client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u;
    scgi_temp_path {folder}/s;
    server {{
        listen {host}:{port};
        location / {{
            proxy_pass http://{host}:{upstream}; proxy_http_version 1.1; proxy_buffering off;
            proxy_request_buffering {buffering};
        }}
    }}
}}
"""


@contextmanager
def run_nginx(folder: Path, upstream: int, buffering: str) -> Iterator[int]:
    """nginx before a port of ours; yields its own."""
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(
        NGINX_CONFIG.format(
            folder=folder,
            user=getpass.getuser(),
            host=HOST,
            port=port,
            upstream=upstream,
            buffering=buffering,
        )
    )
    process = subprocess.Popen([str(NGINX), "-c", str(config), "-p", str(folder)])
    try:
        wait_for("nginx", lambda: accepts(port))
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


class BehindNginx(Recording):
    """The same, spoken to through nginx."""

    def __init__(self, server: Server, folder: Path, port: int) -> None:
        super().__init__(server, folder)
        self.port = port

    def connect(self) -> RawConnection:
        return RawConnection(self.server.host, self.port)


@pytest.fixture(params=["off", "on"], ids=["unbuffered", "buffered"])
def nginx(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BehindNginx]:
    if NGINX is None:
        pytest.skip("nginx is not installed: apt-get install nginx-light")
    folder = tmp_path / "recordings"
    folder.mkdir()
    with (
        run_recording("gunicorn-gthread", folder) as running,
        run_nginx(tmp_path, running.server.port, request.param) as port,
    ):
        yield BehindNginx(running.server, folder, port)


def test_an_early_answer_after_a_drain_passes_nginx(nginx: BehindNginx) -> None:
    """Without the drain most clients would get a 502."""
    content = LARGE * 16
    for _ in range(8):
        name = next_name()
        with nginx.connect() as connection:
            connection.socket.sendall(upload_head(name, len(content), "?stop=1&drain=1"))
            connection.socket.sendall(content)
            assert connection.answer()[0] == 200
        assert nginx.facts(name)["whole"] is False


@pytest.mark.parametrize("how", ["fin", "rst"])
@pytest.mark.parametrize("nginx", ["off"], indirect=True, ids=["unbuffered"])
def test_a_cut_behind_nginx_is_stored_up_to_the_cut(nginx: BehindNginx, how: str) -> None:
    for position in sample(len(SMALL), 8):
        name = next_name()
        connection = nginx.connect()
        connection.send(upload_head(name, len(SMALL)) + SMALL[:position])
        wait_for("the bytes", lambda n=name, p=position: nginx.stored(n) == SMALL[:p])
        wait_for("the app to begin", lambda name=name: nginx.has_started(name))
        connection.end(how)
        assert_cut(nginx, name, SMALL, position)


@pytest.mark.parametrize("nginx", ["on"], indirect=True, ids=["buffered"])
def test_nginx_with_buffering_leaves_nothing_of_a_cut(nginx: BehindNginx) -> None:
    name = next_name()
    connection = nginx.connect()
    connection.send(upload_head(name, MEBIBYTE) + LARGE[:500_000])
    connection.end("fin")
    log = nginx.folder.parent / "error.log"
    after = next_name()
    with nginx.connect() as other:
        other.socket.sendall(upload_head(after, len(SMALL)) + SMALL)
        assert other.answer()[0] == 200
    assert nginx.stored(after) == SMALL
    assert not nginx.has_started(name)
    assert log.exists()
