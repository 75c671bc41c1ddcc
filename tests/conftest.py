"""What several tests of the laboratory share."""

import signal

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
from tiny_notebooks import make_root

from initlib.lab import paths
from initlib.lab.figures import style
from initlib.lab.runs import forked

mpl.use("agg")


def pytest_addoption(parser):
    parser.addoption(
        "--every-notebook", action="store_true", help="run all of them in JupyterLab, not one"
    )


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A repository of its own, for commands in this process and in others."""
    root = make_root(tmp_path / "clone")
    monkeypatch.setenv("INITLIB_ROOT", str(root))
    monkeypatch.setattr(paths, "ROOT", root)
    for name in ("NOTEBOOKS", "FIGURES", "DATA", "RUNS"):
        monkeypatch.setattr(paths, name, root / name.lower())
    yield root
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


@pytest.fixture(params=["ordinary", "forked"])
def kernels(request, monkeypatch):
    """Each way to start kernels, for what has to hold of both."""
    # Notebooks of a few cells import nothing.
    monkeypatch.setattr(forked, "PRELOADED", ())
    if request.param == "forked" and not forked.SUPPORTED:
        pytest.skip("forking needs Linux")
    yield request.param
    forked.close_servers()


@pytest.fixture
def house_style():
    """The style of the repository, and no figure left open."""
    with mpl.rc_context():
        style()
        yield
        plt.close("all")
