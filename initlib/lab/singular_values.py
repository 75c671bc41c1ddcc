"""Singular values of products, Jacobians and convolutions: measured, and their laws in theory.

Matrices are square, n x n, of orthogonal or of N(0, 1/n) weights, so that the mean of their squared
singular values is 1, and stays so in products. What differs is how far they spread.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from initlib.sampling import Key, fill_normal_, stream_key

__all__ = [
    "CASES",
    "EXACT",
    "conv_fourth_moment",
    "conv_law",
    "conv_singular_values",
    "fourth_moments",
    "jacobian_fourth_moments",
    "product_singular_values",
    "spread_cells",
]

Fill = Callable[..., Tensor]

# Layers whose Jacobians are compared: are their weights Gaussian, and is there a ReLU?
CASES = {
    "orthogonal, linear": (False, False),
    "orthogonal, ReLU": (False, True),
    "Gaussian, linear": (True, False),
    "Gaussian, ReLU": (True, True),
}
EXACT = "orthogonal, linear"  # the case that doesn't spread


def product_singular_values(
    fill: Fill, n: int, depth: int, draws: int, *, key: Key | int = 0
) -> np.ndarray:
    """Return the singular values of products of `depth` matrices, float64 of shape (draws, n).

    `fill` is called as ``fill(W, generator=key)``.
    """
    products = torch.eye(n, dtype=torch.float64).repeat(draws, 1, 1)
    for layer in range(depth):
        for draw in range(draws):
            weight = fill(torch.empty(n, n), generator=stream_key(key, depth, draw, layer))
            products[draw] = weight.double() @ products[draw]
    return torch.linalg.svdvals(products).numpy()


def jacobian_fourth_moments(
    fill: Fill,
    n: int,
    depths: Sequence[int],
    draws: int,
    *,
    relu: bool,
    key: Key | int = 0,
) -> np.ndarray:
    """Measure the mean s^4 of Jacobians of networks of several depths, shape (draws, depths).

    The network is ``h_l = phi(W_l h_(l-1))``, without biases, from N(0, 1) inputs; its Jacobian is
    ``dh_L / dh_0``.

    Parameters
    ----------
    fill
        Called as ``fill(W, generator=key)``, with a W of shape (n, n).
    n
        Units of each layer.
    depths
        Ascending L, all read off the same networks.
    draws
        Networks.
    relu
        Whether phi is ReLU, with weights times sqrt(2); otherwise it is linear.
    """
    measured = np.empty((draws, len(depths)))
    for draw in range(draws):
        own = stream_key(key, draw)
        h = fill_normal_(torch.empty(n, dtype=torch.float64), stream_key(own, "input"), 0, 1)
        jacobian = torch.eye(n, dtype=torch.float64)
        for layer in range(1, depths[-1] + 1):
            weight = fill(torch.empty(n, n), generator=stream_key(own, layer)).double()
            h, jacobian = weight @ h, weight @ jacobian
            if relu:
                gate = 2**0.5 * (h > 0).double()
                h, jacobian = gate * h, gate[:, None] * jacobian
            if layer in depths:
                moment = (jacobian.T @ jacobian).square().sum() / n
                measured[draw, list(depths).index(layer)] = moment
    return measured


def fourth_moments(depth: int, n: int, gaussian: bool, relu: bool) -> np.ndarray:
    """Predict the mean s^4 of the Jacobians of `jacobian_fourth_moments` for L = 0 .. `depth`.

    With ``S = J J^T``, ``a = E tr S^2 / n`` and ``b = E (tr S / n)^2``, a layer takes

        a to (1 + 1/n) a + b and b to b + 2 a / n^2   by Gaussian weights, and then
        a to a + m and b to b + m / n,  m = (n b + 2 a) / (n + 2)   by ReLU,

    at any n: the law of the weights stays as it is when a row changes its sign, so that gates are
    fair coins, independent of the squares that make up a and b. As n grows, a is 1 + L with one of
    the two and 1 + 2 L with both.

    References
    ----------
    Pennington, Schoenholz and Ganguli 2017, for n to infinity.
    """
    a = b = 1.0
    moments = [a]
    for _ in range(depth):
        if gaussian:
            a, b = (1 + 1 / n) * a + b, b + 2 * a / n**2
        if relu:
            m = (n * b + 2 * a) / (n + 2)
            a, b = a + m, b + m / n
        moments.append(a)
    return np.array(moments)


def spread_cells(n: int, depths: Sequence[int]) -> dict[str, float]:
    """Return `fourth_moments` of the cases that spread, by "case, L layers"."""
    return {
        f"{case}, {depth} layers": fourth_moments(depth, n, *how)[-1]
        for case, how in CASES.items()
        for depth in depths
        if case != EXACT
    }


def conv_singular_values(kernel: Tensor, size: int = 8) -> np.ndarray:
    """Return all singular values of a convolution as an operator on images, ascending.

    Parameters
    ----------
    kernel
        Shape (out, in, *taps).
    size
        Pixels of the image in each dimension. It is a torus: the convolution is circular, and the
        Fourier transform takes it apart into one matrix for each frequency.

    References
    ----------
    Sedghi, Gupta and Long 2019.
    """
    axes = tuple(range(2, kernel.ndim))
    matrices = torch.fft.fftn(kernel.double(), s=(size,) * len(axes), dim=axes)
    values = torch.linalg.svdvals(matrices.movedim((0, 1), (-2, -1)))
    return values.flatten().sort().values.numpy()


def conv_law(taps: int, points: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    """Return the law of `conv_singular_values` for a kernel whose flattened rows are orthonormal.

    At each frequency the matrix is sqrt(K) times a c x c block of a random rotation of c K
    dimensions, K being the number of taps. For many channels c the squared singular values of such
    a block follow Wachter's law, here

        density(s^2) = sqrt((4 (1 - 1/K) - s^2) / s^2) / (2 pi (1 - s^2 / K)),

    which ends at ``s = 2 sqrt(1 - 1/K)`` and tends to the quarter circle as K grows.

    Parameters
    ----------
    taps
        K, at least 3.
    points
        Values of s.

    Returns
    -------
    s, density : ndarray, shape (points,)
        Ascending s, and the density of s.

    References
    ----------
    Wachter 1980.
    """
    edge = 4 * (1 - 1 / taps)
    s = math.sqrt(edge) * np.linspace(0, 1, points)
    return s, np.sqrt(np.maximum(edge - s**2, 0)) / (math.pi * (1 - s**2 / taps))


def conv_fourth_moment(taps: int, channels: int) -> float:
    """Predict the mean s^4 of `conv_singular_values` for flattened rows that are orthonormal.

    It is ``2 - 1/K`` for many channels c. This is the value at any c >= 2: a projection p on c of
    N = c K dimensions, Haar distributed, has ``E p_ij p_kl = A d_ij d_kl + B (d_ik d_jl + d_il
    d_jk)``, where the traces of p and p^2, both c, determine A and B.
    """
    n = channels * taps
    both = (channels - channels**2 / n) / (n * (n + 1) - 2)
    apart = (channels**2 - 2 * both * n) / n**2
    return taps**2 * (apart + both * (1 / taps + channels))
