"""Lengths of signals in networks of finite width, sampled many networks at a time."""

from collections.abc import Sequence

import numpy as np
import torch

from initlib.finite_width import Homogeneous
from initlib.sampling import Key, fill_normal_, stream_key

__all__ = ["sample_lengths"]

GAINS = {"relu": 2.0, "linear": 1.0}
AT_ONCE = 1000  # networks whose weights of one layer are held at a time


def sample_lengths(
    widths: Sequence[int],
    draws: int,
    *,
    inputs: int = 32,
    activation: Homogeneous = "relu",
    key: Key | int = 0,
) -> np.ndarray:
    """Measure the lengths M_l / M_0 of activations in networks at their start.

    The network is ``h_l = phi(W_l h_(l-1))`` with N(0, 2 / n_(l-1)) weights for ReLU, N(0, 1 /
    n_(l-1)) if linear; ``M_l = |h_l|^2 / n_l``. Each network gets one N(0, 1) input.

    Parameters
    ----------
    widths
        n_1 .. n_L.
    draws
        Networks.
    inputs
        n_0.
    activation
        "relu" or "linear".
    key
        Seed; each thousand of networks and each layer has a stream of its own.

    Returns
    -------
    ndarray, float64, shape (draws, L)

    Examples
    --------
    >>> lengths = sample_lengths([64] * 3, 500)
    >>> lengths.mean(axis=0).round(1)
    array([1., 1., 1.])
    """
    key = stream_key(key)
    parts = [
        _sample(list(widths), min(AT_ONCE, draws - first), inputs, activation, (key, first))
        for first in range(0, draws, AT_ONCE)
    ]
    return np.concatenate(parts)


def _sample(widths, draws, inputs, activation, key):
    h = fill_normal_(torch.empty(draws, inputs, 1), stream_key(*key, "inputs"), 0, 1)
    start = _lengths(h)
    measured = []
    for layer, (n_in, n_out) in enumerate(zip([inputs, *widths], widths, strict=False)):
        weights = torch.empty(draws, n_out, n_in)
        fill_normal_(weights, stream_key(*key, layer), 0, (GAINS[activation] / n_in) ** 0.5)
        h = torch.bmm(weights, h)
        h = h.relu_() if activation == "relu" else h
        measured.append(_lengths(h) / start)
    return torch.stack(measured, dim=1).numpy()


def _lengths(h):
    return h.double().square().mean(dim=(1, 2))
