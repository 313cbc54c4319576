"""The middleware in an application: what it takes, what it passes on untouched, how it answers."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from werkzeug.middleware.proxy_fix import ProxyFix

import resumable
from resumable import ResumableUploads, Uploads
from tests.calls import BOUNDARY, call, file, multipart, snapshot


class Host:
    """An application that notes what it is given and answers 418."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []
        self.bodies: list[bytes] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        self.seen.append(environ)
        self.bodies.append(environ["wsgi.input"].read())
        headers = [("Content-Type", "text/plain"), ("Content-Length", "4")]
        start_response("418 I'm a teapot", headers)
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else b"host"]


@pytest.fixture
def host() -> Host:
    return Host()


def wrapped(host: Any, tmp_path: Path, **options: Any) -> ResumableUploads:
    return ResumableUploads(host, tmp_path / "store", durability="process", **options)


# ---------------------------------------------------------------- passed on

NOT_OURS = [
    ("GET", "/"),
    ("GET", ""),
    ("POST", "/upload"),
    ("POST", "/upload-video"),
    ("POST", "/convert"),
    ("GET", "/api/versions"),
    ("GET", "/recordings"),
    ("POST", "/recordings"),
    ("GET", "/recordings/"),
    ("GET", "/resumable"),
    ("GET", "/resumable/"),
    ("GET", "/resumable/anything-else"),
    ("GET", "/resumable/static"),
    ("GET", "/resumable/static/"),
    ("GET", "/resumable/static/none.js"),
    ("GET", "/resumable/static/../../setup.py"),
    ("GET", "/resumable/static/__init__.py"),
    ("POST", "/resumable/static/demo.css"),
    ("OPTIONS", "/resumable/static/demo.css"),
    ("POST", "/upload-chunk/x"),
    ("POST", "/upload-chunks"),
    ("POST", "/UPLOAD-CHUNK"),
    ("GET", "/upload-status"),
    ("GET", "/upload-status/"),
    ("POST", "/finalize-upload/x"),
    ("GET", "/upload-config/x"),
    ("POST", "//upload-chunk"),
    ("POST", "/x/upload-chunk"),
    ("POST", "/upload-chunk%2Fx"),
    ("POST", "/%75pload-chunkx"),
    ("GET", "/%ff%fe"),
    ("OPTIONS", "/x"),
    ("HEAD", "/x"),
]


@pytest.mark.parametrize(("method", "target"), NOT_OURS)
def test_requests_of_others_are_passed_on(
    tmp_path: Path, host: Host, method: str, target: str
) -> None:
    answer = call(wrapped(host, tmp_path), method, target, b"body")
    assert answer.status == 418
    assert host.bodies == [b"body"]
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    "target", ["/x", "/recordings", "/resumable/anything-else", "/upload-chunk/x"]
)
@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("a=1&a=2", {}),
        ("%ff=%zz&" + "x=1&" * 100, {}),
        ("", {"X-Long": "x" * 100_000}),
        ("", {"Content-Length": "+5"}),
        ("", {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}),
        ("", {"Transfer-Encoding": "gzip", "Content-Length": "4"}),
    ],
)
def test_nothing_of_them_is_judged(
    tmp_path: Path, host: Host, target: str, query: str, headers: dict[str, str]
) -> None:
    app = wrapped(host, tmp_path, cors="https://app.example", owner=lambda environ: 1 / 0)
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": target,
        "QUERY_STRING": query,
        "wsgi.input": io.BytesIO(b"body"),
    }
    environ |= {f"HTTP_{name.upper().replace('-', '_')}": v for name, v in headers.items()}
    statuses: list[str] = []
    app(environ, lambda status, headers: statuses.append(status))
    assert statuses == ["418 I'm a teapot"]


def test_the_host_gets_the_very_environ(tmp_path: Path, host: Host) -> None:
    app = wrapped(host, tmp_path)
    source = io.BytesIO(b"untouched")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/page",
        "wsgi.input": source,
        "HTTP_X": "y",
    }
    before = dict(environ)
    result = app(environ, lambda status, headers: None)
    assert host.seen[0] is environ
    assert environ.pop("resumable.uploads") is app.uploads
    assert environ == before
    assert environ["wsgi.input"] is source
    assert result == [b"host"]


