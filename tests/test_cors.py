"""Other origins: who may, who is told what, and which requests are refused as forged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from resumable import ResumableUploads
from resumable.cors import Cors
from tests.calls import Answer, call, file, snapshot

HERE = "http://testserver"
FRIEND = "https://app.example"
STRANGER = "https://evil.example"
ACAO = "access-control-allow-origin"
CREDENTIALS = "access-control-allow-credentials"


def app_with(tmp_path: Path, **options: Any) -> ResumableUploads:
    return ResumableUploads(None, tmp_path / "store", durability="process", **options)


# Every status that a page may have to read.
REQUESTS: dict[str, tuple[str, str, dict[str, Any], int]] = {
    "success": ("PUT", "/upload-chunk?uploadId=a&chunkIndex=0", {"body": b"x"}, 200),
    "config": ("GET", "/upload-config", {}, 200),
    "head": ("HEAD", "/upload-config", {}, 200),
    "bad words": ("POST", "/upload-chunk", {"form": [file("chunk", b"x")]}, 400),
    "bad query": ("GET", "/upload-status/a?x=1&x=2", {}, 400),
    "bad path": ("GET", "/upload-status/%ff", {}, 400),
    "unknown": ("GET", "/upload-status/nobody", {}, 404),
    "no recording": ("GET", "/recordings/x", {}, 404),
    "wrong method": ("PATCH", "/upload-chunk", {}, 405),
    "no length": ("PUT", "/upload-chunk", {"environ": {"CONTENT_LENGTH": None}}, 411),
    "bad length": ("PUT", "/upload-chunk", {"environ": {"CONTENT_LENGTH": "+5"}}, 400),
    "too large": ("POST", "/finalize-upload", {"body": b"x" * 100_000}, 413),
    "long header": ("GET", "/upload-config", {"headers": {"X-Long": "x" * 9000}}, 431),
}


def ask(app: Any, name: str, **headers: str) -> Answer:
    method, target, how, _ = REQUESTS[name]
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return call(app, method, target, **{**how, "headers": {**how.get("headers", {}), **named}})


@pytest.mark.parametrize("name", REQUESTS)
@pytest.mark.parametrize(
    ("options", "origin", "allowed", "credentials", "vary"),
    [
        ({}, None, None, None, None),
        ({}, HERE, None, None, None),
        ({"cors": [FRIEND]}, None, None, None, "Origin"),
        ({"cors": [FRIEND]}, HERE, None, None, "Origin"),
        ({"cors": [FRIEND]}, FRIEND, FRIEND, None, "Origin"),
        ({"cors": [FRIEND + "/"]}, FRIEND, FRIEND, None, "Origin"),
        ({"cors": FRIEND}, FRIEND, FRIEND, None, "Origin"),
        ({"cors": [FRIEND], "cors_credentials": True}, FRIEND, FRIEND, "true", "Origin"),
        ({"cors": [FRIEND], "cors_credentials": True}, None, None, None, "Origin"),
        ({"cors": "*"}, None, None, None, None),
        ({"cors": "*"}, FRIEND, "*", None, None),
        ({"cors": "*"}, "null", "*", None, None),
        ({"cors": ["*", FRIEND]}, STRANGER, "*", None, None),
    ],
)
def test_every_answer_carries_what_the_browser_needs(
    tmp_path: Path,
    name: str,
    options: dict[str, Any],
    origin: str | None,
    allowed: str | None,
    credentials: str | None,
    vary: str | None,
) -> None:
    headers = {} if origin is None else {"Origin": origin}
    answer = ask(app_with(tmp_path, **options), name, **headers)
    assert answer.status == REQUESTS[name][3]
    assert answer.headers.get(ACAO) == allowed
    assert answer.headers.get(CREDENTIALS) == credentials
    assert answer.headers.get("vary") == vary
    exposed = answer.headers.get("access-control-expose-headers", "")
    assert ("Retry-After" in exposed) is (allowed is not None)


@pytest.mark.parametrize("name", REQUESTS)
@pytest.mark.parametrize("credentials", [False, True])
def test_a_stranger_is_never_reflected(tmp_path: Path, name: str, credentials: bool) -> None:
    app = app_with(tmp_path, cors=[FRIEND], cors_credentials=credentials)
    for origin in (STRANGER, "null", FRIEND + ".evil.example", "http://app.example", FRIEND + ":1"):
        answer = ask(app, name, Origin=origin)
        assert ACAO not in answer.headers
        assert CREDENTIALS not in answer.headers
        assert answer.headers["vary"] == "Origin"


# ---------------------------------------------------------------- preflight


def preflight(app: Any, path: str, origin: str, headers: str = "x-upload-id") -> Answer:
    asked = {"Origin": origin, "Access-Control-Request-Method": "PUT"}
    if headers:
        asked["Access-Control-Request-Headers"] = headers
    return call(app, "OPTIONS", path, headers=asked)


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/upload-chunk", "POST, PUT, OPTIONS"),
        ("/finalize-upload", "POST, OPTIONS"),
        ("/upload-status/a", "GET, HEAD, DELETE, OPTIONS"),
        ("/process-video-chunks", "POST, OPTIONS"),
        ("/upload-config", "GET, HEAD, OPTIONS"),
        ("/recordings/x", "GET, HEAD, OPTIONS"),
    ],
)
@pytest.mark.parametrize("cors", [[FRIEND], ["*"]])
def test_preflight(tmp_path: Path, cors: list[str], path: str, methods: str) -> None:
    wanted = "content-range, content-type, x-chunk-index, x-upload-id, x-csrf-token, authorization"
    answer = preflight(app_with(tmp_path, cors=cors), path, FRIEND, wanted)
    assert answer.status == 204
    assert answer.headers["access-control-allow-methods"] == methods
    assert answer.headers["access-control-allow-headers"] == wanted
    assert answer.headers[ACAO] == cors[0]
    assert int(answer.headers["access-control-max-age"]) > 0


@pytest.mark.parametrize("cors", [[], [FRIEND]])
def test_a_strangers_preflight_allows_nothing(tmp_path: Path, cors: list[str]) -> None:
    answer = preflight(app_with(tmp_path, cors=cors), "/upload-chunk", STRANGER)
    assert answer.status == 204
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert answer.headers["allow"] == "POST, PUT, OPTIONS"


@pytest.mark.parametrize("headers", ["", "x\r\nSet-Cookie: a", "x;y", "ä", "x" * 2000])
def test_no_nonsense_is_reflected(tmp_path: Path, headers: str) -> None:
    answer = preflight(app_with(tmp_path, cors=FRIEND), "/upload-chunk", FRIEND, headers)
    assert answer.status == 204
    assert "access-control-allow-headers" not in answer.headers


def test_a_preflight_asks_nobody_for_a_login(tmp_path: Path) -> None:
    """Browsers send it without cookies."""

    def owner(environ: Any) -> str:
        raise AssertionError("nobody is logged in")

    app = app_with(tmp_path, cors=FRIEND, owner=owner)
    assert preflight(app, "/upload-chunk", FRIEND).status == 204


# ---------------------------------------------------------------- forged requests

FORM = {"form": [file("chunk", b"x"), ("uploadId", "a"), ("chunkIndex", "0")]}
WRITES: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/upload-chunk", FORM),
    ("PUT", "/upload-chunk?uploadId=a&chunkIndex=0", {"body": b"x"}),
    ("POST", "/upload-chunk?uploadId=a&chunkIndex=0", {"body": b"x"}),
    ("POST", "/finalize-upload", {"json": {"uploadId": "b"}}),
    ("POST", "/process-video-chunks", {"form": [file("file", b"x")]}),
    ("DELETE", "/upload-status/upload_AAAAAAAAAAAAAAAAAAAAAAAA", {}),
]
# Header fields of a request, and whether its page is one's own.
SENDERS: list[tuple[dict[str, str], bool]] = [
    ({}, True),
    ({"Origin": HERE}, True),
    ({"Origin": HERE.upper()}, True),
    ({"Origin": HERE, "Sec-Fetch-Site": "same-origin"}, True),
    ({"Origin": "http://behind.proxy", "Sec-Fetch-Site": "same-origin"}, True),
    ({"Sec-Fetch-Site": "same-origin"}, True),
    ({"Sec-Fetch-Site": "none"}, True),
    ({"Origin": STRANGER}, False),
    ({"Origin": "null"}, False),
    ({"Origin": ""}, False),
    ({"Origin": "http://testserver:81"}, False),
    ({"Origin": "http://["}, False),
    ({"Origin": "http://testserver@evil.example"}, False),
    ({"Origin": STRANGER, "Sec-Fetch-Site": "cross-site"}, False),
    ({"Origin": "http://sub.testserver", "Sec-Fetch-Site": "same-site"}, False),
    ({"Origin": HERE, "Sec-Fetch-Site": "cross-site"}, False),
    ({"Sec-Fetch-Site": "cross-site"}, False),
    ({"Sec-Fetch-Site": "same-site"}, False),
]


@pytest.mark.parametrize(("method", "target", "how"), WRITES)
@pytest.mark.parametrize(("headers", "own"), SENDERS)
def test_foreign_pages_write_nothing(
    tmp_path: Path,
    method: str,
    target: str,
    how: dict[str, Any],
    headers: dict[str, str],
    own: bool,
) -> None:
    app = app_with(tmp_path)
    call(app, "PUT", "/upload-chunk?uploadId=b&chunkIndex=0", b"x")
    call(app, "PUT", "/upload-chunk?uploadId=upload_AAAAAAAAAAAAAAAAAAAAAAAA&chunkIndex=0", b"x")
    before = snapshot(tmp_path)
    answer = call(app, method, target, headers=headers, **how)
    assert answer.status in ((200, 204) if own else (403,))
    if not own:
        assert answer.json["code"] == "foreign-origin"
    assert (snapshot(tmp_path) == before) is not own


@pytest.mark.parametrize("cors", [[FRIEND], ["*"]])
def test_pages_that_are_welcome_write(tmp_path: Path, cors: list[str]) -> None:
    app = app_with(tmp_path, cors=cors)
    headers = {"Origin": FRIEND, "Sec-Fetch-Site": "cross-site"}
    assert call(app, "POST", "/upload-chunk", headers=headers, **FORM).status == 200
    headers["Origin"] = STRANGER
    wanted = 200 if cors == ["*"] else 403
    assert call(app, "POST", "/upload-chunk", headers=headers, **FORM).status == wanted


def test_reading_is_not_writing(tmp_path: Path) -> None:
    headers = {"Origin": STRANGER, "Sec-Fetch-Site": "cross-site"}
    assert call(app_with(tmp_path), "GET", "/upload-config", headers=headers).status == 200


# ---------------------------------------------------------------- what can be configured


@pytest.mark.parametrize(
    "origins", ["null", "app.example", "https://app.example/path", "https://", "https://a b", [""]]
)
def test_origins_that_no_browser_sends(origins: Any) -> None:
    with pytest.raises(ValueError, match="write an origin like"):
        Cors(origins)


@pytest.mark.parametrize(
    "origin",
    ["https://a.example", "http://localhost:8000", "http://[::1]:80", "capacitor://localhost"],
)
def test_origins_that_browsers_send(origin: str) -> None:
    Cors([origin], credentials=True)
    Cors([origin.upper() + "/"])


def test_all_origins_with_credentials_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be combined"):
        app_with(tmp_path, cors="*", cors_credentials=True)
