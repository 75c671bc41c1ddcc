"""Estimates over seeds agree with scipy and refuse what they can't estimate."""

import numpy as np
import pytest
from scipy import stats

from initlib.lab.estimates import estimate, holm, paired
from initlib.sampling import normal, stream_key

A, B = normal(stream_key(0, "arms"), 0, 40, np.float64).reshape(2, 20)


@pytest.mark.parametrize("axis", [0, 1])
def test_estimate_is_the_mean_with_students_interval(axis):
    samples = np.stack([A, B], axis=1 - axis)
    result = estimate(samples, axis=axis)
    expected = stats.t.interval(
        0.95, 19, loc=samples.mean(axis), scale=stats.sem(samples, axis=axis)
    )
    assert result.n == 20
    np.testing.assert_allclose(result.se, stats.sem(samples, axis=axis))
    np.testing.assert_allclose((result.low, result.high), expected)


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_paired_is_the_signed_rank_test_with_a_bootstrap_interval(alternative):
    result = paired(A, B, alternative=alternative)
    assert result.p == pytest.approx(stats.wilcoxon(A, B, alternative=alternative).pvalue)
    assert result.value == pytest.approx((A - B).mean())
    reference = stats.bootstrap(
        (A - B,), np.mean, method="percentile", n_resamples=10_000, rng=np.random.default_rng(1)
    ).confidence_interval
    # The quantiles of 10,000 resamples have a standard error of 0.03 se: 5 of them, twice.
    assert result.low == pytest.approx(reference.low, abs=0.25 * result.se)
    assert result.high == pytest.approx(reference.high, abs=0.25 * result.se)


def test_equal_arms_are_no_evidence():
    assert paired(A, A).p == 1.0
    three_differ = np.where(np.arange(20) < 3, B, A)
    assert paired(A, three_differ).p >= 2 / 2**3


def test_the_smallest_comparison_can_still_be_significant():
    assert paired(np.arange(1.0, 9.0), np.zeros(8)).p < 0.01


def test_holm_agrees_with_its_definition():
    p = np.array([0.01, 0.04, 0.03, 0.005, 0.5])
    for alpha in (0.02, 0.03, 0.05, 0.1):
        rejected = set()
        for step, i in enumerate(np.argsort(p)):
            if p[i] > alpha / (p.size - step):
                break
            rejected.add(i)
        assert set(np.flatnonzero(holm(p) <= alpha)) == rejected


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: estimate([1.0]), "at least 2"),
        (lambda: estimate([1.0, np.nan]), "isn't finite"),
        (lambda: paired(A[:7], B[:7]), "at least 8"),
        (lambda: paired(A, B[:9]), "shapes"),
        (lambda: paired(A, np.full(20, np.inf)), "isn't finite"),
        (lambda: holm([0.1, 1.2]), "p-values"),
    ],
)
def test_what_cannot_be_estimated_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
