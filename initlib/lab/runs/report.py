"""What is in the store: a table for the terminal, and report.md and report.json beside the runs."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from initlib.lab.paths import write_atomic
from initlib.lab.runs.inputs import Inputs
from initlib.lab.runs.notebook import Notebook, find_notebooks, read_notebook
from initlib.lab.runs.parameters import PlanError
from initlib.lab.runs.plan import Checksums, cached_checksums, plan
from initlib.lab.runs.progress import reason
from initlib.lab.runs.store import Record, Store

STYLES = {"ok": "green", "failed": "red", "dead": "red", "running": "cyan", "queued": "yellow"}
COLUMNS = ("notebook", "profile", "changed", "state", "seconds", "why", "key")


def collect(store: Store, folder: Path, inputs: Inputs) -> list[dict[str, Any]]:
    """Read every run on record.

    Parameters
    ----------
    store : Store
        Where the runs are.
    folder : Path
        Where notebooks are.
    inputs : Inputs
        As they are now.

    Returns
    -------
    list of dict
        One for each run, the latest of a notebook last. Of a run that would have another key today,
        since its notebook, initlib or the data have changed, ``current`` is false.
    """
    notebooks: dict[str, Notebook] = {}
    for name, path in find_notebooks(folder).items():
        # What is broken now may still have runs on record.
        with contextlib.suppress(PlanError):
            notebooks[name] = read_notebook(path)
    rows, checksums = [], cached_checksums()
    for run in store:
        record = run.read()
        if record is None:
            continue
        rows.append(
            {
                "notebook": record["notebook"],
                "profile": record["profile"],
                "changed": " ".join(f"{k}={v}" for k, v in record["changed"].items()),
                "state": record["state"],
                "current": _is_current(
                    record, notebooks.get(record["notebook"]), inputs, checksums
                ),
                "seconds": record.get("seconds"),
                "why": reason(record),
                "key": record["key"],
                "started": record.get("started") or "",
                "parameters": record["parameters"],
                "log": run.log.relative_to(store.root).as_posix(),
            }
        )
    return sorted(rows, key=lambda row: (row["notebook"], row["started"]))


def _is_current(
    record: Record, notebook: Notebook | None, inputs: Inputs, checksums: Checksums
) -> bool:
    if notebook is None:
        return False
    try:
        [run] = plan([notebook], inputs, overrides=record["parameters"], checksums=checksums)
    except PlanError:
        return False
    return run.key == record["key"]


def as_table(rows: Sequence[dict[str, Any]]) -> Table:
    """Lay the rows out for a terminal."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in COLUMNS:
        table.add_column(column, justify="right" if column == "seconds" else "left")
    for row in rows:
        style = STYLES[row["state"]] if row["current"] else "dim"
        table.add_row(*(escape(cell) for cell in _cells(row)), style=style)
    return table


def write_report(store: Store, rows: Sequence[dict[str, Any]]) -> Path:
    """Write report.md, for people, and report.json, for programs, into the store.

    Parameters
    ----------
    store : Store
        Receives the two files.
    rows : sequence of dict
        From `collect`.

    Returns
    -------
    Path
        The one for people.
    """
    counts = {state: sum(row["state"] == state for row in rows) for state in STYLES}
    lines = [
        "# Runs",
        "",
        ", ".join(f"{count} {state}" for state, count in counts.items() if count) or "none yet",
        "",
        "| " + " | ".join(COLUMNS) + " |",
        "|" + " --- |" * len(COLUMNS),
    ]
    for row in rows:
        cells = [cell.replace("|", "\\|").replace("<", "&lt;") for cell in _cells(row)]
        cells[-1] = f"[{row['key']}]({row['log']})"
        lines.append("| " + " | ".join(cells) + " |")
    write_atomic(store.root / "report.json", json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
    return write_atomic(store.root / "report.md", "\n".join(lines) + "\n")


def _cells(row: dict[str, Any]) -> list[str]:
    seconds = "" if row["seconds"] is None else f"{row['seconds']:.1f}"
    state = row["state"] if row["current"] else f"{row['state']} (outdated)"
    return [
        row["notebook"],
        row["profile"],
        row["changed"],
        state,
        seconds,
        row["why"],
        row["key"],
    ]
