"""What the runs in the store have found, as one table: sweeps become a data frame in one line."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from initlib.lab import paths
from initlib.lab.runs.inputs import Inputs, read_inputs
from initlib.lab.runs.report import collect
from initlib.lab.runs.store import Store

RUN = ["notebook", "key", "profile", "current"]
FOUND = ["kind", "id", "cell", "value", "se", "n", "predicted", "verdict", "unit"]


def read_results(
    notebooks: Collection[str] = (),
    *,
    store: Store | None = None,
    folder: Path | None = None,
    inputs: Inputs | None = None,
) -> pd.DataFrame:
    """Gather every claim and every recorded number of every run that ended well.

    Parameters
    ----------
    notebooks : collection of str
        Names in full, such as "05-he"; all, if empty.
    store : Store, optional
        Where the runs are; default: ``runs/``.
    folder : Path, optional
        Where the notebooks are; default: ``notebooks/``.
    inputs : Inputs, optional
        Sources and versions that tell current runs from outdated ones; default: as they are now.

    Returns
    -------
    DataFrame
        One row for each measured value: a claim of several cells has a row for each, named in
        ``cell``. ``kind`` is "claim" or "number", ``se`` the standard error, ``current`` whether
        the run would be the same today. Each parameter is a column under its own name (with
        "parameter " before it, where a column above has that name), a list as JSON, and missing
        where a notebook doesn't have it.

    Raises
    ------
    ValueError
        When a results file can't be read.
    """
    store, folder = store or Store(paths.RUNS), folder or paths.NOTEBOOKS
    rows = []
    for run in collect(store, folder, inputs or read_inputs()):
        if run["state"] == "ok" and (not notebooks or run["notebook"] in notebooks):
            path = store.folder(run["notebook"], run["key"]).path / "results.json"
            about = {name: run[name] for name in RUN} | _as_columns(run["parameters"])
            rows += [about | found for found in _found_in(path)]
    columns = list(dict.fromkeys([*RUN, *FOUND, *(name for row in rows for name in row)]))
    return _typed(pd.DataFrame(rows, columns=columns, dtype=object))


def write_results(table: pd.DataFrame, file: str | Path) -> Path:
    """Write the table as csv or parquet, by the ending of the file's name.

    Parameters
    ----------
    table : DataFrame
        From `read_results`.
    file : str or Path
        ``.csv`` or ``.parquet``.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ValueError
        For another ending, or a parquet file where no library for it is installed.
    """
    path = Path(file)
    if path.suffix not in (".csv", ".parquet"):
        raise ValueError(f"{path.name!r} must end in .csv or .parquet")
    with paths.staged(path.parent) as scratch:
        if path.suffix == ".csv":
            table.to_csv(scratch / path.name, index=False)
        else:
            _write_parquet(table, scratch / path.name)
    return path


def cells(value: Any, se: Any = None) -> Iterator[tuple[str, float | None, float | None]]:
    """Take a measurement apart into single numbers.

    Parameters
    ----------
    value : float, list, dict or None
        As in results.json; None stands for a value that wasn't finite.
    se : float, list, dict or None
        Its standard error, of the same form or one for all.

    Yields
    ------
    tuple of (str, float or None, float or None)
        The name of the cell, its value and its standard error. Cells of a list are counted from 1,
        those inside of others joined by commas; a single number has no name.

    Examples
    --------
    >>> list(cells({"he": 1.0, "xavier": [0.5, None]}, 0.1))
    [('he', 1.0, 0.1), ('xavier, 1', 0.5, 0.1), ('xavier, 2', None, 0.1)]
    """
    if isinstance(value, list):
        value = {str(i): item for i, item in enumerate(value, 1)}
    if isinstance(se, list):
        se = {str(i): item for i, item in enumerate(se, 1)}
    if not isinstance(value, Mapping):
        yield "", value, se
        return
    for name, item in value.items():
        for inner, number, error in cells(item, se[name] if isinstance(se, Mapping) else se):
            yield f"{name}, {inner}" if inner else name, number, error


def _found_in(path: Path) -> Iterator[dict[str, Any]]:
    if not path.exists():
        return
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
        for claim in results["claims"]:
            predicted = {cell: number for cell, number, _ in cells(claim["predicted"])}
            for cell, value, se in cells(claim["measured"], claim["se"]):
                row = {"kind": "claim", "id": claim["id"], "cell": cell, "value": value, "se": se}
                row |= {"n": claim["n"], "verdict": claim["verdict"]}
                yield row | {"predicted": predicted.get(cell, predicted.get(""))}
        for name, number in results["numbers"].items():
            row = {"kind": "number", "id": name, "cell": "", "unit": number["unit"]}
            yield row | {"value": number["value"], "se": number["se"]}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is no results file: {error!r}") from None


def _as_columns(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {
        f"parameter {name}" if name in (*RUN, *FOUND) else name: (
            json.dumps(value) if isinstance(value, list) else value
        )
        for name, value in parameters.items()
    }


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    """Give columns the type of what is in them; pandas would make a float of a missing int."""
    types: dict[str, str] = dict.fromkeys(("value", "se", "predicted"), "float64")
    for name in table.columns.difference(list(types)):
        kinds = set(map(type, table[name].dropna()))
        whole = not table[name].isna().any()
        if kinds == {int}:
            types[name] = "int64" if whole else "Int64"
        elif kinds == {bool}:
            types[name] = "bool" if whole else "boolean"
        elif kinds and kinds <= {int, float}:
            types[name] = "float64"
    return table.astype(types).infer_objects()


def _write_parquet(table: pd.DataFrame, path: Path) -> None:
    # Parquet has one type in a column; notebooks may differ about that of a parameter.
    mixed = {name: str for name in table if pd.api.types.infer_dtype(table[name]).startswith("mix")}
    try:
        table.astype(mixed).to_parquet(path, index=False)
    except ImportError:
        raise ValueError(
            "to write parquet, install pyarrow or fastparquet; or give a file that ends in .csv"
        ) from None
