"""A batch as the command line runs it: shown while it lasts, published, reported, summed up."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from initlib.lab import paths
from initlib.lab.runs.execute import Outcome, execute
from initlib.lab.runs.inputs import Inputs
from initlib.lab.runs.plan import Run
from initlib.lab.runs.progress import sentence, show_progress
from initlib.lab.runs.publish import publish
from initlib.lab.runs.settings import Settings, cores, read_commit
from initlib.lab.runs.store import INTERRUPTED, Store

EXIT_OK, EXIT_FAILED, EXIT_INTERRUPTED = 0, 1, 130
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


def publish_batch(outcomes: Sequence[Outcome]) -> dict[Path, int]:
    """Bring figures and results of the profiles, but not of runs with other parameters, to reports.

    Runs that were done before are looked at as well: a batch may have ended before it came to this.

    Parameters
    ----------
    outcomes : sequence of Outcome
        Of a batch.

    Returns
    -------
    dict of Path to int
        Each folder that was brought up to date, and how many files changed there.
    """
    folders = {"full": paths.FIGURES, "quick": paths.RUNS / "quick"}
    changed: Counter[Path] = Counter()
    for outcome in outcomes:
        destination = folders.get(outcome.run.profile)
        if destination and outcome.state in ("ok", "skipped"):
            changed[destination] += publish(outcome.folder, outcome.run.notebook.name, destination)
    return dict(changed)


def sum_up(outcomes: Sequence[Outcome], seconds: float, console: Console) -> None:
    """Print how many runs ended how, each that did not end well, and where its log is."""
    counts = Counter(WORDS.get(outcome.state, outcome.state) for outcome in outcomes)
    parts = [f"{count} {word}" for word, count in counts.items()]
    console.print(f"{', '.join(parts)} in {seconds:.1f} s", highlight=False)
    for outcome in outcomes:
        if outcome.state in ("failed", "dead"):
            log = outcome.folder.log
            console.print(f"[red]{escape(sentence(outcome))}[/]\n  log: {log}", soft_wrap=True)
