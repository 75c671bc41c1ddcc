"""Lengths at finite width: exact values by another route, and Monte Carlo of whole networks."""

import mpmath
import numpy as np
import pytest

import initlib as init
from initlib.lab.lengths import sample_lengths


def log_moments(n, relu):
    """Mean and variance of a layer's log ratio, from derivatives of its moments E r^t at t = 0."""
    with mpmath.workdps(40):

        def moment(t):
            counts = range(1, n + 1) if relu else [n]
            weights = [mpmath.binomial(n, k) if relu else 1 for k in counts]
            terms = (
                w * (2 * (1 + relu) / mpmath.mpf(n)) ** t * mpmath.gammaprod([k / 2 + t], [k / 2])
                for w, k in zip(weights, map(mpmath.mpf, counts), strict=True)
            )
            return mpmath.log(sum(terms) / sum(weights))

        return [float(mpmath.diff(moment, 0, order)) for order in (1, 2)]


@pytest.mark.parametrize("activation", ["relu", "linear"])
@pytest.mark.parametrize("n", [1, 3, 20, 65])
def test_log_moments_against_derivatives_of_the_moments(n, activation):
    law = init.log_length([n], activation)
    np.testing.assert_allclose(law[:2], log_moments(n, activation == "relu"), rtol=1e-9, atol=1e-12)
    assert law.alive == (1 - 0.5**n if activation == "relu" else 1)


@pytest.mark.parametrize("activation", ["relu", "linear"])
def test_layers_add_up(activation):
    widths = [5, 9, 5, 33]
    parts = np.array([init.log_length([n], activation) for n in widths])
    whole = init.log_length(np.array(widths), activation)
    np.testing.assert_allclose(whole[:2], parts[:, :2].sum(axis=0), rtol=1e-12)
    assert whole.alive == pytest.approx(parts[:, 2].prod())
    seconds = [init.length_second_moment([n], activation) for n in widths]
    assert init.length_second_moment(widths, activation) == pytest.approx(np.prod(seconds))


@pytest.mark.parametrize(("activation", "excess"), [("relu", 5), ("linear", 2)])
def test_wide_layers(activation, excess):
    widths = [2000] * 3
    law = init.log_length(widths, activation)
    beta = init.width_beta(widths)
    assert beta == pytest.approx(0.0015)
    np.testing.assert_allclose(law[:2], [-excess * beta / 2, excess * beta], rtol=3e-3)
    second = init.length_second_moment(widths, activation)
    assert second == pytest.approx(np.exp(excess * beta), rel=1e-5)
    assert np.isfinite(init.log_length([100_000], activation)).all()


@pytest.mark.parametrize("activation", ["relu", "linear"])
def test_networks(activation):
    # 20000 networks, six statistics of each activation, z = 4.5: alpha = 8e-5.
    widths = [12, 6, 20]
    signal, gradient = sample_lengths(widths, 20_000, inputs=5, activation=activation, key=1)
    lengths, law = signal[:, -1], init.log_length(widths, activation)
    logs = np.log(lengths[lengths > 0])
    for values, expected in (
        (lengths > 0, law.alive),
        (logs, law.mean),
        ((logs - law.mean) ** 2, law.variance),
        (lengths, 1.0),
        (lengths**2, init.length_second_moment(widths, activation)),
        # A gradient has the law of a length, times a chi-squared over its dimensions, which are 5.
        (np.log(gradient[lengths > 0]), law.mean + init.log_length([5], "linear").mean),
    ):
        error = values.std(ddof=1) / len(values) ** 0.5
        assert abs(values.mean() - expected) <= 4.5 * error
        assert error < 0.05 * abs(expected)


@pytest.mark.parametrize("function", [init.width_beta, init.length_second_moment, init.log_length])
@pytest.mark.parametrize("widths", [[], [0, 3], [2.5], -1, ["8"]])
def test_widths_that_are_none(function, widths):
    with pytest.raises(ValueError, match="positive whole numbers"):
        function(widths)


def test_other_activations():
    with pytest.raises(ValueError, match="did you mean 'relu'"):
        init.log_length([3], "rleu")
    with pytest.raises(ValueError, match="got 'tanh'"):
        init.length_second_moment([3], "tanh")
