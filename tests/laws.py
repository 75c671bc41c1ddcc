"""Exact tests of a sample against its law, in any float dtype.

A value drawn from a law is rounded to the nearest number of its dtype. So "the stored value is at
most v" is the event "the drawn value is below the midpoint between v and the next number up", and
its probability is the law's distribution function there: with cells cut at such midpoints the
chi-square test needs no allowance for rounding, not even in bfloat16.

Each statistic of `check_law` raises a false alarm with probability ALPHA. There are under 10 000 of
them in the suite, so that with other seeds all would pass but for one time in a million.

Power, at n = 200 000: seen with probability 0.99 are a standard deviation that is wrong by 1.5 % in
a normal law (1 % in a uniform one), a mean that is off by 2 % of a standard deviation, and a normal
law cut at 3.6 standard deviations or below.
"""

import math

import numpy as np
import torch
from scipy import stats

ALPHA = 1e-10
Z = stats.norm.isf(ALPHA / 2)
CELLS = 64


def check_law(sample, law, cells=CELLS):
    """Assert that independent values of a tensor or array, in its own dtype, follow a scipy law."""
    sample = torch.as_tensor(sample).detach().reshape(-1)
    x = np.sort(sample.double().numpy())
    check_cells(x, law, sample.dtype, cells)
    check_moments(x, law)
    check_extremes(x, law, sample.dtype)


def midpoints(values, dtype, towards=math.inf):
    """Round to the dtype; return the results, and the points halfway to their next neighbours."""
    rounded = torch.as_tensor(values, dtype=torch.float64).to(dtype)
    neighbours = torch.nextafter(rounded, torch.tensor(towards, dtype=dtype))
    return rounded.double().numpy(), ((rounded.double() + neighbours.double()) / 2).numpy()


def check_cells(x, law, dtype, cells):
    edges, cuts = midpoints(law.ppf(np.arange(1, cells) / cells), dtype)
    edges, first = np.unique(edges, return_index=True)
    below = law.cdf(cuts[first])
    edges, below = edges[below < 1], below[below < 1]
    expected = np.diff(below, prepend=0, append=1) * x.size
    observed = np.diff(np.searchsorted(x, edges, side="right"), prepend=0, append=x.size)
    statistic = ((observed - expected) ** 2 / expected).sum()
    limit = stats.chi2.isf(ALPHA, len(expected) - 1)
    assert statistic < limit, f"chi-square {statistic:.0f} over {limit:.0f}"


def check_moments(x, law):
    mean, variance, kurtosis = (float(moment) for moment in law.stats("mvk"))
    z_mean = (x.mean() - mean) / math.sqrt(variance / x.size)
    assert abs(z_mean) < Z, f"mean {x.mean():.6g} for {mean:.6g}, z = {z_mean:.1f}"
    measured = np.mean((x - mean) ** 2)
    z_variance = (measured / variance - 1) / math.sqrt((kurtosis + 2) / x.size)
    assert abs(z_variance) < Z, f"variance {measured:.6g} for {variance:.6g}, z = {z_variance:.1f}"


def check_extremes(x, law, dtype):
    """The largest value M has P(M <= v) = cdf(v)^n; and so the smallest, turned around.

    No number of the dtype is left between the law's bound and the last one inside of it: there the
    extreme cannot be too near.
    """
    low, high = law.support()
    assert low <= x[0], "a value below the support"
    assert x[-1] <= high, "a value above the support"
    for extreme, bound, tail, outwards in (
        (x[-1], high, law.sf, math.inf),
        (x[0], low, law.cdf, -math.inf),
    ):
        _, (outer,) = midpoints([extreme], dtype, outwards)
        _, (inner,) = midpoints([extreme], dtype, -outwards)
        neighbour = 2 * outer - extreme
        last = (neighbour - bound) * outwards > 0
        log_nearer = x.size * np.log1p(-tail(outer))
        assert last or log_nearer > math.log(ALPHA), f"the extreme {extreme:.6g} is too near"
        log_all_inside = x.size * np.log1p(-tail(inner))
        assert -math.expm1(log_all_inside) > ALPHA, f"the extreme {extreme:.6g} is too far"
