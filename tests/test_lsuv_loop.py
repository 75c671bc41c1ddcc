"""The published loop: its passes, its weights, its biases."""

import numpy as np
import pytest
import torch
from torch import nn

import initlib as init
from initlib.lab.lsuv_loop import (
    biased_layer,
    biased_loops,
    biased_theory,
    loop_and_pass,
    published_loop,
)
from initlib.lab.stack import mlp

BATCH = torch.randn(40, 12, generator=torch.Generator().manual_seed(0))


def test_a_layer_takes_a_pass_to_measure_and_one_to_see_that_it_is_done():
    table = loop_and_pass([2, 5], BATCH, width=16)
    assert table.loop.tolist() == [4, 10]
    assert table.once.tolist() == [1, 1]
    assert table["products"].tolist() == [6, 30]
    assert table.difference.max() < 1e-6


def test_the_loop_leaves_unit_variance_and_stops_when_told():
    model = mlp([12, 20, 20, 3], "tanh")
    for layer in model[::2]:
        init.normal_(layer.weight, generator=1)
        init.normal_(layer.bias, std=0.3, generator=2)
    loop = published_loop(model, BATCH, tol=1e-4, most=50)
    assert all(abs(stds[-1] - 1) < 1e-4 for stds in loop.stds)
    assert model(BATCH).std().item() == pytest.approx(1, abs=1e-4)
    assert loop.passes > 6
    nn.init.constant_(model[0].bias, 0)
    model[0].bias.data[::2] = 10.0  # their variance is far above one: there is no end
    assert len(published_loop(model, BATCH, most=3).stds[0]) == 4


def test_theory_follows_the_loop_to_round_off():
    batch = BATCH.double()
    layer = biased_layer(0.3, batch, key=1, width=30)
    theory, factor = biased_theory(layer, batch, 12)
    stds = published_loop(nn.Sequential(layer), batch, tol=1e-16, most=11).stds[0]
    np.testing.assert_allclose(stds, theory, rtol=1e-12)
    logs = np.log(stds)
    assert logs[8] / logs[7] == pytest.approx(factor, rel=1e-2)


def test_biases_of_variance_above_one_are_all_that_is_left():
    loops, ends = biased_loops([0.2, 2.0], BATCH, looks=40)
    assert ends.worst.max() < 1e-9
    assert ends.factor[0] == pytest.approx(ends.predicted[0], rel=1e-3)
    assert ends["last"][0] == pytest.approx(1)
    assert ends["last"][1] == pytest.approx(ends.least[1], rel=1e-4)
    assert set(loops.bias) == {0.2, 2.0}


def test_a_layer_that_is_close_to_unit_variance_is_left_as_it_is():
    batch = BATCH / BATCH.std()
    model = nn.Sequential(nn.Linear(12, 12))
    nn.init.eye_(model[0].weight)
    nn.init.zeros_(model[0].bias)
    model[0].weight.data *= 1.004
    assert published_loop(model, batch, tol=0.01).passes == 1
    assert published_loop(model, batch, tol=1e-4).passes == 2
