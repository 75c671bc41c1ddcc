"""The field of a batch, against a direct simulation and known limits."""

import numpy as np
import pytest

from initlib.lab.lsuv_theory import centred_correlations, lsuv_field, lsuv_numbers
from initlib.moments import moments

BATCH = np.random.default_rng(0).normal(size=(12, 40)) + 0.3


def gaussian_layers(phi, batch, depth, centred, width=6000):
    """Layers of Gaussian weights, each scaled: what the theory is the limit of."""
    rng, h, spreads, seconds = np.random.default_rng(1), batch, [], []
    for _ in range(depth):
        z = h @ rng.normal(size=(h.shape[1], width)) / np.sqrt(h.shape[1])
        z = z - z.mean(axis=0) if centred else z
        across = z.var(axis=0, ddof=1).mean()
        z = z / np.sqrt(across if centred else z.var())
        spreads.append(z.var(axis=0, ddof=1).mean())
        h = phi(z)
        seconds.append((h * h).mean())
    return np.array(spreads), np.array(seconds)


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize(
    ("name", "phi"),
    [
        ("relu", lambda z: np.maximum(z, 0)),
        ("tanh", np.tanh),
        ("sigmoid", lambda z: 1 / (1 + np.exp(-z))),
    ],
)
def test_the_field_is_that_of_wide_networks(name, phi, centred):
    field = lsuv_field(name, BATCH, 3, centred=centred)
    spread, second = gaussian_layers(phi, BATCH, 3, centred)
    np.testing.assert_allclose(field.spread, spread, rtol=0.06)
    np.testing.assert_allclose(field.second, second, rtol=0.04)


def test_relu_in_closed_form_equals_its_quadrature():
    from initlib.lab.lsuv_theory import _relu_apart, _smooth_apart

    q, p, d = np.array([1.0, 0.7]), np.array([1.2, 0.7]), np.array([0.5, 0.1])
    closed = _relu_apart("relu", q, p, d)
    np.testing.assert_allclose(closed, _smooth_apart("relu", q, p, d), rtol=0.02)


@pytest.mark.parametrize(("name", "factor"), [("sigmoid", 0.1528), ("softplus", 0.3185)])
def test_close_samples_come_closer_by_chi(name, factor):
    field = lsuv_field(name, BATCH, 12)
    assert lsuv_numbers(name).chi == pytest.approx(factor, abs=1e-4)
    assert field.spread[11] / field.spread[10] == pytest.approx(factor, rel=2e-3)
    assert field.error[10] == pytest.approx(factor, rel=2e-3)
    assert field.error[11] == 1


def test_samples_a_millionth_apart_are_told_apart():
    x = np.repeat(BATCH[:1], 2, axis=0)
    x[1] += 1e-7 * np.random.default_rng(2).normal(size=40)
    field = lsuv_field("sigmoid", x, 4)
    np.testing.assert_allclose(field.spread[1:] / field.spread[:-1], 0.1528, rtol=0.1)
    assert field.spread[0] > 0


def test_the_scale_of_the_published_rule_is_the_gain():
    equal = BATCH / np.sqrt((BATCH**2).mean(axis=1, keepdims=True))
    gain = lsuv_field("tanh", equal, 2).gain
    assert gain[0] == pytest.approx(1)
    assert gain[1] == pytest.approx(moments("tanh").second_moment ** -0.5)


def test_centred_units_vary_by_one_between_samples():
    np.testing.assert_allclose(lsuv_field("softplus", BATCH, 5, centred=True).spread, 1)


@pytest.mark.parametrize("name", ["sigmoid", "relu", "gelu", "tanh", "linear"])
def test_centred_factors_are_never_below_one_and_kept_never_above(name):
    chi, centred, kept = lsuv_numbers(name)
    assert centred >= max(chi, 1) - 1e-12
    assert 0 < kept <= 1 + 1e-12


@pytest.mark.parametrize("name", ["sigmoid", "relu", "tanh", "softplus"])
def test_small_correlations_are_multiplied_by_what_is_kept(name):
    c = centred_correlations(name, 1e-3, 4)
    np.testing.assert_allclose(c[1:] / c[:-1], lsuv_numbers(name).kept, rtol=2e-3)
    assert centred_correlations(name, 1.0, 3) == pytest.approx(np.ones(3), abs=1e-6)
