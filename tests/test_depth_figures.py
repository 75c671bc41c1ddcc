"""The figures on depth, drawn from toy data: what is shown where."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from initlib.lab.depth import Signals, signal_table
from initlib.lab.depth_figures import plot_depth, plot_learning_rates, plot_readings
from initlib.lab.figures import scheme_style
from initlib.lab.plateaus import curve_table

mpl.use("agg")

SCALES = {"he": 2.0, "xavier": 1.0}


pytestmark = pytest.mark.usefixtures("house_style")


def toy_signals(depth):
    spread = np.linspace(0.5, 1.5, 5)[:, None]
    return {
        scheme: Signals(
            spread * (scale / 2) ** np.arange(depth),
            spread * (scale / 2) ** (depth - 1) * np.ones(depth),
        )
        for scheme, scale in SCALES.items()
    }


def toy_curves(depths):
    losses = 2.3 / (1 + np.arange(200)[:, None] / [50.0, 60.0, 70.0])
    return pd.concat(
        curve_table(losses).assign(depth=depth, scheme=scheme, lr=0.01)
        for depth in depths
        for scheme in SCALES
    )


def texts(ax):
    return [text.get_text() for text in ax.texts if text.get_text()]


def colors(ax):
    return {line.get_color() for line in ax.lines}


def test_depth_has_theory_points_and_curves_of_both_schemes():
    fig = plot_depth(signal_table(toy_signals(8), SCALES), toy_curves([4, 8]), level=1.0)
    fig.draw_without_rendering()
    both = {scheme_style(scheme)["color"] for scheme in SCALES}
    assert all(both <= colors(ax) for ax in fig.axes)
    titles = [ax.get_title(loc="left") for ax in fig.axes]
    assert ["8 layers" in title for title in titles] == [True, True, False, True]
    assert "4 layers" in titles[2]
    # 2^(7/2) = 11.3, rounded
    assert "11 times smaller" in " ".join(texts(fig.axes[1]))
    assert [len(ax.collections) for ax in fig.axes[:2]] == [2, 2]  # the intervals


def test_learning_rates_mark_what_is_censored_and_what_is_chosen():
    rows = [
        (depth, scheme, lr, seed, np.inf if lr > 0.01 else 1e3 * lr + seed + depth, 500, lr == 0.01)
        for depth in (4, 8)
        for scheme in SCALES
        for lr in (0.003, 0.01, 0.03)
        for seed in (1, 2)
    ]
    columns = ["depth", "scheme", "lr", "seed", "steps", "budget", "chosen"]
    fig = plot_learning_rates(pd.DataFrame(rows, columns=columns), level=1.0)
    fig.draw_without_rendering()
    for ax in fig.axes:
        censored = [line for line in ax.lines if line.get_marker() == "^"]
        assert [set(line.get_ydata()) for line in censored] == [{500}, {500}]
        assert [set(line.get_xdata()) for line in censored] == [{0.03}, {0.03}]
        rings = [line for line in ax.lines if line.get_fillstyle() == "none"]
        assert [list(line.get_xdata()) for line in rings] == [[0.01], [0.01]]
        assert texts(ax) == ["He", "Xavier"]


def test_readings_leave_the_picture_where_they_explode():
    rows = [
        (name, layer, factor**layer, factor**layer)
        for name, factor in (("keep", 1.0), ("shrink", 0.5), ("explode", 128.0))
        for layer in range(20)
    ]
    fig = plot_readings(pd.DataFrame(rows, columns=["reading", "layer", "rms", "theory"]))
    fig.draw_without_rendering()
    (ax,) = fig.axes
    assert texts(ax) == ["keep", "shrink", "explode"]
    assert [len(line.get_xdata()) for line in ax.lines[::2]] == [20, 20, 6]
