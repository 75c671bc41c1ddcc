"""Signals and gradients of networks: by hand, by autograd, and against mean-field theory."""

from itertools import pairwise

import numpy as np
import pytest
import torch

import initlib as init
from initlib.lab.signals import (
    draw_networks,
    law_signals,
    layer_table,
    mean_field,
    network_signals,
    weight_variances,
)
from initlib.lab.stack import MODULES

LECUN = init.Law(1.0, "fan_in", "normal")


def inputs(*shape):
    return init.normal_(torch.empty(shape, dtype=torch.float64), 0.2, 1.0, generator=1)


def test_two_layers_by_hand():
    # z_1 = (3, -1) and h_1 = (3, 0); z_2 = 3 and f = z_2. Back: (1, 2) through W_2, and the ReLU.
    network = [
        (torch.tensor([[1.0, 1.0], [1.0, -1.0]]), None),
        (torch.tensor([[1.0, 2.0]]), None),
    ]
    signals = network_signals([network], torch.tensor([[1.0, 2.0]]))
    np.testing.assert_allclose(signals.pre, [[5, 9]])
    np.testing.assert_allclose(signals.mean, [[1.5, 3]])
    np.testing.assert_allclose(signals.second, [[4.5, 9]])
    np.testing.assert_allclose(signals.error, [[1, 1]])
    np.testing.assert_allclose(signals.weight, [[5, 9]])


@pytest.mark.parametrize("activation", MODULES)
def test_gradients_are_those_of_autograd(activation):
    sizes = [5, 7, 6, 4]
    (network,) = draw_networks(init.he_normal_, sizes, 1, key=2, dtype=torch.float64)
    network = [(w.requires_grad_(), 0.1 * torch.ones(len(w), dtype=w.dtype)) for w, _ in network]
    x, h = inputs(1, 5), None
    for weight, bias in network:
        z = torch.nn.functional.linear(x if h is None else h, weight, bias)
        h = MODULES[activation]()(z)
    (z.sum() / 2).backward()
    signals = network_signals([network], x, activation)
    norms = [weight.grad.square().sum().item() for weight, _ in network]
    np.testing.assert_allclose(signals.weight[0], norms)


def test_spread_is_the_variance_between_inputs():
    x = inputs(1, 3, 4)
    (network,) = draw_networks(init.he_normal_, [4, 6], 1, dtype=torch.float64)
    z = x[0] @ network[0][0].T
    spread = network_signals([network], x).spread
    np.testing.assert_allclose(spread, [[z.var(dim=0).mean()]])
    assert np.isnan(network_signals([network], x[:, 0]).spread).all()


def test_biases_add_their_variance():
    sizes, draws = [64, 64, 64], 300
    networks = (
        [(w, init.normal_(torch.empty(64), 0.0, 0.5, generator=k)) for w, _ in network]
        for k, network in enumerate(draw_networks(init.he_normal_, sizes, draws, key=3))
    )
    measured = network_signals(networks, torch.ones(draws, 64)).pre
    predicted = mean_field("relu", sizes, [2 / 64, 2 / 64], bias=0.25).pre
    np.testing.assert_allclose(predicted, [2.25, 2.5])
    se = measured.std(axis=0, ddof=1) / np.sqrt(draws)
    assert (np.abs(measured.mean(axis=0) - predicted) < 4 * se).all()


@pytest.mark.parametrize("activation", ["relu", "tanh", "lecun_tanh", "selu", "sigmoid"])
def test_mean_field_predicts_wide_networks(activation):
    # 200 networks of width 128; margins of 10 % are over 4 standard errors, and over the 1/width
    # that the theory leaves out.
    x = init.unit_rows_(torch.empty(200, 128), 128**0.5, generator=4)
    measured, predicted = law_signals(LECUN, [128] * 5, x, activation, key=5)
    for name in ("pre", "second", "error", "weight"):
        ratio = getattr(measured, name).mean(axis=0) / getattr(predicted, name)
        assert (np.abs(ratio - 1) < 0.1).all(), name


@pytest.mark.parametrize("mode", ["fan_in", "fan_out", "fan_avg", "fan_geo"])
def test_weighted_gradients_of_linear_networks_are_level(mode):
    sizes = [20, 5, 40, 10, 3]
    variances = weight_variances(init.Law(1.0, mode, "normal"), sizes)
    total = np.prod([n * v for n, v in zip(sizes[:-1], variances, strict=True)])
    np.testing.assert_allclose(mean_field("linear", sizes, variances).weight * variances, total)
    ends = {"fan_in": 1, "fan_out": 20 / 3, "fan_geo": (20 / 3) ** 0.5}
    means = np.prod([2 * (m * n) ** 0.5 / (m + n) for m, n in pairwise(sizes)])
    np.testing.assert_allclose(total, ends.get(mode, ends["fan_geo"] * means))


def test_draws_and_layers_are_independent():
    first, second = draw_networks(init.he_normal_, [8, 8, 8], 2, key=0)
    weights = [weight for network in (first, second) for weight, _ in network]
    assert len({weight[0, 0].item() for weight in weights}) == 4


def test_the_table_stands_on_the_draws():
    measured, predicted = law_signals(LECUN, [16, 16, 16], inputs(10, 16), "tanh")
    table = layer_table(measured, predicted, "weight", np.array([1.0, 2.0]))
    assert table.layer.tolist() == [1, 2]
    np.testing.assert_allclose(table.value, measured.weight.mean(axis=0) * [1, 2])
    np.testing.assert_allclose(table.theory, predicted.weight * [1, 2])
    assert ((table.low < table.value) & (table.value < table.high)).all()


def test_mean_field_takes_inputs_one_by_one():
    sizes, variances, seconds = [8, 6, 4], [1 / 8, 1 / 6], np.array([0.1, 1.0])
    together = mean_field("tanh", sizes, variances, seconds)
    for i, second in enumerate(seconds):
        alone = mean_field("tanh", sizes, variances, second)
        for part, expected in zip(together, alone, strict=True):
            np.testing.assert_allclose(part[:, i], expected)
