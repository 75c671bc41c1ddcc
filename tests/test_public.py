"""The public names: all there, whatever was imported first, and imported only when asked for."""

import subprocess
import sys

import pytest

import initlib
from initlib import public

HEAVY = ("torch", "numpy", "pandas", "matplotlib", "scipy", "papermill", "IPython")


def imported_by(code):
    """Which heavy packages a fresh process has imported after a piece of code."""
    code += f"; import sys; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize("module", ["initlib", "initlib.lab.cli", "initlib.lab.runs.batch"])
def test_the_command_line_waits_for_nothing_heavy(module):
    assert imported_by(f"import {module}") == "[]"


def test_all_names_are_there_and_listed():
    assert len(set(initlib.__all__)) == len(initlib.__all__) > 50
    assert set(initlib.__all__) <= set(dir(initlib))
    for name in initlib.__all__:
        assert getattr(initlib, name) is getattr(public, name)
    with pytest.raises(AttributeError, match="'initlib' has no attribute 'he_norm_'"):
        _ = initlib.he_norm_


def test_a_function_is_not_hidden_by_the_module_of_its_name():
    code = (
        "import initlib.moments; from initlib.fans import Fans; import initlib.probe as probe;"
        "import initlib as init; from initlib import streams, orthogonal;"
        "assert all(map(callable, (init.moments, init.fans, probe, orthogonal)));"
        "assert not callable(streams) and streams is init.streams"
    )
    assert "torch" in imported_by(code)
