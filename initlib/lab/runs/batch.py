"""A batch as the command line runs it: shown while it lasts, published, reported, summed up."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from initlib.lab import paths
from initlib.lab.citing import write_catalog
from initlib.lab.ledger import write_ledger
from initlib.lab.runs.execute import Outcome, execute
from initlib.lab.runs.inputs import Inputs
from initlib.lab.runs.plan import Run
from initlib.lab.runs.progress import reason, sentence, show_progress
from initlib.lab.runs.publish import publish
from initlib.lab.runs.settings import Settings, cores, read_commit
from initlib.lab.runs.store import INTERRUPTED, Store

EXIT_OK, EXIT_FAILED, EXIT_INTERRUPTED = 0, 1, 130
LEDGER = "claims.md"
WORDS = {"skipped": "done before", "queued": "not started", "running": "running elsewhere"}


def run_batch(
    runs: Sequence[Run],
    store: Store,
    inputs: Inputs,
    console: Console,
    *,
    workers: int | None = None,
    force: bool = False,
    retries: int = 0,
    cell_timeout: float | None = None,
) -> list[Outcome]:
    """Execute runs and show how they get on.

    Parameters
    ----------
    runs : sequence of Run
        The plan.
    store : Store
        Where results go.
    inputs : Inputs
        Gives the versions on record.
    console : Console
        Where progress is shown.
    workers : int, optional
        Kernels at a time; default: one a core.
    force, retries, cell_timeout
        As in `Settings`.

    Returns
    -------
    list of Outcome
        One for each run.
    """
    settings = Settings(
        root=paths.ROOT,
        workers=workers or max(1, min(cores(), len(runs))),
        force=force,
        retries=retries,
        cell_timeout=cell_timeout,
        provenance={**read_commit(paths.ROOT), "versions": dict(inputs.versions)},
    )
    # A scheduler ends a job by SIGTERM: as with Ctrl-C, kernels and records are to be put in order.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with show_progress(console, len(runs)) as progress:
        return execute(runs, store, settings, progress)


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """Return 0 when all went well, 130 when the batch was interrupted, else 1."""
    if any(o.state == "queued" or o.record.get("error") == INTERRUPTED for o in outcomes):
        return EXIT_INTERRUPTED
    return EXIT_OK if all(o.state in ("ok", "skipped") for o in outcomes) else EXIT_FAILED


def publish_batch(outcomes: Sequence[Outcome]) -> list[Path]:
    """Bring figures, results, ledger and catalog of the profiles up to date.

    Runs with other parameters are left in the store. Runs that were done before are looked at too:
    a batch may have ended before it came to this.

    Parameters
    ----------
    outcomes : sequence of Outcome
        Of a batch.

    Returns
    -------
    list of Path
        The folders that hold them.
    """
    folders = {"full": paths.FIGURES, "quick": paths.RUNS / "quick"}
    changes: Counter[Path] = Counter()
    for outcome in outcomes:
        destination = folders.get(outcome.run.profile)
        if destination and outcome.state in ("ok", "skipped"):
            changes[destination] += publish(outcome.folder, outcome.run.notebook.name, destination)
    for destination, changed in changes.items():
        if changed or not (destination / LEDGER).exists():
            write_ledger(destination)
            write_catalog(destination)
    return list(changes)


def finish(outcomes: Sequence[Outcome], seconds: float, console: Console) -> None:
    """Publish what a batch made and say where everything is.

    Parameters
    ----------
    outcomes : sequence of Outcome
        Of the batch.
    seconds : float
        How long it took.
    console : Console
        Where it is said.
    """
    published = publish_batch(outcomes)
    sum_up(outcomes, seconds, console)
    for folder in published:
        _say(console, f"figures  {folder}\nclaims   {folder / LEDGER}")
    _say(console, f"logs     {paths.RUNS / '<notebook>' / '<key>' / 'log.txt'}")


def sum_up(outcomes: Sequence[Outcome], seconds: float, console: Console) -> None:
    """Print how many runs ended how, and for each that did not end well, why, and its log."""
    counts = Counter(WORDS.get(outcome.state, outcome.state) for outcome in outcomes)
    parts = [f"{count} {word}" for word, count in counts.items()]
    _say(console, f"{', '.join(parts) or 'nothing to run'} in {seconds:.1f} s")
    for outcome in outcomes:
        if outcome.state in ("failed", "dead"):
            _say(console, f"{sentence(outcome)}\n    log: {outcome.folder.log}", style="red")
    if exit_code(outcomes) == EXIT_INTERRUPTED:
        _say(console, "interrupted; the same command goes on from here")


def show_plan(runs: Sequence[Run], store: Store, console: Console, *, force: bool) -> None:
    """Print what a batch would do, and why.

    Parameters
    ----------
    runs : sequence of Run
        The plan.
    store : Store
        What is done already.
    console : Console
        Where it is printed.
    force : bool
        Whether what is done would be run again.
    """
    for run in runs:
        folder = store.folder(*run.id)
        record = folder.read()
        if record is None:
            action, why = "run", "not run yet with this code, data and these parameters"
        elif folder.is_done():
            action = "run" if force else "skip"
            why = f"done {record['finished']} in {record['seconds']:.1f} s"
        else:
            action, why = "run", " ".join([record["state"], reason(record)]).strip()
        _say(console, f"{action:4}  {run.label}  ({run.profile}, {run.key}): {why}")


def _say(console: Console, text: str, style: str | None = None) -> None:
    console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)
