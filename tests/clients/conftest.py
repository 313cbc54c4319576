"""One gunicorn for the clients that do it no harm, and bytes to upload."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.browser.conftest import chromium, context, page
from tests.clients.world import World, run_world

__all__ = ["chromium", "context", "page"]

MakeFile = Callable[[int], Path]


@pytest.fixture(scope="package")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A server that no test may stop."""
    with run_world(tmp_path_factory.mktemp("world")) as running:
        yield running


@pytest.fixture
def make_file(tmp_path: Path, request: pytest.FixtureRequest) -> MakeFile:
    """A file of that many bytes, which differ from test to test."""
    source = random.Random(request.node.name)

    def make(size: int) -> Path:
        path = tmp_path / f"source-{size}.bin"
        path.write_bytes(source.randbytes(size))
        return path

    return make
