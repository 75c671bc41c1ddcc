"""The gains of one layer, measured: against brute force, against theory, and without leaks."""

import numpy as np
import pytest
import torch

import initlib as init
from initlib.lab.propagation import (
    gain_sweep,
    layer_gains,
    random_loss,
    square_loss,
    sum_loss,
    sum_one_layer_up,
)

KEY = init.stream_key(0, "tests of propagation")


def fixed(value):
    """A fill whose gains can be worked out by hand."""

    def fill(weight, generator):
        return weight.fill_(value)

    return fill


def test_gains_of_equal_weights_by_hand():
    # y_i = c sum_j x_j for each of 3 units; dL/dx_j = 3 c for the sum of the outputs.
    gains = layer_gains(fixed(0.5), 1, 3, key=KEY, draws=2, loss=sum_loss)
    assert gains.forward == pytest.approx([0.25, 0.25])
    assert gains.backward == pytest.approx([2.25, 2.25])


@pytest.mark.parametrize("loss", [random_loss, square_loss, sum_loss, sum_one_layer_up])
def test_a_slope_of_one_is_a_linear_layer_and_zero_passes_half(loss):
    # He doubles the variance of LeCun's rule, and ReLU passes half of the square on.
    options = {"key": KEY, "draws": 200, "loss": loss, "input_mean": 0.0}
    linear = layer_gains(init.lecun_normal_, 32, 32, a=1.0, **options)
    relu = layer_gains(init.he_normal_, 32, 32, a=0.0, **options)
    for gains in (linear, relu):
        error = gains.forward.std() / np.sqrt(200)
        assert abs(gains.forward.mean() - 1) < 5 * error


def test_draws_are_independent_and_reproducible():
    first = layer_gains(init.he_normal_, 16, 16, key=KEY, draws=50, a=0.0)
    again = layer_gains(init.he_normal_, 16, 16, key=KEY, draws=50, a=0.0)
    other = layer_gains(init.he_normal_, 16, 16, key=1, draws=50, a=0.0)
    assert np.array_equal(first, again)
    assert len(np.unique(first.forward)) == 50
    assert not np.isin(first.forward, other.forward).any()


def test_a_draw_does_not_depend_on_how_many_follow():
    few = layer_gains(init.he_normal_, 16, 8, key=KEY, draws=3)
    many = layer_gains(init.he_normal_, 16, 8, key=KEY, draws=6)
    assert np.array_equal(few.forward, many.forward[:3])


def test_a_loss_one_layer_up_knows_nothing_of_the_layer():
    options = {"key": KEY, "draws": 300, "a": 0.0}
    above = layer_gains(init.he_normal_, 32, 32, loss=sum_one_layer_up, **options).backward
    direct = layer_gains(init.he_normal_, 32, 32, loss=sum_loss, **options).backward
    assert abs(above.mean() - 1) < 5 * above.std() / np.sqrt(300)
    assert direct.mean() - 1 > 5 * direct.std() / np.sqrt(300)


def test_a_sweep_has_a_row_for_each_shape_and_direction():
    table = gain_sweep(init.lecun_normal_, [(8, 16), (16, 8)], key=KEY, draws=4)
    assert list(zip(table.n_in, table.n_out, table.direction, strict=True)) == [
        (8, 16, "forward"),
        (8, 16, "backward"),
        (16, 8, "forward"),
        (16, 8, "backward"),
    ]
    gains = layer_gains(init.lecun_normal_, 16, 8, key=KEY, draws=4)
    assert table.gain[2] == pytest.approx(gains.forward.mean())
    assert table.se[2] == pytest.approx(gains.forward.std(ddof=1) / 2)


def test_gradients_of_an_earlier_draw_do_not_add_up():
    parameter = torch.nn.Linear(4, 4).weight
    layer_gains(init.he_normal_, 4, 4, key=KEY, draws=2)
    assert parameter.grad is None
