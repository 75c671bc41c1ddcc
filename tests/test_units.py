"""Sparse weights and unit rows: counts and norms exact, supports and directions uniform.

See laws.py for the tests of laws, their level and their power.
"""

import itertools
import math
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from laws import ALPHA, check_law
from scipy import stats

import initlib as init
from initlib import units
from initlib.sampling import stream_key

DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
EPSILON = {torch.float64: 1e-15, torch.float32: 1e-6, torch.float16: 2**-11, torch.bfloat16: 2**-8}


def by_row(w, nonzeros, key, std=None):
    return init.sparse_(w, std=std, generator=key, nonzeros=nonzeros)


def by_column(w, zeros, key, std=None):
    """Ask for `zeros` zeros in each column of w."""
    return init.sparse_(w, (zeros - 0.5) / w.shape[0] if zeros else 0.0, std, key)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("nonzeros", [0, 1, 15, 49, 50, 51, 90, 100])
def test_each_unit_has_so_many_incoming_weights(nonzeros, dtype):
    w = by_row(torch.full((40, 100), 7.0, dtype=dtype), nonzeros, stream_key(0, "count"))
    assert (w != 0).sum(1).tolist() == [nonzeros] * 40


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("sparsity", [0.0, 0.001, 0.1, 0.5, 0.501, 0.9, 1.0])
def test_each_column_has_its_fraction_of_zeros(sparsity, dtype):
    w = init.sparse_(torch.full((100, 40), 7.0, dtype=dtype), sparsity, generator=0)
    assert (w == 0).sum(0).tolist() == [math.ceil(100 * sparsity)] * 40


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(
    ("fill", "std"),
    [
        (lambda w, key: by_row(w, 15, key), 1.0),
        (lambda w, key: by_row(w, 90, key, 0.2), 0.2),
        (lambda w, key: by_column(w, 1800, key), 0.01),
        (lambda w, key: by_column(w, 100, key, 0.5), 0.5),
    ],
    ids=["few in a row", "many in a row", "few in a column", "many in a column"],
)
def test_weights_that_are_not_zero_follow_their_law(fill, std, dtype):
    # 30 000 weights or more, 200 000 but for the first; the power falls with the root of that.
    w = fill(torch.empty(2000, 1000 if std == 0.01 else 110, dtype=dtype), stream_key(0, "values"))
    check_law(w[w != 0], stats.norm(0, std))


@pytest.mark.parametrize("kept", [1, 2, 3, 4])
@pytest.mark.parametrize("mode", ["row", "column"])
def test_supports_are_uniform_over_subsets_and_independent(mode, kept):
    # Chi-square over the pairs of supports of neighbouring units, 25 to 100 cells: with 100 000
    # pairs, a share of subsets that is off by 10 % of itself everywhere is seen with certainty.
    size, units = 5, 200_000
    key = stream_key(0, "supports", mode, kept)
    if mode == "row":
        w = by_row(np.empty((units, size), np.float32), kept, key)
    else:
        w = by_column(np.empty((size, units), np.float32), size - kept, key).T
    code = (w != 0) @ (1 << np.arange(size))
    subsets = [sum(1 << i for i in s) for s in itertools.combinations(range(size), kept)]
    index = np.searchsorted(np.sort(subsets), code)
    pairs = np.bincount(index[::2] * len(subsets) + index[1::2], minlength=len(subsets) ** 2)
    assert stats.chisquare(pairs).pvalue > ALPHA


def test_second_moment_of_a_unit_is_that_of_martens():
    # The squares of fifteen N(0, 1): mean 15, variance 30 between units.
    w = by_row(np.empty((100_000, 40)), 15, stream_key(0, "moment"))
    check_law((w**2).sum(1), stats.chi2(15))


@pytest.mark.parametrize("nonzeros", [3, 50])
def test_a_unit_does_not_depend_on_those_after_it(nonzeros):
    # 9000 rows of 64 take several blocks.
    whole = by_row(torch.empty(9000, 64), nonzeros, stream_key(0, "prefix"))
    part = by_row(torch.empty(5000, 64), nonzeros, stream_key(0, "prefix"))
    assert torch.equal(whole[:5000], part)


def test_blocks_do_not_repeat_each_other():
    w = by_row(torch.empty(9000, 64), 3, stream_key(0, "blocks"))
    assert len(torch.unique(w, dim=0)) == 9000


@pytest.mark.parametrize("sparsity", [0.1, 0.9])
def test_generator_decides_the_zeros_too(sparsity):
    first, again = (
        init.sparse_(torch.empty(50, 50), sparsity, generator=torch.Generator().manual_seed(3))
        for _ in range(2)
    )
    assert torch.equal(first, again)


