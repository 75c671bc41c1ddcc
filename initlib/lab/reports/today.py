"""Whether this repository would make a figure again as it is, and if not, what has changed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from typing import Any

from initlib.lab import paths
from initlib.lab.runs.inputs import NOT_SOURCES, Inputs
from initlib.lab.runs.notebook import Notebook, find_notebooks, read_notebook
from initlib.lab.runs.parameters import PlanError
from initlib.lab.runs.plan import Run, code_digest, plan
from initlib.lab.runs.profiles import read_full_profile
from initlib.lab.runs.settings import git

SHOWN_FILES = 4


def changes_since(sidecar: Mapping[str, Any], inputs: Inputs) -> list[str]:
    """Compare what made a figure with what would make it now.

    A figure of a profile is compared with that profile as it is today, one of other parameters with
    a run of the same parameters.

    Parameters
    ----------
    sidecar : mapping
        The record of the figure.
    inputs : Inputs
        Sources and versions as they are now.

    Returns
    -------
    list of str
        One sentence for each part of the run key that differs; none, if the key is the same.
    """
    name = sidecar["notebook"]
    if not name:
        return ["it was made outside of a run, so that nothing is known of its code"]
    try:
        notebook = read_notebook(find_notebooks(paths.NOTEBOOKS)[name])
        run = _run_today(notebook, sidecar, inputs)
    except KeyError:
        return [f"there is no notebook {name} any more"]
    except PlanError as error:
        return [f"the run can't be repeated: {error}"]
    if run.key == sidecar["key"]:
        return []
    changes = [
        *_differences("parameter", sidecar["parameters"], run.parameters),
        *_differences("data", sidecar["data"], run.data),
        *_versions(sidecar["versions"], inputs.versions),
        *_code(sidecar, notebook),
        *_sources(sidecar, run.sources),
    ]
    return changes or ["something that the run key holds, but not the record of the figure"]


def _run_today(notebook: Notebook, sidecar: Mapping[str, Any], inputs: Inputs) -> Run:
    full = read_full_profile(paths.NOTEBOOKS)
    profile, overrides = sidecar["profile"], {}
    if profile not in ("quick", "full"):
        # A parameter that is gone is reported as a difference, and can't be asked for.
        known = notebook.parameters
        overrides = {k: v for k, v in sidecar["parameters"].items() if k in known}
        profile = "quick"
    [run] = plan([notebook], inputs, profile=profile, full=full, overrides=overrides)
    return run


def _differences(kind: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    sentences = []
    for name in dict.fromkeys([*before, *now]):
        old, new = (_short(side[name]) if name in side else "absent" for side in (before, now))
        if old != new:
            sentences.append(f"{kind} {name}: {old} then, {new} now")
    return sentences


def _versions(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Those in the key: a patch of Python, or another matplotlib, makes no other run."""
    minor = {"python": lambda version: ".".join(version.split(".")[:2])}
    pairs = [
        {name: minor.get(name, str)(side[name]) for name in ("python", "numpy", "torch")}
        for side in (before, now)
    ]
    return _differences("version of", *pairs)


def _code(sidecar: Mapping[str, Any], notebook: Notebook) -> list[str]:
    then = sidecar.get("code") or _code_at(sidecar["commit"], notebook.name)
    if then is None:
        return ["perhaps the code of the notebook, which is not on record"]
    return [] if then == code_digest(notebook) else [f"the code of notebooks/{notebook.name}.ipynb"]


def _code_at(commit: str | None, name: str) -> str | None:
    try:
        text = git(paths.ROOT, "show", f"{commit}:notebooks/{name}.ipynb")
        cells = json.loads(text)["cells"]
    except (OSError, ValueError, subprocess.CalledProcessError):
        return None
    code = tuple("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    return code_digest(Notebook(name, text, "", code, {}))


def _sources(sidecar: Mapping[str, Any], now: str) -> list[str]:
    files = _changed_files(sidecar["commit"])
    if sidecar.get("sources") == now or (not sidecar.get("sources") and files == []):
        return []
    if not files:
        return ["the sources of initlib"]
    shown = ", ".join(files[:SHOWN_FILES])
    more = f" and {len(files) - SHOWN_FILES} more" if len(files) > SHOWN_FILES else ""
    return [f"the sources of initlib: {shown}{more}"]


def _changed_files(commit: str | None) -> list[str] | None:
    """Name the sources that differ from those of a commit; None where that can't be known."""
    if not commit:
        return None
    left_out = [f":(exclude)initlib/{name}" for name in NOT_SOURCES]
    try:
        names = git(paths.ROOT, "diff", "--name-only", commit, "--", "initlib", *left_out)
    except (OSError, subprocess.CalledProcessError):
        return None
    return names.split()


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 60 else f"{text[:12]}..."
