"""`resumable conformance`: does a server keep to tus 1.0.0?"""

from __future__ import annotations

from pathlib import Path

import click

from resumable.conformance import ROWS, Outcome, Result, Row, Tus, Unreachable, examine, select
from resumable.conformance.report import as_json, as_junit, failed_musts, line, table
from resumable.conformance.wire import header_field

_UNREACHABLE = 2


@click.command()
@click.argument("url")
@click.option("--only", default="", metavar="ROWS", help="Such as T03x,T040: x is any digit.")
@click.option(
    "--level",
    type=click.Choice(["must", "should", "may"]),
    default="may",
    show_default=True,
    help="Rows of this level and above.",
)
@click.option("--json", "print_json", is_flag=True, help="Print one JSON document instead.")
@click.option(
    "--junit",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE",
    help="Also write JUnit XML.",
)
@click.option(
    "-H", "--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="On each request."
)
@click.option("--timeout", default=10.0, show_default=True, metavar="SECONDS", type=float)
@click.option(
    "--metadata", default="", metavar="PAIRS", help="Upload-Metadata that each creation needs here."
)
@click.option("-v", "--verbose", is_flag=True, help="Show every row and every exchange.")
def conformance(
    url: str,
    only: str,
    level: str,
    print_json: bool,
    junit: Path | None,
    headers: tuple[str, ...],
    timeout: float,
    metadata: str,
    verbose: bool,
) -> None:
    """Test the tus 1.0.0 server whose upload creation URL is URL, by HTTP alone.

    It makes small uploads there, and deletes them again where the server offers that. Exit
    status 1 when a MUST fails, 2 when the server cannot be reached.
    """
    if not url.startswith(("http://", "https://")):
        raise click.UsageError("URL begins with http:// or https://.")
    try:
        rows = select(ROWS, only, level)
        extra = tuple(header_field(text) for text in headers)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    tus = Tus(url, extra=extra, timeout=timeout, metadata=metadata)
    results: list[Result] = []
    lost = _run(tus, rows, results, told=not print_json, verbose=verbose)
    if junit:
        junit.write_bytes(as_junit(url, results, lost))
    if print_json:
        click.echo(as_json(url, results, lost))
    elif results:
        click.echo(f"\n{table(results)}")
    if lost:
        click.echo(lost, err=True)
        raise SystemExit(_UNREACHABLE)
    if failed_musts(results):
        raise SystemExit(1)


def _run(tus: Tus, rows: list[Row], results: list[Result], *, told: bool, verbose: bool) -> str:
    """Adds the results as they come; why there are no more, if the server goes away."""
    try:
        for result in examine(tus, rows):
            results.append(result)
            failed = result.outcome in (Outcome.FAILED, Outcome.UNCLEAR)
            if told and (failed or verbose):
                click.echo(line(result, verbose=verbose))
    except Unreachable as error:
        return str(error)
    return ""
