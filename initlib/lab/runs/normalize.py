"""A notebook as it is committed: its outputs, and nothing that changes from run to run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

TOP = {
    "kernelspec": {
        "display_name": "initlib (Python 3)",
        "language": "python",
        "name": "initlib",
    },
    "language_info": {"name": "python"},
}
ADDED = {"injected-parameters", "papermill-error-cell-tag"}


def normalize(text: str, executed: str | None = None) -> str:
    """Strip a notebook of what the machine and the moment have added.

    Kept are sources, tags, cell ids, outputs and execution counts.

    Parameters
    ----------
    text : str
        A notebook of format 4, as JSON.
    executed : str, optional
        A notebook with the same code, to take outputs and counts from.

    Returns
    -------
    str
        JSON as Jupyter writes it. Doing it again changes nothing.

    Raises
    ------
    ValueError
        When the code of the two notebooks differs.
    """
    cells = _own_cells(text)
    if executed is not None:
        _take_outputs(cells, _own_cells(executed))
    content = {
        "cells": [_normal_cell(cell, index) for index, cell in enumerate(cells)],
        "metadata": TOP,
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _own_cells(text: str) -> list[dict[str, Any]]:
    return [
        cell
        for cell in json.loads(text)["cells"]
        if not ADDED.intersection(cell["metadata"].get("tags", []))
    ]


def _take_outputs(cells: list[dict[str, Any]], executed: list[dict[str, Any]]) -> None:
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    done = [cell for cell in executed if cell["cell_type"] == "code"]
    if [_text(cell["source"]) for cell in code] != [_text(cell["source"]) for cell in done]:
        raise ValueError("the executed notebook has other code")
    for cell, other in zip(code, done, strict=True):
        cell |= {"outputs": other["outputs"], "execution_count": other["execution_count"]}


def _normal_cell(cell: Mapping[str, Any], index: int) -> dict[str, Any]:
    tags = cell["metadata"].get("tags")
    normal = {
        "cell_type": cell["cell_type"],
        "id": cell.get("id", f"cell-{index:02d}"),
        "metadata": {"tags": tags} if tags else {},
        "source": _lines(cell["source"]),
    }
    if cell["cell_type"] == "code":
        outputs = [_normal_output(output) for output in cell["outputs"]]
        normal |= {"execution_count": cell["execution_count"], "outputs": outputs}
    elif "attachments" in cell:
        normal["attachments"] = cell["attachments"]
    return normal


def _normal_output(output: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in output.items() if key != "transient"}


def _text(source: str | list[str]) -> str:
    return "".join(source)


def _lines(source: str | list[str]) -> list[str]:
    return _text(source).splitlines(keepends=True)
