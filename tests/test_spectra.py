"""Laws of Gaussian matrices: moments by another route, edges, and agreement with each other."""

import numpy as np
import pytest
import torch

import initlib as init


@pytest.mark.parametrize("ratio", [0.2, 1.0, 3.0])
def test_marchenko_pastur_has_its_moments(ratio):
    low, high = (1 - ratio**0.5) ** 2, (1 + ratio**0.5) ** 2
    angle = np.linspace(0, np.pi, 20_001)  # roots at both ends integrate well in it
    x = (high + low) / 2 - (high - low) / 2 * np.cos(angle)
    density = init.marchenko_pastur(x, ratio) * (high - low) / 2 * np.sin(angle)
    inside = min(1, 1 / ratio)  # all other eigenvalues are zero
    found = [np.trapezoid(density * x**k, angle) for k in (0, 1, 2)]
    np.testing.assert_allclose(found, [inside, 1, 1 + ratio], rtol=1e-4)
    assert init.marchenko_pastur([-1.0, low / 2, high + 1], ratio).tolist() == [0, 0, 0]


def test_marchenko_pastur_is_what_matrices_have():
    w = init.normal_(torch.empty(300, 600, dtype=torch.float64), 0, 600**-0.5, generator=1)
    values = torch.linalg.eigvalsh(w @ w.T).numpy()
    x = np.linspace(0.01, 3, 3000)
    below = np.interp(values, x, np.cumsum(init.marchenko_pastur(x, 0.5)) * (x[1] - x[0]))
    assert np.abs(below - (np.arange(300) + 0.5) / 300).max() < 0.02


@pytest.mark.parametrize("depth", [1, 2, 5, 12, 64, 1000])
def test_product_law_has_the_moments_of_fuss_and_catalan(depth):
    s, density, probability = init.product_law(depth)
    assert (np.diff(s) > 0).all()
    assert s[-1] == pytest.approx(init.product_norm(depth), rel=1e-5)
    for k in (1, 2, 3):
        moment = np.trapezoid(density * s ** (2 * k + 1), np.log(s))
        assert moment == pytest.approx(init.product_moment(k, depth), rel=1e-4)
    assert (np.diff(probability) >= 0).all()
    assert probability[-1] == 1
    assert probability[0] < 1e-4 or s[0] < 1e-90


def test_one_factor_is_a_quarter_circle():
    s, density, probability = init.product_law(1)
    np.testing.assert_allclose(density, np.sqrt(4 - s**2) / np.pi, rtol=1e-8)
    cumulated = (s * np.sqrt(4 - s**2) / 2 + 2 * np.arcsin(s / 2)) / np.pi
    np.testing.assert_allclose(probability, cumulated, atol=1e-5)
    squares = init.marchenko_pastur(s**2)
    np.testing.assert_allclose(2 * s * squares, density, rtol=1e-8)


def test_fourth_moment_of_a_product_by_hand():
    # E s^4 = L + 1: each factor adds one.
    assert [init.product_moment(2, depth) for depth in (1, 2, 30)] == [2, 3, 31]


@pytest.mark.parametrize("depth", [0, -1, 1.5])
def test_depths_that_are_none(depth):
    for function in (init.product_law, init.product_norm, lambda d: init.product_moment(2, d)):
        with pytest.raises(ValueError, match="depth must be a"):
            function(depth)


def test_other_arguments_that_are_wrong():
    with pytest.raises(ValueError, match="k must be"):
        init.product_moment(0, 1)
    with pytest.raises(ValueError, match="points must be"):
        init.product_law(2, points=1)
    for ratio in (0, -1, np.inf):
        with pytest.raises(ValueError, match="ratio must be"):
            init.marchenko_pastur(1.0, ratio)
