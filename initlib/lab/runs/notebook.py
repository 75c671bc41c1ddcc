"""The notebooks that can be run: found by name, read without executing or rendering anything."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path

from initlib.lab.runs.parameters import Parameter, PlanError, read_parameters

NAME = re.compile(r"\d\d-[\w.-]+")


@dataclass(frozen=True)
class Notebook:
    """A notebook as it was on disk when the run was planned."""

    name: str
    text: str = field(repr=False)
    title: str
    code: tuple[str, ...] = field(repr=False)
    parameters: dict[str, Parameter] = field(repr=False)

    @cached_property
    def canonical_code(self) -> str:
        """The code cells as JSON: made once, though a grid hashes it for every key."""
        return json.dumps(self.code, ensure_ascii=False)


def read_notebook(path: Path) -> Notebook:
    """Read a notebook's code and its parameters.

    Parameters
    ----------
    path : Path
        An ``.ipynb`` file, nbformat 4.

    Returns
    -------
    Notebook
        Its text, title, code cells and parameters.

    Raises
    ------
    PlanError
        When it is no notebook, or its parameters cell breaks the grammar.
    """
    try:
        text = path.read_text(encoding="utf-8")
        cells = json.loads(text)["cells"]
        sources = [(cell["cell_type"], "".join(cell["source"])) for cell in cells]
        tagged = [
            "".join(cell["source"])
            for cell in cells
            if "parameters" in cell["metadata"].get("tags", [])
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise PlanError(f"{path} is not a notebook of format 4: {error!r}") from None
    if len(tagged) > 1:
        raise PlanError(f"{path.name} has {len(tagged)} cells tagged 'parameters'; one is allowed")
    try:
        parameters = read_parameters(tagged[0]) if tagged else {}
    except PlanError as error:
        raise PlanError(f"{path.name}: {error}") from None
    headings = (
        line for kind, source in sources if kind == "markdown" for line in source.split("\n")
    )
    title = next((line[2:].strip() for line in headings if line.startswith("# ")), "")
    code = tuple(source for kind, source in sources if kind == "code")
    return Notebook(path.stem, text, title, code, parameters)


def find_notebooks(folder: Path) -> dict[str, Path]:
    """List the notebooks of a folder, ``NN-topic.ipynb``, by name.

    Drafts that are not numbered are left alone, and so is everything below the folder.

    Parameters
    ----------
    folder : Path
        Usually ``notebooks/``.

    Returns
    -------
    dict of str to Path
        Name without the suffix, and file; in order.
    """
    paths = sorted(folder.glob("*.ipynb"))
    return {path.stem: path for path in paths if NAME.fullmatch(path.stem)}


def select_notebooks(folder: Path, names: Sequence[str] = ()) -> list[Notebook]:
    """Read the notebooks that were asked for.

    Parameters
    ----------
    folder : Path
        Where notebooks are.
    names : sequence of str
        Each ``05-he``, ``05-he.ipynb``, a path to it, or a beginning that fits one notebook only
        (``05``). Nothing, or ``all``, means every notebook.

    Returns
    -------
    list of Notebook
        In the order of their numbers, each once.

    Raises
    ------
    PlanError
        When a name fits no notebook, or several, or is a path to elsewhere: what is run are the
        notebooks of the folder, never the copies that runs have left.
    """
    found = find_notebooks(folder)
    if not found:
        raise PlanError(f"no notebook named NN-topic.ipynb in {folder}")
    everything = not names or "all" in names
    wanted = set(found) if everything else {_match(name, found, folder) for name in names}
    return [read_notebook(found[name]) for name in sorted(wanted)]


def _match(asked: str, found: dict[str, Path], folder: Path) -> str:
    path = Path(asked.replace("\\", "/"))
    if path.parent != Path():
        places = [start / path.parent for start in (Path.cwd(), folder.parent)]
        if folder.resolve() not in [place.resolve() for place in places]:
            raise PlanError(f"no notebook {asked!r}: only those in {folder} are run")
    name = path.name.removesuffix(".ipynb")
    fitting = [name] if name in found else [one for one in found if name and one.startswith(name)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise PlanError(f"{asked!r} fits {', '.join(fitting)}; give one of them in full")
    raise PlanError(f"no notebook {asked!r}; {nearest(name, list(found))}")


def nearest(name: str, known: Sequence[str]) -> str:
    """Say which of the known names may have been meant."""
    close = get_close_matches(name, known, n=3, cutoff=0.5)
    if close:
        return f"did you mean {' or '.join(close)}?"
    return f"known: {', '.join(known)}" if known else "there are none"
