"""Hermite series of activations against what is known of them."""

import numpy as np
import pytest

from initlib.activations import activation
from initlib.callables import as_activation
from initlib.hermite import mehler, slope_spectrum
from initlib.moments import moments


def test_a_cubic_has_two_orders():
    """x^3 = sqrt(6) h_3 + 3 h_1 in the orthonormal polynomials."""
    shares = slope_spectrum(as_activation(lambda x: x**3), np.ones(1))[0]
    np.testing.assert_allclose(shares[:4], [9, 0, 3 * 6, 0], atol=1e-12)
    assert shares[4:].max() < 1e-12


@pytest.mark.parametrize("name", ["tanh", "erf", "gelu", "silu", "sigmoid", "softplus"])
@pytest.mark.parametrize("q", [1e-3, 1.0, 10.0])
def test_shares_add_up_to_the_squared_derivative(name, q):
    shares = slope_spectrum(activation(name), np.array([q]))
    assert shares.sum() == pytest.approx(moments(name, q).squared_derivative, rel=1e-11)


def test_the_series_of_erf_is_its_kernel():
    """E erf(x) erf(y) = 2/pi asin(2 q c / (1 + 2q)): Williams 1998."""
    q, c = 0.7, np.array([-0.9, -0.2, 0.0, 0.4, 0.99])
    shares = np.repeat(slope_spectrum(activation("erf"), np.array([q])), len(c), axis=0)
    chord, slope = mehler(shares, np.arccos(c))
    top = 2 * q / (1 + 2 * q)
    kernel = 2 / np.pi * np.arcsin(top * c)
    np.testing.assert_allclose(chord * q * (1 - c), 2 / np.pi * np.arcsin(top) - kernel, atol=1e-13)
    np.testing.assert_allclose(slope * q, 2 / np.pi * top / np.sqrt(1 - (top * c) ** 2), atol=1e-12)
