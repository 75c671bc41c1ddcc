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
    """Write the ledger of claims and the gallery of figures from the published runs."""
    from initlib.lab.ledger import write_ledger
    from initlib.lab.reports.gallery import write_gallery

    with explained():
        for write in (write_ledger, write_gallery):
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


@click.command(name="export-tex")
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="Default: the terminal.")
def export_tex(output: str | None) -> None:
    """Write what was measured, with standard errors, as LaTeX macros for a report's preamble."""
    from initlib.lab.reports import macros

    with explained():
        text = macros.export_tex(paths.FIGURES)
        click.echo(paths.write_atomic(output, text) if output else text, nl=bool(output))


@click.command()
@click.argument("notebooks", nargs=-1, metavar="[NOTEBOOK...|all]")
@click.option("-o", "--output", type=click.Path(dir_okay=False), help=".csv or .parquet")
def results(notebooks: tuple[str, ...], output: str | None) -> None:
    """Print every claim and number of every run, with its parameters, as one table.

    A row is a measured value; without --output, the table is printed as csv.
    """
    from initlib.lab.results import read_results, write_results
    from initlib.lab.runs.notebook import select_notebooks

    names = [notebook.name for notebook in select_notebooks(paths.NOTEBOOKS, notebooks)]
    with explained():
        table = read_results(names if notebooks else ())
        click.echo(write_results(table, output) if output else table.to_csv(index=False).rstrip())


@click.command()
@click.argument("folder", type=click.Path(file_okay=False), default="site")
def site(folder: str) -> None:
    """Write notebooks, gallery and ledger as a static site into FOLDER (default: site)."""
    from initlib.lab.reports.site import write_site

    with explained():
        click.echo(write_site(folder))


COMMANDS = (claims, cite, trace, export_tex, results, site)
