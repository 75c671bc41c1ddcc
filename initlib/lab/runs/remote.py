"""One run on another machine: what travels there, what is checked there, and what comes back.

A request and its answer hold text, numbers and bytes alone. The other side needs an installed
initlib in a copy of the repository, not the disk of the caller.
"""

from __future__ import annotations

import json
import platform
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, TypedDict

from initlib.lab.runs.inputs import Inputs, read_inputs
from initlib.lab.runs.notebook import read_notebook
from initlib.lab.runs.plan import Run
from initlib.lab.runs.settings import Settings, cores
from initlib.lab.runs.store import OWN, SAFE, Record, RunFolder

if TYPE_CHECKING:
    from initlib.lab.runs.kernel import KernelGroup

LIMITS = ("cell_timeout", "run_timeout")
TOLD = ("notebook", "key", "profile", "parameters", "changed", "data", "sources")
MATTERS = ("python", "numpy", "torch")  # versions that the key of a run is made of


class Answer(TypedDict):
    """What a worker sends back."""

    record: Record
    files: dict[str, bytes]


def write_request(run: Run, settings: Settings, inputs: Inputs) -> str:
    """Write down a run for a worker, as JSON.

    Parameters
    ----------
    run : Run
        What to execute.
    settings : Settings
        Its time limits and provenance count.
    inputs : Inputs
        What the worker must have, too.
    """
    limits = {name: getattr(settings, name) for name in LIMITS}
    content = run.describe() | {"text": run.notebook.text, "limits": limits}
    needed = {"sources": inputs.sources, "versions": {k: inputs.versions[k] for k in MATTERS}}
    return json.dumps(content | {"provenance": dict(settings.provenance), "needed": needed})


def run_request(request: str, threads: int, kernels: KernelGroup) -> Answer:
    """Execute a run here, in a folder that is gone afterwards, and return all that it left.

    Parameters
    ----------
    request : str
        From `write_request`.
    threads : int
        For its kernel.
    kernels : KernelGroup
        By which another thread can end it.

    Returns
    -------
    dict
        ``record``, as of a run here, and ``files``: path in the folder of the run to content. What
        is refused is a failed run without files.
    """
    from initlib.lab import paths
    from initlib.lab.runs.attempt import attempt

    asked = json.loads(request)
    told = {field: asked[field] for field in TOLD}
    refusal = _refusal(asked)
    if refusal:
        return {"record": {**told, "state": "failed", "error": refusal}, "files": {}}
    settings = Settings(
        root=paths.ROOT,
        workers=-(-cores() // threads),
        provenance=asked["provenance"],
        **asked["limits"],
    )
    try:
        with tempfile.TemporaryDirectory(prefix="initlib-run-") as place:
            path = Path(place) / f"{asked['notebook']}.ipynb"
            path.write_text(asked["text"], encoding="utf-8")
            run = Run(**(told | {"notebook": read_notebook(path)}))
            folder = RunFolder(Path(place) / "run")
            with folder.lock():
                record = attempt(run, folder, settings, kernels, lambda done, total: None)
            return {"record": record, "files": _read_files(folder.path)}
    except OSError as error:
        why = f"on the worker {platform.node()}: {type(error).__name__}: {error}"
        return {"record": {**told, "state": "failed", "error": why}, "files": {}}


def put_files(files: Mapping[str, bytes], folder: RunFolder, scratch: Path) -> None:
    """Put what came back where a run of this machine would have left it.

    Parameters
    ----------
    files : mapping
        Of an `Answer`.
    folder : RunFolder
        Gets the log and the notebook as far as it has run.
    scratch : Path
        Its scratch folder; gets the rest.

    Raises
    ------
    ValueError
        If a name would lead out of the folder. Nothing is written.
    """
    for name in files:
        if not all(SAFE.fullmatch(part) for part in PurePosixPath(name).parts):
            raise ValueError(f"a worker sent a file with the name {name!r}")
    for name, content in files.items():
        if name == folder.log.name:
            target = folder.log
        elif name in (folder.notebook.name, folder.partial.name):
            target = folder.partial
        else:
            target = scratch / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def _refusal(asked: Mapping[str, Any]) -> str:
    """Why this side would not compute the same; empty if it would."""
    from initlib.lab.checksums import checksums

    here, needed = read_inputs(), asked["needed"]
    for package in MATTERS:
        theirs, ours = needed["versions"][package], here.versions[package]
        if package == "python":
            theirs, ours = (".".join(version.split(".")[:2]) for version in (theirs, ours))
        if theirs != ours:
            return f"refused by a worker: it has {package} {ours}, this machine {theirs}"
    if here.sources != needed["sources"]:
        return (
            f"refused by a worker: the sources of its initlib ({here.versions['initlib']}, "
            f"{here.sources[:12]}) are not those of this machine ({needed['sources'][:12]}); "
            "check out the same commit there and start the worker again"
        )
    dataset = asked["parameters"].get("dataset")
    if asked["data"]:
        try:
            found = checksums(dataset)
        except (OSError, ValueError) as error:
            return f"refused by a worker: it can't read the data {dataset!r}: {error}"
        if found != asked["data"]:
            return f"refused by a worker: its data {dataset!r} differ from those of this machine"
    return ""


def _read_files(folder: Path) -> dict[str, bytes]:
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    named = {path.relative_to(folder).as_posix(): path for path in paths}
    left_out = set(OWN) - {"log.txt"}
    return {name: path.read_bytes() for name, path in named.items() if name not in left_out}
