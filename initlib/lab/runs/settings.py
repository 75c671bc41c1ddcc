"""How a batch is run, and where it is run from."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

INPUTS = ("initlib", "notebooks", "data")


@dataclass(frozen=True)
class Settings:
    """How a batch is run.

    Parameters
    ----------
    root : Path
        The repository that the kernels work in.
    workers : int
        Kernels at a time; the cores are divided among them.
    force : bool
        Run also what is done.
    retries : int
        Further attempts after the death of a kernel. A cell that raised would only raise again.
    cell_timeout : float, optional
        Seconds that one cell may take.
    run_timeout : float, optional
        Seconds that one attempt at a run may take, from the start of its kernel.
    forked : bool
        Fork kernels from a server instead of starting each as a process of its own.
    provenance : mapping
        Goes on record as it is: commit, dirty, versions.
    """

    root: Path
    workers: int = 1
    force: bool = False
    retries: int = 0
    cell_timeout: float | None = None
    run_timeout: float | None = None
    forked: bool = False
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def threads(self) -> int:
        """Threads for each kernel."""
        return max(1, cores() // self.workers)


def cores() -> int:
    """Count the processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def read_commit(root: Path) -> dict[str, Any]:
    """Say which commit is checked out, and whether what runs depend on differs from it.

    Parameters
    ----------
    root : Path
        The repository.

    Returns
    -------
    dict
        ``commit`` and ``dirty``, both None outside version control.
    """
    try:
        commit = git(root, "rev-parse", "HEAD").strip()
        dirty = bool(git(root, "status", "--porcelain", "--", *INPUTS))
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "dirty": None}
    return {"commit": commit, "dirty": dirty}


def git(root: Path, *command: str) -> str:
    """Return what a git command prints; raises OSError or CalledProcessError when it can't."""
    done = subprocess.run(
        ["git", "-C", str(root), *command], capture_output=True, text=True, check=True
    )
    return done.stdout
