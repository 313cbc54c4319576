"""The shipped browser files: versions, caching, digests, compression, the npm layout."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from pathlib import Path

import pytest

import resumable
from resumable import assets
from resumable.http import Headers, Request, Response
from tests.clients import npm

STATIC = Path(resumable.__file__).with_name("static")
VERSION = resumable.__version__
NAME = "chunked-upload.js"
MODULES = sorted(p.name for p in STATIC.glob("*.js") if not p.name.startswith("demo"))


def ask(name: str, **headers: str) -> Response:
    told = {field.replace("_", "-"): value for field, value in headers.items()}
    response = assets.serve(Request("GET", "/", headers=Headers(told)), name)
    assert response is not None
    return response


def body(response: Response) -> bytes:
    assert isinstance(response.body, bytes)
    return response.body


def field(response: Response, name: str) -> str | None:
    return dict(response.headers).get(name)


def test_under_its_version_a_file_is_kept_for_ever() -> None:
    response = ask(f"{VERSION}/{NAME}")
    assert body(response) == (STATIC / NAME).read_bytes()
    assert field(response, "Cache-Control") == "public, max-age=31536000, immutable"
    assert field(response, "Content-Type") == "text/javascript; charset=utf-8"
    known = ask(f"{VERSION}/{NAME}", if_none_match=str(field(response, "ETag")))
    assert known.status == 304
    assert field(known, "Cache-Control") == field(response, "Cache-Control")


@pytest.mark.parametrize("name", [NAME, f"0.0.1/{NAME}", f"{VERSION}.dev1/{NAME}"])
def test_under_any_other_name_it_is_asked_for_again(name: str) -> None:
    assert field(ask(name), "Cache-Control") == "no-cache"


@pytest.mark.parametrize("name", [f"{VERSION}/", f"{VERSION}/a/{NAME}", f"x/{NAME}", "0.1/none.js"])
def test_nothing_else_is_served(name: str) -> None:
    assert assets.serve(Request("GET", "/"), name) is None


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [
        ("gzip, deflate, br, zstd", True),
        ("br;q=1, GZIP;q=0.5", True),
        ("br", False),
        ("gzip;q=0", False),
        ("gzip; q=0.0, br", False),
        ("x-gzipped", False),
    ],
)
def test_compressed_for_whoever_takes_it(accepted: str, packed: bool) -> None:
    plain, response = ask(NAME), ask(NAME, accept_encoding=accepted)
    assert (field(response, "Content-Encoding") == "gzip") is packed
    assert field(response, "Vary") == field(plain, "Vary") == "Accept-Encoding"
    assert (field(response, "ETag") == field(plain, "ETag")) is not packed
    if packed:
        assert gzip.decompress(body(response)) == body(plain)
        assert len(body(response)) < len(body(plain)) / 2


def test_the_digest_is_that_of_the_file() -> None:
    digest = base64.b64encode(hashlib.sha384((STATIC / NAME).read_bytes()).digest()).decode()
    assert assets.integrity(NAME) == f"sha384-{digest}"


@pytest.mark.parametrize("mount", ["", "/", "/files", "/a&b"])
def test_the_tags_name_every_module_below_the_mount(mount: str) -> None:
    html = assets.module_tags(NAME, mount)
    shown = mount.rstrip("/").replace("&", "&amp;")
    url = f"{shown}/resumable/static/{VERSION}/{NAME}"
    entry = f'src="{url}" integrity="{assets.integrity(NAME)}" crossorigin="anonymous"'
    assert f'<script type="module" {entry}></script>' in html
    assert all(f"{shown}/resumable/static/{VERSION}/" in line for line in html.splitlines())


@pytest.mark.parametrize("module", MODULES)
def test_whatever_a_module_imports_is_loaded_with_its_digest(module: str) -> None:
    html = assets.module_tags(module)
    assert set(re.findall(rf"{re.escape(VERSION)}/([^\"]+)\"", html)) == reached_from(module)


def reached_from(module: str) -> set[str]:
    """A module and all that it imports, by the paths that stand in it."""
    found, waiting = set[str](), {module}
    while waiting:
        name = waiting.pop()
        found.add(name)
        text = (STATIC / name).read_text()
        imported = re.findall(r"^(?:import|export)\b[^;]*?'\./([^']+\.js)'", text, re.MULTILINE)
        waiting |= set(imported) - found
    return found


@pytest.mark.parametrize("use", [assets.integrity, assets.module_path, assets.module_tags])
def test_a_name_that_is_not_shipped_is_refused(use: object) -> None:
    assert callable(use)
    with pytest.raises(ValueError, match=r"No file called 'other\.js' is shipped"):
        use("other.js")


# ---------------------------------------------------------------- the npm layout


def package() -> dict[str, object]:
    document: dict[str, object] = json.loads((STATIC / "package.json").read_text())
    return document


def test_the_package_has_the_version_of_this_one() -> None:
    assert package()["version"] == VERSION


def test_every_module_is_exported_with_its_types() -> None:
    exports = package()["exports"]
    assert isinstance(exports, dict)
    for module in MODULES:
        types = module.removesuffix(".js") + ".d.ts"
        if not (STATIC / types).exists():
            continue
        assert exports[f"./{module}"] == {"types": f"./{types}", "default": f"./{module}"}
    for entry in exports.values():
        for target in entry.values() if isinstance(entry, dict) else [entry]:
            assert (STATIC / target).is_file()


def test_node_finds_the_modules_by_the_package_name(tmp_path: Path) -> None:
    reason = npm.missing()
    if reason is not None:
        pytest.skip(reason)
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "wsgi-resumable").symlink_to(STATIC, target_is_directory=True)
    script = tmp_path / "ask.mjs"
    script.write_text(
        "import { ChunkedUploader } from 'wsgi-resumable';\n"
        "const same = await import('wsgi-resumable/chunked-upload.js');\n"
        "console.log(ChunkedUploader === same.ChunkedUploader);\n"
    )
    assert npm.end(npm.start(script)) == (0, "true\n", "")
