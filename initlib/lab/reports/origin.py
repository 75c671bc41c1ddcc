"""The record of a figure: beside the published figures, in the run store, or in the history."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from initlib.lab import paths
from initlib.lab.runs.settings import git


@dataclass(frozen=True)
class Origin:
    """A sidecar that names a figure, and the place where it lies."""

    sidecar: dict[str, Any]
    place: str


def find_origin(digest: str, fingerprint: str | None) -> Origin | None:
    """Find the record of a figure file.

    The published figures come first, then those of the quick profile, of every run in the store,
    and of every commit. A record with the file's checksum is better than one of a figure that only
    has the same fingerprint.

    Parameters
    ----------
    digest : str
        The sha256 of the file.
    fingerprint : str, optional
        What the file carries, if it does.

    Returns
    -------
    Origin or None
        None when nothing is known of such a file.
    """
    akin = None
    for origin in _on_disk():
        if digest in origin.sidecar.get("files", {}).values():
            return origin
        if fingerprint and akin is None and origin.sidecar.get("fingerprint") == fingerprint:
            akin = origin
    return akin or _in_history(digest) or (_in_history(fingerprint) if fingerprint else None)


def published_now(id: str) -> dict[str, Any] | None:
    """Return the sidecar of the figure that is published under an id, if there is one."""
    return _read(paths.FIGURES / f"{id}.json")


def _on_disk() -> Iterator[Origin]:
    pattern = "fig-*.json"
    for found in (
        paths.FIGURES.glob(pattern),
        (paths.RUNS / "quick").glob(pattern),
        paths.RUNS.glob(f"[0-9][0-9]-*/*/figures/{pattern}"),
    ):
        for path in sorted(found):
            sidecar = _read(path)
            if sidecar is not None:
                yield Origin(sidecar, path.relative_to(paths.ROOT).as_posix())


def _read(path: Path) -> dict[str, Any] | None:
    try:
        sidecar = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return sidecar if isinstance(sidecar, dict) else None


def _in_history(needle: str) -> Origin | None:
    """Find the commit that brought a sidecar with this text; nothing where there is no git."""
    search = ("log", "--all", "--format=%x00%H", "--name-only", "-S", needle)
    try:
        log = git(paths.ROOT, *search, "--", "figures/fig-*.json")
        # The oldest is the last, and is the one that brought it: a later one took it away.
        commit, *names = log.split("\0")[-1].split()
        sidecar = json.loads(git(paths.ROOT, "show", f"{commit}:{names[0]}"))
    except (OSError, ValueError, IndexError, subprocess.CalledProcessError):
        return None
    return Origin(sidecar, f"{names[0]} at commit {commit[:12]}")
