"""The mean and the standard deviation of a signal, exact to the last digits at the cost of reading.

The sum of squares is taken in rows of a few thousand elements, in the precision of the signal, and
the rows are added in float64: as exact as float64 throughout, at the speed of a dot product. Where
the mean is so large that it would cancel, the signal is read a second time, as deviations from it.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

_ROW = 1 << 12  # terms added in float32: relative errors of 1e-8, an eighth of its epsilon
_SMALL = 1e-30  # mean square from which on squares are far from the ends of the float32 range
_PART = 1 << 16  # elements copied at once: they stay in a core's second-level cache


def spread(signal: Tensor, units: int | None = None) -> tuple[Tensor, float]:
    """Return the mean of a signal, and its standard deviation around it.

    Parameters
    ----------
    signal : Tensor
        Any shape, layout and float dtype.
    units : int, optional
        The dimension of the units of a layer, such as -1 for the output of a linear layer. Each
        then has its own mean over all other dimensions, the samples, and the variances around them
        are averaged: the differences between the means do not count.

    Returns
    -------
    mean : Tensor
        float64, of no dimension; with `units`, of a shape that broadcasts against the signal.
    std : float
        The root of the unbiased variance, NaN for fewer than two values (of each unit).

    Examples
    --------
    >>> import torch
    >>> from initlib.spread import spread
    >>> signal = torch.tensor([[1.0, 11.0], [3.0, 13.0]])  # two samples of two units
    >>> [round(float(value), 4) for value in spread(signal)]
    [7.0, 5.8878]
    >>> mean, std = spread(signal, units=-1)
    >>> mean.tolist(), round(std, 4)
    ([[2.0, 12.0]], 1.4142)
    """
    axes = [axis for axis in range(signal.ndim) if units is None or axis != units % signal.ndim]
    count = math.prod(signal.shape[axis] for axis in axes)
    freedom = signal.numel() - signal.numel() // max(count, 1)
    wide = torch.promote_types(signal.dtype, torch.float32)
    mean = signal.sum(axes, keepdim=units is not None, dtype=wide).double() / max(count, 1)
    if not freedom:
        return mean, math.nan
    total = sum(map(_sum_of_squares, _in_memory_order(signal)))
    of_means = count * mean.square().sum().item()
    if of_means <= total / 2 and _SMALL < total / signal.numel() < 1 / _SMALL:
        return mean, math.sqrt((total - of_means) / freedom)
    return mean, math.sqrt(_sum_of_deviations(signal, mean) / freedom)


def _in_memory_order(signal: Tensor) -> Iterator[Tensor]:
    """Flatten without a copy, whatever the layout; slice by slice if there are gaps."""
    ordered = signal.permute(sorted(range(signal.ndim), key=signal.stride, reverse=True))
    if ordered.is_contiguous():
        yield ordered.view(-1)
    else:
        yield from (part.reshape(-1) for part in ordered)


def _sum_of_squares(values: Tensor) -> float:
    wide = torch.promote_types(values.dtype, torch.float32)
    whole = len(values) // _ROW * _ROW
    rows = torch.linalg.vector_norm(values[:whole].view(-1, _ROW), dim=1, dtype=wide)
    rest = torch.linalg.vector_norm(values[whole:], dtype=wide)
    return rows.double().square().sum().item() + rest.item() ** 2


def _sum_of_deviations(signal: Tensor, mean: Tensor) -> float:
    longest = max(range(signal.ndim), key=lambda axis: signal.shape[axis])
    step = max(1, _PART * signal.shape[longest] // signal.numel())
    parts = zip(
        signal.split(step, longest), mean.expand_as(signal).split(step, longest), strict=True
    )
    return sum((part.double() - centre).square().sum().item() for part, centre in parts)
