"""Lifecycle rules name what is ours, and are longer than any upload may rest."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from resumable.cli import main
from resumable.cli.lifecycle import STATE_DAYS, UNFINISHED_DAYS, rules
from resumable.model import DAY, Limits
from resumable.sweeping import REMEMBERED


@pytest.mark.parametrize(
    ("url", "ours"),
    [
        ("s3://bucket/a/prefix", "a/prefix/.resumable/uploads/"),
        ("s3://bucket", ".resumable/uploads/"),
        ("r2://0123456789abcdef0123456789abcdef/bucket/p/", "p/.resumable/uploads/"),
        ("gs://bucket/p", "p/.resumable/uploads/"),
        ("az://box/p", "box/p/.resumable/uploads/"),
        ("abfs://box@account.dfs.core.windows.net/p", "box/p/.resumable/uploads/"),
    ],
)
def test_rules_name_what_is_ours(url: str, ours: str) -> None:
    result = CliRunner().invoke(main, ["lifecycle", url])
    assert result.exit_code == 0
    assert json.loads(result.stdout)
    assert f'"{ours}"' in result.stdout
    assert "Set them with: " in result.stderr


def test_no_rule_takes_what_the_sweep_would_keep() -> None:
    rests = Limits().expiry + Limits().grace
    assert rests < UNFINISHED_DAYS * DAY
    assert rests + REMEMBERED < STATE_DAYS * DAY


@pytest.mark.parametrize("url", ["./data", "sftp://host/path", "s3://"])
def test_storage_without_rules(url: str) -> None:
    assert rules(url) is None
    result = CliRunner().invoke(main, ["lifecycle", url])
    assert (result.exit_code, result.output.count("\n")) == (1, 1)


def test_rules_are_taken_by_a_real_server() -> None:
    """See tests/storage/test_command.py, which sets them."""
    made = rules("s3://bucket/prefix")
    assert made is not None
    assert {rule["ID"] for rule in made[0]["Rules"]} == {
        "resumable-unfinished",
        "resumable-state",
    }