@pytest.mark.parametrize(
    "fill",
    [
        lambda w: by_row(w, 15, stream_key(0)),
        lambda w: by_column(w, 200, stream_key(0)),
        lambda w: init.unit_rows_(w, generator=0),
    ],
    ids=["sparse rows", "sparse columns", "unit rows"],
)
def test_scratch_memory_is_that_of_a_block(fill):
    # NumPy's arrays are traced; torch's tensor, 32 MB, is not.
    w = torch.empty(2000, 4000)
    tracemalloc.start()
    fill(w)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 12e6


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (0, 0)], ids=str)
def test_sparse_leaves_an_empty_tensor_alone(shape):
    w = torch.empty(shape)
    assert init.sparse_(w, 0.5) is w
    assert init.sparse_(w, nonzeros=0) is w


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(500, 1), (500, 2), (30, 700), (20, 8, 3, 3)], ids=str)
def test_rows_have_norm_gain(shape, dtype):
    w = init.unit_rows_(torch.empty(shape, dtype=dtype), 3.0, generator=0)
    norms = w.double().flatten(1).norm(dim=1)
    assert (norms - 3).abs().max() < 3 * EPSILON[dtype]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("size", [2, 3, 50])
def test_directions_are_uniform_on_the_sphere(size, dtype):
    # A coordinate u has (1 + u) / 2 Beta distributed, with both parameters (n - 1) / 2. It is the
    # arcsine law for n = 2, and uniform for n = 3 (Archimedes).
    w = init.unit_rows_(torch.empty(200_000, size, dtype=dtype), generator=stream_key(0, "sphere"))
    law = stats.beta((size - 1) / 2, (size - 1) / 2, loc=-1, scale=2)
    check_law(w[:, 0], law)
    if dtype == torch.float64:
        check_law(w @ torch.full((size,), 1 / math.sqrt(size), dtype=dtype) * (1 - 1e-15), law)


def test_a_row_of_one_weight_is_plus_or_minus_the_gain():
    w = init.unit_rows_(torch.empty(100_000, 1), 0.5, generator=stream_key(0, "signs"))
    assert w.abs().unique().tolist() == [0.5]
    assert stats.binomtest(int((w > 0).sum()), 100_000).pvalue > ALPHA


def test_a_row_drawn_as_zeros_has_norm_gain_all_the_same(monkeypatch):
    # Two of 16 million float32 normals are zero: a row of one weight can be.
    monkeypatch.setattr(
        units, "normal", lambda key, start, stop, dtype: np.zeros(stop - start, dtype)
    )
    w = init.unit_rows_(torch.empty(4, 1), 0.5)
    assert w.tolist() == [[0.5]] * 4


def test_unit_rows_of_an_empty_tensor_warn():
    with pytest.warns(UserWarning, match="zero-element tensors is a no-op"):
        init.unit_rows_(torch.empty(0, 3))


NUMBERS = st.sampled_from(["1", [1.0], 1j, math.nan, math.inf, -math.inf])
NEGATIVE = st.floats(max_value=0, exclude_max=True, allow_infinity=False)
REFUSED = {
    "sparsity": (lambda w, bad: init.sparse_(w, bad), NUMBERS | NEGATIVE | st.floats(1.01)),
    "std by column": (lambda w, bad: init.sparse_(w, 0.5, bad), NUMBERS | NEGATIVE),
    "std by row": (lambda w, bad: init.sparse_(w, nonzeros=1, std=bad), NUMBERS | NEGATIVE),
    "nonzeros": (
        lambda w, bad: init.sparse_(w, nonzeros=bad),
        NUMBERS | st.floats() | st.integers(max_value=-1) | st.integers(min_value=4),
    ),
    "neither": (lambda w, bad: init.sparse_(w), st.none()),
    "both": (lambda w, bad: init.sparse_(w, 0.5, nonzeros=2), st.none()),
    "unit_rows_, gain": (lambda w, bad: init.unit_rows_(w, bad), NUMBERS | NEGATIVE | st.none()),
}


@pytest.mark.parametrize("name", REFUSED)
@given(data=st.data())
def test_a_wrong_argument_is_refused_and_the_tensor_untouched(name, data):
    call, values = REFUSED[name]
    w = torch.arange(6.0).reshape(2, 3)
    bad = data.draw(values)
    with pytest.raises((TypeError, ValueError)) as refusal:
        call(w, bad)
    assert len(str(refusal.value).split()) >= 4, "an error tells what was given and expected"
    assert torch.equal(w, torch.arange(6.0).reshape(2, 3))


@pytest.mark.parametrize(
    ("call", "shape", "text"),
    [
        (lambda w: init.sparse_(w, 0.5), (3,), "Only tensors with 2 dimensions are supported"),
        (lambda w: init.sparse_(w, nonzeros=1), (3, 3, 3), "Only tensors with 2 dimensions"),
        (lambda w: init.sparse_(w, nonzeros=15), (3, 10), r"nonzeros must be in \[0, 10\]"),
        (lambda w: init.sparse_(w), (3, 3), "give either sparsity"),
        (init.unit_rows_, (3,), "2 dimensions or more"),
    ],
)
def test_errors_help(call, shape, text):
    with pytest.raises(ValueError, match=text):
        call(torch.ones(shape))
