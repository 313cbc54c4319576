"""Options of a storage on the command line: NAME=VALUE, or one JSON document in the environment."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import click

from resumable.cli.words import as_value

VARIABLE = "RESUMABLE_STORAGE_OPTIONS"


def _parsed(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, Any]:
    """What the environment says, and over it what the command line says."""
    options = _from_environment()
    for text in values:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"write NAME=VALUE, not {text!r}.")
        options[name] = as_value(value)
    return options


def _from_environment() -> dict[str, Any]:
    text = os.environ.get(VARIABLE, "")
    try:
        options = json.loads(text or "{}")
    except ValueError:
        options = None
    if not isinstance(options, dict):
        raise click.UsageError(f"{VARIABLE} must hold a JSON object.")
    return options


storage_options: Callable[[Callable[..., None]], Callable[..., None]] = click.option(
    "--storage-option",
    "-o",
    "storage_options",
    multiple=True,
    metavar="NAME=VALUE",
    callback=_parsed,
    help=f"The backend's own option, as endpoint_url=https://…; also {VARIABLE} (JSON).",
)
