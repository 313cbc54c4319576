"""Every storage server once for all tests that want it; `server.fresh()` is an empty bucket."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.storage import azurite as azurite_server
from tests.storage import ceph as ceph_server
from tests.storage import gcs_emulator as emulator
from tests.storage import moto_server
from tests.storage import rclone as rclone_server
from tests.storage.gcs_double import run_gcs_double
from tests.storage.moto_server import StrictR2
from tests.storage.server import StorageServer

Folders = pytest.TempPathFactory


def skip_if(reason: str | None) -> None:
    if reason:
        pytest.skip(reason)


@pytest.fixture(scope="session")
def ceph(tmp_path_factory: Folders) -> Iterator[StorageServer]:
    """A real S3 server; it ignores a condition on CompleteMultipartUpload."""
    skip_if(ceph_server.missing())
    with ceph_server.given_or_own(tmp_path_factory.mktemp("ceph")) as server:
        yield server


@pytest.fixture(scope="session")
def moto(tmp_path_factory: Folders) -> Iterator[StorageServer]:
    """As AWS decides, without signatures."""
    skip_if(moto_server.missing())
    with moto_server.run_moto(tmp_path_factory.mktemp("moto")) as server:
        yield server


@pytest.fixture(scope="session")
def strict_r2(tmp_path_factory: Folders) -> Iterator[StrictR2]:
    """A double of R2: equal parts, and a part that fails is gone."""
    skip_if(moto_server.missing())
    with moto_server.run_strict_r2(tmp_path_factory.mktemp("strict-r2")) as server:
        yield server


@pytest.fixture(scope="session")
def weak(tmp_path_factory: Folders) -> Iterator[StorageServer]:
    """Ignores every condition, and copies nothing."""
    skip_if(moto_server.missing())
    with moto_server.run_weak(tmp_path_factory.mktemp("weak")) as server:
        yield server


@pytest.fixture(scope="session")
def rclone(tmp_path_factory: Folders) -> Iterator[StorageServer]:
    """Ignores every condition; a wrong ETag destroys the upload."""
    skip_if(rclone_server.missing())
    with rclone_server.run_rclone(tmp_path_factory.mktemp("rclone")) as server:
        yield server


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: Folders) -> Iterator[StorageServer]:
    """Microsoft's own emulator."""
    skip_if(azurite_server.missing())
    with azurite_server.run_azurite(tmp_path_factory.mktemp("azurite")) as server:
        yield server


@pytest.fixture(scope="session")
def gcs(tmp_path_factory: Folders) -> Iterator[StorageServer]:
    """Our double of Google's storage: generations, conditions, the limit of 32 sources."""
    with run_gcs_double(tmp_path_factory.mktemp("gcs")) as server:
        yield server


@pytest.fixture(scope="session")
def gcs_emulator(tmp_path_factory: Folders) -> Iterator[StorageServer]:
    """Somebody else's emulator, which ignores every condition."""
    skip_if(emulator.missing())
    with emulator.run_gcs_emulator(tmp_path_factory.mktemp("gcs-emulator")) as server:
        yield server