def test_a_passed_request_costs_a_look_at_its_path(tmp_path: Path) -> None:
    """No call of ours but the one that looks."""

    def bare(environ: Any, start_response: Any) -> list[bytes]:
        return [b""]

    app = wrapped(bare, tmp_path)
    called: list[str] = []

    def note(frame: Any, event: str, argument: Any) -> None:
        if event == "call":
            called.append(frame.f_code.co_name)

    sys.setprofile(note)
    try:
        app({"PATH_INFO": "/some/page", "REQUEST_METHOD": "GET"}, lambda *_: None)
    finally:
        sys.setprofile(None)
    assert called == ["__call__", "bare"]


def test_what_the_host_raises_is_its_own(tmp_path: Path) -> None:
    def broken(environ: Any, start_response: Any) -> list[bytes]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        call(wrapped(broken, tmp_path), "GET", "/x")


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_without_an_app_other_paths_are_not_found(tmp_path: Path, method: str) -> None:
    answer = call(wrapped(None, tmp_path), method, "/x")
    assert (answer.status, answer.headers["content-type"]) == (404, "text/plain")
    assert answer.body == (b"" if method == "HEAD" else b"Not Found")


def test_nothing_is_touched_before_the_first_upload(tmp_path: Path) -> None:
    app = wrapped(None, tmp_path)
    call(app, "GET", "/upload-config")
    call(app, "GET", "/upload-status/a")
    call(app, "GET", "/recordings/" + "A" * 22)
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- where it is mounted


def upload(app: Any, base: str = "", **environ: Any) -> dict[str, Any]:
    form = [file("file", b"content", "ü.webm")]
    answer = call(app, "POST", f"{base}/process-video-chunks", form=form, environ=environ)
    assert answer.status == 200, answer
    document: dict[str, Any] = answer.json
    return document


def test_a_prefix(tmp_path: Path, host: Host) -> None:
    app = wrapped(host, tmp_path, prefix="/files")
    document = upload(app, "/files")
    assert document["path"].startswith("/recordings/")
    assert document["url"] == "/files" + document["path"]
    assert app.uploads.url(app.uploads.list()[0]) == document["url"]
    assert call(app, "GET", document["url"]).body == b"content"
    assert call(app, "GET", "/files/upload-config").status == 200
    assert call(app, "GET", "/files/resumable/static/demo.css").status == 200
    for target in (
        document["path"],
        "/upload-config",
        "/files",
        "/files/",
        "/filesystem/upload-config",
        "/filesupload-config",
        "/files/x",
        "/x/files/upload-config",
    ):
        assert call(app, "GET", target).status == 418, target


@pytest.mark.parametrize("prefix", ["files", "/files/", "/", "files/"])
def test_a_prefix_that_is_none(tmp_path: Path, prefix: str) -> None:
    with pytest.raises(ValueError, match="prefix must look like"):
        wrapped(None, tmp_path, prefix=prefix)


def test_under_script_name(tmp_path: Path) -> None:
    app = wrapped(None, tmp_path, prefix="/files")
    document = upload(app, "/files", SCRIPT_NAME="/my app")
    assert document["url"] == "/my%20app/files" + document["path"]
    document = upload(app, "/files", SCRIPT_NAME="/Ã¼")
    assert document["url"].startswith("/%C3%BC/files/")


def test_without_script_name(tmp_path: Path) -> None:
    """nginx -> uwsgi sends none."""
    form = multipart([file("file", b"x")])
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/process-video-chunks",
        "CONTENT_TYPE": f"multipart/form-data; boundary={BOUNDARY}",
        "CONTENT_LENGTH": str(len(form)),
        "wsgi.input": io.BytesIO(form),
        "wsgi.errors": io.StringIO(),
    }
    statuses: list[str] = []
    wrapped(None, tmp_path)(environ, lambda status, headers: statuses.append(status))
    assert statuses == ["200 OK"]


