"""Fills: the law of the values, and that nothing but key and index decides them.

Every test has a fixed seed. Taken as random they would raise a false alarm with probability below
ALPHA each, so that the whole file passes on all but one in a thousand sets of seeds.
"""

import math
import os

import numpy as np
import pytest
import torch
from scipy import stats

from initlib import compiled, sampling
from initlib.sampling import fill_normal_, fill_truncated_normal_, fill_uniform_, stream_key

ALPHA = 1e-6
KEY = stream_key(0, "tests of sampling")

FILLS = {
    "uniform": (
        lambda t, key, **kw: fill_uniform_(t, key, -0.3, 1.7, **kw),
        stats.uniform(-0.3, 2.0),
    ),
    "normal": (lambda t, key, **kw: fill_normal_(t, key, 0.5, 2.0, **kw), stats.norm(0.5, 2.0)),
    "truncated": (
        lambda t, key, **kw: fill_truncated_normal_(t, key, 0.0, 0.5, -1.0, 1.0, **kw),
        stats.truncnorm(-2, 2, scale=0.5),
    ),
    "tail": (
        lambda t, key, **kw: fill_truncated_normal_(t, key, 0.0, 0.5, 1.0, 2.0, **kw),
        stats.truncnorm(2, 4, scale=0.5),
    ),
}
EPSILON = {torch.float64: 0.0, torch.float32: 2**-24, torch.float16: 2**-11, torch.bfloat16: 2**-8}


@pytest.fixture(params=["compiled", "reference"])
def path(request, monkeypatch):
    """Both ways to the same bits; where nothing was compiled, the reference twice."""
    if request.param == "reference":
        monkeypatch.setattr(compiled, "available", False)


def test_the_compiled_streams_are_in_use_where_they_were_built():
    built = list(compiled.Path(compiled.__file__).parent.glob("_kernel*.so"))
    assert compiled.available == (bool(built) and os.environ.get("INITLIB_KERNEL") != "off")


@pytest.mark.parametrize("dtype", EPSILON, ids=str)
@pytest.mark.parametrize("name", FILLS)
def test_law(name, dtype):
    # n = 2e5 sees a Kolmogorov distance of 0.8 % with power 0.99. Rounding to the dtype moves a
    # value by at most eps |x|, and so the distribution function by eps times the largest x pdf(x).
    fill, law = FILLS[name]
    n = 200_000
    x = fill(torch.empty(n, dtype=dtype), KEY).double().numpy()
    grid = np.linspace(*law.ppf([1e-4, 1 - 1e-4]), 1000)
    rounding = EPSILON[dtype] * np.max(np.abs(grid) * law.pdf(grid))
    distance = stats.kstest(x, law.cdf).statistic
    assert distance < stats.kstwo.isf(ALPHA, n) + rounding
    z_mean = (x.mean() - law.mean()) / (law.std() / math.sqrt(n))
    kurtosis = float(law.stats("k")) + 2
    z_variance = (((x - law.mean()) ** 2).mean() / law.var() - 1) / math.sqrt(kurtosis / n)
    bound = stats.norm.isf(ALPHA / 2)
    assert abs(z_mean) < bound + EPSILON[dtype] * math.sqrt(n)
    assert abs(z_variance) < bound + 2 * EPSILON[dtype] * math.sqrt(n)


def test_normal_tails_to_five_standard_deviations(path):
    # The counts beyond z are binomial: 5e4, 1900, 250 and 2.3 are expected.
    n = 4_000_000
    x = np.abs(sampling.normal(KEY, 0, n))
    for z in (2.5, 3.5, 4.0, 5.0):
        law = stats.binom(n, 2 * stats.norm.sf(z))
        assert law.ppf(ALPHA / 2) <= (x > z).sum() <= law.isf(ALPHA / 2)


def test_no_correlation_within_a_stream_or_between_keys():
    n = 1_000_000
    x = sampling.normal(KEY, 0, n).astype(np.float64)
    others = [sampling.normal(stream_key(seed), 0, n) for seed in range(8)]
    pairs = [(x[lag:], x[:-lag]) for lag in (1, 2, 15, 16, 17, 255, 256, 4096)]
    pairs += [(x, other) for other in others] + [(x**2, other**2) for other in others]
    for a, b in pairs:
        assert abs(stats.pearsonr(a, b).statistic) * math.sqrt(n) < stats.norm.isf(ALPHA / 2)


