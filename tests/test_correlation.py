"""Maps of correlations against integration in two dimensions by mpmath, and closed forms."""

import math
from dataclasses import replace

import numpy as np
import pytest
from mpmath import fp

from initlib.activations import ACTIVATIONS, activation
from initlib.callables import as_activation
from initlib.correlation import Correlation

SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805

# name: the function of a float, and where it is not smooth
FUNCTIONS = {
    "relu": (lambda x: max(x, 0.0), [0]),
    "leaky_relu": (lambda x: x if x > 0 else x / 100, [0]),
    "tanh": (math.tanh, []),
    "erf": (math.erf, []),
    "sin": (math.sin, []),
    "sigmoid": (lambda x: 1 / (1 + math.exp(-x)), []),
    "gelu": (lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2, []),
    "silu": (lambda x: x / (1 + math.exp(-x)), []),
    "hardtanh": (lambda x: max(-1.0, min(1.0, x)), [-1, 1]),
    "hardswish": (lambda x: x * max(0, min(6, x + 3)) / 6, [-3, 3]),
    "softsign": (lambda x: x / (1 + abs(x)), [0]),
    "selu": (lambda x: SELU_SCALE * (x if x > 0 else SELU_ALPHA * math.expm1(x)), [0]),
    "hardshrink": (lambda x: x if abs(x) > 0.5 else 0.0, [-0.5, 0.5]),
}


def by_mpmath(f, kinks, q, theta):
    """Integrate the chord over two independent normal variables, tanh-sinh in each."""
    c, s, std = math.cos(theta), math.sin(theta), math.sqrt(q)

    def over_second(z):
        value = f(std * z)
        ends = [(kink / std - c * z) / s for kink in kinks]
        points = sorted([-9, -3, 0, 3, 9, *(end for end in ends if abs(end) < 9)])

        def square(w):
            return (f(std * (c * z + s * w)) - value) ** 2 * math.exp(-w * w / 2)

        return fp.quad(square, points) * math.exp(-z * z / 2)

    points = sorted([-9, -3, 0, 3, 9, *(kink / std for kink in kinks)])
    return fp.quad(over_second, points) / (2 * math.pi) / (2 * q * (1 - c))


def chord(phi, q, theta):
    """One chord, slope and error."""
    return np.concatenate(Correlation(phi, np.array([q]))(np.array([theta]), np.array([0])))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_against_mpmath(name):
    q, theta = 0.3, 0.7
    exact = by_mpmath(*FUNCTIONS[name], q, theta)
    value, _, error = chord(activation(name), q, theta)
    assert value == pytest.approx(exact, rel=1e-11)
    assert error < 1e-9


@pytest.mark.parametrize("name", ["tanh", "gelu", "hardtanh"])
def test_against_mpmath_at_a_negative_correlation(name):
    exact = by_mpmath(*FUNCTIONS[name], 4.0, 2.2)
    assert chord(activation(name), 4.0, 2.2)[0] == pytest.approx(exact, rel=1e-11)


@pytest.mark.parametrize("name", ["leaky_relu", "linear", "erf"])
@pytest.mark.parametrize("q", [0.02, 50.0])
@pytest.mark.parametrize("theta", [0.0, 1e-7, 0.3, 1.9, np.pi])
def test_closed_forms_of_pairs_are_the_integrals(name, q, theta):
    phi = activation(name)
    value, slope, _ = chord(replace(phi, closed_form=None, closed_form_of_pair=None), q, theta)
    exact, exact_slope, _ = chord(phi, q, theta)
    assert value == pytest.approx(exact, abs=2e-10)
    assert slope == pytest.approx(exact_slope, abs=2e-10)


@pytest.mark.parametrize("name", ["tanh", "gelu", "hardtanh", "erf", "relu"])
@pytest.mark.parametrize("theta", [0.2, 2.4])
def test_slope_is_that_of_the_kernel(name, theta):
    """d C / d c = q E phi'(x) phi'(y), with C = E phi^2 - q (1 - c) times the chord."""
    phi, q, h = activation(name), 1.7, 1e-4
    pairs, c = Correlation(phi, np.array([q])), np.cos(theta)
    at = c + h * np.array([-2, -1, 1, 2])
    rho, _, _ = pairs(np.arccos(at), np.zeros(4, int))
    numerical = (-(1 - at) * rho) @ np.array([1, -8, 8, -1]) / (12 * h)
    assert pairs(np.array([theta]), np.array([0]))[1][0] == pytest.approx(numerical, rel=1e-8)


@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if name != "hardshrink"])
def test_signals_that_are_alike_part_by_the_squared_derivative(name):
    phi = activation(name)
    value, slope, _ = chord(phi, 0.8, 0.0)
    total = Correlation(phi, np.array([0.8])).moments.squared_derivative[0]
    np.testing.assert_allclose([value, slope], total, rtol=1e-10)


@pytest.mark.parametrize("name", ["hardtanh", "relu"])
def test_kinks_need_not_be_announced(name):
    phi = activation(name)
    known, found = chord(phi, 1.3, 0.4), chord(as_activation(phi.value), 1.3, 0.4)
    np.testing.assert_allclose(found[:2], known[:2], rtol=1e-11)


@pytest.mark.parametrize("name", ["tanh", "hardtanh", "silu", "erf"])
def test_large_and_small_signals(name):
    """Odd, bounded: sign(x) in the end. At zero: the tangent."""
    phi = activation(name)
    value, slope, _ = chord(phi, 1e-8, 1.0)
    tangent = phi.derivative(np.zeros(1))[0] ** 2
    np.testing.assert_allclose([value, slope], tangent, rtol=1e-6)
    if name != "silu":
        q, theta = 1e10, 1.0
        kernel = 1 - 2 * theta / np.pi  # of sign: E sign(x) sign(y)
        assert chord(phi, q, theta)[0] * q * (1 - np.cos(theta)) == pytest.approx(
            1 - kernel, rel=1e-4
        )
