"""A plugin of pytest: kernels save every figure twice, the second time from a copy of it, and a
figure whose bytes differ then is an error of its cell. ``make nbval`` loads it.
"""

import os
import pickle
import tempfile
from pathlib import Path


def pytest_configure(config):
    """Have each kernel run `install` before its first cell."""
    config.ipython = tempfile.TemporaryDirectory(prefix="ipython-", ignore_cleanup_errors=True)
    startup = Path(config.ipython.name) / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00.py").write_text(f"__import__('runpy').run_path({__file__!r})['install']()\n")
    os.environ["IPYTHONDIR"] = config.ipython.name


def pytest_unconfigure(config):
    """Take away what it has put there."""
    config.ipython.cleanup()


def install():
    """Put a saving function that compares in the place of the one that notebooks import."""
    from initlib.lab import figures

    figures.save_figure = twice(figures.save_figure)


def twice(save):
    """Return a function that saves a figure, and a copy of it elsewhere, and compares the files."""

    def save_figure(fig, id, *, folder=None, **content):
        import matplotlib.pyplot as plt

        from initlib.lab.paths import run_dir

        save(fig, id, folder=folder, **content)
        copy = pickle.loads(pickle.dumps(fig))
        plt.close(copy)
        first = run_dir() / "figures" if folder is None else folder
        with tempfile.TemporaryDirectory() as second:
            save(copy, id, folder=second, **content)
            pairs = [(path, Path(first) / path.name) for path in sorted(Path(second).iterdir())]
            other = [new.name for new, old in pairs if new.read_bytes() != old.read_bytes()]
        if other:
            raise AssertionError(f"saved again, these have other bytes: {', '.join(other)}")

    return save_figure
