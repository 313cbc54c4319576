"""`resumable conformance` and its pytest plugin: what they print, write and return."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from resumable.cli import main
from resumable.conformance import ROWS
from tests.conformance.reference_server import Reference

pytest_plugins = ["pytester"]

OPENSSL = shutil.which("openssl")
FEW = "T00x,T02x,T031"


def conformance(*words: str) -> Result:
    return CliRunner().invoke(main, ["conformance", *words])


@pytest.fixture
def right() -> Iterator[str]:
    with Reference() as server:
        yield server.url


@pytest.fixture
def wrong() -> Iterator[str]:
    """A MUST, a SHOULD and a recommendation fail."""
    with Reference({"no-version-on-412", "400-for-type", "version-not-needed"}) as server:
        yield server.url


# ---------------------------------------------------------------- for people


def test_a_right_server(right: str) -> None:
    result = conformance(right, "--only", FEW)
    assert result.exit_code == 0
    assert "FAIL" not in result.stdout
    assert "MUST rows that fail: none." in result.stdout


def test_what_fails_is_told_with_its_exchange(wrong: str) -> None:
    result = conformance(wrong, "--only", FEW)
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    at = next(number for number, text in enumerate(lines) if text.startswith("FAIL T002"))
    assert lines[at].startswith("FAIL T002  MUST ")
    assert lines[at + 1] == "     POST with Tus-Resumable 0.2.2: Tus-Version is missing."
    assert lines[at + 2].startswith(
        "     sent: POST /files; Tus-Resumable: 0.2.2; Upload-Length: 5"
    )
    assert lines[at + 3].startswith("     back: 412 Precondition Failed")
    assert "FAIL T031  SHOULD" in result.stdout
    assert "FAIL T004  RECOMMENDED" in result.stdout
    assert "MUST rows that fail: T002." in result.stdout


def test_the_table_counts(wrong: str) -> None:
    lines = conformance(wrong, "--only", "T002,T004,T005,T031").stdout.splitlines()
    assert ["MUST", "1", "1", "0", "0"] in [line.split() for line in lines]
    assert ["SHOULD", "0", "1", "0", "0"] in [line.split() for line in lines]
    assert ["RECOMMENDED", "0", "1", "0", "0"] in [line.split() for line in lines]


def test_only_a_must_fails_the_run(wrong: str) -> None:
    assert conformance(wrong, "--only", "T031,T004").exit_code == 0


def test_levels(wrong: str) -> None:
    assert "T031" not in conformance(wrong, "--only", FEW, "--level", "must").stdout
    should = conformance(wrong, "--only", FEW, "--level", "should").stdout
    assert "FAIL T031" in should
    assert "T004" not in should


def test_verbose_shows_every_row(right: str) -> None:
    result = conformance(right, "--only", "T02x", "-v")
    assert [line.split()[1] for line in result.stdout.splitlines() if line.startswith("ok")] == [
        "T020",
        "T021",
        "T022",
        "T023",
        "T024",
        "T025",
    ]


# ---------------------------------------------------------------- for programs


def test_json(wrong: str) -> None:
    result = conformance(wrong, "--only", FEW, "--json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert document["url"] == wrong
    assert document["passed"] is False
    rows = {row["number"]: row for row in document["rows"]}
    assert rows["T001"]["outcome"] == "passed"
    assert rows["T002"]["outcome"] == "failed"
    assert rows["T002"]["failed_level"] == "MUST"
    assert rows["T002"]["evidence"]["received"].startswith("412")
    assert document["counts"]["MUST"]["failed"] == 1
    assert sum(sum(by.values()) for by in document["counts"].values()) == len(rows)


def test_junit(wrong: str, tmp_path: Path) -> None:
    path = tmp_path / "tus.xml"
    assert conformance(wrong, "--only", FEW, "--junit", str(path)).exit_code == 1
    suite = ElementTree.parse(path).getroot()
    cases = {str(case.get("name"))[:4]: case for case in suite.iter("testcase")}
    assert suite.get("tests") == str(len(cases))
    assert (suite.get("failures"), suite.get("skipped"), suite.get("errors")) == ("1", "2", "0")
    failure = cases["T002"].find("failure")
    assert failure is not None
    assert "sent: POST" in str(failure.text)
    assert cases["T031"].find("skipped") is not None
    assert cases["T001"].find("*") is None


# ---------------------------------------------------------------- what goes wrong


def test_nobody_is_there(tmp_path: Path) -> None:
    with Reference() as server:
        url = server.url
    path = tmp_path / "tus.xml"
    result = conformance(url, "--json", "--junit", str(path))
    assert result.exit_code == 2
    assert "does not answer" in result.stderr
    assert json.loads(result.stdout)["passed"] is False
    assert ElementTree.parse(path).getroot().get("errors") == "1"
    assert "Traceback" not in result.output


def test_a_server_that_goes_away_is_no_server_that_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    with Reference() as server:
        handled = server.process_request
        left = 6

        def dying(request: object, address: object) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                server.socket.close()
            handled(request, address)  # type: ignore[arg-type]

        monkeypatch.setattr(server, "process_request", dying)
        result = conformance(server.url, "--only", "T02x", "--timeout", "1")
    assert result.exit_code == 2
    assert "stopped answering" in result.stderr
    assert "MUST rows that fail" in result.stdout


@pytest.mark.parametrize(
    "words",
    [
        ["ftp://127.0.0.1/files"],
        ["http://127.0.0.1:9/files", "--only", "T99x"],
        ["http://127.0.0.1:9/files", "-H", "no colon"],
        ["http://127.0.0.1:9/files", "-H", "a: b\r\nc: d"],
        ["http://127.0.0.1:9/files", "--level", "ought"],
    ],
)
def test_words_that_are_none(words: list[str]) -> None:
    result = conformance(*words)
    assert result.exit_code == 2
    assert "Usage:" in result.stderr


class Page(BaseHTTPRequestHandler):
    """A server that has never heard of tus."""

    status = 200

    def answer(self) -> None:
        self.send_response(self.status)
        self.send_header("Content-Length", "14")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(b"<html>Hi</html"[:14])

    do_OPTIONS = do_POST = do_HEAD = do_PATCH = do_DELETE = do_GET = do_PUT = answer

    def log_message(self, format: str, *args: object) -> None:
        """Silence."""


class Nothing(Page):
    status = 404


class Garbage(BaseRequestHandler):
    def handle(self) -> None:
        self.request.recv(65536)
        self.request.sendall(b"220 mail.example ESMTP\r\n")


class CutShort(Page):
    """Its answers promise more than comes."""

    def answer(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"short")

    do_OPTIONS = do_POST = do_HEAD = do_PATCH = do_DELETE = do_GET = do_PUT = answer


@contextmanager
def serving(handler: type[BaseRequestHandler]) -> Iterator[str]:
    with ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/files"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("handler", [Page, Nothing, CutShort])
def test_what_is_no_tus_server(handler: type[Page]) -> None:
    with serving(handler) as url:
        result = conformance(url, "--timeout", "2")
    assert result.exit_code == 1
    assert "Traceback" not in result.output
    assert "Error" not in result.output
    failed = result.stdout.splitlines()[-1]
    assert failed.startswith("MUST rows that fail: ")
    assert "T006" in failed


def test_what_is_no_http() -> None:
    with serving(Garbage) as url:
        result = conformance(url)
    assert result.exit_code == 2
    assert "the answer is no HTTP" in result.stderr


# ---------------------------------------------------------------- logins, certificates, metadata


def test_headers_log_in_and_are_never_shown() -> None:
    with Reference(token="Bearer secret-word") as server:
        closed = conformance(server.url, "--only", "T054")
        header = "Authorization: Bearer secret-word"
        opened = conformance(server.url, "--only", "T054", "-v", "-H", header)
    assert closed.exit_code == 2
    assert "give it a login" in closed.stderr
    assert opened.exit_code == 0
    assert "secret" not in opened.output


def test_metadata_that_a_server_asks_for(right: str) -> None:
    words = ["--metadata", "filename YQ==,filetype Yg=="]
    result = conformance(right, "--only", "T05x,T06x,T07x,T162,C0x", *words)
    assert result.exit_code == 0
    assert "FAIL" not in result.stdout


@pytest.mark.skipif(OPENSSL is None, reason="openssl is not installed: apt-get install openssl")
def test_https(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, certificate = str(tmp_path / "key"), str(tmp_path / "certificate")
    words = [str(OPENSSL), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    words += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*words, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with Reference() as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        url = server.url.replace("http:", "https:")
        strange = conformance(url, "--only", "T02x")
        monkeypatch.setenv("SSL_CERT_FILE", certificate)
        known = conformance(url, "--only", "T02x,T043,T044,T045,T039")
    assert strange.exit_code == 2
    assert "certificate" in strange.stderr
    assert known.exit_code == 0
    assert "FAIL" not in known.stdout


# ---------------------------------------------------------------- pytest


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project with a test of its own, which the rows leave alone."""
    pytester.makepyfile(test_own="def test_own(): assert True")
    return pytester


