"""What every run depends on besides its notebook and parameters: sources, data and versions."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import initlib
from initlib.lab import paths

# The runner decides when a notebook runs, never what it computes.
NOT_SOURCES = ("lab/runs", "lab/cli.py")
COMPILED = (".pyc", ".pyd", ".so", ".dylib")


@dataclass(frozen=True)
class Inputs:
    """What is shared by all runs of one request.

    `sources` is one digest, `data` maps a file to its sha256, `versions` a package to its version.
    """

    sources: str
    data: Mapping[str, str]
    versions: Mapping[str, str]


def read_inputs() -> Inputs:
    """Read them as they are now."""
    return Inputs(
        sources=sources_digest(Path(initlib.__file__).parent),
        data=read_manifest(paths.DATA / "manifest.json"),
        versions=read_versions(),
    )


def read_manifest(path: Path) -> dict[str, str]:
    """Read which data the repository knows: file name to sha256.

    What a run reads is checked against the manifest, so that these checksums stand for the files,
    whether they have been fetched yet or not.
    """
    manifest = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return {name: entry["sha256"] for name, entry in manifest.items()}


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
