"""The law of the matrices: uniform over all orthogonal ones, in every direction, at every size.

Facts used (Diaconis and Shahshahani 1994; Mezzadri 2007), for Q uniform on the orthogonal group
O(n): tr(Q^k) has mean 1 for even k and 0 for odd k and, for k <= n, variance k; tr(Q)^4 has mean 3;
det Q is a fair coin; A Q B has the law of Q. A squared entry is Beta(1/2, (n - 1)/2), and a row
over the first m columns has squared norm Beta(m/2, (n - m)/2).

Each statistic raises a false alarm with probability ALPHA. Power, at the 10 000 matrices of size 8:
means that are off by 0.09 of a standard deviation are seen with probability 0.99. The sign that raw
QR gets wrong moves tr(Q) by two standard deviations.
"""

import itertools

import numpy as np
import pytest
import torch
from laws import ALPHA, Z
from scipy import stats

from initlib import haar
from initlib.sampling import normal, stream_key

N = 10_000
COUNTS = {8: N, 70: 1500, 200: 300}  # one block; two blocks; two panels


def frames(count, n, m=None, dtype=torch.float32):
    """Return `count` independent matrices (n, m) as float64."""
    q = torch.empty(count, n, m or n, dtype=dtype)
    for i, matrix in enumerate(q):
        haar.fill_haar_(matrix, stream_key(stream_key(n), "haar law", i), 1.0)
    return q.double().numpy()


@pytest.fixture(scope="module")
def square():
    return {n: frames(count, n) for n, count in COUNTS.items()}


def check_mean(sample, expected):
    z = (sample.mean() - expected) / (sample.std() / np.sqrt(len(sample)))
    assert abs(z) < Z, f"mean {sample.mean():.4g} for {expected}, z = {z:.1f}"


def check_traces(q):
    trace = np.trace(q, axis1=1, axis2=2)
    check_mean(trace, 0)
    check_mean(trace**2, 1)
    check_mean(trace**4, 3)


def check_determinant(q):
    heads = (np.linalg.det(q) > 0).sum()
    assert stats.binomtest(heads, len(q)).pvalue > ALPHA


@pytest.mark.parametrize("n", COUNTS)
def test_traces(square, n):
    check_traces(square[n])


@pytest.mark.parametrize("n", COUNTS)
def test_determinant_is_a_fair_coin(square, n):
    check_determinant(square[n])


@pytest.mark.parametrize("n", COUNTS)
def test_power_sums_of_the_eigenvalue_angles(square, n):
    power = np.broadcast_to(np.eye(n), square[n].shape)
    for k in range(1, 9):
        power = power @ square[n]
        trace = np.trace(power, axis1=1, axis2=2)
        check_mean(trace, float(k % 2 == 0))
        check_mean((trace - (k % 2 == 0)) ** 2, k)


def test_gaps_between_eigenvalue_angles(square):
    peer = stats.ortho_group(8, seed=1).rvs(N)
    gaps = [smallest_gaps(q) for q in (square[8], peer)]
    assert stats.ks_2samp(*gaps).pvalue > ALPHA


def smallest_gaps(q):
    angles = np.sort(np.angle(np.linalg.eigvals(q)), axis=1)
    return np.diff(angles, axis=1, append=angles[:, :1] + 2 * np.pi).min(axis=1)


@pytest.mark.parametrize("n", COUNTS)
def test_no_direction_is_special(square, n):
    left, right = stats.ortho_group(n, seed=2).rvs(2)
    for turned in (left @ square[n], square[n] @ right, left @ square[n] @ right):
        check_traces(turned)
        check_entries(turned, n, rows=[0, n // 2], columns=[0, n - 1])


@pytest.mark.parametrize("n", COUNTS)
def test_entries(square, n):
    corners = sorted({0, min(63, n - 2), min(64, n - 1), n - 1})
    check_entries(square[n], n, rows=corners, columns=corners)


def check_entries(q, n, rows, columns):
    law = stats.beta(0.5, (n - 1) / 2)
    for i in rows:
        for j in columns:
            assert stats.kstest(q[:, i, j] ** 2, law.cdf).pvalue > ALPHA, f"entry {i}, {j}"
            assert stats.binomtest((q[:, i, j] > 0).sum(), len(q)).pvalue > ALPHA


@pytest.mark.parametrize(("n", "m", "count"), [(12, 5, N), (3, 1, N), (150, 80, 500)])
def test_tall_matrices_are_columns_of_a_haar_matrix(n, m, count):
    q = frames(count, n, m)
    check_entries(q, n, rows=[0, n - 1], columns=[0, m - 1])
    law = stats.beta(m / 2, (n - m) / 2)
    for i in (0, m, n - 1):
        assert stats.kstest((q[:, i] ** 2).sum(axis=1), law.cdf).pvalue > ALPHA, f"row {i}"


def test_a_matrix_of_one_entry_is_a_fair_sign():
    q = frames(2000, 1)
    assert np.allclose(abs(q), 1, rtol=0, atol=5e-7)
    check_determinant(q)


def test_double_precision_has_the_law_too():
    q = frames(2000, 8, dtype=torch.float64)
    check_traces(q)
    check_determinant(q)
    check_entries(q, 8, rows=[0, 7], columns=[0, 7])


def test_these_tests_refuse_raw_qr():
    """The columns of LAPACK's Q are orthonormal, but not uniform: the sign is never drawn."""
    gaussian = np.random.default_rng(3).standard_normal((N, 8, 8))
    q, r = np.linalg.qr(gaussian)
    for check in (check_traces, check_determinant):
        with pytest.raises(AssertionError):
            check(q)
    fair = q * np.sign(np.diagonal(r, axis1=1, axis2=2))[:, None]
    check_traces(fair)
    check_determinant(fair)


def test_no_normal_is_used_twice(monkeypatch):
    spans = []

    def spy(key, start, stop, dtype):
        spans.append((start, stop))
        return normal(key, start, stop, dtype)

    monkeypatch.setattr(haar, "normal", spy)
    haar.fill_haar_(torch.empty(300, 200), stream_key(0), 1.0)
    spans.sort()
    assert all(stop <= start for (_, stop), (start, _) in itertools.pairwise(spans))


def test_zeros_among_the_normals_still_make_a_matrix_orthogonal(monkeypatch):
    monkeypatch.setattr(haar, "normal", lambda key, a, b, dtype: np.zeros(b - a, dtype))
    q = torch.empty(5, 5)
    haar.fill_haar_(q, stream_key(0), 1.0)
    assert torch.equal(q @ q.T, torch.eye(5))


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("shape", [(33, 33), (200, 150), (1000, 700), (30_000, 100)], ids=str)
def test_the_number_of_threads_changes_no_bit(threads, shape, dtype):
    filled = []
    for count in (1, 2, 5):
        threads(count)
        q = torch.empty(shape, dtype=dtype)
        haar.fill_haar_(q, stream_key(4), 1.0)
        assert torch.get_num_threads() == count
        filled.append(q)
    assert torch.equal(filled[0], filled[1])
    assert torch.equal(filled[0], filled[2])


def test_settings_for_fast_products_change_no_bit():
    plain, autocast, relaxed = torch.empty(3, 300, 300)
    haar.fill_haar_(plain, stream_key(5), 1.0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        haar.fill_haar_(autocast, stream_key(5), 1.0)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        haar.fill_haar_(relaxed, stream_key(5), 1.0)
    finally:
        torch.set_float32_matmul_precision(before)
    assert torch.equal(plain, autocast)
    assert torch.equal(plain, relaxed)
    assert torch.backends.mkldnn.enabled == torch.backends.mkldnn.is_available()
