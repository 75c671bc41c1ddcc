"""A batch as the command line runs it: shown before, while it lasts and after."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from rich.console import Console

from initlib.lab import paths
from initlib.lab.runs.execute import Outcome, execute
from initlib.lab.runs.forked import pays
from initlib.lab.runs.inputs import Inputs
from initlib.lab.runs.parameters import PlanError
from initlib.lab.runs.plan import Run
from initlib.lab.runs.progress import reason, sentence, show_progress
from initlib.lab.runs.settings import Settings, cores, read_commit
from initlib.lab.runs.store import INTERRUPTED, Store

EXIT_OK, EXIT_FAILED, EXIT_INTERRUPTED = 0, 1, 130
MOST_WAITING = 64
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
    run_timeout: float | None = None,
    cluster: str | None = None,
    kernels: str = "auto",
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
    force, retries, cell_timeout, run_timeout
        As in `Settings`.
    cluster : str, optional
        Where to run instead of here: an address that `initlib.lab.runs.cluster.Cluster` takes.
    kernels : {"auto", "forked", "ordinary"}
        How kernels start: forked from a server that has imported what they need, or each as a
        process of its own. By default forked where that saves time: on Linux, for several runs.
        Results are the same.

    Returns
    -------
    list of Outcome
        One for each run.
    """
    settings = Settings(
        root=paths.ROOT,
        # On a cluster, threads that only wait: as many runs as these can be under way there.
        workers=MOST_WAITING if cluster else workers or max(1, min(cores(), len(runs))),
        force=force,
        retries=retries,
        cell_timeout=cell_timeout,
        run_timeout=run_timeout,
        forked=not cluster and (kernels == "forked" or (kernels == "auto" and pays(len(runs)))),
        provenance={**read_commit(paths.ROOT), "versions": dict(inputs.versions)},
    )
    # A scheduler ends a job by SIGTERM: as with Ctrl-C, kernels and records are to be put in order.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    place = _place(cluster, inputs, workers, retries)
    with place as elsewhere, show_progress(console, len(runs)) as progress:
        if elsewhere and elsewhere.link:
            _say(console, f"cluster  {elsewhere.link}")
        return execute(runs, store, settings, progress, elsewhere and elsewhere.attempt)


def _place(
    cluster: str | None, inputs: Inputs, workers: int | None, retries: int
) -> AbstractContextManager[Any]:
    if cluster is None:
        return nullcontext()
    try:
        from initlib.lab.runs.cluster import Cluster
    except ImportError as error:
        raise PlanError(
            f"--cluster needs Dask ({error}): pip install 'initlib[lab,cluster]'"
        ) from None
    return Cluster(cluster, inputs, workers, retries)


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """Return 0 when all went well, 130 when the batch was interrupted, else 1."""
    if any(
        o.state in ("queued", "running") or o.record.get("error") == INTERRUPTED for o in outcomes
    ):
        return EXIT_INTERRUPTED
    return EXIT_OK if all(o.state in ("ok", "skipped") for o in outcomes) else EXIT_FAILED


def sum_up(outcomes: Sequence[Outcome], seconds: float, console: Console) -> None:
    """Print how many runs ended how, why some did not end well, and where the logs are."""
    counts = Counter(WORDS.get(outcome.state, outcome.state) for outcome in outcomes)
    parts = [f"{count} {word}" for word, count in counts.items()]
    _say(console, f"{', '.join(parts) or 'nothing to run'} in {seconds:.1f} s")
    for outcome in outcomes:
        if outcome.state in ("failed", "dead"):
            _say(console, f"{sentence(outcome)}\n    log: {outcome.folder.log}", style="red")
    if exit_code(outcomes) == EXIT_INTERRUPTED:
        _say(console, "interrupted; the same command goes on from here")
    _say(console, f"logs     {paths.RUNS / '<notebook>' / '<key>' / 'log.txt'}")


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
