"""What all runs depend on besides notebook, parameters and data: sources and versions."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import initlib

# The runner decides when a notebook runs and reports are made of what it left; neither computes.
NOT_SOURCES = ("lab/runs", "lab/reports", "lab/cli.py")
COMPILED = (".pyc", ".pyd", ".so", ".dylib")


@dataclass(frozen=True)
class Inputs:
    """What is shared by all runs of one request.

    `sources` is one digest; `versions` maps a package, or "python", to its version.
    """

    sources: str
    versions: Mapping[str, str]


def read_inputs() -> Inputs:
    """Read them as they are now."""
    return Inputs(sources_digest(Path(initlib.__file__).parent), read_versions())


def read_versions() -> dict[str, str]:
    """Read the installed versions from their metadata, without importing anything heavy."""
    packages = ("torch", "numpy", "initlib")
    return {"python": platform.python_version()} | {name: version(name) for name in packages}


def sources_digest(package: Path, leave_out: Iterable[str] = NOT_SOURCES) -> str:
    """Hash the source files of a package, names and contents.

    Parameters
    ----------
    package : Path
        The folder of the package.
    leave_out : iterable of str
        Files and folders in it that don't count.

    Returns
    -------
    str
        A sha256 in hexadecimal.
    """
    skipped = [package / name for name in leave_out]
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*")):
        hidden = any(
            part.startswith((".", "__pycache__")) for part in path.relative_to(package).parts
        )
        if hidden or path.suffix in COMPILED or not path.is_file():
            continue
        if not any(path.is_relative_to(one) for one in skipped):
            name = path.relative_to(package).as_posix()
            digest.update(f"{name}\0{file_digest(path)}\n".encode())
    return digest.hexdigest()


def file_digest(path: Path) -> str:
    """Hash a file without holding it in memory: its sha256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
