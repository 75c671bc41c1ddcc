"""The figures on orthogonal weights, drawn from toy data: what is shown where."""

import numpy as np
import pandas as pd
import pytest

from initlib.lab.orthogonal_figures import plot_depths, plot_modes
from initlib.lab.singular_values import CASES
from initlib.lab.spectra_figures import plot_spectra

pytestmark = pytest.mark.usefixtures("house_style")


def texts(ax):
    return " ".join(text.get_text() for text in ax.texts)


def test_depths():
    rows = [
        (scheme, depth, seed, 3.0 * (1 + seed) * (depth if scheme == "gaussian" else 1), 0.5, 40)
        for scheme in ("orthogonal", "gaussian")
        for depth in (2, 4, 8)
        for seed in (0, 1)
    ]
    raced = pd.DataFrame(rows, columns=["scheme", "depth", "seed", "steps", "multiple", "budget"])
    raced.loc[raced.steps > 40, ["steps", "multiple"]] = np.inf, np.nan
    tau = np.tile(np.linspace(0, 1, 21), 2)
    curves = pd.concat(
        pd.DataFrame(
            {"scheme": scheme, "depth": depth, "seed": 0, "tau": tau, "loss": np.exp(-tau)}
        )
        for scheme in ("orthogonal", "gaussian")
        for depth in (4, 8)
    ).assign(limit=lambda table: table.loss)
    fig = plot_depths(raced, curves, 1.5)
    steps, rates, course = fig.axes
    assert [label.get_text() for label in steps.get_xticklabels()] == ["2", "4", "8"]
    (late,) = (
        line
        for line in steps.lines
        if line.get_markerfacecolor() == "white" and len(line.get_xdata())
    )
    assert list(late.get_ydata()) == [40]
    bound = next(line for line in rates.lines if len(line.get_xdata()) == 50)
    np.testing.assert_allclose(bound.get_ydata()[0], 2 / 1.5)
    assert "$L$ = 4, 8" in texts(course)


def test_modes():
    t = np.linspace(0, 1, 9)
    modes = pd.concat(
        pd.DataFrame({"s": s, "t": t, "u": s * t, "theory": s * t}) for s in (1.0, 2.0)
    )
    errors = pd.DataFrame({"lr": [0.004, 0.002, 0.001], "error": [0.04, 0.02, 0.01]})
    traces = pd.DataFrame({"kind": ["raw QR", "initlib"] * 3, "n": 4, "trace": [-1.0, 0.0] * 3})
    steps = np.array([1, 10, 100])
    trap = pd.concat(
        pd.DataFrame({"seed": i, "same": i == 0, "step": steps, "loss": 1 / steps, "floor": 0.04})
        for i in (0, 1)
    )
    fig = plot_modes(modes, errors, traces, trap, {"raw QR": -0.8, "initlib": 0.0})
    first, second, third, fourth = fig.axes
    assert "$s$ = 2" in texts(first)
    np.testing.assert_allclose(second.lines[0].get_ydata(), [0.01, 0.02, 0.04])
    assert third.get_xlabel() == "trace of a 4 × 4 matrix"
    assert len(fourth.lines) == 3


def test_spectra():
    s = np.linspace(0.1, 2, 5)
    parts = [("a", 1), ("a", 2), ("c", "gaussian"), ("c", "orthogonal")]
    densities = pd.concat(
        pd.DataFrame({"panel": panel, "of": name, "s": s, "density": 0.5}) for panel, name in parts
    )
    moments = pd.DataFrame(
        [(case, 16, depth, 1.0 + i) for case in CASES for depth in (1, 2) for i in range(3)],
        columns=["case", "n", "depth", "moment"],
    )
    products, jacobians, convolutions = plot_spectra(densities, moments, taps=9).axes
    assert "$L$ = 1" in texts(products)
    assert texts(jacobians).count("ReLU") == 2
    law = convolutions.lines[3].get_xdata()
    np.testing.assert_allclose(law[-1], 2 * (8 / 9) ** 0.5)
