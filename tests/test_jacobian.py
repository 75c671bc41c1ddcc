"""Jacobians: moments against mpmath and an exact recursion, the law against both and networks."""

import mpmath
import numpy as np
import pytest
import torch

import initlib as init
from initlib.lab.singular_values import fourth_moments
from initlib.sampling import fill_normal_, stream_key

CASES = [
    (activation, depth, q, weights)
    for activation in ("linear", "relu", "tanh", "hardtanh", "gelu")
    for weights in ("gaussian", "orthogonal")
    for depth, q in ((1, 0.5), (3, 2.0), (16, 0.3), (64, 0.3))
    if weights == "gaussian" or (activation != "linear" and depth > 3)
]


@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("q", [0.1, 1.7])
def test_derivative_moments_against_mpmath(k, q):
    def moment(slope, cuts):
        def f(z):
            return slope(mpmath.sqrt(q) * z) ** (2 * k) * mpmath.npdf(z)

        return float(mpmath.quad(f, [-12, *cuts, 12]))

    tanh = moment(lambda x: mpmath.sech(x) ** 2, [-3, 0, 3])
    gelu = moment(lambda x: mpmath.ncdf(x) + x * mpmath.npdf(x), [-3, 0, 3])
    assert init.derivative_moment("tanh", q, k) == pytest.approx(tanh, rel=1e-9)
    assert init.derivative_moment("gelu", q, k) == pytest.approx(gelu, rel=1e-9)
    own = init.derivative_moment(lambda x: np.tanh(x), q, k)
    assert own == pytest.approx(tanh, rel=1e-8)


def test_derivative_moments_of_special_functions():
    assert init.derivative_moment("leaky_relu", 0.3, 2) == pytest.approx((1 + 1e-8) / 2)
    assert init.derivative_moment("hardshrink") == np.inf
    q = np.array([[0.1, 1.0], [2.0, 3.0]])
    first = init.derivative_moment("tanh", q)
    assert first.shape == (2, 2)
    np.testing.assert_allclose(first, init.moments("tanh", q).squared_derivative, rtol=1e-9)


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("depth", [1, 2, 30])
def test_moments_against_the_exact_recursion(weights, depth):
    for activation in ("linear", "relu"):
        mean, variance = init.jacobian_moments(activation, depth, weights=weights)
        how = weights == "gaussian", activation == "relu"
        assert mean == pytest.approx(1)
        assert variance == pytest.approx(fourth_moments(depth, 10**12, *how)[-1] - 1, abs=1e-6)


def test_scales_multiply_singular_values():
    q, sigma_w = np.array([[0.2], [0.5]]), np.array([0.9, 1.0, 1.3])
    mean, variance = init.jacobian_moments("tanh", 5, q, sigma_w)
    critical = init.jacobian_moments("tanh", 5, q).variance
    assert mean.shape == variance.shape == (2, 3)
    np.testing.assert_allclose(mean, (sigma_w**2 * init.derivative_moment("tanh", q)) ** 5)
    np.testing.assert_allclose(variance, mean**2 * critical)


@pytest.mark.parametrize(("activation", "depth", "q", "weights"), CASES)
def test_the_law_has_these_moments(activation, depth, q, weights):
    s, density, probability = init.jacobian_law(activation, depth, q, weights=weights)
    expected = init.jacobian_moments(activation, depth, q, weights=weights)
    mean, fourth = (np.trapezoid(density * s ** (k + 1), np.log(s)) for k in (2, 4))
    assert mean == pytest.approx(1, rel=1e-3)
    assert fourth - 1 == pytest.approx(expected.variance, rel=2e-3)
    assert (np.diff(s) > 0).all()
    assert (np.diff(probability) >= 0).all()


@pytest.mark.parametrize("depth", [1, 2, 16])
def test_the_law_of_linear_networks_is_that_of_products(depth):
    s, density, probability = init.jacobian_law("linear", depth)
    expected = init.product_law(depth)
    assert s[-1] == pytest.approx(init.product_norm(depth))
    np.testing.assert_allclose(
        density[1:-1], np.interp(s[1:-1], expected.s, expected.density), rtol=2e-3
    )
    np.testing.assert_allclose(
        probability, np.interp(s, expected.s, expected.probability), atol=1e-3
    )


def test_the_law_of_relu_by_hand():
    # From orthogonal weights, s^2 = zeta^L / (zeta - 1)^(L - 1) is largest at zeta = L; half of the
    # singular values are zero.
    s, _, probability = init.jacobian_law("relu", 6, weights="orthogonal")
    assert s[-1] == pytest.approx((6**6 / 5**5) ** 0.5)
    assert s[-1] == pytest.approx(init.product_norm(5))
    assert probability[0] == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_the_law_is_what_networks_have(activation, weights):
    # Six layers of 400 units with independent N(0, q) pre-activations, as the theory has it.
    n, depth, q = 400, 6, 0.5
    jacobian = torch.eye(n, dtype=torch.float64)
    fill = init.orthogonal_ if weights == "orthogonal" else init.lecun_normal_
    for layer in range(depth):
        w = fill(torch.empty(n, n, dtype=torch.float64), generator=layer)
        z = fill_normal_(torch.empty(n, dtype=torch.float64), stream_key(layer, "z"), 0, q**0.5)
        slope = (z > 0).double() if activation == "relu" else 1 - z.tanh() ** 2
        jacobian = slope[:, None] * (w @ jacobian)
    s = np.sort(torch.linalg.svdvals(jacobian).numpy())
    law = init.jacobian_law(activation, depth, q, sigma_w=1.0, weights=weights)
    seen = s > law.s[0]
    below = np.interp(s[seen], law.s, law.probability)
    assert np.abs(below - (np.arange(n)[seen] + 0.5) / n).max() < 0.03


def test_laws_without_a_density():
    with pytest.raises(ValueError, match="nonlinear activation"):
        init.jacobian_law("linear", 4, weights="orthogonal")
    with pytest.raises(ValueError, match="depth >= 2"):
        init.jacobian_law("tanh", 1, weights="orthogonal")
    with pytest.raises(ValueError, match="could not follow the law for 'hardtanh'"):
        init.jacobian_law("hardtanh", 2, 0.3, weights="orthogonal")


def test_arguments_that_are_wrong():
    for function in (init.jacobian_moments, init.jacobian_law):
        with pytest.raises(ValueError, match="did you mean 'orthogonal'"):
            function("relu", 3, weights="ortogonal")
        with pytest.raises(ValueError, match="depth must be"):
            function("relu", 0)
        with pytest.raises(ValueError, match="q must be positive"):
            function("tanh", 3, 0.0)
        with pytest.raises(ValueError, match="sigma_w must be positive"):
            function("tanh", 3, sigma_w=-1.0)
    with pytest.raises(ValueError, match="k must be"):
        init.derivative_moment("tanh", k=0)
