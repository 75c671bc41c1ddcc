"""What layer-sequential unit variance does to a batch in wide networks, by theory.

The network is ``z_l = W_l h_(l-1) + b_l``, ``h_l = phi(z_l)``, with W_l the first rows of a random
orthogonal matrix, times a scale. In the limit of wide layers the values of one unit at the samples
of the batch are jointly Gaussian, so that the state of a layer is a handful of numbers: for each
sample the mean square q_i of its z over units, and for each pair half the mean squared difference

    d_ij = E (z_i - z_j)^2 / 2.

Differences, since samples may come so close that their covariance would lose them to round-off.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from initlib.activations import activation as named
from initlib.moments import moments
from initlib.quadrature import expectation

__all__ = ["Field", "Numbers", "centred_correlations", "lsuv_field", "lsuv_numbers"]

_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(32)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


class Field(NamedTuple):
    """Predictions for layers 1 .. L, arrays of shape (L,).

    Attributes
    ----------
    gain
        What scales W_l, beside orthonormal rows.
    spread
        Variance of z_l between samples, averaged over units.
    second
        Mean square of h_l.
    error
        Squared norm of df/dz_l, in the mean over samples, for the f of `initlib.lab.signals`, where
        all layers but the input have one width.
    """

    gain: np.ndarray
    spread: np.ndarray
    second: np.ndarray
    error: np.ndarray


class Numbers(NamedTuple):
    """What one layer does under unit variance, for signals that are N(0, 1).

    Attributes
    ----------
    chi
        E phi'^2 / E phi^2: what a layer multiplies a small difference between samples by, squared,
        and a gradient, under the published rule.
    chi_centred
        E phi'^2 / Var phi: the same, if the mean of each unit is taken off.
    kept
        (E phi')^2 / Var phi: what a centred layer multiplies a small correlation by.
    """

    chi: float
    chi_centred: float
    kept: float


def lsuv_numbers(activation: str) -> Numbers:
    """Compute what a layer does to differences, gradients and correlations.

    Examples
    --------
    >>> [round(number, 3) for number in lsuv_numbers("relu")]
    [1.0, 1.467, 0.733]
    """
    phi = named(activation)
    m = moments(activation)
    slope = expectation(lambda x, z: (z * phi.value(x))[None], breaks=phi.kinks).value[0]
    chi = m.squared_derivative / m.second_moment
    return Numbers(chi, m.squared_derivative / m.variance, float(slope) ** 2 / m.variance)


def centred_correlations(activation: str, start: float, depth: int) -> np.ndarray:
    """Follow the correlation of two samples through layers whose units are centred.

    Parameters
    ----------
    activation
        Name of a smooth phi, or "relu".
    start
        Correlation in the first layer.
    depth
        Layers.

    Examples
    --------
    >>> centred_correlations("relu", 0.01, 3).round(4)  # keeps 0.733 at a layer
    array([0.01  , 0.0074, 0.0054])
    """
    variance = moments(activation).variance
    values, one = [start], np.ones(2)
    for _ in range(depth - 1):
        apart = _apart(activation, one, np.full((2, 2), 1 - values[-1]))[0, 1]
        values.append(1 - apart / variance)
    return np.array(values)


def lsuv_field(activation: str, inputs: ArrayLike, depth: int, *, centred: bool = False) -> Field:
    """Predict a network of `depth` layers that `lsuv_` has scaled on a batch.

    Parameters
    ----------
    activation
        Name of a smooth phi, or "relu".
    inputs
        The batch, shape (samples, n_0).
    depth
        L.
    centred
        As in `initlib.lsuv_`.

    Examples
    --------
    >>> field = lsuv_field("sigmoid", np.random.default_rng(0).normal(size=(20, 400)), 9)
    >>> round(float(field.spread[8] / field.spread[7]), 3)  # samples come closer by chi
    0.153
    """
    x = np.asarray(inputs, dtype=np.float64)
    second, apart = (x * x).mean(axis=1), _half_squared_distances(x)
    rows, factors = [], []
    for _ in range(depth):
        gain2, q, d = _scaled(second, apart, centred)
        phi = moments(activation, q)
        second, apart = phi.second_moment, _apart(activation, q, d)
        rows.append((np.sqrt(gain2), _pair_mean(d), second.mean()))
        factors.append((gain2, phi.squared_derivative))
    error = [np.ones(len(x))]
    for (gain2, _), (_, slope) in zip(factors[:0:-1], factors[-2::-1], strict=True):
        error.append(error[-1] * gain2 * slope)
    columns = np.array(rows).T
    return Field(*columns, np.array([e.mean() for e in error[::-1]]))


def _scaled(second: np.ndarray, apart: np.ndarray, centred: bool):
    """Scale what comes into a layer to unit variance: return gain^2, q and d of its output.

    The covariance of the samples around their mean is that of the differences with both its means
    taken off, -H d H with H = 1 - 1/B.
    """
    if centred:
        row = apart.mean(axis=1)
        second = 2 * row - row.mean()  # the diagonal of -H d H, d_ii being zero
        gain2 = 1 / _pair_mean(apart)
    else:
        gain2 = 1 / second.mean()
    return gain2, gain2 * second, gain2 * apart


def _apart(activation: str, q: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Return E (phi(u_i) - phi(u_j))^2 / 2 for all pairs of Gaussians."""
    i, j = np.triu_indices(len(q), 1)
    pairs = _relu_apart if activation == "relu" else _smooth_apart
    result = np.zeros_like(d)
    result[i, j] = pairs(activation, q[i], q[j], d[i, j])
    return result + result.T


def _smooth_apart(activation: str, q: np.ndarray, p: np.ndarray, d: np.ndarray) -> np.ndarray:
    """By Gauss-Hermite quadrature over the difference of u and v, and what remains of their mean.

    With t, s independent N(0, 1): u - v = sqrt(2 d) t, (u + v)/2 = slope t + rest s.
    """
    phi = named(activation).value
    half = np.sqrt(d / 2)
    slope = (q - p) / 2 / np.where(half > 0, 2 * half, np.inf)
    rest = np.sqrt(np.maximum((q + p - d) / 2 - slope**2, 0))
    middle = slope[:, None, None] * _NODES[:, None] + rest[:, None, None] * _NODES
    away = half[:, None, None] * _NODES[:, None]
    return np.square(phi(middle + away) - phi(middle - away)) @ _WEIGHTS @ _WEIGHTS / 2


def _relu_apart(activation: str, q: np.ndarray, p: np.ndarray, d: np.ndarray) -> np.ndarray:
    """In closed form (Cho and Saul 2009)."""
    size = np.sqrt(q * p)
    cosine = np.clip(((q + p) / 2 - d) / size, -1, 1)
    angle = np.arccos(cosine)
    product = size * (np.sin(angle) + (np.pi - angle) * cosine) / (2 * np.pi)
    return (q + p) / 4 - product


def _half_squared_distances(x: np.ndarray) -> np.ndarray:
    return np.square(x[:, None] - x).mean(axis=-1) / 2


def _pair_mean(d: np.ndarray) -> float:
    return d.sum() / (len(d) * (len(d) - 1))
