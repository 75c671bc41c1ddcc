"""Fills that need no fans: one value, a uniform, a normal and a truncated normal law."""

import functools
import math
from typing import Literal

import numpy as np
import torch

from initlib.checks import check_number, did_you_mean
from initlib.sampling import (
    Array,
    Generator,
    check_target,
    fill_normal_,
    fill_truncated_normal_,
    fill_uniform_,
    stream_key,
)

Bounds = Literal["absolute", "std", "corrected"]
_BOUNDS = ("absolute", "std", "corrected")


def constant_(tensor: Array, val: float) -> Array:
    """Fill with one value.

    Right for biases and gains. Units with equal weights compute the same, get the same gradient and
    so stay equal for ever: a constant is never right for the weight matrix of a hidden layer.

    Parameters
    ----------
    tensor : Tensor or ndarray
        Filled in place; integer dtypes are welcome here.
    val : float
        The value, rounded to the dtype.

    Returns
    -------
    Tensor or ndarray
        What was given.

    Examples
    --------
    >>> import torch
    >>> import initlib as init
    >>> init.constant_(torch.empty(3), 0.5)
    tensor([0.5000, 0.5000, 0.5000])
    """
    check_target(tensor, floating=False)
    with torch.no_grad():
        tensor.fill_(val) if isinstance(tensor, torch.Tensor) else tensor.fill(val)
    return tensor


def ones_(tensor: Array) -> Array:
    """Fill with ones; see `constant_`."""
    return constant_(tensor, 1.0)


def zeros_(tensor: Array) -> Array:
    """Fill with zeros; see `constant_`.

    Right for biases, and for the last layer of a residual branch. Where all weights are zero and
    the activation has phi(0) = 0, every gradient but that of the last bias is zero.
    """
    return constant_(tensor, 0.0)


def uniform_(tensor: Array, a: float = 0.0, b: float = 1.0, generator: Generator = None) -> Array:
    """Fill with U[a, b), of mean (a + b) / 2 and standard deviation (b - a) / sqrt(12).

    Parameters
    ----------
    tensor : Tensor or ndarray
        Filled in place: any shape, layout, device and float dtype. Values are drawn in float32
        (float64 for float64) and rounded once.
    a, b : float
        The bounds.
    generator : int, torch.Generator, numpy.random.Generator or None
        A seed, or a generator to draw one from; None stands for torch's default generator, so that
        `torch.manual_seed` rules.

    Returns
    -------
    Tensor or ndarray
        What was given.

    Raises
    ------
    ValueError
        If a > b, or a bound is not finite.
    TypeError
        If `tensor` has no float dtype.

    Examples
    --------
    >>> import torch
    >>> import initlib as init
    >>> w = init.uniform_(torch.empty(100, 100), -1, 1, generator=0)
    >>> f"{w.std():.1f}"  # 2 / sqrt(12) = 0.577
    '0.6'
    """
    check_target(tensor)
    a, b = check_number("a", a), check_number("b", b)
    return fill_uniform_(tensor, stream_key(generator), a, b)


def normal_(
    tensor: Array, mean: float = 0.0, std: float = 1.0, generator: Generator = None
) -> Array:
    """Fill with N(mean, std^2).

    Parameters
    ----------
    tensor, generator
        As in `uniform_`.
    mean, std : float
        Mean and standard deviation, std >= 0.

    Returns
    -------
    Tensor or ndarray
        What was given.

    Raises
    ------
    ValueError
        If `std` is negative, or a number is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> import initlib as init
    >>> w = init.normal_(np.empty((100, 100)), mean=3, std=0.5, generator=0)
    >>> f"{w.mean():.1f} {w.std():.1f}"
    '3.0 0.5'
    """
    check_target(tensor)
    mean, std = check_number("mean", mean), check_number("std", std, low=0)
    return fill_normal_(tensor, stream_key(generator), mean, std)


def trunc_normal_(
    tensor: Array,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator = None,
    *,
    bounds: Bounds = "absolute",
) -> Array:
    """Fill with the normal law N(mean, std^2) conditioned on an interval.

    With the default bounds, which are values as in torch, a small `std` is not truncated at all:
    at std = 0.02 the bounds +-2 lie at 100 standard deviations.

    Parameters
    ----------
    tensor, generator
        As in `uniform_`.
    mean, std : float
        Mean and standard deviation of the normal law before it is cut.
    a, b : float
        The bounds, a < b, finite or infinite.
    bounds : {"absolute", "std", "corrected"}
        What `a` and `b` are: values; standard deviations from the mean; or the same with the
        normal law widened before the cut so that the values drawn have the standard deviation
        `std`. At +-2 the cut would otherwise leave 0.8796 of it, see `truncated_std`.

    Returns
    -------
    Tensor or ndarray
        What was given.

    Raises
    ------
    ValueError
        If `std` is negative, a >= b, a number is NaN, or `bounds` is unknown.

    Examples
    --------
    >>> import torch
    >>> import initlib as init
    >>> w = torch.empty(200, 200)
    >>> f"{init.trunc_normal_(w, std=0.02, bounds='std', generator=0).std():.3f}"
    '0.018'
    >>> f"{init.trunc_normal_(w, std=0.02, bounds='corrected', generator=0).std():.3f}"
    '0.020'
    """
    check_target(tensor)
    if bounds not in _BOUNDS:
        raise ValueError(
            f"bounds must be one of {_BOUNDS}, got {bounds!r}{did_you_mean(bounds, _BOUNDS)}"
        )
    mean, std = check_number("mean", mean), check_number("std", std, low=0)
    a, b = check_number("a", a, finite=False), check_number("b", b, finite=False)
    if bounds != "absolute":
        std /= truncated_std(a, b) if bounds == "corrected" else 1
        a, b = mean + a * std, mean + b * std
    return fill_truncated_normal_(tensor, stream_key(generator), mean, std, a, b)


@functools.cache
def truncated_std(low: float, high: float) -> float:
    """Return the standard deviation of N(0, 1) conditioned on [low, high].

    The square root of ``int (x - m)^2 phi(x) dx / int phi(x) dx`` over the interval, m being the
    conditional mean. The closed form, 1 - 2 c phi(c) / erf(c / sqrt 2) for the variance on [-c, c],
    cancels for narrow intervals and in the tails; Gauss-Legendre quadrature does not.

    Raises
    ------
    ValueError
        If low >= high.

    Examples
    --------
    >>> f"{truncated_std(-2, 2):.12f}"
    '0.879625661034'
    """
    if not low < high:
        raise ValueError(f"truncation bounds must satisfy low < high, got low={low}, high={high}")
    mode = min(max(low, 0.0), high)
    # Where phi has fallen to e^-40 of its largest value, 2^-57, the rest cannot matter.
    reach = math.sqrt(mode * mode + 80)
    low, high = max(low, -reach), min(high, reach)
    nodes, weights = np.polynomial.legendre.leggauss(100)
    x = low + (high - low) * (nodes + 1) / 2
    share = weights * np.exp((mode - x) * (mode + x) / 2)
    share /= share.sum()
    return math.sqrt(share @ (x - share @ x) ** 2)
