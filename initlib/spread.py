"""How a signal is spread, over samples and over units, exact to the last digits at one reading.

The sum of squares is taken in rows of a few thousand elements, in the precision of the signal, and
the rows are added in float64: as exact as float64 throughout, at the speed of a dot product. Where
the means are so large that they would cancel, the signal is read again, as deviations from them.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from initlib.signal_sums import squared_norm

_PART = 1 << 16  # elements copied at once: they stay in a core's second-level cache
_SMALL = 1e-30  # mean square from which on the squares of most values are normal float32 numbers
_ROUGH = 1e-3  # share of the squares that is still exact to five digits as a difference


class Spread(NamedTuple):
    """Mean and standard deviations of a signal.

    Parameters
    ----------
    means : Tensor
        Of each unit over the samples, float64, in a shape that broadcasts against the signal.
    pooled : float
        Standard deviation of all values around the mean of all: the root of the unbiased variance,
        as ``Tensor.std``; NaN for a single value.
    across : float
        Over the samples alone: the root of the mean over units of each unit's unbiased variance
        around its own mean; NaN for a single sample.
    """

    means: Tensor
    pooled: float
    across: float


def spread(signal: Tensor, units: int = -1, *, centred: bool = False) -> Spread:
    """Return the means of the units of a signal, and its standard deviations.

    Parameters
    ----------
    signal : Tensor
        Any layout and float dtype, of at least one dimension.
    units : int
        The dimension of the units; all others are those of the samples.
    centred : bool
        Which standard deviation is wanted to the last digits: ``across``, else ``pooled``. The
        other one has five.

    Examples
    --------
    >>> import torch
    >>> from initlib.spread import spread
    >>> means, pooled, across = spread(torch.tensor([[1.0, 11.0], [3.0, 13.0]]))
    >>> means.tolist(), round(pooled, 4), round(across, 4)
    ([[2.0, 12.0]], 5.8878, 1.4142)
    """
    count, width = signal.numel(), signal.shape[units]
    samples = count // max(width, 1)
    wide = torch.promote_types(signal.dtype, torch.float32)
    axes = [axis for axis in range(signal.ndim) if axis != units % signal.ndim]
    sums = signal.sum(axes, keepdim=True, dtype=wide) if axes else signal.to(wide)
    means = sums.double() / max(samples, 1)
    if samples < 2:
        return Spread(means, means.std().item() if count > 1 else math.nan, math.nan)
    total = sum(map(squared_norm, _in_memory_order(signal)))
    within = total - samples * means.square().sum().item()
    wanted = within if centred else within + samples * _sum_around_mean(means)
    is_rough = total < _SMALL * count or within < _ROUGH * total
    if is_rough or not 2 * wanted > total:
        means, within = _read_again(signal, means, axes)
    pooled = math.sqrt((within + samples * _sum_around_mean(means)) / (count - 1))
    return Spread(means, pooled, math.sqrt(within / (count - width)))


def _sum_around_mean(means: Tensor) -> float:
    return (means - means.mean()).square().sum().item()


def _in_memory_order(signal: Tensor) -> Iterator[Tensor]:
    """Flatten without a copy, whatever the layout; slice by slice if there are gaps."""
    ordered = signal.permute(sorted(range(signal.ndim), key=signal.stride, reverse=True))
    if ordered.is_contiguous():
        yield ordered.view(-1)
    else:
        yield from (part.reshape(-1) for part in ordered)


def _read_again(signal: Tensor, means: Tensor, axes: list[int]) -> tuple[Tensor, float]:
    """Correct the means by the deviations from them, and sum the squares of these, in float64."""
    longest = max(axes, key=lambda axis: signal.shape[axis])
    step = max(1, _PART * signal.shape[longest] // signal.numel())
    sums, squares = torch.zeros_like(means), 0.0
    for part in signal.split(step, longest):
        deviations = part.double() - means
        sums += deviations.sum(axes, keepdim=True)
        squares += deviations.square_().sum().item()
    samples = signal.numel() // means.numel()
    return means + sums / samples, max(squares - sums.square().sum().item() / samples, 0.0)
