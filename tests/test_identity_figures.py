"""The figures on the identity, drawn from toy data: what is shown where."""

import numpy as np
import pandas as pd
import pytest

import initlib as init
from initlib.lab.contest import Contest
from initlib.lab.identity_figures import plot_adding, plot_kept, plot_signs
from initlib.lab.identity_runs import eye, memory_table, residual_cells, residual_growth
from initlib.lab.linear_starts import final_losses, linear_courses

pytestmark = pytest.mark.usefixtures("house_style")


def texts(ax):
    return " ".join(text.get_text() for text in ax.texts)


def test_kept():
    scales = {"plain": [1.0] * 4, "scaled": [0.5] * 4, "zero": [0.0] * 4}
    fills = {"identity": eye, "orthogonal": init.orthogonal_, "he": init.he_normal_}
    memory = memory_table(fills, units=8, length=6, draws=4)
    growth = residual_growth(scales, units=8, draws=4)
    fig = plot_kept(growth, residual_cells(scales), memory)
    signals, gradients, state = fig.axes
    lines = [line.get_ydata() for line in signals.lines if line.get_linestyle() == "-"]
    assert np.allclose(lines[0], [1, 2, 4, 8, 16])
    lines = [line.get_ydata() for line in gradients.lines if line.get_linestyle() == "-"]
    assert np.allclose(lines[0], [16, 8, 4, 2, 1])
    assert "zero last layer" in texts(signals)
    assert np.allclose(state.lines[0].get_ydata(), 0.5 ** np.arange(7))


def test_signs():
    spectra = {"None": [0.5, 1.5], "One": [-0.5, 1.5], "Two": [-0.5, -1.5]}
    courses = linear_courses(spectra, depth=3, noise=0.1, rate=0.1, steps=20, replicas=2)
    fig = plot_signs(courses, final_losses(spectra))
    none, one, two = fig.axes
    assert [ax.get_title(loc="left").split()[-1] for ax in fig.axes] == [*spectra]
    assert len(none.lines) == 5
    assert len(one.lines) == len(two.lines) == 6
    assert "small noise" in texts(none)
    assert one.lines[-1].get_ydata()[0] == pytest.approx(0.1)


def test_adding():
    steps = {"identity": [60.0, 80.0, np.inf], "lstm": [40.0, 50.0, 45.0]}
    losses, rows = {}, []
    for name, own in steps.items():
        courses = np.full((100, 3), 0.1)
        for seed, last in enumerate(own):
            rows.append((name, seed, last, 100))
            if np.isfinite(last):
                courses[int(last) - 20 : int(last), seed] = 0.001
                courses[int(last) :, seed] = np.nan
        losses[name] = courses
    results = pd.DataFrame(rows, columns=["scheme", "seed", "steps", "budget"])
    fig = plot_adding(Contest(results, results, losses), level=0.01)
    curves, strip = fig.axes
    assert [label.get_text() for label in strip.get_yticklabels()] == ["LSTM", "identity"]
    ends = [line.get_xdata()[-1] for line in curves.lines[:2]]
    assert ends[0] > ends[1]
    assert all(line.get_ydata()[-1] < 0.011 for line in curves.lines[:2])
    late = [line for line in strip.lines if line.get_marker() == ">"]
    assert [list(line.get_xdata()) for line in late] == [[], [100]]
