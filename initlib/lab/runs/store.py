"""The run store: one folder a run, and a record in it that alone says how the run ended.

``runs/<notebook>/<key>/`` holds ``run.json`` (the record), ``log.txt``, and after a success
``notebook.ipynb``, ``results.json`` and ``figures/``. While a run lasts, what its kernel writes
lies in a scratch folder beside them, so nothing that looks whole is ever there before its time.

A lock that the operating system drops when its holder dies tells a run in progress from one whose
process is gone.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from initlib.lab.paths import write_atomic

State = Literal["queued", "running", "ok", "failed", "dead"]
Record = dict[str, Any]

SAFE = re.compile(r"[A-Za-z0-9][\w.-]*")
NOTEBOOK = "notebook.ipynb"
PARTIAL = "notebook.partial.ipynb"
OWN = ("run.json", "log.txt", "lock")
INTERRUPTED = "interrupted"
KEPT_BYTES = 10_000


class Store:
    """The folders of all runs under one root."""

    def __init__(self, root: Path):
        self.root = root

    def folder(self, notebook: str, key: str) -> RunFolder:
        """Return the folder of a run; it need not exist."""
        for name in (notebook, key):
            if not SAFE.fullmatch(name):
                raise ValueError(f"{name!r} can't be the name of a folder in {self.root}")
        return RunFolder(self.root / notebook / key)

    def last_states(self) -> dict[tuple[str, str], State]:
        """How the latest run ended of each notebook with the same parameters, whatever its key."""
        latest: dict[tuple[str, str], Record] = {}
        for record in filter(None, (folder.read() for folder in self)):
            name = identity(record["notebook"], record["parameters"])
            if record.get("started", "") >= latest.get(name, {}).get("started", ""):
                latest[name] = record
        return {name: record["state"] for name, record in latest.items()}

    def __iter__(self) -> Iterator[RunFolder]:
        """Every run on record, in the order of notebooks and keys."""
        for path in sorted(self.root.glob("[0-9][0-9]-*/*/run.json")):
            yield RunFolder(path.parent)


def identity(notebook: str, parameters: Mapping[str, Any]) -> tuple[str, str]:
    """Name a notebook with its parameters, whatever the code and the data."""
    return notebook, json.dumps(dict(parameters), sort_keys=True)


class RunFolder:
    """One run on disk."""

    def __init__(self, path: Path):
        self.path = path

    @property
    def log(self) -> Path:
        """What the kernel printed, and how it ended."""
        return self.path / "log.txt"

    @property
    def notebook(self) -> Path:
        """The executed notebook of a run that ended well."""
        return self.path / NOTEBOOK

    @property
    def partial(self) -> Path:
        """The notebook as far as it has run."""
        return self.path / PARTIAL

    def read(self) -> Record | None:
        """Return the record, or None where there is none that can be read.

        A run that is on record as running although no process holds its lock is dead.
        """
        try:
            record = json.loads((self.path / "run.json").read_text(encoding="utf-8"))
            state = record["state"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        if state == "running" and not self._is_locked():
            record |= {"state": "dead", "error": "the process that ran it is gone"}
        return record

    def is_done(self) -> bool:
        """Whether the run ended well and its notebook is there."""
        record = self.read()
        return record is not None and record["state"] == "ok" and self.notebook.exists()

    @contextmanager
    def lock(self) -> Iterator[bool]:
        """Hold the run for this process; gives False, at once, while another one holds it."""
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / "lock").open("w") as file:
            yield _take(file, fcntl.LOCK_EX)

    def _is_locked(self) -> bool:
        try:
            with (self.path / "lock").open() as file:
                return not _take(file, fcntl.LOCK_SH)
        except FileNotFoundError:
            return False

    def write(self, record: Record) -> None:
        """Replace the record, atomically."""
        write_atomic(self.path / "run.json", _as_json(record))

    def queue(self, record: Record) -> None:
        """Replace the record by that of a run that waits.

        Also atomic, but not brought to the disk: a power cut may lose it, and a thousand of them
        take no time.
        """
        draft = self.path / "run.json.new"
        draft.write_text(_as_json(record), encoding="utf-8")
        os.replace(draft, self.path / "run.json")

    def begin(self, record: Record) -> Path:
        """Write the record, clear what an earlier attempt left, and make a scratch folder.

        The record changes first: while it says ok, the results are there. The scratch folder has a
        new name each time, so a kernel that outlived its runner can't write into a later attempt.

        Parameters
        ----------
        record : dict
            With the state "running".

        Returns
        -------
        Path
            The scratch folder, with a copy of the record for the kernel to read.
        """
        self.write(record)
        self._clear(keep=("run.json", "lock"))
        scratch = Path(tempfile.mkdtemp(prefix="scratch-", dir=self.path))
        (scratch / "run.json").write_text(_as_json(record), encoding="utf-8")
        return scratch

    def succeed(self, scratch: Path, record: Record) -> None:
        """Move what the kernel wrote into place, then the notebook, then write the record."""
        (scratch / "run.json").unlink(missing_ok=True)
        for path in sorted(scratch.iterdir()):
            if path.name not in (*OWN, NOTEBOOK, PARTIAL):
                os.replace(path, self.path / path.name)
        _remove(scratch)
        os.replace(self.partial, self.notebook)
        _flush(self.path)
        self.write(record)

    def fail(self, record: Record, *, make_room: bool = False) -> None:
        """Drop what the kernel wrote and write the record; the partial notebook and log stay.

        To make room for other runs, of these only the last `KEPT_BYTES` of the log stay.
        """
        self._clear(keep=OWN if make_room else (*OWN, PARTIAL))
        if make_room and self.log.exists():
            with self.log.open("r+b") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - KEPT_BYTES))
                end = file.read()
                file.seek(0)
                file.write(end)
                file.truncate()
        self.write(record)

    def _clear(self, keep: tuple[str, ...]) -> None:
        for path in self.path.iterdir():
            if path.name not in keep:
                _remove(path)


def is_out_of_room(error: BaseException) -> bool:
    """Whether it says that a disk, a quota or a file is full."""
    full = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return isinstance(error, OSError) and error.errno in full


def _take(file: Any, operation: int) -> bool:
    try:
        fcntl.flock(file, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _as_json(record: Mapping[str, Any]) -> str:
    return json.dumps(record, indent=1, ensure_ascii=False) + "\n"


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        # A dying kernel may still be adding files; what is left goes with the next attempt.
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _flush(folder: Path) -> None:
    """Bring the files of a run to the disk, so that a power cut can't leave an empty success."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
