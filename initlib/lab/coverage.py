"""What the claims cover: technique by technique, and the textbook statements that they correct."""

from __future__ import annotations

import difflib
import inspect
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import initlib
from initlib.lab.paths import FIGURES, NOTEBOOKS, ROOT

ASPECTS = ("forward", "backward", "trained", "textbook")


class Technique(NamedTuple):
    """A technique: the functions that implement it, and the notebook that derives it."""

    functions: tuple[str, ...]
    notebook: str


TECHNIQUES = {
    "zero": Technique(("zeros_",), "02-symmetry"),
    "random": Technique(("uniform_", "normal_"), "03-random-scale"),
    "xavier": Technique(("xavier_uniform_", "xavier_normal_"), "04-xavier"),
    "he": Technique(("he_uniform_", "he_normal_"), "05-he"),
    "lecun": Technique(("lecun_uniform_", "lecun_normal_"), "06-lecun-normalized"),
    "orthogonal": Technique(("orthogonal_", "delta_orthogonal_"), "07-orthogonal"),
    "identity": Technique(("identity_", "dirac_"), "08-identity"),
    "constant": Technique(("constant_",), "02-symmetry"),
    "variance scaling": Technique(("variance_scaling_",), "06-lecun-normalized"),
    "lsuv": Technique(("lsuv_",), "10-lsuv"),
    "normalized": Technique(
        ("normalized_uniform_", "normalized_normal_", "unit_rows_"),
        "06-lecun-normalized",
    ),
    "sparse": Technique(("sparse_",), "09-sparse"),
}


def check_covers(covers: Sequence[str]) -> tuple[str, ...]:
    """Check what a claim says that it covers, each entry ``technique/aspect``.

    Raises
    ------
    ValueError
        When a technique or an aspect is unknown.
    """
    known = [f"{technique}/{aspect}" for technique in TECHNIQUES for aspect in ASPECTS]
    for entry in covers:
        if entry not in known:
            near = difflib.get_close_matches(entry, known) or ["he/forward"]
            raise ValueError(f"no technique and aspect {entry!r}; did you mean {', '.join(near)}?")
    return tuple(covers)


def coverage_rows(claims: Iterable[dict[str, Any]], folder: Path = FIGURES) -> list[list[str]]:
    """Make the table of techniques: every cell a link, or a dash where there is nothing yet."""
    found: dict[str, list[str]] = {}
    for claim in claims:
        for entry in claim.get("covers", ()):
            found.setdefault(entry, []).append(f"[{claim['id']}](#{claim['id']})")
    up = os.path.relpath(ROOT, folder)
    rows = []
    for name, technique in TECHNIQUES.items():
        functions = ", ".join(_link_to_code(function, up) for function in technique.functions)
        notebook = NOTEBOOKS / f"{technique.notebook}.ipynb"
        derived = f"[{technique.notebook}]({up}/notebooks/{notebook.name})"
        cells = [", ".join(found.get(f"{name}/{aspect}", ["-"])) for aspect in ASPECTS]
        *measured, textbook = cells
        figures = _figures_of(technique.notebook, folder)
        rows.append(
            [name, functions, derived if notebook.exists() else "-", *measured, figures, textbook]
        )
    return rows


def textbook_rows(claims: Iterable[dict[str, Any]]) -> list[list[str]]:
    """Make the table of what textbooks say, what is true, and the verdict that shows it."""
    return [
        [claim["corrects"], claim["sentence"], f"[{claim['verdict']}](#{claim['id']})"]
        for claim in claims
        if claim.get("corrects")
    ]


def _link_to_code(name: str, up: str) -> str:
    function = getattr(initlib, name, None)
    if function is None:
        return "-"
    file = Path(inspect.getsourcefile(function)).relative_to(Path(initlib.__file__).parent)
    return f"[`{name}`]({up}/initlib/{file.as_posix()})"


def _figures_of(notebook: str, folder: Path) -> str:
    links = [
        f"[{path.stem}]({path.stem}.svg)"
        for path in sorted(folder.glob("fig-*.json"))
        if json.loads(path.read_text(encoding="utf-8"))["notebook"] == notebook
    ]
    return ", ".join(links) or "-"
