"""The table of results, its file, and the figure."""

import json
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from benchmarks.rows import Row

BUSY = 0.1  # share of the machine that others may take before it is mentioned
ORDER = (
    "fills",
    "models",
    "matrices",
    "signals",
    "training",
    "theory",
    "notebooks",
    "quality",
    "memory",
)


def line(row: Row) -> str:
    """Return a row as it is measured."""
    start = f"{row.subject:9} {row.what:58} {row.threads} threads  {_value(row)} {row.peer} "
    target = "" if row.target is None else f"  (target {row.target:g})"
    missed = "  MISSED" if row.met is False else ""
    return f"{start}[{row.low:.3g}, {row.high:.3g}]{target}{missed}{_others(row)}"


def table(rows: Sequence[Row]) -> Table:
    """Return all rows."""
    columns = "what", "threads", "against", "measured", "quartiles", "target", "limit", "of it"
    found = Table(*columns, "met", box=None, header_style="bold")
    subject = ""
    for row in rows:
        if row.subject != subject:
            subject = row.subject
            found.add_row(f"[bold]{subject}[/bold]")
        target = "" if row.target is None else f"{row.target:g}"
        target += "" if row.stretch is None else f" ({row.stretch:g})"
        limit = "" if row.limit is None else f"{row.limit:.3g} {row.limit_is}"
        fraction = "" if row.fraction is None else f"{row.fraction:.0%}"
        met = {None: "", True: "yes", False: "no"}[row.met]
        found.add_row(row.what, str(row.threads), row.peer, _value(row),
                      f"{row.low:.3g} - {row.high:.3g}", target, limit, fraction, met)  # fmt: skip
    return found


def write(folder: Path, record: dict, rows: Sequence[Row]) -> None:
    """Write rows to results.json, where those of other subjects stay, and the figure from it."""
    from benchmarks.draw import draw

    path = folder / "results.json"
    before = json.loads(path.read_text())["rows"] if path.exists() else []
    new: dict[str, list[dict]] = {}
    for row in rows:
        new.setdefault(row.subject, []).append(row.record())
    kept: dict[str, list[dict]] = {}
    for row in before:
        kept.setdefault(row.get("subject", ""), []).append(row)
    subjects = [name for name in ORDER if name in kept | new]
    merged = [row for name in subjects for row in (kept | new)[name]]
    path.write_text(json.dumps(record | {"rows": merged}, indent=1) + "\n")
    draw(path, folder / "speed.png")


def _others(row: Row) -> str:
    if row.others is None or row.others < BUSY:
        return ""
    return f"  (others took {row.others:.0%} of the machine; {row.cpu_ratio:.3g}x less CPU time)"


def _value(row: Row) -> str:
    return f"{row.value:.3g}x" if row.unit == "times" else f"{row.value:.3g} {row.unit}"
