"""Lengths of signals and of gradients in networks of finite width, many networks at a time."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from initlib.finite_width import Homogeneous, length_second_moment, log_length, width_beta
from initlib.lab.estimates import estimate
from initlib.sampling import Key, fill_normal_, stream_key

__all__ = ["Lengths", "law_table", "log_density", "moments_of", "sample_lengths"]

GAINS = {"relu": 2.0, "linear": 1.0}
AT_ONCE = 1000  # networks whose weights are held at a time


class Lengths(NamedTuple):
    """What was measured, an entry for each network.

    Attributes
    ----------
    signal : ndarray, shape (draws, L)
        M_l / M_0.
    gradient : ndarray, shape (draws,)
        ``|df / dx|^2``.
    """

    signal: np.ndarray
    gradient: np.ndarray


def sample_lengths(
    widths: Sequence[int],
    draws: int,
    *,
    inputs: int = 32,
    activation: Homogeneous = "relu",
    key: Key | int = 0,
) -> Lengths:
    """Measure the lengths of activations and of a gradient in networks at their start.

    The network is ``h_l = phi(W_l h_(l-1))`` with N(0, 2 / n_(l-1)) weights for ReLU, N(0, 1 /
    n_(l-1)) if linear; ``M_l = |h_l|^2 / n_l``. Each network gets one N(0, 1) input x and a
    functional ``f = v . h_L`` of its own, v ~ N(0, 1 / n_L). Its gradient has the law of M_L / M_0
    times an independent chi-squared of n_0 degrees of freedom over n_0.

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

    Examples
    --------
    >>> signal, gradient = sample_lengths([64] * 3, 500)
    >>> signal.mean(axis=0).round(1), gradient.mean().round(1)
    (array([1., 1., 1.]), np.float64(1.0))
    """
    key = stream_key(key)
    parts = [
        _sample([inputs, *widths], min(AT_ONCE, draws - first), activation, (key, first))
        for first in range(0, draws, AT_ONCE)
    ]
    return Lengths(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _sample(sizes, draws, activation, key):
    h = fill_normal_(torch.empty(draws, sizes[0], 1), stream_key(*key, "inputs"), 0, 1)
    signals, layers = [h], []
    for layer, (n_in, n_out) in enumerate(pairwise(sizes)):
        weights = torch.empty(draws, n_out, n_in)
        fill_normal_(weights, stream_key(*key, layer), 0, (GAINS[activation] / n_in) ** 0.5)
        h = torch.bmm(weights, h)
        h = h.relu_() if activation == "relu" else h
        layers.append(weights)
        signals.append(h)
    error = fill_normal_(torch.empty_like(h), stream_key(*key, "functional"), 0, sizes[-1] ** -0.5)
    for weights, after in zip(layers[::-1], signals[:0:-1], strict=True):
        open_ = after > 0 if activation == "relu" else 1
        error = torch.bmm(weights.mT, error * open_)
    start, *lengths = (h.double().square().mean(dim=(1, 2)) for h in signals)
    lengths = torch.stack(lengths, dim=1) / start[:, None]
    return lengths.numpy(), error.double().square().sum(dim=(1, 2)).numpy()


def moments_of(lengths: np.ndarray, mean: float) -> dict[str, np.ndarray]:
    """Return samples whose means are the mean of log M, its variance about `mean`, and E M^2.

    Networks of length zero have no logarithm, and are left out of the first two.
    """
    logs = np.log(lengths[lengths > 0])
    return {"mean": logs, "variance": (logs - mean) ** 2, "second": lengths**2}


def law_table(
    shapes: Mapping[str, Sequence[int]], sampled: Mapping[str, np.ndarray], activation: Homogeneous
) -> pd.DataFrame:
    """Return the moments of the length M of the last layer, measured and in theory.

    Parameters
    ----------
    shapes, sampled
        Widths and M, by name.
    activation
        "relu" or "linear".

    Returns
    -------
    DataFrame
        A row for each shape and moment ("mean" and "variance" of log M, "second": E M^2), with
        columns activation, shape, beta, moment, theory, value, se, low and high.
    """
    rows = []
    for name, widths in shapes.items():
        law = log_length(widths, activation)
        theory = {"mean": law.mean, "variance": law.variance}
        theory["second"] = length_second_moment(widths, activation)
        about = {"activation": activation, "shape": name, "beta": width_beta(widths)}
        for moment, values in moments_of(sampled[name], law.mean).items():
            one = estimate(values)
            measured = {part: getattr(one, part) for part in ("value", "se", "low", "high")}
            rows.append(about | {"moment": moment, "theory": theory[moment]} | measured)
    return pd.DataFrame(rows)


def log_density(lengths: np.ndarray, widths: Sequence[int], bins: int = 24) -> pd.DataFrame:
    """Return the histogram of log10 M of ReLU networks, beside a normal law of the exact moments.

    Columns are log10 (the middle of the bin), density and theory.
    """
    law = log_length(widths)
    mean, std = law.mean / np.log(10), law.variance**0.5 / np.log(10)
    edges = mean + std * np.linspace(-4, 4, bins + 1)
    logs = np.log10(lengths[lengths > 0])
    middle = (edges[1:] + edges[:-1]) / 2
    density = np.histogram(logs, edges)[0] / len(logs) / np.diff(edges)
    theory = np.exp(-(((middle - mean) / std) ** 2) / 2) / (std * np.sqrt(2 * np.pi))
    return pd.DataFrame({"log10": middle, "density": density, "theory": theory})
