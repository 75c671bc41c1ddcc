"""Bring what a run made to the place where reports look for it."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from initlib.lab import paths
from initlib.lab.ledger import write_ledger
from initlib.lab.paths import staged
from initlib.lab.reports.gallery import write_gallery
from initlib.lab.runs.execute import Outcome
from initlib.lab.runs.store import SAFE, RunFolder

FORMATS = (".svg", ".pdf", ".png", ".csv", ".json")
LEDGER = "claims.md"


def publish_batch(outcomes: Sequence[Outcome]) -> list[Path]:
    """Bring figures, results, ledger and gallery of the profiles up to date.

    Runs with other parameters are left in the store. Runs that were done before are looked at too:
    a batch may have ended before it came to this.

    Parameters
    ----------
    outcomes : sequence of Outcome
        Of a batch.

    Returns
    -------
    list of Path
        The ledgers, beside which the figures are.

    Raises
    ------
    ValueError
        When a notebook has written something else than results where results belong.
    """
    folders = {"full": paths.FIGURES, "quick": paths.RUNS / "quick"}
    changes: Counter[Path] = Counter()
    for outcome in outcomes:
        destination = folders.get(outcome.run.profile)
        if destination and outcome.state in ("ok", "skipped"):
            changes[destination] += publish(outcome.folder, outcome.run.notebook.name, destination)
    for destination, changed in changes.items():
        if changed or not (destination / LEDGER).exists():
            write_ledger(destination)
            write_gallery(destination)
    return [destination / LEDGER for destination in changes]


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
