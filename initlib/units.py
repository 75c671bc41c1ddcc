"""Weights drawn unit by unit: a few incoming connections each, or a direction of given norm."""

import math
import operator
import warnings
from collections.abc import Iterator

import numpy as np
import torch

from initlib.checks import check_number
from initlib.fills import zeros_
from initlib.sampling import (
    Array,
    Generator,
    check_target,
    choices,
    fill_normal_,
    normal,
    stream_key,
)

_BLOCK = 1 << 17  # elements of scratch memory: about what a core keeps in its cache


def sparse_(
    tensor: Array,
    sparsity: float | None = None,
    std: float | None = None,
    generator: Generator = None,
    *,
    nonzeros: int | None = None,
) -> Array:
    """Fill a matrix with a few normal weights in each row, or in each column, and zeros.

    ``nonzeros=15`` is the method of Martens: each unit, a row, gets 15 incoming weights from
    N(0, 1), whatever its number of inputs. Units stay diverse and, with inputs of second moment
    one, see a variance of 15; the pattern of zeros is gone after a step of training.

    `sparsity` is torch's reading: a fraction of each *column*, of the weights that leave an input,
    is zero. The number of incoming weights then differs between units.

    Parameters
    ----------
    tensor : Tensor or ndarray
        Matrix of shape (out, in) and float dtype, filled in place.
    sparsity : float
        Fraction of zeros in [0, 1]; ceil(sparsity * out) weights of each column are zero.
    std : float
        Standard deviation of the weights that are not zero; 0.01 with `sparsity`, as in torch, and
        1 with `nonzeros`, as in Martens.
    generator : int, torch.Generator, numpy.random.Generator or None
        As in `variance_scaling_`.
    nonzeros : int
        Number of incoming weights of each row, at most ``in``.

    Returns
    -------
    Tensor or ndarray
        What was given.

    Raises
    ------
    ValueError
        If `tensor` is not a matrix, a number is out of range, or not exactly one of `sparsity` and
        `nonzeros` is given.

    Examples
    --------
    >>> import torch
    >>> import initlib as init
    >>> w = init.sparse_(torch.empty(100, 784), nonzeros=15, generator=0)
    >>> w.count_nonzero(dim=1).unique()
    tensor([15])

    References
    ----------
    Martens 2010, "Deep learning via Hessian-free optimization".
    """
    check_target(tensor)
    if tensor.ndim != 2:
        raise ValueError(
            f"Only tensors with 2 dimensions are supported, got shape {tuple(tensor.shape)}"
        )
    if (sparsity is None) == (nonzeros is None):
        raise ValueError(
            "give either sparsity, the fraction of zeros in each column, or nonzeros, the number "
            f"of incoming weights of each row; got sparsity={sparsity} and nonzeros={nonzeros}"
        )
    by_column = nonzeros is None
    lines = tensor.T if by_column else tensor
    size = lines.shape[1]
    if by_column:
        kept = size - math.ceil(check_number("sparsity", sparsity, 0, 1) * size)
    else:
        kept = operator.index(nonzeros)
        if not 0 <= kept <= size:
            raise ValueError(f"nonzeros must be in [0, {size}], the inputs of a unit, got {kept}")
    if std is None:
        std = 0.01 if by_column else 1.0
    std = check_number("std", std, low=0)

    if 0 in tensor.shape:
        return tensor
    key = stream_key(generator)
    values, support = stream_key(key, "values"), stream_key(key, "support")
    few = kept <= size // 2  # choose the smaller of the two sets, the weights or the zeros
    if few:
        zeros_(tensor)
    else:
        fill_normal_(tensor, values, 0.0, std)
    chosen = kept if few else size - kept
    dtype = _drawn_dtype(tensor)
    scratch = chosen if chosen * chosen <= size else size  # of a line in `choices`
    for first, count in _blocks(lines, scratch):
        place = choices(support, count, size, chosen, offset=first)
        value = np.zeros(place.shape, dtype)
        if few:
            drawn = normal(values, first * chosen, (first + count) * chosen, dtype)
            np.multiply(drawn.reshape(place.shape), std, out=value, casting="same_kind")
        _scatter(lines[first : first + count], place, value)
    return tensor


def unit_rows_(tensor: Array, gain: float = 1.0, generator: Generator = None) -> Array:
    """Fill so that the weights into each unit are a random direction: a vector of norm `gain`.

    A row, ``tensor[i]`` flattened, is uniform on the sphere. Its n weights have mean zero and
    variance gain^2 / n. In `normalized_normal_` they have variance 1 / n too, but the squared norm
    is one on average only, and E |row| = sqrt(2 / n) Gamma((n + 1) / 2) / Gamma(n / 2).

    Parameters
    ----------
    tensor : Tensor or ndarray
        Shape (out, in, *kernel) and float dtype, filled in place.
    gain : float
        The norm, >= 0; exact up to the rounding of each weight to the dtype.
    generator : int, torch.Generator, numpy.random.Generator or None
        As in `variance_scaling_`.

    Returns
    -------
    Tensor or ndarray
        What was given.

    Raises
    ------
    ValueError
        If `tensor` has fewer than two dimensions, or `gain` is negative or not finite.

    Examples
    --------
    >>> import numpy as np
    >>> import initlib as init
    >>> w = init.unit_rows_(np.empty((3, 50)), generator=0)
    >>> np.linalg.norm(w, axis=1).round(12)
    array([1., 1., 1.])

    References
    ----------
    Muller 1959, "A note on a method for generating points uniformly on n-dimensional spheres".
    """
    check_target(tensor)
    if tensor.ndim < 2:
        raise ValueError(
            f"rows need a tensor of 2 dimensions or more, got shape {tuple(tensor.shape)}"
        )
    gain = check_number("gain", gain, low=0)
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=2)
        return tensor
    key, dtype = stream_key(generator), _drawn_dtype(tensor)
    size = math.prod(tensor.shape[1:])
    for first, count in _blocks(tensor, size):
        rows = normal(key, first * size, (first + count) * size, dtype).reshape(count, size)
        norms = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
        without_direction = norms == 0  # possible in rows of one or two weights
        rows[without_direction, 0] = norms[without_direction] = 1
        np.multiply(rows, (gain / norms)[:, None], out=rows, casting="same_kind")
        _copy(tensor[first : first + count], rows)
    return tensor


def _drawn_dtype(tensor: Array) -> type:
    return np.float64 if tensor.dtype in (np.float64, torch.float64) else np.float32


def _blocks(lines: Array, scratch: int) -> Iterator[tuple[int, int]]:
    """Cut the first dimension into runs, their start and length, that take about _BLOCK elements.

    Each line takes `scratch` elements."""
    step = max(1, _BLOCK // max(1, scratch))
    for first in range(0, len(lines), step):
        yield first, min(step, len(lines) - first)


def _scatter(lines: Array, place: np.ndarray, value: np.ndarray) -> None:
    """Assign ``lines[i, place[i, j]] = value[i, j]``, rounding once."""
    if isinstance(lines, torch.Tensor):
        index = torch.from_numpy(place).to(lines.device)
        with torch.no_grad():
            lines.scatter_(1, index, torch.from_numpy(value).to(lines))
    else:
        np.put_along_axis(lines, place, value, axis=1)


def _copy(target: Array, value: np.ndarray) -> None:
    """Assign ``target[...] = value``, in the shape of the target, rounding once."""
    value = value.reshape(target.shape)
    with torch.no_grad():
        target[...] = torch.from_numpy(value) if isinstance(target, torch.Tensor) else value
