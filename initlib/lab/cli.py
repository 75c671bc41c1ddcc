"""The ``initlib`` command: run notebooks, see how the runs went, cite what they made.

A command imports what it needs when it is called, so that none waits for the imports of another.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import click

try:
    from initlib.lab import paths
except FileNotFoundError as error:
    raise SystemExit(f"initlib: {error}") from None

from initlib.lab.reports.commands import COMMANDS, explained
from initlib.lab.runs.inputs import read_inputs
from initlib.lab.runs.notebook import select_notebooks
from initlib.lab.runs.parameters import PlanError
from initlib.lab.runs.plan import plan
from initlib.lab.runs.profiles import read_full_profile, read_json_object
from initlib.lab.runs.store import Store, identity


class _Group(click.Group):
    """Exits with 2, as on any wrong use, when a request can't be met, and with 130 on Ctrl-C."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except PlanError as error:
            raise click.UsageError(str(error)) from None
        except KeyboardInterrupt:
            raise SystemExit(130) from None


def _assignments(_: click.Context, option: click.Parameter, texts: tuple[str, ...]) -> dict:
    """Read ``name=value`` as often as it was given."""
    pairs: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{text!r} is not of the form {option.metavar}")
        if name in pairs:
            raise click.BadParameter(f"{name!r} is given twice")
        pairs[name] = value
    return pairs


def _console():
    from rich.console import Console

    return Console()


NOTEBOOKS = click.argument("notebooks", nargs=-1, metavar="[NOTEBOOK...|all]")
WORKERS = click.option(
    "--workers", type=click.IntRange(min=1), help="Kernels at a time.  [default: one a core]"
)
FORCE = click.option("--force", is_flag=True, help="Run also what is done.")
KERNELS = click.option(
    "--kernels",
    type=click.Choice(["auto", "forked", "ordinary"]),
    default="auto",
    show_default=True,
    help="Fork them from a process that has imported torch, or start each anew. Results are the "
    "same; auto forks for several runs on Linux.",
)

LEFT = ("failed", "dead", "queued")


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="initlib")
def main() -> None:
    """A laboratory for the initialization of neural networks."""


@main.command()
@NOTEBOOKS
@click.option(
    "-p",
    "values",
    multiple=True,
    metavar="NAME=VALUE",
    callback=_assignments,
    help="Set a parameter; once for each.",
)
@click.option(
    "--grid",
    multiple=True,
    metavar="NAME=A,B,...",
    callback=_assignments,
    help="Run with each value, and with every combination of several grids.",
)
@click.option(
    "--parameters",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON file with an object of parameters.",
)
@click.option("--profile", type=click.Choice(["quick", "full"]), default="quick", show_default=True)
@WORKERS
@FORCE
@KERNELS
@click.option("--only-failed", is_flag=True, help="Run only what failed, died or was left waiting.")
@click.option("--dry-run", is_flag=True, help="Print what would run and what is done.")
@click.option("--cell-timeout", type=click.IntRange(min=1), help="Seconds that a cell may take.")
@click.option("--run-timeout", type=click.IntRange(min=1), help="Seconds that a run may take.")
@click.option("--retries", type=click.IntRange(min=0), default=0, help="After a kernel's death.")
@click.option(
    "--cluster",
    metavar="local|tcp://HOST:PORT|FILE.yaml",
    help="Run on a Dask cluster; results come back to this machine.",
)
def run(notebooks, values, grid, file, profile, only_failed, dry_run, **settings) -> None:
    """Run notebooks in parallel; what is done and unchanged is skipped.

    The exit code is 0 when all is well, 1 when a run failed, 2 for wrong use, 130 after Ctrl-C.
    """
    from initlib.lab.runs.batch import exit_code, run_batch, show_plan, sum_up
    from initlib.lab.runs.publish import publish_batch
    from initlib.lab.runs.report import collect, write_report

    clock, console, store, inputs = time.monotonic(), _console(), Store(paths.RUNS), read_inputs()
    runs = plan(
        select_notebooks(paths.NOTEBOOKS, notebooks),
        inputs,
        profile=profile,
        full=read_full_profile(paths.NOTEBOOKS),
        overrides={**(read_json_object(file) if file else {}), **values},
        grid=grid,
    )
    if only_failed:
        last = store.last_states()
        runs = [
            run for run in runs if last.get(identity(run.notebook.name, run.parameters)) in LEFT
        ]
    if dry_run:
        show_plan(runs, store, console, force=settings["force"])
        return
    outcomes = run_batch(runs, store, inputs, console, **settings)
    sum_up(outcomes, time.monotonic() - clock, console)
    with explained():
        click.echo(f"report   {write_report(store, collect(store, paths.NOTEBOOKS, inputs))}")
        for ledger in publish_batch(outcomes):
            click.echo(f"figures  {ledger.parent}\nclaims   {ledger}")
    sys.exit(exit_code(outcomes))