# (low, high) in standard deviations; the last ones are a one-sided cut and far tails.
BOUNDS = [
    (-2, 2), (-2.9, 1), (0, 0.5), (-0.01, 0.02), (-3, 3), (-0.5, 6), (-math.inf, math.inf),
    (0, math.inf), (-math.inf, -1), (1, 1.01), (2, 4), (-9, -7), (8, math.inf), (37, 38),
]  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("bounds", BOUNDS, ids=str)
def test_truncated_normal_for_any_bounds(bounds, dtype):
    n, mean, std = 50_000, 1.0, 0.25
    low, high = (mean + std * bound for bound in bounds)
    x = fill_truncated_normal_(torch.empty(n, dtype=dtype), KEY, mean, std, low, high)
    assert low <= x.min().item() <= x.max().item() <= high
    z = (x.double().numpy() - mean) / std
    rounding = EPSILON[dtype] * np.abs(z + mean / std).max()
    steepest = stats.truncnorm(*bounds).pdf(np.clip(0, *bounds))
    distance = stats.kstest(z, stats.truncnorm(*bounds).cdf).statistic
    assert distance < stats.kstwo.isf(ALPHA, n) + rounding * steepest


def test_a_tail_beyond_the_range_of_the_distribution_function():
    # Beyond z = 40 the law is exponential with rate z, to 1 / z^2.
    x = fill_truncated_normal_(torch.empty(50_000, dtype=torch.float64), KEY, 0, 1, 1e3, math.inf)
    distance = stats.kstest((x.numpy() - 1e3) * 1e3, stats.expon.cdf).statistic
    assert distance < stats.kstwo.isf(ALPHA, 50_000) + 1e-6


@pytest.mark.parametrize("dtype", EPSILON, ids=str)
@pytest.mark.parametrize("name", FILLS)
def test_any_slice_equals_that_slice_of_the_whole(name, dtype, path):
    fill, _ = FILLS[name]
    whole = fill(torch.empty(70_000, dtype=dtype), KEY)
    for start, stop in [(0, 1), (1, 300), (255, 257), (65_535, 65_537), (60_001, 70_000), (7, 7)]:
        part = fill(torch.empty(stop - start, dtype=dtype), KEY, offset=start)
        assert torch.equal(part, whole[start:stop])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64], ids=str)
def test_threads_do_not_change_a_bit(dtype, path):
    threads = torch.get_num_threads()
    filled = []
    try:
        for workers in (1, 2, 7, 16):
            torch.set_num_threads(workers)
            filled.append(fill_normal_(torch.empty(3, 1_500_001, dtype=dtype), KEY, 0, 1))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(filled[0], other) for other in filled[1:])


@pytest.mark.parametrize("name", FILLS)
def test_reference_and_compiled_streams_agree_bit_for_bit(name, monkeypatch):
    fill, _ = FILLS[name]
    size, far = 1_000_003, 2**61
    fast = [fill(np.empty(size, np.float32), KEY, offset=offset) for offset in (0, far)]
    monkeypatch.setattr(compiled, "available", False)
    slow = [fill(np.empty(size, np.float32), KEY, offset=offset) for offset in (0, far)]
    assert np.array_equal(fast, slow)


LAYOUTS = {
    "transposed": lambda d: torch.empty(40, 30, 20, 2, dtype=d).permute(3, 2, 1, 0),
    "channels_last": lambda d: torch.empty(2, 20, 30, 40, dtype=d).to(
        memory_format=torch.channels_last
    ),
    "every other": lambda d: torch.empty(2, 20, 30, 80, dtype=d)[..., ::2],
    "parameter": lambda d: torch.nn.Parameter(torch.empty(2, 20, 30, 40, dtype=d)),
    "numpy": lambda d: np.empty((2, 20, 30, 40), str(d).removeprefix("torch.")),
    "numpy reversed": lambda d: np.empty((2, 20, 30, 40), str(d).removeprefix("torch."))[::-1],
}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16], ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layout_does_not_change_a_value(layout, dtype, path):
    plain = fill_normal_(torch.empty(2, 20, 30, 40, dtype=dtype), KEY, 0, 1)
    target = LAYOUTS[layout](dtype)
    assert fill_normal_(target, KEY, 0, 1) is target
    assert torch.equal(
        torch.as_tensor(np.asarray(target.detach() if layout == "parameter" else target).copy()),
        plain,
    )


def test_low_precision_is_the_single_value_rounded_once(path):
    single = fill_normal_(torch.empty(50_000), KEY, 0, 0.02)
    for dtype in (torch.float16, torch.bfloat16):
        assert torch.equal(
            fill_normal_(torch.empty(50_000, dtype=dtype), KEY, 0, 0.02), single.to(dtype)
        )


def test_values_stay_inside_bounds_that_the_dtype_cannot_hold():
    # 0.0391 lies between two bfloat16 values; rounding to the nearest would pass it.
    x = fill_uniform_(torch.empty(200_000, dtype=torch.bfloat16), KEY, -0.0391, 0.0391)
    assert x.abs().max().double() <= 0.0391


