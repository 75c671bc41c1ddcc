"""Estimates over seeds: a mean or a paired difference, with its standard error and interval."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from initlib.sampling import stream_key, uniform

LEAST_PAIRS = 8  # the smallest n at which Wilcoxon's two-sided p-value goes below 0.01: 2 / 2^8

Alternative = Literal["two-sided", "greater", "less"]


class Estimate(NamedTuple):
    """A value, its standard error from `n` replicates, its interval, and perhaps a p-value."""

    value: float | np.ndarray
    se: float | np.ndarray
    n: int
    low: float | np.ndarray
    high: float | np.ndarray
    p: float | None = None


def estimate(samples: ArrayLike, axis: int = 0, level: float = 0.95) -> Estimate:
    """Estimate a mean from independent replicates, with Student's t interval.

    For a heavy-tailed positive quantity pass its logarithm.

    Parameters
    ----------
    samples : array_like
        Replicates along `axis`; at least 2, all finite.
    axis : int
        The axis of the replicates.
    level : float
        Coverage of the interval.

    Returns
    -------
    Estimate
        Each part of the shape of `samples` without `axis`.

    Raises
    ------
    ValueError
        For fewer than 2 replicates or a value that isn't finite.

    Examples
    --------
    >>> value, se, n, low, high, _ = estimate([1.0, 2.0, 3.0])
    >>> print(f"{value:.2f} ± {se:.2f} (n = {n}), 95 % interval {low:.2f} to {high:.2f}")
    2.00 ± 0.58 (n = 3), 95 % interval -0.48 to 4.48
    """
    samples = _finite(samples, "samples")
    n = samples.shape[axis] if samples.ndim else 0
    if n < 2:
        raise ValueError(f"a standard error needs at least 2 replicates, got {n}")
    mean = samples.mean(axis)
    se = samples.std(axis, ddof=1) / np.sqrt(n)
    reach = stdtrit(n - 1, (1 + level) / 2) * se
    return Estimate(mean[()], se[()], n, (mean - reach)[()], (mean + reach)[()])


def paired(
    a: ArrayLike,
    b: ArrayLike,
    *,
    alternative: Alternative = "two-sided",
    level: float = 0.95,
    resamples: int = 10_000,
) -> Estimate:
    """Compare two arms that share their seeds: mean of a - b, bootstrap interval, Wilcoxon's p.

    For a ratio pass logarithms.

    Parameters
    ----------
    a, b : array_like, shape (n,)
        One value a seed, in the same order of seeds; n >= 8.
    alternative : {"two-sided", "greater", "less"}
        "greater" tests whether a exceeds b.
    level : float
        Coverage of the percentile bootstrap interval of the mean difference.
    resamples : int
        Bootstrap samples; always the same ones.

    Returns
    -------
    Estimate
        With p from the signed-rank test.

    Raises
    ------
    ValueError
        For unequal shapes, fewer than 8 pairs or a value that isn't finite.

    Examples
    --------
    >>> a = [3.1, 2.9, 3.4, 3.0, 3.3, 2.8, 3.2, 3.5]
    >>> b = [2.0, 2.1, 2.2, 2.5, 2.4, 2.3, 1.9, 2.6]
    >>> result = paired(a, b, alternative="greater")
    >>> print(f"{result.value:.2f}, {result.low:.2f} to {result.high:.2f}, p = {result.p:.4f}")
    0.90, 0.70 to 1.09, p = 0.0039
    """
    from scipy.stats import wilcoxon  # a second to import, and most notebooks compare nothing

    a, b = _finite(a, "a"), _finite(b, "b")
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"a and b need one value a seed each, got shapes {a.shape} and {b.shape}")
    if a.size < LEAST_PAIRS:
        raise ValueError(f"a paired comparison needs at least {LEAST_PAIRS} seeds, got {a.size}")
    difference = a - b
    n = difference.size
    draws = uniform(stream_key(0, "bootstrap"), 0, resamples * n, np.float64)
    means = difference[(draws * n).astype(np.int64)].reshape(resamples, n).mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    # Equal pairs tell nothing. Exact, since the normal approximation errs on the unsafe side.
    unequal = difference[difference != 0]
    method = "exact" if unequal.size <= 50 else "asymptotic"
    p = wilcoxon(unequal, alternative=alternative, method=method).pvalue if unequal.size else 1.0
    se = difference.std(ddof=1) / np.sqrt(n)
    return Estimate(difference.mean(), se, n, low, high, float(p))


def holm(pvalues: ArrayLike) -> np.ndarray:
    """Adjust p-values so that the chance of any false discovery among them stays at its level.

    Parameters
    ----------
    pvalues : array_like, shape (k,)
        Of k tests.

    Returns
    -------
    ndarray, shape (k,)
        In the same order, to be compared with the level for one test.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).round(3)
    array([0.03, 0.06, 0.06])

    References
    ----------
    Holm 1979.
    """
    p = _finite(pvalues, "pvalues")
    if p.ndim != 1 or ((p < 0) | (p > 1)).any():
        raise ValueError(f"p-values must be a list of numbers in [0, 1], got {pvalues}")
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted


def _finite(values: ArrayLike, name: str) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    if not np.isfinite(values).all():
        bad = np.argwhere(~np.isfinite(values))[0].tolist()
        raise ValueError(f"{name} holds a value that isn't finite, at {bad}; drop or bound it")
    return values
