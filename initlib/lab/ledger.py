"""The ledger: every claim of every published run, with its verdict."""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from pathlib import Path
from typing import Any

from initlib.lab.coverage import coverage_rows, textbook_rows
from initlib.lab.paths import FIGURES, NOTEBOOKS, write_atomic

SHOWN_CELLS = 4
COVERAGE = ["technique", "implemented", "derived", "forward", "backward", "trained", "figure"]
COVERAGE += ["textbook corrected"]


def write_ledger(folder: str | Path = FIGURES) -> Path:
    """Write ``claims.md`` from the results of the published runs.

    Parameters
    ----------
    folder : str or Path
        Holds ``results/<notebook>.json``, one for each notebook.

    Returns
    -------
    Path
        The ledger.

    Raises
    ------
    ValueError
        When a results file can't be read.
    """
    folder = Path(folder)
    return write_atomic(folder / "claims.md", ledger(folder))


def ledger(folder: str | Path = FIGURES) -> str:
    """Return the ledger as Markdown, with links that start from `folder`; see `write_ledger`."""
    folder = Path(folder)
    runs = read_published(folder)
    claims = [claim for run in runs for claim in run["claims"]]
    counts = Counter(claim["verdict"] for claim in claims)
    summary = ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items()))
    lines = [
        "# Claims",
        "",
        "Written by `initlib claims` from the results of the runs. Each rule was fixed before its",
        "claim was measured; `±` is one standard error.",
        "",
        f"{len(claims)} claims: {summary or 'none yet'}.",
        "",
        "## The twelve techniques",
        "",
        *_table(COVERAGE, coverage_rows(claims, folder)),
    ]
    if corrected := textbook_rows(claims):
        cells = [[_cell(text) for text in row[:2]] + row[2:] for row in corrected]
        lines += ["", "## What textbooks say, and what is true", ""]
        lines += _table(["as commonly told", "what is true", "shown by"], cells)
    for run in runs:
        link = f"{os.path.relpath(NOTEBOOKS, folder)}/{run['notebook']}.ipynb"
        lines += ["", f"## [{run['notebook']}]({link})", ""]
        header = ["claim", "verdict", "predicted", "measured", "rule", "source"]
        lines += _table(header, [_claim_row(claim) for claim in run["claims"]])
        if run["numbers"]:
            numbers = [
                [f"`{name}`", f"{show(number['value'], number['se'])} {number['unit']}".strip()]
                for name, number in run["numbers"].items()
            ]
            lines += ["", *_table(["number", "measured"], numbers)]
    return "\n".join(lines) + "\n"


def read_published(folder: str | Path = FIGURES) -> list[dict[str, Any]]:
    """Read the results of the published runs, by notebook.

    Raises
    ------
    ValueError
        When a results file can't be read.
    """
    return [_read(path) for path in sorted((Path(folder) / "results").glob("*.json"))]


def show(value: Any, se: Any = None) -> str:
    """Write a measurement for a reader: as many digits as its standard error supports.

    Parameters
    ----------
    value : float, list, dict or None
        As in results.json; None stands for a value that wasn't finite.
    se : float, list, dict or None
        Its standard error, of the same form or one for all.

    Returns
    -------
    str
        A long list is given by its length and range.

    Examples
    --------
    >>> show(1.00321, 0.00412), show({"22 layers": 1448.15468787, "30 layers": None})
    ('1.0032 ± 0.0041', '22 layers: 1448.15; 30 layers: not finite')
    """
    if isinstance(value, dict):
        errors = se if isinstance(se, dict) else dict.fromkeys(value, se)
        return "; ".join(f"{name}: {show(item, errors[name])}" for name, item in value.items())
    if isinstance(value, list):
        errors = se if isinstance(se, list) else [se] * len(value)
        if len(value) <= SHOWN_CELLS:
            return "; ".join(show(*pair) for pair in zip(value, errors, strict=True))
        finite = [item for item in _flat(value) if item is not None]
        cells = len(_flat(value))
        if not finite:
            return f"{cells} values, none finite"
        return f"{cells} values from {show(min(finite))} to {show(max(finite))}"
    if value is None:
        return "not finite"
    if not se:
        return f"{value:.6g}"
    decimals = max(0, 1 - math.floor(math.log10(se)))
    is_readable = decimals <= 6 and abs(value) < 1e6
    return f"{value:.{decimals}f} ± {se:.{decimals}f}" if is_readable else f"{value:.4g} ± {se:.2g}"


def _claim_row(claim: dict[str, Any]) -> list[str]:
    predicted = "" if claim["predicted"] is None else show(claim["predicted"])
    n = f" (n = {claim['n']})" if isinstance(claim["n"], int) else ""
    measured = show(claim["measured"], claim["se"]) + n
    verdict = f"**{claim['verdict']}**"
    if claim["verdict"] == "holds in part":
        cells = _flat(claim["cells"])
        verdict += f" ({sum(cells)} of {len(cells)})"
    sentence = f'<a id="{claim["id"]}"></a>{_cell(claim["sentence"])}'
    return [sentence, verdict, predicted, measured, *map(_cell, (claim["rule"], claim["source"]))]


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows)]


def _cell(text: str) -> str:
    """Text that can't end its table cell early, nor become a tag."""
    return " ".join(text.split()).replace("|", r"\|").replace("<", "&lt;")


def _flat(value: Any) -> list:
    return [item for part in value for item in _flat(part)] if isinstance(value, list) else [value]


def _read(path: Path) -> dict[str, Any]:
    try:
        run = json.loads(path.read_text(encoding="utf-8"))
        return {"notebook": run["notebook"], "claims": run["claims"], "numbers": run["numbers"]}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no results file: {error!r}") from None