PLUGIN = ("-p", "resumable.conformance.plugin", "-p", "no:cacheprovider")


def test_each_row_is_a_test(project: pytest.Pytester, right: str) -> None:
    only = ["--tus-url", right, "--tus-only", "T02x,T013,T030"]
    result = project.runpytest_subprocess(*PLUGIN, *only, "-rs", "-v")
    result.assert_outcomes(passed=7, skipped=1)
    result.stdout.fnmatch_lines(["*T013 SKIPPED*", "*T020 PASSED*", "SKIPPED*refused with 413*"])
    result.stdout.no_fnmatch_line("*test_own*")


def test_rows_that_fail(project: pytest.Pytester, wrong: str) -> None:
    only = ["--tus-url", wrong, "--tus-only", "T002,T004,T031,T005"]
    result = project.runpytest_subprocess(*PLUGIN, *only, "-rx")
    result.assert_outcomes(failed=1, xfailed=2, passed=1)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*Tus-Version is missing*", "*sent: POST*", "*back: 412*"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_rows_beside_other_tests(project: pytest.Pytester, right: str) -> None:
    words = ["--tus-url", right, "--tus-only", "T020", "test_own.py"]
    project.runpytest_subprocess(*PLUGIN, *words).assert_outcomes(passed=2)


def test_without_a_url_nothing_changes(project: pytest.Pytester) -> None:
    project.runpytest_subprocess(*PLUGIN).assert_outcomes(passed=1)


def test_pytest_where_nobody_answers(project: pytest.Pytester) -> None:
    with Reference() as server:
        url = server.url
    words = ["--tus-url", url, "--tus-only", "T02x"]
    result = project.runpytest_subprocess(*PLUGIN, *words)
    result.assert_outcomes(failed=6)
    result.stdout.fnmatch_lines(["*does not answer*"])


def test_pytest_with_unknown_rows(project: pytest.Pytester, right: str) -> None:
    result = project.runpytest_subprocess(*PLUGIN, "--tus-url", right, "--tus-only", "T99x")
    assert result.ret == pytest.ExitCode.USAGE_ERROR


def test_all_rows_are_collected(project: pytest.Pytester, right: str) -> None:
    result = project.runpytest_subprocess(*PLUGIN, "--tus-url", right, "--collect-only", "-q")
    result.stdout.fnmatch_lines([f"{len(ROWS)} tests collected*"])
