"""`resumable status`, `resumable cancel` and the remote half of `resumable ls`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from resumable.cli.endpoint import header_option, is_address, new_uploader, protocol_option
from resumable.cli.words import moment_of, percent_of, size_of

if TYPE_CHECKING:
    from resumable.client import Remembered, Uploader

_remote = (
    click.argument("words", metavar="[FILE...] URL", nargs=-1, required=True),
    header_option,
    protocol_option,
)


def _remote_options(command: Any) -> Any:
    for option in reversed(_remote):
        command = option(command)
    return command


@click.command()
@_remote_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def status(words: tuple[str, ...], headers: dict[str, str], protocol: Any, as_json: bool) -> None:
    """Say how far the unfinished uploads to URL are, or those of these files.

    They are those that this user began on this machine; the server is asked for each.
    """
    with _uploads(words, headers, protocol) as (uploader, known):
        for one in known:
            _tell(one, uploader.arrived(one), as_json)
        if not known and not as_json:
            click.echo("Nothing is unfinished.", err=True)


@click.command()
@_remote_options
@click.option("--all", "everything", is_flag=True, help="All that are unfinished.")
def cancel(
    words: tuple[str, ...], headers: dict[str, str], protocol: Any, everything: bool
) -> None:
    """Delete unfinished uploads of these files to URL, on the server and here."""
    if len(words) < 2 and not everything:
        raise click.UsageError("Name files, or say --all.")
    with _uploads(words, headers, protocol) as (uploader, known):
        failed = [one for one in known if not _deleted(uploader, one)]
        if not known:
            raise click.ClickException("Nothing is unfinished.")
    if failed:
        raise click.exceptions.Exit(1)


def _deleted(uploader: Uploader, known: Remembered) -> bool:
    from resumable.client import ClientError

    try:
        uploader.delete(known)
    except ClientError as error:
        click.echo(f"{known.identity.path}: {error.sentence}", err=True)
        return False
    click.echo(f"{known.identity.path}: deleted.", err=True)
    return True


def list_remote(url: str, headers: dict[str, str], as_json: bool) -> None:
    """The finished files that the app at `url` lists, and what is unfinished from here."""
    with _uploads((url,), headers, "auto") as (uploader, known):
        for entry in _finished(uploader):
            if as_json:
                click.echo(json.dumps({**entry, "state": "complete"}))
            else:
                moment = moment_of(entry["finished"])
                click.echo(f"{moment}  {entry['size']:>14,}  {entry['url']}  {entry['filename']}")
        for one in known:
            _tell(one, uploader.arrived(one), as_json)


def _finished(uploader: Uploader) -> list[dict[str, Any]]:
    """None where the app lists none; what is unfinished can be told all the same."""
    from resumable.client import ClientError

    try:
        return uploader.finished()
    except ClientError as error:
        click.echo(error.sentence, err=True)
        return []


@contextmanager
def _uploads(
    words: tuple[str, ...], headers: dict[str, str], protocol: Any
) -> Iterator[tuple[Uploader, list[Remembered]]]:
    """An uploader, and what it remembers of the files (none named: of all)."""
    *files, url = words
    if not is_address(url):
        raise click.UsageError("URL comes last and begins with http:// or https://.")
    uploader = new_uploader(url, headers=headers, protocol=protocol, patience=30.0)
    from resumable.client import ClientError

    wanted = {os.path.realpath(file) for file in files}
    known = [one for one in uploader.unfinished() if not files or one.identity.path in wanted]
    try:
        with uploader:
            yield uploader, known
    except ClientError as error:
        raise click.ClickException(error.sentence) from None


def _tell(known: Remembered, arrived: int | None, as_json: bool) -> None:
    size, path = known.identity.size, known.identity.path
    if as_json:
        told = {"file": path, "size": size, "acknowledged": arrived, "begun": known.begun}
        click.echo(json.dumps({**told, "protocol": known.protocol, "state": "receiving"}))
    elif arrived is None:
        click.echo(f"{moment_of(known.begun)}  the server has forgotten  {path}")
    else:
        of = f"{percent_of(arrived, size)} of {size_of(size)}"
        click.echo(f"{moment_of(known.begun)}  {of}  {path}")