def test_behind_a_proxy(tmp_path: Path) -> None:
    app = ProxyFix(wrapped(None, tmp_path), x_prefix=1, x_host=1, x_proto=1)
    form = [file("file", b"content")]
    headers = {
        "X-Forwarded-Prefix": "/mounted",
        "X-Forwarded-Host": "public.example",
        "X-Forwarded-Proto": "https",
        "Origin": "https://public.example",
    }
    document = call(app, "POST", "/process-video-chunks", form=form, headers=headers).json
    assert document["url"] == "/mounted" + document["path"]
    headers["Origin"] = "https://testserver"
    answer = call(app, "POST", "/process-video-chunks", form=form, headers=headers)
    assert answer.status == 403


def test_no_answer_names_the_host(tmp_path: Path) -> None:
    """Not even what a client says of it: links are paths."""
    document = upload(wrapped(None, tmp_path), HTTP_HOST="evil.example")
    assert "evil" not in str(document)


# ---------------------------------------------------------------- the forms of answers


def test_other_methods_are_told_which_to_use(tmp_path: Path) -> None:
    app = wrapped(None, tmp_path, listing=True)
    for target, allow in [
        ("/upload-chunk", "POST, PUT, OPTIONS"),
        ("/finalize-upload", "POST, OPTIONS"),
        ("/upload-status/a", "GET, HEAD, DELETE, OPTIONS"),
        ("/process-video-chunks", "POST, OPTIONS"),
        ("/upload-config", "GET, HEAD, OPTIONS"),
        ("/recordings", "GET, HEAD, OPTIONS"),
        ("/recordings/x", "GET, HEAD, OPTIONS"),
    ]:
        for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "TRACE", "UPLOAD"):
            answer = call(app, method, target)
            assert (answer.status == 405) is (method not in allow)
            if answer.status == 405:
                assert answer.headers["allow"] == allow
        answer = call(app, "OPTIONS", target)
        assert (answer.status, answer.headers["allow"]) == (204, allow)


def test_head_answers_as_get_does(tmp_path: Path) -> None:
    app = wrapped(None, tmp_path, listing=True)
    path = upload(app)["path"]
    call(app, "PUT", "/upload-chunk?uploadId=a&chunkIndex=0", b"x")
    for target in (
        path,
        "/upload-config",
        "/upload-status/a",
        "/upload-status/b",
        "/recordings",
        "/recordings/x",
        "/resumable/static/demo.css",
    ):
        get, head = call(app, "GET", target), call(app, "HEAD", target)
        assert (head.status, head.headers) == (get.status, get.headers)


def test_an_answer_is_never_an_empty_iterable(tmp_path: Path) -> None:
    app = wrapped(None, tmp_path)
    form = [file("file", b"")]
    path = call(app, "POST", "/process-video-chunks", form=form).json["path"]
    for method, target in [("GET", path), ("HEAD", path), ("OPTIONS", "/upload-chunk")]:
        environ = {"REQUEST_METHOD": method, "PATH_INFO": target}
        result = app({**environ, "wsgi.errors": io.StringIO()}, lambda status, headers: None)
        assert result == [b""]


def test_an_error_is_answered_after_the_body_was_read(tmp_path: Path) -> None:
    """A proxy makes a 502 of an answer that comes before (16 MiB at most are read)."""
    source = io.BytesIO(b"x" * 1_000_000)
    answer = call(
        wrapped(None, tmp_path),
        "PUT",
        "/upload-chunk?uploadId=%00",
        environ={"wsgi.input": source, "CONTENT_LENGTH": "1000000"},
    )
    assert answer.status == 400
    assert source.read() == b""


def test_the_old_clients_headers_are_no_trouble(tmp_path: Path) -> None:
    """Section 1 announces X- headers that it never reads; ours reads them."""
    answer = call(
        wrapped(None, tmp_path),
        "POST",
        "/upload-chunk",
        headers={"X-Upload-Id": "a", "X-Chunk-Index": "0", "X-Total-Chunks": "1"},
        form=[file("chunk", b"x"), ("uploadId", "a"), ("chunkIndex", "0"), ("totalChunks", "1")],
    )
    assert answer.status == 200


