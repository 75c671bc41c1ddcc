"""Networks by depth and weight scale: who starts, who is tried, and where the edge is."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from torch import nn

from initlib import initialize
from initlib.lab.data import load
from initlib.lab.trainable_depth import accuracy_map, edge_depth, edge_table, edges, start
from initlib.lab.trainable_figures import plot_edges, plot_maps

OPTIONS = {"depths": [2, 4, 40, 50], "steps": 40, "width": 16, "lr": 0.01, "seeds": [0, 1]}


@pytest.fixture(scope="module")
def table():
    return accuracy_map(load("mnist"), [0.5, 1.3], 0.2, batch_size=16, **OPTIONS)


def test_biases_start_at_their_scale():
    model = nn.Sequential(nn.Linear(500, 2000), nn.Tanh(), nn.Linear(2000, 2000))
    initialize(model, start(1.5, 0.3))
    for layer, fan_in in ((model[0], 500), (model[2], 2000)):
        assert layer.weight.std().item() == pytest.approx(1.5 / fan_in**0.5, rel=0.01)
        assert layer.bias.std().item() == pytest.approx(0.3, rel=4 / (2 * 2000) ** 0.5)


def test_shallow_networks_train_and_hopeless_scales_are_left(table):
    accuracy = table.groupby(["sigma_w", "depth"]).accuracy.mean()
    assert accuracy[1.3, 2] > 0.5
    assert accuracy[0.5, 40] < 0.25
    assert (0.5, 50) not in accuracy.index
    assert len(table) == 2 * len(accuracy)


@pytest.mark.parametrize(
    ("accuracy", "edge"),
    [
        ([0.9, 0.8, 0.7], 40.0),
        ([0.4, 0.3, 0.1], 10.0),
        ([0.9, 0.6, 0.4], 20 * 2**0.5),
        ([0.9, 0.4, 0.6], 10 * 2**0.8),
    ],
)
def test_the_edge_is_interpolated_in_log_depth_and_bounded_by_the_grid(accuracy, edge):
    assert edge_depth([10, 20, 40], accuracy) == pytest.approx(edge)


def test_depths_must_ascend():
    with pytest.raises(ValueError, match="ascend"):
        accuracy_map(load("mnist"), [1.0], 0.2, **OPTIONS | {"depths": [4, 2]})


def test_edges_of_every_seed_and_their_figures(table):
    found = edges(table)
    assert found[0.5].shape == (2,)
    rows = edge_table({"long": table}, {0.5: 1.0, 1.3: np.inf}, critical=1.3)
    assert rows.phase.tolist() == ["ordered", "critical"]
    assert ((rows.low <= rows.value) & (rows.value <= rows.high)).all()
    line = pd.DataFrame({"sigma_w": [0.5, 1.0], "xi": [1.0, 4.0]})
    maps = {40: table, 80: table}
    for fig in (plot_maps(maps, rows, line, 1.3), plot_edges(rows)):
        fig.draw_without_rendering()
        plt.close(fig)
