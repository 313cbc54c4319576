"""The command line: `resumable demo | serve | worker | upload | ls | sweep | …`."""

from __future__ import annotations

import click

from resumable.cli.conformance import conformance
from resumable.cli.doctor import doctor
from resumable.cli.lifecycle import lifecycle
from resumable.cli.remote import cancel, status
from resumable.cli.serving import demo, serve
from resumable.cli.storage import ls, sweep
from resumable.cli.uploading import upload
from resumable.cli.worker import worker


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="wsgi-resumable")
def main() -> None:
    """Resumable uploads for any Python web app, into any storage."""


_COMMANDS = (
    demo,
    serve,
    worker,
    upload,
    status,
    cancel,
    ls,
    sweep,
    doctor,
    lifecycle,
    conformance,
)
for command in _COMMANDS:
    main.add_command(command)
