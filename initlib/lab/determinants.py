"""The sign of the determinant: what QR makes of it, and what it does to training.

A random orthogonal matrix, that is one from Haar's measure, has determinant 1 or -1 with equal
chances. The Q of a QR factorization doesn't, unless the signs on the diagonal of R are made to
agree.
"""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from initlib.lab.linear_nets import descend, draw_factors
from initlib.orthogonal import orthogonal_
from initlib.sampling import Key, fill_normal_, stream_key

__all__ = ["raw_qr", "raw_qr_trace", "sign_trap"]


def raw_qr(n: int, draws: int, *, key: Key | int = 0) -> torch.Tensor:
    """Return the Q of Gaussian matrices as LAPACK computes it, float64 of shape (draws, n, n)."""
    gaussian = torch.empty(draws, n, n, dtype=torch.float64)
    return torch.linalg.qr(fill_normal_(gaussian, stream_key(key, n), 0, 1)).Q


def raw_qr_trace(n: int) -> float:
    """Return the mean trace of `raw_qr`; that of a Haar matrix is zero.

    LAPACK's Q is ``H_1 ... H_(n-1)``, of reflections H_j that take a uniform direction x of n - j +
    1 dimensions to ``-sign(x_1) e_1``. With m_k the mean of |x_1| in k dimensions, the first entry
    of H has mean -m_k, and all others on its diagonal have mean ``1 - (1 - m_k) / (k - 1)``.

    Examples
    --------
    >>> f"{raw_qr_trace(4):.4f}"
    '-0.8285'
    """
    trace, kept = 0.0, 1.0
    for k in range(n, 1, -1):
        m = math.exp(math.lgamma(k / 2) - math.lgamma((k + 1) / 2)) / math.sqrt(math.pi)
        trace -= kept * m
        kept *= 1 - (1 - m) / (k - 1)
    return trace + kept


def sign_trap(
    strengths: Sequence[float], depth: int, lr: float, steps: int, draws: int, *, key: Key | int = 0
) -> pd.DataFrame:
    """Train square linear networks from Haar factors towards targets of either sign.

    Parameters
    ----------
    strengths
        Singular values of the targets, which are n x n with random singular vectors.
    depth
        L factors, each n x n.
    lr, steps
        Of gradient descent on ``|W_L ... W_1 - T|^2 / 2``.
    draws
        Networks. The target of the first half has the sign of determinant that the network starts
        with, that of the second half has the other sign.

    Returns
    -------
    DataFrame
        A row for each network and step (evenly spaced in the logarithm), with columns seed, same
        (whether the signs agree), step, loss (``|P - T|^2 / |T|^2``) and floor, the share of the
        smallest mode in ``|T|^2``.
    """
    n, same = len(strengths), np.arange(draws) < draws / 2
    keys = [stream_key(key, draw) for draw in range(draws)]
    factors = draw_factors(orthogonal_, n, depth, n, keys)
    left, right = (
        draw_factors(orthogonal_, n, 1, n, [stream_key(own, side) for own in keys])[0]
        for side in ("left", "right")
    )
    sign = torch.linalg.det(torch.stack([left, right, *factors])).prod(dim=0).sign()
    left[:, :, 0] *= (sign * torch.from_numpy(np.where(same, 1.0, -1.0)))[:, None]
    s = torch.tensor(strengths, dtype=torch.float64)
    losses = 2 * descend(factors, left * s @ right, lr, steps) / s.square().sum().item()
    shown = np.unique(np.geomspace(1, steps, 100).round().astype(int))
    columns = {
        "seed": np.repeat(np.arange(draws), len(shown)),
        "same": np.repeat(same, len(shown)),
        "step": np.tile(shown, draws),
        "loss": losses[shown].T.ravel(),
    }
    return pd.DataFrame(columns).assign(floor=(s.min() ** 2 / s.square().sum()).item())