def test_long_logins_are_no_trouble(tmp_path: Path) -> None:
    app = wrapped(None, tmp_path)
    for name in ("Cookie", "Authorization"):
        assert call(app, "GET", "/upload-config", headers={name: "x" * 20_000}).status == 200


# ---------------------------------------------------------------- files for browsers


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("chunked-upload.js", "text/javascript; charset=utf-8"),
        ("chunked-upload.d.ts", "text/plain; charset=utf-8"),
        ("demo.css", "text/css; charset=utf-8"),
        ("demo.html", "text/html; charset=utf-8"),
    ],
)
def test_shipped_files(tmp_path: Path, name: str, content_type: str) -> None:
    app = wrapped(None, tmp_path)
    target = f"/resumable/static/{name}"
    answer = call(app, "GET", target)
    assert (answer.status, answer.headers["content-type"]) == (200, content_type)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.body
    etag = answer.headers["etag"]
    for known in (etag, f"W/{etag}", f'"x", {etag}'):
        assert call(app, "GET", target, headers={"If-None-Match": known}).status == 304
    assert call(app, "GET", target, headers={"If-None-Match": '"x"'}).status == 200


def test_every_shipped_file_is_served(tmp_path: Path) -> None:
    app = wrapped(None, tmp_path)
    names = [path.name for path in Path(resumable.__file__).with_name("static").iterdir()]
    assert names
    for name in names:
        assert call(app, "GET", f"/resumable/static/{name}").status == 200, name


# ---------------------------------------------------------------- servers that defeat resuming


def test_a_server_that_defeats_resuming_is_named_once(tmp_path: Path) -> None:
    app = wrapped(None, tmp_path)
    errors = io.StringIO()
    for _ in range(3):
        call(app, "GET", "/x", environ={"SERVER_SOFTWARE": "waitress", "wsgi.errors": errors})
    assert errors.getvalue() == ""
    for _ in range(3):
        environ = {"SERVER_SOFTWARE": "waitress", "wsgi.errors": errors}
        call(app, "GET", "/upload-config", environ=environ)
    assert errors.getvalue().startswith("resumable: waitress ")
    assert errors.getvalue().count("\n") == 1


# ---------------------------------------------------------------- bodies that no server vouches for


@pytest.mark.parametrize(
    ("environ", "status"),
    [
        ({"CONTENT_LENGTH": "1", "HTTP_TRANSFER_ENCODING": "chunked"}, 400),
        ({"CONTENT_LENGTH": None, "HTTP_TRANSFER_ENCODING": "gzip, chunked"}, 400),
        ({"CONTENT_LENGTH": None, "HTTP_TRANSFER_ENCODING": "xchunked"}, 400),
        ({"CONTENT_LENGTH": None, "HTTP_TRANSFER_ENCODING": "chunked"}, 411),
        ({"CONTENT_LENGTH": None}, 411),
        ({"CONTENT_LENGTH": "5, 6"}, 400),
        ({"CONTENT_LENGTH": "1_0"}, 400),
        ({"CONTENT_LENGTH": "9" * 19}, 400),
        ({"CONTENT_LENGTH": "9" * 20}, 400),
    ],
)
@pytest.mark.parametrize("target", ["/upload-chunk?uploadId=a", "/finalize-upload"])
def test_framing(tmp_path: Path, environ: dict[str, Any], status: int, target: str) -> None:
    answer = call(wrapped(None, tmp_path), "POST", target, b"x", environ=environ)
    assert answer.status == status
    assert set(answer.json) == {"error", "code"}
    assert snapshot(tmp_path) == {}


def test_the_handle_is_in_every_environ(tmp_path: Path) -> None:
    def page(environ: Any, start_response: Any) -> list[bytes]:
        uploads = environ["resumable.uploads"]
        assert isinstance(uploads, Uploads)
        body = str(len(uploads.list())).encode()
        start_response(
            "200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))]
        )
        return [body]

    app = wrapped(page, tmp_path)
    upload(app)
    assert call(app, "GET", "/page").body == b"1"
