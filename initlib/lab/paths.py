"""Where things are in the repository, and the one way to write a file there."""

from __future__ import annotations

import os
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

INTERACTIVE = "interactive"


def find_root(start: str | Path | None = None) -> Path:
    """Find the folder that holds initlib's pyproject.toml.

    The search goes up from `start` (default: the working directory), then up from this package.

    Parameters
    ----------
    start : str or Path, optional
        Folder to start from.

    Returns
    -------
    Path
        The root of the repository. ``$INITLIB_ROOT`` wins when it is set.

    Raises
    ------
    FileNotFoundError
        When no folder above either place is a copy of the repository.

    Examples
    --------
    >>> (find_root() / "pyproject.toml").is_file()
    True
    """
    named = os.environ.get("INITLIB_ROOT")
    if named:
        root = Path(named).expanduser().resolve()
        if not _is_root(root):
            raise FileNotFoundError(f"INITLIB_ROOT={named} holds no pyproject.toml of initlib")
        return root
    start = Path.cwd() if start is None else Path(start)
    for below in (start.resolve(), Path(__file__).resolve().parent):
        for folder in (below, *below.parents):
            if _is_root(folder):
                return folder
    raise FileNotFoundError(
        f"no copy of the initlib repository above {start} or above the installed package; "
        "work inside a clone, or set INITLIB_ROOT to one"
    )


def _is_root(folder: Path) -> bool:
    try:
        project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError):
        return False
    return project.get("project", {}).get("name") == "initlib"


ROOT = find_root()
NOTEBOOKS = ROOT / "notebooks"
FIGURES = ROOT / "figures"
DATA = ROOT / "data"
RUNS = ROOT / "runs"


def run_dir() -> Path:
    """Return the folder that this kernel writes to.

    Returns
    -------
    Path
        ``$INITLIB_RUN_DIR`` inside a run; ``runs/interactive`` in JupyterLab, nbval or a shell.

    Examples
    --------
    >>> getfixture("monkeypatch").setenv("INITLIB_RUN_DIR", "runs/05-he/3f2a")
    >>> run_dir().as_posix()
    'runs/05-he/3f2a'
    """
    named = os.environ.get("INITLIB_RUN_DIR")
    return Path(named) if named else RUNS / INTERACTIVE


@contextmanager
def staged(folder: str | Path) -> Iterator[Path]:
    """Give a scratch folder whose files move into `folder` together, if nothing fails.

    Everything is written and flushed to disk before the first file moves, and each move is an
    atomic replacement, in the order of the names: a full disk, an exception or Ctrl-C while
    writing leaves `folder` as it was.

    Parameters
    ----------
    folder : str or Path
        Where the files go; made when missing.

    Yields
    ------
    Path
        The scratch folder, on the same file system.

    Examples
    --------
    >>> folder = getfixture("tmp_path")
    >>> with staged(folder) as scratch:
    ...     _ = (scratch / "a.txt").write_text("whole")
    >>> [path.name for path in folder.iterdir()]
    ['a.txt']
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=folder) as scratch:
        yield Path(scratch)
        files = sorted(path for path in Path(scratch).iterdir() if path.is_file())
        for file in files:
            with open(file, "rb") as handle:
                os.fsync(handle.fileno())
        for file in files:
            os.replace(file, folder / file.name)


def write_atomic(path: str | Path, content: str | bytes) -> Path:
    """Write a file so that a reader sees the old content or the new, never a part.

    Parameters
    ----------
    path : str or Path
        The file; its folder is made when missing.
    content : str or bytes
        What it will hold; text is written as UTF-8 with ``\\n`` line ends.

    Returns
    -------
    Path
        The path.

    Examples
    --------
    >>> write_atomic(getfixture("tmp_path") / "note.txt", "whole").read_text()
    'whole'
    """
    path = Path(path)
    raw = content.encode("utf-8") if isinstance(content, str) else content
    with staged(path.parent) as scratch:
        (scratch / path.name).write_bytes(raw)
    return path
