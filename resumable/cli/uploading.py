"""`resumable upload`: files from the command line to any server that takes them piece by piece."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from resumable.cli.batch import Batch, Item
from resumable.cli.display import Bars, Display, Events, Lines
from resumable.cli.endpoint import header_option, is_address, new_uploader, protocol_option
from resumable.cli.words import ChunkSize, Size, as_value, pairs

if TYPE_CHECKING:
    from resumable.client import Progress, Uploaded, Uploader

_STDIN = "-"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("words", metavar="FILE... URL", nargs=-1, required=True)
@click.option("-j", "--jobs", "at_once", default=2, show_default=True, type=click.IntRange(1))
@click.option(
    "--parts",
    default=3,
    show_default=True,
    type=click.IntRange(1),
    help="Connections for each file.",
)
@click.option(
    "--chunk-size",
    type=ChunkSize(),
    default="auto",
    show_default=True,
    metavar="SIZE",
    help="Bytes in a request, as 8M; auto: so that each takes 2 to 8 seconds.",
)
@click.option("--limit-rate", type=Size(), metavar="SIZE", help="Bytes a second in all, as 500K.")
@click.option(
    "--checksum",
    type=click.Choice(["sha256", "crc32c", "sha1", "md5"]),
    help="The server checks each chunk before it counts.",
)
@click.option(
    "-m",
    "--metadata",
    multiple=True,
    metavar="KEY=VALUE",
    callback=pairs("KEY=VALUE", "="),
    help="Goes with each file.",
)
@click.option(
    "-o",
    "--option",
    "options",
    multiple=True,
    metavar="KEY=VALUE",
    callback=pairs("KEY=VALUE", "="),
    help="A wish for the processing, as convertToMp4=true.",
)
@header_option
@click.option("-r", "--recursive", is_flag=True, help="Folders, with all that is in them.")
@click.option(
    "--name", metavar="NAME", help="The file's name on the server, for a single one or stdin."
)
@click.option("--wait", is_flag=True, help="Until the server has processed the file too.")
@protocol_option
@click.option(
    "--patience",
    default=900.0,
    show_default=True,
    metavar="SECONDS",
    type=click.FloatRange(0),
    help="How long to believe in a line on which nothing moves.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object an event, on stdout.")
@click.option("-q", "--quiet", is_flag=True, help="Errors only; the address still goes to stdout.")
def upload(
    words: tuple[str, ...],
    at_once: int,
    parts: int,
    chunk_size: int | None,
    limit_rate: int | None,
    checksum: str | None,
    metadata: dict[str, str],
    options: dict[str, str],
    headers: dict[str, str],
    recursive: bool,
    name: str | None,
    wait: bool,
    protocol: Any,
    patience: float,
    as_json: bool,
    quiet: bool,
) -> None:
    """Upload files to URL: an app with this library, or any tus server's endpoint.

    The address of each file goes to stdout. If it is interrupted, the same command again goes on
    with what is missing. FILE `-` is stdin. Exit status 1: a file failed; 130: Ctrl-C.
    """
    *files, url = words
    if not is_address(url) or not files:
        raise click.UsageError("Name one file or more, and behind them the http(s):// URL.")
    if files.count(_STDIN) > 1 or (_STDIN in files and sys.stdin is None):
        raise click.UsageError("There is one stdin, if any.")
    found, left_out = _found(files, recursive)
    if name is not None and len(found) != 1:
        raise click.UsageError("--name is for a single file.")
    uploader = new_uploader(
        url,
        protocol=protocol,
        parts=parts,
        chunk_size=chunk_size,
        limit_rate=limit_rate,
        checksum=checksum,
        headers=headers,
        patience=patience,
    )
    display = _display(len(found), as_json=as_json, quiet=quiet)
    wishes = {
        "filename": name,
        "options": {key: as_value(value) for key, value in options.items()},
        "wait": wait,
        "keep": len(found) > 1,
    }
    items = [
        Item(file, partial(_send, uploader, file, {**metadata, **more}, wishes))
        for file, more in found.items()
    ]
    batch = Batch(uploader, items, at_once, display)
    with display:
        for file, why in left_out.items():
            display.failed(file, why)
        signalled = batch.run()
        if signalled and any(file != _STDIN for file in found):
            display.say("Run the same command again to go on.")
    if signalled:
        _leave(signalled)
    if batch.failed or left_out:
        raise click.exceptions.Exit(1)
    _forget(uploader, found)


def _forget(uploader: Uploader, files: Mapping[str, Any]) -> None:
    """The batch has come to its end."""
    from resumable.client import InUse

    for file in files if len(files) > 1 else ():
        with suppress(InUse):
            uploader.forget(file)


def _leave(status: int) -> NoReturn:
    """Threads that still wait for a server's answer are not waited for."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _display(files: int, *, as_json: bool, quiet: bool) -> Display:
    if as_json:
        return Events()
    if quiet or not sys.stderr.isatty():
        return Lines(quiet=quiet)
    return Bars(files)


def _found(
    files: Sequence[str], recursive: bool
) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """Each file with where it lay below a folder that was named; and what is left out, and why."""
    found: dict[str, dict[str, str]] = {}
    left_out: dict[str, str] = {}
    for file in files:
        if file == _STDIN or not os.path.isdir(file):
            found[file] = {}
        elif not recursive:
            raise click.UsageError(f"{file} is a folder: say -r to upload all that is in it.")
        else:
            _walk(file, found, left_out)
    return found, left_out


def _walk(top: str, found: dict[str, dict[str, str]], left_out: dict[str, str]) -> None:
    above = os.path.dirname(os.path.abspath(top))

    def unreadable(error: OSError) -> None:
        left_out[str(error.filename)] = f"Cannot read it: {error.strerror}."

    for folder, folders, names in os.walk(top, onerror=unreadable):
        for name in sorted(folders):
            if os.path.islink(path := os.path.join(folder, name)):
                left_out[path] = "It is a link to a folder; name that to upload what is in it."
        for name in sorted(names):
            path = os.path.join(folder, name)
            if os.path.isfile(path):
                relative = os.path.relpath(os.path.abspath(path), above)
                found[path] = {"relativePath": Path(relative).as_posix()}
            else:
                left_out[path] = "It is no file, or a link to nothing."


def _send(
    uploader: Uploader,
    file: str,
    metadata: Mapping[str, str],
    wishes: Mapping[str, Any],
    progress: Callable[[Progress], None],
) -> Uploaded:
    more = {"metadata": metadata, "progress": progress}
    if file != _STDIN:
        return uploader.upload(file, **{**wishes, **more})
    filename = wishes["filename"] or "stdin"
    return uploader.upload(sys.stdin.buffer, **{**wishes, **more, "filename": filename})
