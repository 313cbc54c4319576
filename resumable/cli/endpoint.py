"""The server that a client's command talks to: its address, headers and protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from resumable.cli.words import pairs

if TYPE_CHECKING:
    from resumable.client import Uploader

header_option = click.option(
    "-H",
    "--header",
    "headers",
    multiple=True,
    metavar="'NAME: VALUE'",
    callback=pairs("'NAME: VALUE'", ":"),
    help="Sent with each request to the server of URL, and to no other.",
)
protocol_option = click.option(
    "--protocol",
    type=click.Choice(["auto", "chunks", "tus"]),
    default="auto",
    show_default=True,
    help="auto: what the server speaks.",
)


def is_address(text: str) -> bool:
    """Whether it names a server."""
    return text.startswith(("http://", "https://"))


def new_uploader(url: str, *, patience: float, **settings: Any) -> Uploader:
    """An uploader, or one sentence on what is wrong with the address or the installation."""
    try:
        from resumable.client import ClientError, Retry, Uploader
    except ImportError as error:
        raise click.ClickException(
            f'{error.name} is missing: pip install "wsgi-resumable[client]"'
        ) from None
    try:
        return Uploader(url, retry=Retry(patience=patience), **settings)
    except (ClientError, ValueError) as error:
        raise click.UsageError(str(error)) from None
