"""The commands of ``initlib`` that serve reports."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from initlib.lab import paths

FILE = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))


@contextmanager
def explained() -> Iterator[None]:
    """Show what is wrong with a file without a traceback: exit code 1."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise click.ClickException(str(error)) from None


@click.command()
def claims() -> None:
    """Write the ledger of claims and the catalog of figures from the published runs."""
    from initlib.lab.citing import write_catalog
    from initlib.lab.ledger import write_ledger

    with explained():
        for write in (write_ledger, write_catalog):
            click.echo(write(paths.FIGURES))


@click.command()
@click.argument("id")
@click.option(
    "--format",
    type=click.Choice(["latex", "bibtex", "markdown", "html"]),
    default="latex",
    show_default=True,
)
def cite(id: str, format: str) -> None:
    """Print a block that puts the figure ID into a report."""
    from initlib.lab import citing

    try:
        click.echo(citing.cite(id, format, folder=paths.FIGURES), nl=False)
    except ValueError as error:
        raise click.UsageError(str(error)) from None


@click.command()
@FILE
def trace(file: Path) -> None:
    """Say which run, parameters, commit and data made the figure in FILE, under whatever name.

    Also, whether this repository would make it today, and if not, what has changed since. The exit
    code is 1 when the file can't be traced.
    """
    from initlib.lab.reports import trace as module
    from initlib.lab.runs.inputs import read_inputs

    with explained():
        click.echo(module.describe(module.trace(file, read_inputs())), nl=False)


COMMANDS = (claims, cite, trace)
