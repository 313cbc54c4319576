"""`resumable serve` and `resumable demo`: uploads as a process of their own."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import click

from resumable import assets
from resumable.cli.options import storage_options
from resumable.errors import NoRoom, UploadError
from resumable.http import Headers, Request
from resumable.jobs.settings import Processing
from resumable.model import Limits
from resumable.processing.failures import ProgramMissing
from resumable.processing.program import find_program
from resumable.serve import application, parse_bind, run
from resumable.stores.local import DURABILITIES
from resumable.uploads import Uploads
from resumable.wsgi import ResumableUploads

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

Command = Callable[..., None]
_TROUBLES = {
    errno.EADDRINUSE: "another program listens there",
    errno.EADDRNOTAVAIL: "it is no address of this machine",
    errno.EACCES: "this user may not use that port",
}


def _address(context: click.Context, parameter: click.Parameter, value: str) -> tuple[str, int]:
    try:
        return parse_bind(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _served(command: Command) -> Command:
    """The options that both servers share."""
    for option in (
        click.option(
            "--storage",
            default="./data",
            show_default=True,
            help="fsspec URL or directory that takes the files.",
        ),
        storage_options,
        click.option(
            "--bind",
            default="127.0.0.1:8000",
            show_default=True,
            callback=_address,
            help="HOST:PORT to listen on; port 0 picks a free one.",
        ),
        click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 256)),
        click.option("--threads", default=16, show_default=True, type=click.IntRange(1, 1024)),
        click.option(
            "--durability",
            default="full",
            show_default=True,
            type=click.Choice(DURABILITIES),
            help="What an acknowledged byte survives: a power cut, or a killed process.",
        ),
        click.option(
            "--max-size",
            type=click.IntRange(0),
            help="Bytes that one upload may have.  [default: 5 GiB]",
        ),
        click.option(
            "--chunk-size", type=click.IntRange(1), help="Bytes that clients shall send at once."
        ),
    ):
        command = option(command)
    return command


@click.command()
@_served
@click.option("--cors", multiple=True, metavar="ORIGIN", help="Origin whose pages may upload.")
@click.option("--listing/--no-listing", default=False, help="List finished files at /recordings.")
@click.option(
    "--processing/--no-processing",
    default=False,
    help="Make of recordings what their senders wish; needs ffmpeg.",
)
def serve(cors: tuple[str, ...], listing: bool, processing: bool, **settings: Any) -> None:
    """Take uploads at / and serve finished files under /recordings/."""
    shown = {"cors": cors, "listing": listing}
    if processing:
        shown["processing"] = _required()
    _run(settings, app=None, **shown)


@click.command()
@_served
def demo(**settings: Any) -> None:
    """Record the screen or drop files on a page, and see them survive a broken network."""
    shown = {"listing": True, "deleting": True, "processing": _processing()}
    _run(settings, app=demo_page, **shown)


def _required() -> Processing:
    try:
        find_program()
    except ProgramMissing as error:
        raise click.ClickException(error.message) from None
    return Processing()


def _processing() -> Processing | None:
    """MP4s and posters where there is an ffmpeg; else one sentence on how to get it."""
    try:
        find_program()
    except ProgramMissing as error:
        click.echo(f"Recordings stay as they are sent. {error.message}", err=True)
        return None
    return Processing()


def _run(settings: dict[str, Any], *, app: WSGIApplication | None, **shown: Any) -> None:
    host, port = settings["bind"]
    limits = _limits(settings["max_size"], settings["chunk_size"])
    options = {
        "storage_options": settings["storage_options"],
        "durability": settings["durability"],
        "limits": limits,
        **shown,
    }

    def make() -> tuple[WSGIApplication, Uploads]:
        uploads = ResumableUploads(app, settings["storage"], **options)
        return uploads, uploads.uploads

    _check(settings["storage"], options)
    _check_address(host, port)
    run(
        make,
        host=host,
        port=port,
        workers=settings["workers"],
        threads=settings["threads"],
        say=lambda line: click.echo(line),
    )


def _check(storage: str, options: dict[str, Any]) -> None:
    """What cannot work is told now and once, not by every worker or upload."""
    try:
        for warning in application(storage, **options).uploads.check():
            click.echo(f"Warning: {storage}: {warning}", err=True)
    except NoRoom as error:
        click.echo(f"Warning: {storage}: {error.message}", err=True)
    except (ValueError, RuntimeError) as error:
        raise click.ClickException(str(error)) from None
    except UploadError as error:
        raise click.ClickException(f"{storage} cannot take uploads: {error.message}") from None


def _check_address(host: str, port: int) -> None:
    """A port that is taken is told in one sentence, not by every try of the server."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            probe.listen(1)
    except OSError as error:
        trouble = _TROUBLES.get(error.errno or 0, error.strerror or str(error))
        raise click.ClickException(
            f"Cannot listen on {host}:{port}: {trouble}. Choose another address with --bind."
        ) from None


def _limits(max_size: int | None, chunk_size: int | None) -> Limits:
    given = {"max_size": max_size, "chunk_size": chunk_size}
    return Limits(**{name: value for name, value in given.items() if value is not None})


def demo_page(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The page at /, and 404 for the rest."""
    if environ.get("PATH_INFO", "/") not in ("", "/", "/index.html"):
        body = b"Not Found"
        start_response(
            "404 Not Found", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))]
        )
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else body]
    told = Headers({"Accept-Encoding": environ.get("HTTP_ACCEPT_ENCODING", "")})
    page = assets.serve(Request("GET", "/", headers=told), "demo.html")
    assert page is not None
    assert isinstance(page.body, bytes)
    start_response("200 OK", [*page.headers, ("Content-Length", str(len(page.body)))])
    return [b"" if environ["REQUEST_METHOD"] == "HEAD" else page.body]
