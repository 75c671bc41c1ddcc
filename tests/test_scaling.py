"""The map of schemes, fixed points, and what a mode does to whole networks."""

import math
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch

import initlib as init
from initlib.lab import scaling_runs
from initlib.lab.scaling import (
    directions,
    fixed_point,
    linear_gains,
    map_lines,
    map_points,
    normalizing_paths,
    torch_scales,
)

SCHEMES = {
    "he": (init.he_normal_, 2, "fan_in"),
    "geometric": (partial(init.variance_scaling_, mode="fan_geo"), 1, "fan_geo"),
    "orthogonal": (init.orthogonal_, 1, "fan_max"),
}
CURVES = {
    "fan_in": lambda forward, backward: forward,
    "fan_out": lambda forward, backward: backward,
    "fan_avg": lambda forward, backward: (forward + backward) / 2,
    "fan_geo": lambda forward, backward: math.sqrt(forward * backward),
    "fan_max": max,
}


@pytest.mark.parametrize("mode", CURVES)
@pytest.mark.parametrize("shape", [(10, 10), (10, 40), (640, 10)])
def test_a_mode_is_a_curve_and_a_shape_a_diagonal(mode, shape):
    forward, backward = linear_gains(3.0, mode, *shape)
    assert CURVES[mode](forward, backward) == pytest.approx(3)
    assert backward / forward == pytest.approx(shape[1] / shape[0])


def test_measured_points_lie_on_their_lines():
    # 12 means, of which 2 don't fluctuate; z = 4.5 for all of them.
    shapes = [(16, 64), (64, 16)]
    points = map_points(SCHEMES, shapes, key=0, draws=100)
    lines = map_lines(SCHEMES, shapes).set_index(["scheme", "n_in", "n_out"])
    for row in points.itertuples():
        assert row.predicted == lines.loc[(row.scheme, row.n_in, row.n_out), row.direction]
    assert (np.abs(points.gain - points.predicted) <= 4.5 * points.se + 1e-5).all()


@pytest.mark.parametrize("seed", [0, 1])
def test_torch_draws_once_and_scales(seed):
    expected = {"Xavier": 1.0, "He": 2.0, "He by fan-out": 2.0, "LeCun": 1.0, "default": 1 / 3}
    assert torch_scales(seed) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("start", [0.01, 1.0, 30.0])
@pytest.mark.parametrize("activation", ["lecun_tanh", "sigmoid", "selu"])
def test_the_fixed_point_is_where_iteration_ends(activation, start):
    found, q = fixed_point(activation, start=start), 1.0
    for _ in range(300):
        q = init.moments(activation, q).second_moment
    assert found.q == pytest.approx(q, rel=1e-9)
    step = 1e-5 * q
    ends = init.moments(activation, [q - step, q + step]).second_moment
    assert found.slope == pytest.approx((ends[1] - ends[0]) / (2 * step), rel=1e-4)


@pytest.mark.parametrize(("activation", "gain"), [("selu", 2**0.5), ("tanh", 0.9), ("relu", 1.0)])
def test_no_fixed_point_is_an_error(activation, gain):
    with pytest.raises(ValueError, match=activation):
        fixed_point(activation, gain)


def test_directions_have_one_mean_square():
    x = directions(5, 40, 2.5, key=1)
    np.testing.assert_allclose(x.square().mean(dim=1), 2.5, rtol=1e-6)


def test_paths_start_at_their_inputs():
    places = [(0.5, 1.5), (-1.0, 0.3)]
    portrait, layers, paths = normalizing_paths("selu", 1.0, places, sizes=[32] * 6, draws=8, key=2)
    first = portrait[portrait.layer == 0]
    assert list(zip(first["mean"], first.variance**0.5, strict=True)) == places
    assert len(portrait) == 2 * 6
    assert set(layers.quantity) == {"second", "error"}
    assert len(paths) == 2


def test_arithmetic_over_geometric_mean_is_an_identity():
    sizes = [9, 4, 16, 4, 16, 3]
    inputs = torch.ones(3, 9, dtype=torch.float64)
    ratio = scaling_runs.mode_ratio(("fan_geo", "fan_avg"), sizes, inputs, key=1)
    expected = math.prod(2 * math.sqrt(m * n) / (m + n) for m, n in pairwise(sizes))
    np.testing.assert_allclose(ratio, expected, rtol=1e-10)


def test_modes_are_tabled_with_their_variances():
    laws = {"fan_in": init.Law(1.0, "fan_in", "normal")}
    table = scaling_runs.mode_table(laws, [8, 4, 2], torch.ones(4, 8), "linear", key=0)
    np.testing.assert_allclose(table[table.quantity == "weight"].theory, [1, 1])
    np.testing.assert_allclose(table[table.quantity == "second"].theory, [1, 1])


def test_one_layer_has_the_moments_of_its_activation():
    found = scaling_runs.one_layer_moments(["normal", "uniform"], [1.0], key=0, draws=16)
    expected = dict.fromkeys(("normal, 1", "uniform, 1"), init.moments("lecun_tanh").second_moment)
    selu = init.moments("selu", 2.5)
    expected |= {"SELU, mean": selu.mean, "SELU, second moment": selu.second_moment}
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert abs(found[name].value - value) < 5 * found[name].se


def test_networks_at_rest_stay_and_lose_chi():
    at = fixed_point("selu", 0.75)
    both = scaling_runs.equal_layers(
        "selu", 0.75, at.q / 0.75**2, sizes=[128] * 13, draws=40, key=1
    )
    ends = scaling_runs.settled(*both)
    factor = scaling_runs.gradient_factor(both[0], at.chi)
    assert abs(ends.value - 1) < 4 * ends.se + 0.03
    assert abs(factor.value - 1) < 4 * factor.se + 0.01


def test_truncated_normals_keep_what_they_should():
    found = scaling_runs.truncated_stds(0.02, seed=1)
    expected = [init.truncated_std(-2, 2), 1.0, 1.0, math.erfc(math.sqrt(2))]
    for value, estimate in zip(expected, found.values(), strict=True):
        assert abs(estimate.value - value) < 5 * estimate.se


def test_norms_of_rows():
    found = scaling_runs.row_norms(10, seed=1)
    for value, estimate in zip([1, 0.975350, 1 / 3], found.values(), strict=True):
        assert abs(estimate.value - value) < 4.5 * estimate.se
