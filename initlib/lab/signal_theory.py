"""What mean-field theory predicts of signals and gradients in wide networks, layer by layer.

The network, and what is differentiated, are those of `initlib.lab.signals`.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from initlib.fans import fans
from initlib.moments import moments
from initlib.variance import Law

__all__ = ["Signals", "mean_field", "weight_variances"]


class Signals(NamedTuple):
    """Moments in each layer: arrays of shape (draws, L) if measured, (L,) if predicted.

    Attributes
    ----------
    pre
        E z_l^2, over units and inputs.
    mean, second
        E h_l and E h_l^2.
    spread
        Variance of z_l between the inputs of a network, averaged over units; NaN for one input.
    error
        Squared norm of df/dz_l.
    weight
        Squared Frobenius norm of df/dW_l, averaged over inputs.
    """

    pre: np.ndarray
    mean: np.ndarray
    second: np.ndarray
    spread: np.ndarray
    error: np.ndarray
    weight: np.ndarray


def weight_variances(law: Law, sizes: Sequence[int]) -> np.ndarray:
    """Return Var w in each layer of a network, under a law of `variance_scaling_`.

    Examples
    --------
    >>> weight_variances(Law(2.0, "fan_in", "normal"), [100, 50, 10])
    array([0.02, 0.04])
    """
    return np.array([law.std(fans((n, m))) ** 2 for m, n in pairwise(sizes)])


def mean_field(
    activation: str,
    sizes: Sequence[int],
    variances: Sequence[float],
    second: float | np.ndarray = 1.0,
    bias: float | Sequence[float] = 0.0,
) -> Signals:
    """Predict the moments in each layer for wide networks.

    The second moment q_l of z_l is ``n_(l-1) v_l E h_(l-1)^2 + v_b``, exact for the first layer at
    any width. The next ones take z_l to be Gaussian and q_l to be the same in every draw. Errors go
    down by ``E |dz_l|^2 = n_l v_(l+1) E phi'(z_l)^2 E |dz_(l+1)|^2``, as if weights and errors were
    independent.

    Parameters
    ----------
    activation
        Name of phi.
    sizes
        n_0 .. n_L.
    variances
        Var w of each layer, v_1 .. v_L.
    second
        E x^2, one number or one for each of k inputs.
    bias
        Variance v_b of the biases, one or one for each layer.

    Returns
    -------
    Signals
        Arrays of shape (L,), or (L, k); `spread` is NaN.

    Examples
    --------
    >>> mean_field("relu", [8, 8, 8], [2 / 8, 2 / 8]).pre
    array([2., 2.])

    References
    ----------
    Poole et al. 2016; Schoenholz et al. 2017.
    """
    depth = len(sizes) - 1
    biases = np.broadcast_to(bias, depth)
    pre, mean, post, slope, below = [], [], [], [], [np.asarray(second)]
    for n_in, variance, shift in zip(sizes[:-1], variances, biases, strict=True):
        pre.append(n_in * variance * below[-1] + shift)
        phi = moments(activation, pre[-1])
        mean.append(phi.mean)
        post.append(phi.second_moment)
        slope.append(phi.squared_derivative)
        below.append(phi.second_moment)
    error = np.ones((depth, *np.shape(second)))
    for layer in reversed(range(depth - 1)):
        factor = sizes[layer + 1] * variances[layer + 1] * slope[layer]
        error[layer] = factor * error[layer + 1]
    weight = (error.T * sizes[:-1] * np.array(below[:-1]).T).T
    columns = (np.array(part) for part in (pre, mean, post))
    return Signals(*columns, np.full(error.shape, np.nan), error, weight)
