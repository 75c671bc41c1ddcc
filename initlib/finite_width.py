r"""How the length of a signal fluctuates in ReLU networks, and in linear ones, of finite width.

The length of layer l is :math:`M_l = |h_l|^2 / n_l`, where h holds the activations of its n units.
With Gaussian weights of variance 2 / fan-in (1 / fan-in if linear) and zero biases, the ratios
:math:`M_l / M_{l-1}` are independent of each other and of the input, and each has mean one.
"""

from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike

from initlib.checks import did_you_mean

Homogeneous = Literal["relu", "linear"]

_EXCESS = {"relu": 5.0, "linear": 2.0}  # Var phi^2 / (E phi^2)^2 under a Gaussian


class LogLength(NamedTuple):
    """Mean and variance of log M, and the probability that the signal is not zero."""

    mean: float
    variance: float
    alive: float


def width_beta(widths: ArrayLike) -> float:
    r"""Sum the inverse widths of the hidden layers, :math:`\beta = \sum_l 1 / n_l`.

    The lengths of activations fluctuate exponentially in it: see `length_second_moment`.

    Parameters
    ----------
    widths : array of int
        Units of each layer, at least 1.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If the widths are not positive whole numbers.

    Examples
    --------
    >>> width_beta([20] * 4 + [80] * 4)
    0.25

    References
    ----------
    Hanin and Rolnick 2018.
    """
    return float((1 / _check_widths(widths)).sum())


def length_second_moment(widths: ArrayLike, activation: Homogeneous = "relu") -> float:
    r"""Return :math:`E M_L^2 / M_0^2` over random weights, after layers of these widths.

    .. math:: \prod_l \left(1 + \frac{5}{n_l}\right)

    for ReLU, with 2 in place of 5 for a linear network: exact at any width, and about
    :math:`e^{5 \beta}` where no width is small. The mean of M stays as it is, so that this is one
    plus its relative variance. Far above one it comes from rare networks, which no sample shows:
    compare `log_length` then.

    Parameters
    ----------
    widths : array of int
        Units of each layer, at least 1.
    activation : {"relu", "linear"}

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If the widths are not positive whole numbers, or the activation is another.

    Examples
    --------
    >>> round(length_second_moment([20] * 5), 4)
    3.0518

    References
    ----------
    Hanin and Rolnick 2018, who bound it by exponentials of beta.
    """
    return float(np.prod(1 + _EXCESS[_check_activation(activation)] / _check_widths(widths)))


def log_length(widths: ArrayLike, activation: Homogeneous = "relu") -> LogLength:
    r"""Return mean and variance of :math:`\log M_L / M_0`, exact at any width.

    In a ReLU layer a binomial number k of the n units is active, and the ratio of lengths is
    :math:`(2 / n) \chi^2_k`; in a linear one it is :math:`\chi^2_n / n`. Mean and variance add up
    over layers. For wide layers they are about -5 / (2n) and 5 / n (-1 / n and 2 / n if linear):
    the typical length falls with depth, while the mean length stays. After many layers the law is
    about normal.

    Parameters
    ----------
    widths : array of int
        Units of each layer, at least 1.
    activation : {"relu", "linear"}

    Returns
    -------
    LogLength
        Given that some unit is active in each layer, which has the probability `alive`.

    Raises
    ------
    ValueError
        If the widths are not positive whole numbers, or the activation is another.

    Examples
    --------
    >>> layer = log_length([20])
    >>> round(layer.mean, 6), round(layer.variance, 6)
    (-0.137187, 0.311758)
    >>> round(log_length([2] * 10).alive, 4)
    0.0563

    References
    ----------
    Hanin and Rolnick 2018, for the fluctuations; the sums here are exact.
    """
    law = {"relu": _relu_layer, "linear": _linear_layer}[_check_activation(activation)]
    values, counts = np.unique(_check_widths(widths), return_counts=True)
    mean, variance, log_alive = counts @ np.array([law(int(n)) for n in values])
    return LogLength(float(mean), float(variance), float(np.exp(log_alive)))


def _relu_layer(n):
    k = np.arange(1, n + 1)
    log_ways = _log_factorial(n) - _log_factorial(k) - _log_factorial(n - k)
    log_alive = np.log1p(-(0.5**n))
    share = np.exp(log_ways - n * np.log(2) - log_alive)
    means, variances = _log_chi_squared(k)
    mean = share @ means
    return np.log(2 / n) + mean, share @ (variances + (means - mean) ** 2), log_alive


def _linear_layer(n):
    (mean,), (variance,) = _log_chi_squared(np.array([n]))
    return mean - np.log(n), variance, 0.0


def _log_chi_squared(k):
    """Mean and variance of the logarithm of a chi-squared of k degrees of freedom."""
    half = torch.from_numpy(k / 2)
    return np.log(2) + torch.digamma(half).numpy(), torch.polygamma(1, half).numpy()


def _log_factorial(n):
    return torch.lgamma(torch.as_tensor(n, dtype=torch.float64) + 1).numpy()


def _check_widths(widths):
    array = np.asarray(widths)
    if array.size == 0 or array.dtype.kind not in "iu" or np.any(array < 1):
        raise ValueError(f"widths must be positive whole numbers, got {widths!r}")
    return array.ravel()


def _check_activation(activation):
    if activation not in get_args(Homogeneous):
        hint = did_you_mean(activation, get_args(Homogeneous))
        raise ValueError(
            f"activation must be 'relu' or 'linear', whose lengths are known exactly, "
            f"got {activation!r}{hint}"
        )
    return activation
