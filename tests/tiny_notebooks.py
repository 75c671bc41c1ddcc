"""Notebooks of a few cells in a repository of their own, for the tests of the runner."""

import json
import socket

KERNEL = {
    "kernelspec": {"name": "initlib", "display_name": "initlib (Python 3)", "language": "python"}
}
PARAMETERS = "seed: int = 0  # of the draws\nlr: float = 0.1  # step size (> 0)"


def make_root(folder):
    """Make an empty repository."""
    (folder / "notebooks").mkdir(parents=True)
    (folder / "pyproject.toml").write_text('[project]\nname = "initlib"\n')
    return folder


def make_notebook(root, name, *code, parameters=PARAMETERS, text="# A title"):
    """Write a notebook: a text, the parameters cell, and a cell for each piece of code."""
    cells = [{"cell_type": "markdown", "id": "text", "metadata": {}, "source": text}]
    for i, source in enumerate([parameters, *code]):
        tags = {"tags": ["parameters"]} if i == 0 else {}
        cell = {"cell_type": "code", "id": f"code-{i}", "metadata": tags, "source": source}
        cells.append({**cell, "outputs": [], "execution_count": None})
    content = {"cells": cells, "metadata": KERNEL, "nbformat": 4, "nbformat_minor": 5}
    path = root / "notebooks" / f"{name}.ipynb"
    path.write_text(json.dumps(content))
    return path


def record_of(root, name):
    """Read the record of the only run of a notebook."""
    [path] = (root / "runs" / name).glob("*/run.json")
    return json.loads(path.read_text())


def files_of(root, name):
    """List what the only run of a notebook has left, besides its lock."""
    [folder] = (root / "runs" / name).iterdir()
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


class Meeting:
    """A place where a kernel in the middle of a cell waits for the test."""

    def __init__(self, folder):
        self._listener = socket.socket(socket.AF_UNIX)
        self._connections = []
        self._listener.bind(str(folder / "meet"))
        self._listener.listen()
        self._listener.settimeout(60)
        self.code = (
            "import os, socket\n"
            "with socket.socket(socket.AF_UNIX) as meeting:\n"
            f"    meeting.connect({str(folder / 'meet')!r})\n"
            "    meeting.sendall(str(os.getpid()).encode())\n"
            "    meeting.recv(1)"
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for end in (self._listener, *self._connections):
            end.close()

    def wait(self):
        """Wait for a kernel; gives its process id, and a connection whose end lets it go on."""
        connection, _ = self._listener.accept()
        self._connections.append(connection)
        return int(connection.recv(20)), connection
