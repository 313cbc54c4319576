"""`resumable ls` and `resumable sweep`: a look at the storage, and its broom."""

from __future__ import annotations

import importlib
import inspect
import json
import sys
from dataclasses import asdict
from typing import Any

import click

from resumable.cli.endpoint import header_option, is_address
from resumable.cli.options import storage_options
from resumable.cli.remote import list_remote
from resumable.cli.words import moment_of
from resumable.connect import connect
from resumable.errors import UploadError
from resumable.interfaces import Store
from resumable.model import DAY, Finished, Limits, State, Status
from resumable.sweeping import Swept
from resumable.wsgi import ResumableUploads

storage_argument = click.argument("storage", default="./data")


def connected(storage: str, options: dict[str, Any]) -> Store:
    """The store of a URL, or an error in one sentence."""
    try:
        return connect(storage, options)
    except (ValueError, RuntimeError) as error:
        raise click.ClickException(str(error)) from None


@click.command()
@storage_argument
@storage_options
@header_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def ls(
    storage: str, storage_options: dict[str, Any], headers: dict[str, str], as_json: bool
) -> None:
    """List finished files and unfinished uploads of STORAGE (default ./data).

    With the http(s):// address of an app: the files that it lists, and what was begun from here.
    """
    if is_address(storage):
        list_remote(storage, headers, as_json)
        return
    store = connected(storage, storage_options)
    try:
        finished = sorted(store.list_finished(), key=lambda one: one.finished)
        running = [status for status in store.each() if status.state is State.RECEIVING]
    except UploadError as error:
        raise click.ClickException(error.message) from None
    if as_json:
        for document in (*map(_finished_json, finished), *map(_running_json, running)):
            click.echo(json.dumps(document))
        return
    for one in finished:
        click.echo(f"{moment_of(one.finished)}  {one.size:>14,}  {one.token}  {one.filename}")
    for status in running:
        of = "?" if status.length is None else f"{status.length:,}"
        click.echo(
            f"{moment_of(status.touched)}  {status.received:>14,}  of {of} bytes, receiving "
            f"{status.upload.client_id or status.upload.id}"
        )
    if not finished and not running:
        click.echo("Nothing has been uploaded here yet.", err=True)


@click.command()
@storage_argument
@storage_options
@click.option("--app", metavar="MODULE:NAME", help="The app's middleware, so its hooks are told.")
@click.option(
    "--expiry-days",
    type=click.FloatRange(0),
    help="Days without a byte after which an unfinished upload goes.  [default: 6]",
)
@click.option("--json", "as_json", is_flag=True, help="The counts as JSON.")
def sweep(
    storage: str,
    storage_options: dict[str, Any],
    app: str | None,
    expiry_days: float | None,
    as_json: bool,
) -> None:
    """Remove expired uploads of STORAGE (default ./data), complete crashed ones, tidy up.

    With --app the storage, the limits and the hooks are the app's own, whatever STORAGE says. Safe
    at any time, beside running servers and other sweeps.
    """
    if app is not None and expiry_days is not None:
        raise click.UsageError("--app brings its own limits: leave --expiry-days out.")
    try:
        if app is None:
            middleware = _without_hooks(storage, storage_options, expiry_days)
        else:
            middleware = middleware_in(app)
        swept = middleware.uploads.sweep()
    except (UploadError, ValueError, RuntimeError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(json.dumps(asdict(swept)) if as_json else _sentence(swept))


def _without_hooks(
    storage: str, options: dict[str, Any], expiry_days: float | None
) -> ResumableUploads:
    limits = Limits() if expiry_days is None else Limits(expiry=int(expiry_days * DAY))
    return ResumableUploads(None, storage, storage_options=options, limits=limits)


def middleware_in(app: str) -> ResumableUploads:
    """The middleware in `module:name`, however it is wrapped."""
    sys.path.insert(0, "")
    module_name, _, name = app.partition(":")
    try:
        found = getattr(importlib.import_module(module_name), name or "app")
    except (ImportError, AttributeError, ValueError) as error:
        raise click.ClickException(f"Cannot load {app}: {error}.") from None
    while not isinstance(found, ResumableUploads):
        # A Flask app keeps its middlewares in wsgi_app; most of them call what they wrap app.
        inner = getattr(found, "wsgi_app", None) or getattr(found, "app", None)
        if not callable(inner) or inner is found or inspect.ismethod(inner):
            raise click.ClickException(f"There is no ResumableUploads middleware in {app}.")
        found = inner
    return found


def _sentence(swept: Swept) -> str:
    return (
        f"{swept.expired} expired, {swept.finished} completed, {swept.told} told again, "
        f"{swept.forgotten} forgotten, {swept.leftovers} leftovers removed."
    )


def _finished_json(finished: Finished) -> dict[str, Any]:
    return {"state": "complete", **asdict(finished)}


def _running_json(status: Status) -> dict[str, Any]:
    return {
        "state": str(status.state),
        "id": status.upload.id,
        "client_id": status.upload.client_id,
        "received": status.received,
        "offset": status.offset,
        "length": status.length,
        "touched": status.touched,
    }
