"""Haar matrices, uniform over all orthogonal ones, as products of Householder reflections.

The QR factorization of a Gaussian matrix, with the diagonal of R made positive, gives a Haar matrix
Q. Its reflectors are known without it: a Gaussian vector that is independent of a reflection stays
Gaussian, so that reflector j of n, from zero, is that of a fresh Gaussian vector x of n - j values.
There is nothing to factorize. The product

    Q = H_0 H_1 ... H_{m-1} D,   H = I - 2 v v^T / |v|^2,   v = x + sign(x_0) |x| e_0,

with -sign(x_0), the sign that R would have, of each reflector on the diagonal of D, takes half of
the arithmetic (Stewart 1980, "The efficient generation of random orthogonal matrices").
"""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from typing import NamedTuple

import numpy as np
import torch

from initlib.sampling import Key, normal

# Reflectors applied at once, and columns that a thread applies them to, in whole blocks. They are
# constants as the last digits depend on them: the number of threads must not change a value.
_BLOCK = 64
_PANEL = 3 * _BLOCK
_WORTH_THREADS = 1 << 28  # n m^2, a few milliseconds of work; below, waking threads costs as much


def fill_haar_(q: torch.Tensor, key: Key, gain: float) -> None:
    """Fill a matrix (n, m), n >= m, with `gain` times the first m columns of a Haar matrix.

    The matrix is float32 or float64, in the memory of the CPU."""
    with _plain_products() as threads, torch.autocast("cpu", enabled=False):
        _fill_panels_(q, key, gain, threads)


def _fill_panels_(q: torch.Tensor, key: Key, gain: float, threads: int) -> None:
    n, m = q.shape
    workers = min(threads, -(-m // _PANEL)) if n * m * m > _WORTH_THREADS else 1
    one_thread = {"initializer": torch.set_num_threads, "initargs": (1,)}
    with ThreadPoolExecutor(workers, **one_thread) if workers > 1 else nullcontext() as pool:
        each = pool.map if pool else map

        def reflectors(first: int) -> _Reflectors:
            return _draw_reflectors(key, first, min(first + _BLOCK, m), n, q.dtype)

        blocks = list(each(reflectors, range(0, m, _BLOCK)))

        def fill_panel_(start: int) -> None:
            panel = q[:, start : start + _PANEL].zero_()
            stop = start + panel.shape[1]
            for block in reversed(blocks[: -(-stop // _BLOCK)]):
                rest = panel[block.first :, max(block.first - start, 0) :]
                if block.first >= start:
                    rest.diagonal()[: len(block.signs)] = gain * block.signs
                rest.addmm_(block.v.T, block.t @ (block.v @ rest), alpha=-1)

        # The last panel is the most work, so it goes first.
        list(each(fill_panel_, reversed(range(0, m, _PANEL))))


class _Reflectors(NamedTuple):
    """H_first H_{first+1} ... = I - v^T t v on the entries from `first` on, and their part of D."""

    first: int
    v: torch.Tensor
    t: torch.Tensor
    signs: torch.Tensor


def _draw_reflectors(key: Key, first: int, last: int, n: int, dtype: torch.dtype) -> _Reflectors:
    """Draw reflectors `first` to `last`; entry i of reflector j is value j n + i of the stream.

    The inverse of ``t`` is the upper triangle of ``v v^T`` with its diagonal halved. Then
    ``t^-1 + t^-T = v v^T``, which says that I - v^T t v is orthogonal, whatever v is. In float64 it
    is so for v as rounded, and no error of v adds to those of the products. The diagonal counts
    most: it is summed apart, pairwise, more exactly than in a product of matrices."""
    drawn = normal(key, first * n, last * n, np.float64 if dtype == torch.float64 else np.float32)
    v = torch.from_numpy(drawn).view(-1, n)[:, first:].triu()
    heads = v.diagonal()
    # An exact zero, one draw of 2^25, would leave the last row of a square matrix no reflector.
    heads.masked_fill_(heads == 0, 1)
    signs = torch.ones_like(heads).copysign_(heads)
    heads += signs * torch.linalg.vector_norm(v, dim=1, dtype=torch.float64)
    wide = v.double()
    inverse = wide @ wide.T
    inverse.diagonal().copy_(wide.square().sum(dim=1) / 2)
    eye = torch.eye(last - first, dtype=inverse.dtype, device="cpu")
    t = torch.linalg.solve_triangular(inverse, eye, upper=True).to(dtype)
    return _Reflectors(first, v, t, -signs)


_switches = threading.Lock()


@contextmanager
def _plain_products() -> Iterator[int]:
    """Make each product IEEE and of one thread; yield the number of threads to share the work.

    With several threads BLAS cuts a product where it likes, and rounds differently at the cuts.
    oneDNN is kept out as `torch.set_float32_matmul_precision` can allow it bf16 products. Its
    switch is set as `torch.backends.mkldnn.enabled` would, but for a ban that torch's tests lay on
    that name."""
    with _switches:
        threads, onednn = torch.get_num_threads(), torch.backends.mkldnn.enabled
        torch.set_num_threads(1)
        torch._C._set_mkldnn_enabled(False)
        try:
            yield threads
        finally:
            torch.set_num_threads(threads)
            torch._C._set_mkldnn_enabled(onednn)
