"""`resumable worker`: a process that does jobs, on this host or any other, without a broker."""

from __future__ import annotations

import signal
import threading
from typing import Any

import click

from resumable.cli.options import storage_options
from resumable.cli.storage import middleware_in
from resumable.errors import UploadError
from resumable.jobs.settings import Processing
from resumable.processing import ProgramMissing
from resumable.wsgi import ResumableUploads


@click.command()
@click.option("--storage", default="./data", show_default=True, help="fsspec URL or directory.")
@storage_options
@click.option("--app", metavar="MODULE:NAME", help="The app's middleware: its storage, its rules.")
@click.option("--threads", default=1, show_default=True, type=click.IntRange(1, 256))
def worker(storage: str, storage_options: dict[str, Any], app: str | None, threads: int) -> None:
    """Do the jobs of a storage as they come: any number of workers, on any hosts.

    SIGTERM and Ctrl-C give back what is under way; a worker that is killed is replaced by another
    within seconds.
    """
    try:
        middleware = middleware_in(app) if app else _alone(storage, storage_options)
        workplace = middleware.uploads.workplace()
        for warning in middleware.uploads.check():
            click.echo(f"Warning: {warning}", err=True)
        workplace.check()
    except (UploadError, ValueError, RuntimeError, ProgramMissing) as error:
        raise click.ClickException(str(error)) from None
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    wakes = [threading.Event() for _ in range(threads)]
    crew = [threading.Thread(target=workplace.keep_at_it, args=(wake,)) for wake in wakes]
    for one in crew:
        one.start()
    click.echo(f"Working for {app or storage}")
    stop.wait()
    workplace.close()
    for wake in wakes:
        wake.set()
    for one in crew:
        one.join()


def _alone(storage: str, options: dict[str, Any]) -> ResumableUploads:
    return ResumableUploads(None, storage, storage_options=options, processing=Processing(run=0))
