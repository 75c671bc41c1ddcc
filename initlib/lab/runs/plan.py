"""Which runs a request means: every parameter resolved and checked, and a key for each run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from typing import Literal

from initlib.lab.runs.inputs import Inputs
from initlib.lab.runs.notebook import Notebook, nearest
from initlib.lab.runs.parameters import PlanError, Value, coerce, coerce_grid

DATASET = "dataset"
KEY_LENGTH = 16
Checksums = Callable[[Value | None], dict[str, str]]


@dataclass(frozen=True)
class Run:
    """One notebook with all its parameters, and the key that names the result."""

    notebook: Notebook = field(repr=False)
    profile: Literal["quick", "full", "custom"]
    parameters: Mapping[str, Value]
    changed: Mapping[str, Value]
    data: Mapping[str, str] = field(repr=False)
    key: str
    sources: str = field(default="", repr=False)

    @property
    def id(self) -> tuple[str, str]:
        """Notebook and key: where it is in the store."""
        return self.notebook.name, self.key

    @property
    def label(self) -> str:
        """The notebook and what sets this run apart from its profile."""
        return " ".join([self.notebook.name, *(f"{k}={v}" for k, v in self.changed.items())])

    def describe(self) -> dict[str, object]:
        """What goes on record about a run before it starts."""
        return {
            "notebook": self.notebook.name,
            "key": self.key,
            "profile": self.profile,
            "parameters": dict(self.parameters),
            "changed": dict(self.changed),
            "data": dict(self.data),
            # The key holds these too, but doesn't tell which of them has changed.
            "code": code_digest(self.notebook),
            "sources": self.sources,
        }

    @property
    def injected(self) -> dict[str, Value]:
        """The parameters that differ from the ones written in the notebook."""
        written = self.notebook.parameters
        return {k: v for k, v in self.parameters.items() if v != written[k].default}


def plan(
    notebooks: Iterable[Notebook],
    inputs: Inputs,
    *,
    profile: Literal["quick", "full"] = "quick",
    full: Mapping[str, Mapping[str, object]] | None = None,
    overrides: Mapping[str, object] | None = None,
    grid: Mapping[str, str] | None = None,
    checksums: Checksums | None = None,
) -> list[Run]:
    """Resolve a request into runs.

    Later wins: the notebook's own parameters, the full profile, `overrides`, a point of the grid.
    A parameter called "dataset" says which data a run depends on.

    Parameters
    ----------
    notebooks : iterable of Notebook
        What to run.
    inputs : Inputs
        The sources and versions that every run depends on.
    profile : {"quick", "full"}
        Start from the notebooks' own parameters, or from those with `full` on top.
    full : mapping, optional
        Notebook name to the parameters of its full profile.
    overrides : mapping, optional
        Parameter name to value, or the text of one; for every notebook.
    grid : mapping, optional
        Parameter name to the text of its values, ``a,b,c``; every combination is a run.
    checksums : callable, optional
        From `cached_checksums`, where several plans share the data.

    Returns
    -------
    list of Run
        Without duplicates, in the order of notebooks and grid.

    Raises
    ------
    PlanError
        When a parameter is unknown, of the wrong type or given twice, or there is no such data.
    """
    notebooks, overrides, grid = list(notebooks), overrides or {}, grid or {}
    for name in overrides.keys() & grid.keys():
        raise PlanError(f"parameter {name!r} is given a value and a grid; give one of them")
    checksums = checksums or cached_checksums()
    runs: dict[tuple[str, str], Run] = {}
    for notebook in notebooks:
        base = {name: parameter.default for name, parameter in notebook.parameters.items()}
        if profile == "full":
            base |= _checked(notebook, (full or {}).get(notebook.name, {}), "full.json: ")
        fixed = base | _checked(notebook, overrides)
        axes = [
            [(name, value) for value in coerce_grid(_known(notebook, name), text)]
            for name, text in grid.items()
        ]
        for point in product(*axes):
            parameters = fixed | dict(point)
            changed = {k: v for k, v in parameters.items() if v != base[k]}
            data = checksums(parameters.get(DATASET))
            key = run_key(notebook, parameters, data, inputs)
            kind = "custom" if changed else profile
            run = Run(notebook, kind, parameters, changed, data, key, inputs.sources)
            runs.setdefault(run.id, run)
    return list(runs.values())


def run_key(
    notebook: Notebook, parameters: Mapping[str, Value], data: Mapping[str, str], inputs: Inputs
) -> str:
    """Hash everything that can change what a run computes.

    That is the code cells, the parameters, the sources of initlib, the data and the versions of
    Python, NumPy and torch; neither the text of a notebook nor its outputs.

    Parameters
    ----------
    notebook : Notebook
        Its code cells count.
    parameters : mapping
        All of them, resolved.
    data : mapping
        File name to sha256.
    inputs : Inputs
        Sources and versions.

    Returns
    -------
    str
        The first 16 hexadecimal digits of the sha256: among a million runs, two different ones
        share a key with a probability of 3e-8.
    """
    content = {
        "parameters": dict(parameters),
        "data": dict(data),
        "sources": inputs.sources,
        "python": inputs.versions["python"].split(".")[:2],
        "numpy": inputs.versions["numpy"],
        "torch": inputs.versions["torch"],
    }
    rest = json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False)
    canonical = f'{{"code": {notebook.canonical_code}, {rest[1:]}'
    return hashlib.sha256(canonical.encode()).hexdigest()[:KEY_LENGTH]


def code_digest(notebook: Notebook) -> str:
    """Hash the code cells of a notebook: a sha256 in hexadecimal."""
    return hashlib.sha256(notebook.canonical_code.encode()).hexdigest()


def _checked(
    notebook: Notebook, values: Mapping[str, object], source: str = ""
) -> dict[str, Value]:
    try:
        return {name: coerce(_known(notebook, name), value) for name, value in values.items()}
    except PlanError as error:
        raise PlanError(f"{source}{error}") from None


def _known(notebook: Notebook, name: str):
    try:
        return notebook.parameters[name]
    except KeyError:
        near = nearest(name, list(notebook.parameters))
        raise PlanError(f"{notebook.name} has no parameter {name!r}; {near}") from None


def cached_checksums() -> Checksums:
    """Return what gives the checksums of a data set, and reads each but once; raises PlanError."""
    return cache(_checksums)


def _checksums(dataset: Value | None) -> dict[str, str]:
    """What a data set consists of: file name to sha256."""
    if not isinstance(dataset, str):
        return {}
    from initlib.lab.checksums import checksums

    try:
        return checksums(dataset)
    except (OSError, ValueError) as error:
        raise PlanError(str(error)) from None
