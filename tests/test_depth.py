"""Signals in deep ReLU networks: by hand in a tiny one, in expectation and in ratio in others."""

import numpy as np
import pytest
import torch

import initlib as init
from initlib.lab.depth import Signals, layer_sizes, reading_table, relu_signals, signal_table
from initlib.sampling import fill_normal_, stream_key

SCHEMES = {2.0: init.he_normal_, 1.0: init.lecun_normal_}


def inputs(draws, n, dtype=torch.float32):
    return fill_normal_(torch.empty(draws, n, dtype=dtype), stream_key(0, "inputs"), 0.5, 1)


def ones(weight, generator):
    return weight.fill_(1.0)


def test_layer_sizes():
    assert layer_sizes(784, 128, 4, 10) == [784, 128, 128, 128, 10]
    assert layer_sizes(5, 128, 1, 2) == [5, 2]
    with pytest.raises(ValueError, match="depth=0"):
        layer_sizes(784, 128, 0, 10)


@pytest.mark.parametrize("size", [1.0, 3.0])
def test_two_layers_by_hand(size):
    # With x = (1, 1): h_1 = (2, 2), df/dW_1 = 1 in both rows, df/dW_2 = h_1 in its only one.
    measured = relu_signals(ones, [2, 2, 1], size * torch.ones(1, 2))
    np.testing.assert_allclose(measured.forward, [[1, 4]])
    np.testing.assert_allclose(measured.gradient, [[2, 4]])


def test_units_below_zero_pass_nothing():
    measured = relu_signals(ones, [2, 2, 2, 1], -torch.ones(1, 2))
    np.testing.assert_array_equal(measured.forward, [[1, 0, 0]])
    np.testing.assert_array_equal(measured.gradient, [[0, 0, 0]])


@pytest.mark.parametrize("scale", SCHEMES)
def test_second_moments_match_theory_at_any_width(scale):
    # 4000 draws, 8 means in all four arrays; alpha = 1e-4 for all of them is z = 4.5. An error of
    # 20 % in a moment is seen with power 0.99: the standard errors are below 3 % of the means.
    sizes = [7, 12, 9, 16, 4]
    measured = relu_signals(SCHEMES[scale], sizes, inputs(4000, 7), key=stream_key(0, f"{scale}"))
    theory = [(scale / 2) ** np.arange(4), np.full(4, (scale / 2) ** 3)]
    for moments, expected in zip(measured, theory, strict=True):
        moments = moments / expected
        se = moments.std(axis=0, ddof=1) / np.sqrt(len(moments))
        assert (se < 0.03).all()
        assert (np.abs(moments.mean(axis=0) - 1) <= 4.5 * se + 1e-12).all()


@pytest.mark.parametrize("sizes", [[6, 3], [6, 5, 3], [784, *[32] * 29, 10]])
def test_he_over_xavier_is_exact_in_every_layer(sizes):
    x = inputs(2, sizes[0], torch.float64)
    he, xavier = (relu_signals(fill, sizes, x, key=3) for fill in SCHEMES.values())
    depth = len(sizes) - 1
    np.testing.assert_allclose(he.gradient, 2.0 ** (depth - 1) * xavier.gradient, rtol=1e-11)
    np.testing.assert_allclose(he.forward, 2.0 ** np.arange(depth) * xavier.forward, rtol=1e-11)


def test_a_draw_does_not_depend_on_the_others():
    x = inputs(3, 8)
    several = relu_signals(init.he_normal_, [8, 8, 2], x, key=1)
    first = relu_signals(init.he_normal_, [8, 8, 2], x[:1], key=1)
    np.testing.assert_array_equal(first.forward[0], several.forward[0])
    assert len(np.unique(several.gradient[:, 0])) == 3


def test_table_has_theory_beside_each_mean():
    moments = np.array([[1.0, 0.4, 0.3], [1.0, 0.6, 0.1]])
    table = signal_table({"xavier": Signals(moments, moments / 2)}, {"xavier": 1.0})
    forward = table[table.direction == "forward"]
    assert forward.layer.tolist() == [0, 1, 2]
    assert forward.theory.tolist() == [1, 0.5, 0.25]
    np.testing.assert_allclose(forward["mean"], [1, 0.5, 0.2])
    np.testing.assert_allclose(forward.low, [1, 0.42, 0.12])
    gradient = table[table.direction == "gradient"]
    assert gradient.layer.tolist() == [1, 2, 3]
    assert gradient.theory.tolist() == [0.25, 0.25, 0.25]


def test_readings_share_their_draws():
    readings = {"he": lambda n: 2.0, "half": lambda n: 0.5, "times n": lambda n: 2.0 * n**2}
    table = reading_table(readings, [6, 10, 20, 30], inputs(1, 6, torch.float64)[0], key=4)
    rms, theory = (
        table.pivot(index="layer", columns="reading", values=v) for v in ("rms", "theory")
    )
    np.testing.assert_allclose(theory["half"], [1, 0.5, 0.25])
    np.testing.assert_allclose(theory["times n"], [1, 6, 60])
    for reading in readings:  # a draw fluctuates, and in the same way for all of them
        np.testing.assert_allclose(rms[reading] / theory[reading], rms["he"], rtol=1e-12)
    assert (rms["he"].iloc[1:] != 1).all()