@main.command()
@NOTEBOOKS
@WORKERS
@FORCE
@KERNELS
def refresh(notebooks, **settings) -> None:
    """Execute notebooks with their own parameters and put the outputs into them.

    A notebook that fails stays as it is.
    """
    from initlib.lab.runs.batch import exit_code, run_batch, sum_up
    from initlib.lab.runs.normalize import normalize

    clock, console, inputs = time.monotonic(), _console(), read_inputs()
    runs = plan(select_notebooks(paths.NOTEBOOKS, notebooks), inputs)
    outcomes = run_batch(runs, Store(paths.RUNS), inputs, console, **settings)
    for outcome in outcomes:
        if outcome.state in ("ok", "skipped"):
            notebook = outcome.run.notebook
            executed = outcome.folder.notebook.read_text(encoding="utf-8")
            _rewrite(notebook.name, notebook.text, normalize(notebook.text, executed))
    sum_up(outcomes, time.monotonic() - clock, console)
    sys.exit(exit_code(outcomes))


@main.command()
@NOTEBOOKS
def normalize(notebooks) -> None:
    """Strip notebooks of metadata that changes from run to run; outputs stay."""
    from initlib.lab.runs import normalize as module

    for notebook in select_notebooks(paths.NOTEBOOKS, notebooks):
        _rewrite(notebook.name, notebook.text, module.normalize(notebook.text))


def _rewrite(name: str, old: str, new: str) -> None:
    if new != old:
        paths.write_atomic(paths.NOTEBOOKS / f"{name}.ipynb", new)
        click.echo(f"{name}: rewritten")


@main.command()
@click.option("--all", "everything", is_flag=True, help="Also what has been outdated by changes.")
def status(everything: bool) -> None:
    """Show the runs on record."""
    from initlib.lab.runs.report import as_table, collect

    rows = collect(Store(paths.RUNS), paths.NOTEBOOKS, read_inputs())
    shown = [row for row in rows if everything or row["current"]]
    _console().print(as_table(shown))
    if len(shown) < len(rows):
        click.echo(f"{len(rows) - len(shown)} outdated runs are not shown; --all shows them")


@main.command()
def report() -> None:
    """Write runs/report.md and runs/report.json: every run, how it ended and why."""
    from initlib.lab.runs.report import collect, write_report

    store = Store(paths.RUNS)
    with explained():
        click.echo(write_report(store, collect(store, paths.NOTEBOOKS, read_inputs())))


@main.command(name="list")
@NOTEBOOKS
def list_(notebooks) -> None:
    """List notebooks; of those that are named, also the parameters."""
    full = read_full_profile(paths.NOTEBOOKS)
    for notebook in select_notebooks(paths.NOTEBOOKS, notebooks):
        click.echo(f"{notebook.name}  {notebook.title}")
        for parameter in notebook.parameters.values() if notebooks else ():
            text = f"{parameter.name}: {parameter.kind} = {json.dumps(parameter.default)}"
            if parameter.name in full.get(notebook.name, {}):
                text += f" (full: {json.dumps(full[notebook.name][parameter.name])})"
            click.echo(f"    {text}  {parameter.help}".rstrip())


for command in COMMANDS:
    main.add_command(command)


if __name__ == "__main__":
    main()
