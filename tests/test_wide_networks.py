"""Random networks of finite width against mean-field theory; 4.5 standard errors each."""

import numpy as np
import pytest

from initlib.lab import wide_networks
from initlib.lab.estimates import estimate
from initlib.lab.wide_networks import extrapolate, follow, growth, in_theory, scatter
from initlib.meanfield import MeanField


def near(samples, expected):
    mean = estimate(samples)
    return np.all(np.abs(mean.value - expected) <= 4.5 * mean.se + 1e-12)


@pytest.mark.parametrize("activation", ["tanh", "erf", "gelu", "silu", "selu", "sigmoid"])
def test_one_layer_is_exact_in_the_mean(activation):
    net = MeanField(activation, 1.3, 0.4)
    course = follow(activation, 1.3, 0.4, width=20, depth=1, networks=1500, q=0.8, c=0.3, key=3)
    theory = in_theory(net, 1, q=0.8, c=0.3)
    assert near(course.second, theory.second)
    assert near(course.product, theory.product)
    assert course.correlation[:, 0].mean() == pytest.approx(0.3, abs=0.03)  # biased by 1 / n
    assert near(course.error[:, 0] / theory.error[0], 1)


def test_groups_do_not_change_what_is_measured(monkeypatch):
    options = {"width": 8, "depth": 2, "networks": 600, "q": 1.0, "c": 0.0}
    whole = follow("relu", 2**0.5, 0.1, key=1, **options)
    monkeypatch.setattr(wide_networks, "_AT_ONCE", 8 * 8 * 50)
    parts = follow("relu", 2**0.5, 0.1, key=1, **options)
    assert parts.error.shape == whole.error.shape == (600, 3)
    np.testing.assert_array_equal(parts.second[:50], follow(
        "relu", 2**0.5, 0.1, key=1, **options | {"networks": 50}).second)  # fmt: skip
    assert near(parts.second[:, 2], in_theory(MeanField("relu", 2**0.5, 0.1), 2).second[2])


def test_gradients_grow_by_chi():
    net = MeanField("tanh", 2.0, 0.3)
    narrow, wide = (
        follow("tanh", 2.0, 0.3, width=n, depth=6, networks=300, q=net.q_star, key=2)
        for n in (40, 80)
    )
    measured = extrapolate(growth(narrow), growth(wide))
    assert growth(in_theory(net, 6, net.q_star)) == pytest.approx(np.log(net.chi_1))
    assert abs(measured.value - np.log(net.chi_1)) < 4.5 * measured.se


def test_networks_scatter_as_predicted():
    net, n = MeanField("tanh", 2.0, 0.5), 40
    course = follow("tanh", 2.0, 0.5, width=n, depth=6, networks=2000, q=net.q_star, key=4)
    assert near(n * (course.second[:, -1] - net.q_star) ** 2, scatter(net))


def test_unknown_functions_are_refused():
    with pytest.raises(ValueError, match="torch has no function 'tahn'"):
        follow("tahn", 1.0, 0.0, width=4, depth=1, networks=2)
