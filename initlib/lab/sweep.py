"""A sweep inside of a notebook: another notebook of a few cells, run over a grid of parameters.

What `initlib run --grid` and `initlib results` do for the notebooks of the repository is done here
in a store that lasts as long as the sweep.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import nbformat
import pandas as pd

from initlib.lab import paths
from initlib.lab.results import read_results
from initlib.lab.runs.execute import Outcome, execute
from initlib.lab.runs.forked import pays
from initlib.lab.runs.inputs import read_inputs
from initlib.lab.runs.notebook import read_notebook
from initlib.lab.runs.parameters import Value
from initlib.lab.runs.plan import Run, plan
from initlib.lab.runs.progress import sentence
from initlib.lab.runs.settings import Settings, cores
from initlib.lab.runs.store import Store


class _Silent:
    """Shows nothing: a notebook's outputs are no place for what differs from run to run."""

    def started(self, run: Run) -> None:
        pass

    def cell(self, run: Run, done: int, total: int) -> None:
        pass

    def finished(self, outcome: Outcome) -> None:
        pass


def sweep(
    name: str,
    parameters: str,
    code: str,
    grid: Mapping[str, Sequence[Value]],
    *,
    workers: int | None = None,
) -> pd.DataFrame:
    """Run a notebook with every combination of parameters, and gather what the runs found.

    Parameters
    ----------
    name : str
        Of the notebook, ``NN-topic``; its claims are those of ``Claims(name)``.
    parameters : str
        Its parameters cell.
    code : str
        Its other cell.
    grid : mapping
        Parameter name to the values it takes.
    workers : int, optional
        Kernels at a time; default: one a core.

    Returns
    -------
    DataFrame
        As `initlib.lab.results.read_results` gives it: a row for each measured value, with the
        parameters of its run; in the order of the grid, whose last parameter changes fastest.

    Raises
    ------
    ValueError
        When a parameter is unknown or of another type, or a run has failed; the text says which.
    """
    inputs = read_inputs()
    with tempfile.TemporaryDirectory(prefix="initlib-sweep-") as scratch:
        path = Path(scratch) / f"{name}.ipynb"
        path.write_text(_notebook(name, parameters, code), encoding="utf-8")
        points = {name: _as_text(values) for name, values in grid.items()}
        runs = plan([read_notebook(path)], inputs, grid=points)
        # Kernels belong to the repository; only their store is elsewhere.
        settings = Settings(
            root=paths.ROOT,
            workers=workers or min(cores(), len(runs)),
            forked=pays(len(runs)),
        )
        store = Store(Path(scratch) / "runs")
        outcomes = execute(runs, store, settings, _Silent())
        bad = [outcome for outcome in outcomes if outcome.state != "ok"]
        if bad:
            raise ValueError(f"{len(bad)} of {len(runs)} runs failed; first {sentence(bad[0])}")
        table = read_results(store=store, folder=Path(scratch), inputs=inputs)
    # The store has them as they were started, which with several workers differs each time.
    order = {run.key: i for i, run in enumerate(runs)}
    return table.sort_values(
        "key", key=lambda keys: keys.map(order), kind="stable", ignore_index=True
    )


def _notebook(name: str, parameters: str, code: str) -> str:
    node = nbformat.v4.new_notebook()
    tagged = {"tags": ["parameters"]}
    node.cells = [
        nbformat.v4.new_markdown_cell(f"# {name}"),
        nbformat.v4.new_code_cell(parameters, metadata=tagged),
        nbformat.v4.new_code_cell(code),
    ]
    return nbformat.writes(node)


def _as_text(values: Sequence[Value]) -> str:
    return ",".join(v if isinstance(v, str) else json.dumps(v) for v in values)
