"""JSON files of parameters: the full profile beside the notebooks, and those that a user writes."""

from __future__ import annotations

import json
from itertools import pairwise
from operator import itemgetter
from pathlib import Path

from initlib.lab.runs.notebook import find_notebooks, nearest
from initlib.lab.runs.parameters import PlanError


def read_full_profile(folder: Path) -> dict[str, dict[str, object]]:
    """Read full.json beside the notebooks: notebook name to parameters of the full profile.

    Parameters
    ----------
    folder : Path
        Where notebooks are.

    Returns
    -------
    dict
        Empty when there is no such file.

    Raises
    ------
    PlanError
        When it is not such a mapping, or names a notebook that isn't there.
    """
    path = folder / "full.json"
    if not path.exists():
        return {}
    full = read_json_object(path)
    known = list(find_notebooks(folder))
    for name, parameters in full.items():
        if name not in known:
            raise PlanError(f"{path} names a notebook {name!r}; {nearest(name, known)}")
        if not isinstance(parameters, dict):
            raise PlanError(f"{path}: {name!r} must hold an object of parameters")
    return full


def read_json_object(path: Path) -> dict:
    """Read a JSON file that holds an object, or say what is wrong with it."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_once)
    except (OSError, ValueError) as error:
        raise PlanError(f"{path} can't be read as JSON: {error}") from None
    if not isinstance(content, dict):
        raise PlanError(f'{path} must hold an object, such as {{"seed": 1}}')
    return content


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    for (name, _), (following, _) in pairwise(sorted(pairs, key=itemgetter(0))):
        if name == following:
            raise ValueError(f"{name!r} is given twice")
    return dict(pairs)
