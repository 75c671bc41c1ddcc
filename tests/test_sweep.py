"""A sweep runs a small notebook over a grid, and its table and figure are what the runs found."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from initlib import he_normal_
from initlib.lab import figures
from initlib.lab.gain_law import log_gain
from initlib.lab.runs.execute import execute
from initlib.lab.sweep import sweep
from initlib.lab.sweep_figures import plot_sweep

PARAMETERS = "seed: int = 0  # s\nwidth: int = 4  # w\nnames: list[str] = ['a']  # n"
CODE = (
    "from initlib.lab.claims import Claims\n"
    "if width > 8:\n"
    "    raise RuntimeError('too wide')\n"
    "Claims('91-toy').record('toy-area', width * 10 + seed)"
)


def test_a_sweep_is_a_table_with_a_row_for_each_run():
    table = sweep("91-toy", PARAMETERS, CODE, {"seed": [1, 0], "width": [8]}, workers=1)
    assert table.current.all()
    assert table[["seed", "width", "value"]].values.tolist() == [[1, 8, 81], [0, 8, 80]]


def test_the_table_is_in_the_order_of_the_grid_whichever_run_started_first(monkeypatch):
    def execute_backwards(runs, *arguments):
        return execute(list(runs)[::-1], *arguments)

    monkeypatch.setattr("initlib.lab.sweep.execute", execute_backwards)
    table = sweep("91-toy", PARAMETERS, CODE, {"seed": [0, 1], "width": [8]}, workers=1)
    assert table.seed.tolist() == [0, 1]


def test_a_run_that_fails_is_named():
    with pytest.raises(ValueError, match=r"1 of 1 runs failed; first 91-toy width=9.*too wide"):
        sweep("91-toy", PARAMETERS, CODE, {"width": [9]})


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({"widht": [1]}, "did you mean width"),
        ({"width": [0.5]}, "type int"),
        ({"names": [["a"], [1]]}, "list\\[str\\]"),
    ],
)
def test_a_grid_is_checked_before_anything_runs(grid, message):
    with pytest.raises(ValueError, match=message):
        sweep("91-toy", PARAMETERS, CODE, grid)


@pytest.mark.parametrize("width", [32, 256])
def test_the_log_gain_of_a_layer_has_the_moments_that_are_said(width):
    """20,000 draws: the mean within 4.5 standard errors, the variance too (n = 2 x 2 checks)."""
    draws = 20_000
    signal = torch.ones(width)
    gains = []
    for key in range(20):
        weights = he_normal_(torch.empty(draws // 20 * width, width), generator=key)
        gains.append(torch.relu(weights @ signal).view(-1, width).square().mean(1).log())
    sample = torch.cat(gains).double().numpy()
    mean, variance = log_gain(width)
    assert abs(sample.mean() - mean) < 4.5 * np.sqrt(variance / draws)
    assert abs(sample.var() - variance) < 4.5 * variance * np.sqrt(2.4 / draws)


def test_the_figure_shows_every_cell_and_every_run():
    points = pd.MultiIndex.from_product(
        [["walk-mean", "walk-spread"], [32, 64], [8, 16]], names=["id", "width", "depth"]
    )
    cells = points.to_frame(index=False).assign(value=1.0, se=0.1)
    runs = pd.concat([cells.assign(seed=seed, z=seed - 0.5) for seed in (3, 7)])
    with mpl.rc_context():
        mpl.use("agg")
        figures.style()
        fig = plot_sweep(cells, runs)
    mean, spread, seeds = fig.axes
    for ax in (mean, spread):
        drawn = [bars.lines[0].get_xydata().tolist() for bars in ax.containers]
        assert drawn == [[[8 / 32, 1], [16 / 32, 1]], [[8 / 64, 1], [16 / 64, 1]]]
    shown = [line for line in seeds.lines if len(line.get_xdata()) == 8]
    assert [sorted(set(line.get_ydata())) for line in shown] == [[2.5, 6.5]] * 2
    assert [tick.get_text() for tick in seeds.get_xticklabels()] == ["3", "7"]
    plt.close(fig)
