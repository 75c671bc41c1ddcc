"""Bring what a run made to the place where reports look for it."""

from __future__ import annotations

import shutil
from pathlib import Path

from initlib.lab.paths import staged
from initlib.lab.runs.store import SAFE, RunFolder

FORMATS = (".svg", ".pdf", ".png", ".csv", ".json")


def publish(folder: RunFolder, notebook: str, destination: Path) -> int:
    """Copy the figures and results of a run, where they differ from what is there.

    Parameters
    ----------
    folder : RunFolder
        A run that ended well.
    notebook : str
        Whose results they are.
    destination : Path
        Receives the figures, and ``results/<notebook>.json``.

    Returns
    -------
    int
        How many files changed.
    """
    figures = {
        path.name: path
        for path in (folder.path / "figures").glob("*")
        if path.suffix in FORMATS and SAFE.fullmatch(path.name) and not path.is_symlink()
    }
    results = {f"{notebook}.json": folder.path / "results.json"}
    return _bring(figures, destination) + _bring(results, destination / "results")


def _bring(files: dict[str, Path], destination: Path) -> int:
    changed = {
        name: path
        for name, path in files.items()
        if path.is_file() and not _holds(destination / name, path)
    }
    if changed:
        with staged(destination) as scratch:
            for name, path in changed.items():
                shutil.copyfile(path, scratch / name)
    return len(changed)


def _holds(target: Path, source: Path) -> bool:
    try:
        return target.read_bytes() == source.read_bytes()
    except FileNotFoundError:
        return False
