"""The law of a single layer's gain: against simulation, against its moments, and as a rule."""

import numpy as np
import pytest
from scipy import integrate, stats

from initlib.lab.gain_law import follows_law, gain_cdf, gain_quantile, law_distance

CASES = [(1, 1.0), (16, 1.0), (4096, 1.0), (1, 0.0), (2, 0.0), (16, 0.0), (4096, 0.0)]


def draw(n_out, a, size, seed):
    z = np.random.default_rng(seed).standard_normal((size, n_out))
    y = np.where(z > 0, z, a * z)
    return (y**2).mean(axis=1) * 2 / (1 + a * a)


@pytest.mark.parametrize(("n_out", "a"), [case for case in CASES if case[0] < 100])
def test_law_of_simulated_layers(n_out, a):
    # With one ReLU unit half of all draws are exactly zero: the law has an atom there.
    gains = draw(n_out, a, 20_000, seed=n_out)
    at = np.quantile(gains, [0.55, 0.7, 0.9, 0.99])
    below = (gains[:, None] <= at).mean(axis=0)
    assert np.abs(below - gain_cdf(at, n_out, a)).max() < stats.kstwo.isf(1e-6, 20_000)


@pytest.mark.parametrize(("n_out", "a"), CASES)
def test_mean_is_one_and_relative_variance_as_derived(n_out, a):
    # E X = int P(X > x) dx and E X^2 = int 2 x P(X > x) dx for X >= 0.
    points = np.concatenate([np.linspace(0, 6, 40_001), np.geomspace(6.001, 100, 4000)])
    above = 1 - gain_cdf(points, n_out, a)
    mean = integrate.trapezoid(above, points)
    second = integrate.trapezoid(2 * points * above, points)
    assert mean == pytest.approx(1, abs=1e-3)
    assert second - mean**2 == pytest.approx((2 if a else 5) / n_out, rel=5e-3)


@pytest.mark.parametrize(("n_out", "a"), CASES[1:3] + CASES[5:])
def test_quantiles_invert_the_law(n_out, a):
    for probability in (0.005, 0.5, 0.995):
        gain = gain_quantile(probability, n_out, a)
        assert gain_cdf(gain, n_out, a) == pytest.approx(probability, abs=1e-9)


def test_quantile_is_zero_where_all_units_may_be_off():
    # Four ReLU units are all off in one of 16 draws.
    assert gain_quantile(0.06, 4, a=0.0) == 0
    assert gain_quantile(0.07, 4, a=0.0) > 0


def test_other_slopes_are_refused():
    with pytest.raises(ValueError, match=r"a=0\.5"):
        gain_cdf(1.0, 16, 0.5)


def test_distance_is_that_of_kolmogorov_and_smirnov():
    sample = np.random.default_rng(3).random(50)
    assert law_distance(sample) == pytest.approx(stats.kstest(sample, "uniform").statistic)


def test_the_rule_rejects_a_law_that_is_two_percent_off_but_not_the_law():
    gains = draw(64, 1.0, 20_000, seed=1)
    rule = follows_law(1e-4)
    measured = [law_distance(gain_cdf(scale * gains, 64)) for scale in (1, 1.02)]
    assert [rule.passes(one, n=20_000).item() for one in measured] == [True, False]
