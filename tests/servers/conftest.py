"""Each server with the recording app, started once for all tests that want it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers.recording import Recording, run_recording
from tests.servers.running import KINDS


@pytest.fixture(scope="session", params=KINDS)
def recording(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Recording]:
    with run_recording(request.param, tmp_path_factory.mktemp(request.param)) as running:
        yield running
