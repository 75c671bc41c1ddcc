"""What it costs to run notebooks with nothing in them: the runner against papermill's command."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.peers import peer
from benchmarks.rows import Row
from benchmarks.timing import seconds, spread

SUBJECT = "notebooks"
COUNT, SAMPLED, WORKERS = 20, 4, 2
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


class EmptyNotebooks:
    """A batch of notebooks with a title and a parameter each."""

    def rows(self, rounds: int) -> Iterator[Row]:
        """Run the batch cold, then unchanged, then a part of it by papermill."""
        with tempfile.TemporaryDirectory() as folder:
            root = _repository(Path(folder), COUNT)
            cold = seconds(lambda: _initlib(root))
            rerun = spread([seconds(lambda: _initlib(root)) for _ in range(rounds)])
            what = f"{COUNT} empty notebooks"
            row = (SUBJECT, f"{what}, cold", WORKERS)
            if peer("papermill"):
                theirs = seconds(lambda: _papermill(root)) * COUNT / SAMPLED
                note = f"papermill ran {SAMPLED}, {WORKERS} at a time, times {COUNT // SAMPLED}"
                yield Row(*row, "papermill", "times", *[theirs / cold] * 3, note=note)
            yield Row(*row, "", "s", cold, cold, cold, target=15.0)
            yield Row(SUBJECT, f"{what}, unchanged", WORKERS, "", "s", *rerun, target=1.0)


def benchmarks(quick: bool) -> Iterator[EmptyNotebooks]:
    """Yield the batch; it has no quick form."""
    if not quick:
        yield EmptyNotebooks()


def _repository(root: Path, count: int) -> Path:
    (root / "notebooks").mkdir()
    (root / "pyproject.toml").write_text('[project]\nname = "initlib"\n')
    for i in range(count):
        title = {"cell_type": "markdown", "id": "title", "metadata": {}, "source": f"# {i} Empty"}
        code = {"cell_type": "code", "id": "parameters", "metadata": {"tags": ["parameters"]}}
        code |= {"source": "seed: int = 0  # of nothing", "outputs": [], "execution_count": None}
        content = {"cells": [title, code], "metadata": {"kernelspec": KERNEL}}
        content |= {"nbformat": 4, "nbformat_minor": 5}
        path = root / "notebooks" / f"{i:02}-empty.ipynb"
        path.write_text(json.dumps(content))
    return root


def _environment(root: Path) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "INITLIB_ROOT": str(root), "OMP_NUM_THREADS": "1", "PATH": path}


def _initlib(root: Path) -> None:
    command = [sys.executable, "-c", "from initlib.lab.cli import main; main()", "run", "all"]
    command += ["--workers", str(WORKERS)]
    subprocess.run(command, cwd=root, env=_environment(root), check=True, capture_output=True)


def _papermill(root: Path) -> None:
    def run(i: int) -> None:
        source = root / "notebooks" / f"{i:02}-empty.ipynb"
        command = [sys.executable, "-m", "papermill", str(source), str(root / f"{i}.ipynb")]
        subprocess.run(command, cwd=root, env=_environment(root), check=True, capture_output=True)

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(run, range(SAMPLED)))
