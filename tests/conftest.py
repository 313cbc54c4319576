"""What every test room shares: the full counts run with `--chaos` only."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _empty_memory() -> Iterator[None]:
    """What fsspec keeps in memory it keeps for the life of the process."""
    yield
    module = sys.modules.get("fsspec.implementations.memory")
    if module is not None:
        module.MemoryFileSystem.store.clear()
        module.MemoryFileSystem.pseudo_dirs[:] = [""]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--chaos", action="store_true", help="also run the full counts (minutes, not seconds)"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--chaos"):
        return
    full_counts = [item for item in items if item.get_closest_marker("chaos")]
    if full_counts:
        config.hook.pytest_deselected(items=full_counts)
        items[:] = [item for item in items if not item.get_closest_marker("chaos")]