def test_meta_and_empty_tensors_are_left_alone():
    meta = torch.empty(10**6, 10**6, device="meta")
    assert fill_normal_(meta, KEY, 0, 1) is meta
    assert fill_normal_(torch.empty(0, 3), KEY, 0, 1).shape == (0, 3)


def test_scalars_are_filled():
    assert fill_normal_(torch.zeros(()), KEY, 0, 1) == sampling.normal(KEY, 0, 1)[0]


def test_a_fill_needs_no_copy_of_the_tensor():
    import tracemalloc

    targets = [torch.empty(2048, 2048, dtype=torch.bfloat16), torch.empty(2048, 2048).t()]
    for target in targets:
        tracemalloc.start()
        fill_normal_(target, KEY, 0, 1)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 8 * 2**20


@pytest.mark.parametrize(("n", "k"), [(5, 2), (6, 6), (4, 0), (40, 3), (300, 2)])
def test_choices_are_uniform_over_subsets(n, k):
    # Chi-square over all subsets (over members, where there are too many): 20 expected a cell.
    subsets = math.comb(n, k)
    rows = 20 * min(subsets, 10_000)
    chosen = sampling.choices(KEY, rows, n, k)
    assert chosen.shape == (rows, k)
    assert (np.diff(chosen, axis=1) > 0).all()
    if subsets > 10_000:
        counts = np.bincount(chosen.ravel(), minlength=n)
        # A row holds a member at most once: the counts vary less than a multinomial's.
        statistic = ((counts - rows * k / n) ** 2).sum() / (rows * k / n) / (1 - (k - 1) / (n - 1))
        degrees = n - 1
    else:
        counts = (
            np.unique(chosen @ n ** np.arange(k), return_counts=True)[1] if k else np.array([rows])
        )
        statistic = ((counts - rows / subsets) ** 2).sum() / (rows / subsets)
        statistic += (subsets - len(counts)) * rows / subsets
        degrees = subsets - 1
    assert statistic <= stats.chi2.isf(ALPHA, degrees) if degrees else statistic == 0


@pytest.mark.parametrize(("n", "k"), [(1000, 4), (10, 7)])
def test_choices_of_a_row_depend_on_the_row_alone(n, k):
    whole = sampling.choices(KEY, 500, n, k)
    assert np.array_equal(sampling.choices(KEY, 100, n, k, offset=300), whole[300:400])


def test_permutation_is_one_and_depends_on_the_key():
    first = sampling.permutation(KEY, 1000)
    assert sorted(first) == list(range(1000))
    assert not np.array_equal(first, sampling.permutation(stream_key(1), 1000))


READ_ONLY = np.ones(4)
READ_ONLY.flags.writeable = False

BAD_TARGETS = [
    (torch.zeros(3, dtype=torch.int64), TypeError, "floating-point"),
    (np.zeros(3, int), TypeError, "floating-point"),
    (torch.zeros(3, dtype=torch.complex64), TypeError, "floating-point"),
    ([0.0, 1.0], TypeError, "list"),
    (torch.ones(3, requires_grad=True) * 2, ValueError, "autograd graph"),
    (torch.zeros(3, 1).expand(3, 4), ValueError, "clone"),
    (READ_ONLY, ValueError, "read-only"),
]


@pytest.mark.parametrize(("target", "error", "text"), BAD_TARGETS)
def test_targets_that_cannot_be_filled_are_refused(target, error, text):
    before = repr(target)
    with pytest.raises(error, match=text):
        fill_normal_(target, KEY, 0, 1)
    assert repr(target) == before


BAD_NUMBERS = [
    (lambda t: fill_normal_(t, KEY, 0, -1), "std must not be negative"),
    (lambda t: fill_normal_(t, KEY, math.nan, 1), "mean must be finite"),
    (lambda t: fill_normal_(t, KEY, 0, math.inf), "std must be finite"),
    (lambda t: fill_uniform_(t, KEY, 1, 0), "low <= high"),
    (lambda t: fill_uniform_(t, KEY, math.nan, 0), "low must be finite"),
    (lambda t: fill_truncated_normal_(t, KEY, 0, 1, 2, 2), "low < high"),
    (lambda t: fill_truncated_normal_(t, KEY, 0, 1, math.nan, 2), "low < high"),
    (lambda t: fill_truncated_normal_(t, KEY, 0, 0, 1, 2), "std=0"),
    (
        lambda t: fill_truncated_normal_(t.bfloat16(), KEY, 1, 1, 1.0001, 1.0002),
        "no torch.bfloat16",
    ),
]


@pytest.mark.parametrize(("call", "text"), BAD_NUMBERS)
def test_numbers_that_make_no_law_are_refused(call, text):
    target = torch.full((4,), 7.0)
    with pytest.raises(ValueError, match=text):
        call(target)
    assert (target == 7).all()
