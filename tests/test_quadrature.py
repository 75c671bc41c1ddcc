"""Gaussian expectations against exact values, announced and unannounced singularities."""

import math

import numpy as np
import pytest

from initlib.quadrature import differentiate, expectation


def cdf(x):
    return math.erfc(-x / math.sqrt(2)) / 2


def narrow(a):
    """E 1 / (1 + a^2 z^2)."""
    return math.sqrt(math.pi / 2) / a * math.exp(a**-2 / 2) * math.erfc(1 / (a * math.sqrt(2)))


# name, f(x), breaks given, q, mean, exact E f(x), worst relative error tolerated
EXACT = [
    ("constant", np.ones_like, (), 1.0, 0.0, 1.0, 1e-14),
    ("eighth power", lambda x: x**8, (), 1.0, 0.0, 105.0, 1e-14),
    ("square, shifted", lambda x: x**2, (), 4.0, 3.0, 13.0, 1e-14),
    ("cosine", np.cos, (), 9.0, 0.5, math.cos(0.5) * math.exp(-4.5), 1e-12),
    ("fast cosine", lambda x: 1 + np.cos(200 * x), (), 1.0, 0.0, 1.0, 1e-12),
    ("exponential", np.exp, (), 2.0, -1.0, 1.0, 1e-13),
    ("tiny scale", lambda x: x**2, (), 1e-30, 0.0, 1e-30, 1e-14),
    ("large scale", lambda x: np.exp(-x * x), (), 1e10, 0.0, (1 + 2e10) ** -0.5, 1e-12),
    ("kink, announced", np.abs, (0,), 1.0, 0.0, math.sqrt(2 / math.pi), 1e-14),
    ("kink", np.abs, (), 1.0, 0.0, math.sqrt(2 / math.pi), 1e-11),
    ("kink off centre", lambda x: np.maximum(x - 1, 0), (), 1.0, 1.0, 0.3989422804014327, 1e-11),
    (
        "break far away",
        lambda x: np.maximum(x, 0),
        (-99, 0, 99),
        1.0,
        0.0,
        0.3989422804014327,
        1e-14,
    ),
    ("jump, announced", lambda x: (x > 0.7) * 1.0, (0.7,), 1.0, 0.0, cdf(-0.7), 1e-14),
    ("jump", lambda x: (x > 0.7) * 1.0, (), 1.0, 0.0, cdf(-0.7), 1e-10),
    ("jump at a round number", lambda x: (x > 0) * 1.0, (), 1.0, 0.0, 0.5, 1e-10),
    ("hundred jumps", lambda x: np.floor(10 * x) + 1000.5, (), 1.0, 0.0, 1000.0, 1e-10),
    ("narrow peak", lambda x: 1 / (1 + 1e8 * x * x), (), 1.0, 0.0, narrow(1e4), 1e-10),
]


@pytest.mark.parametrize(("f", "breaks", "q", "mean", "exact", "tolerated"), [c[1:] for c in EXACT],
                         ids=[c[0] for c in EXACT])  # fmt: skip
def test_exact_values_and_honest_error(f, breaks, q, mean, exact, tolerated):
    value, error = expectation(lambda x, z: f(x)[None], q, mean, breaks)
    assert value.shape == error.shape == (1,)
    assert value[0] == pytest.approx(exact, rel=tolerated)
    assert abs(value[0] - exact) <= error[0] * abs(exact) + 1e-15
    assert error[0] <= 1e-10


def test_jumps_and_kinks_are_found_wherever_they_are():
    rng = np.random.default_rng(list(b"anywhere"))
    for at, mean, std in zip(
        rng.uniform(-3, 3, 300), rng.normal(size=300), rng.lognormal(size=300), strict=True
    ):
        place = mean + std * at

        def integrands(x, z, place=place):
            return np.stack([x > place, np.maximum(x - place, 0)])

        value, error = expectation(integrands, std**2, mean)
        tail = cdf(-at)
        exact = np.array(
            [tail, std * (math.exp(-at * at / 2) / math.sqrt(2 * math.pi) - at * tail)]
        )
        assert np.all(np.abs(value - exact) <= (error + 1e-13) * exact), (place, mean, std)
        assert error.max() < 1e-10


def test_z_is_the_standardized_x():
    q, mean = np.array([0.25, 4.0]), 3.0
    value, _ = expectation(lambda x, z: np.stack([x * z, z, z * z]), q, mean)
    np.testing.assert_allclose(value, [[0.5, 2.0], [0, 0], [1, 1]], atol=1e-14)


def test_many_gaussians_at_once_are_each_alone():
    q, mean = np.geomspace(1e-3, 1e3, 300)[:, None], np.array([-1.0, 0.0, 0.3])

    def integrands(x, z):
        return np.stack([np.tanh(x), np.maximum(x - 0.1, 0) ** 2])

    value, error = expectation(integrands, q, mean)
    assert value.shape == error.shape == (2, 300, 3)
    for i in range(0, 300, 23):
        alone = expectation(integrands, q[i], mean[1]).value[:, 0]
        np.testing.assert_allclose(value[:, i, 1], alone, rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize(
    ("f", "breaks", "most"),
    [
        (np.tanh, (), 1000),
        (np.abs, (0,), 1000),
        (np.abs, (), 2000),
        (np.sign, (), 5000),
        (lambda x: x > 0.7, (0.7,), 1000),
        (lambda x: x >= 0.7, (0.7,), 1000),
    ],
)
def test_evaluations_stay_few(f, breaks, most):
    seen = 0

    def count(x, z):
        nonlocal seen
        seen += x.size
        return f(x)[None]

    expectation(count, breaks=breaks)
    assert seen < most


def test_noise_is_reported_and_not_chased_for_ever():
    rng = np.random.default_rng(list(b"noise"))
    value, error = expectation(lambda x, z: 1 + 1e-4 * rng.standard_normal((1, *x.shape)))
    assert abs(value[0] - 1) < error[0]
    assert error[0] > 1e-6


def test_mass_beyond_the_panels_is_part_of_the_error():
    # E exp(6 x) sits at z = 6, and 1e-9 of it beyond 12; that of exp(8 x) at 8.
    value, error = expectation(lambda x, z: np.exp(np.stack([6 * x, 8 * x])))
    missed = 1 - value / np.exp([18, 32])
    assert np.all(missed < error)
    assert error[1] < 1e-2


@pytest.mark.parametrize("function", [np.sin, np.exp, lambda x: x**23 / 1e6])
def test_differentiate(function):
    # Panels as the quadrature makes them: read them off from a call.
    panels = []
    expectation(lambda x, z: (panels.append(x), np.ones((1, *x.shape)))[1])
    x = panels[0] / 4
    h = 1e-30  # a complex step has no cancellation
    exact = function(x + 1j * h).imag / h
    error = differentiate(x, function(x)) - exact
    assert np.abs(error).max() < 5e-12 * np.abs(exact).max()


@pytest.mark.parametrize(
    ("f", "q", "mean", "message"),
    [
        (np.tanh, 0.0, 0.0, "q must be positive"),
        (np.tanh, [1.0, -1.0], 0.0, "q must be positive"),
        (np.tanh, np.nan, 0.0, "q must be positive"),
        (np.tanh, [], 0.0, "q must be positive"),
        (np.tanh, 1.0, np.inf, "finite"),
        (np.log, 1.0, 0.0, "not finite at x = -"),
        (np.exp, 1e4, 0.0, "not finite at x = "),
    ],
)
def test_refusals(f, q, mean, message):
    with pytest.raises(ValueError, match=message):
        expectation(lambda x, z: f(x)[None], q, mean)
