"""Random values in any array: the only place that fills tensors from streams.

A fill walks the target in blocks of consecutive flat (C-order) indices, shared by a pool of
threads. A block depends on the key and on its own indices alone, so that threads, slices and
layouts cannot change a value."""

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from initlib.streams import (
    GROUP,
    Generator,
    Key,
    in_order,
    normal_groups,
    stream_key,
    uniform_groups,
)
from initlib.truncated import CENTRAL, central_groups, rejected_groups

__all__ = [
    "Array",
    "Generator",
    "Key",
    "check_target",
    "choices",
    "fill_normal_",
    "fill_truncated_normal_",
    "fill_uniform_",
    "normal",
    "permutation",
    "stream_key",
    "uniform",
]

Array = torch.Tensor | np.ndarray

_BLOCK = (
    1 << 16
)  # elements: the state and the scratch of a block stay in a core's second-level cache


def uniform(key: Key, start: int, stop: int, dtype: type = np.float32) -> np.ndarray:
    """Return values `start` to `stop` of the key's U[0, 1) stream, float32 or float64."""
    return _values(uniform_groups, key, start, stop, dtype)


def normal(key: Key, start: int, stop: int, dtype: type = np.float32) -> np.ndarray:
    """Return values `start` to `stop` of the key's N(0, 1) stream, float32 or float64."""
    return _values(normal_groups, key, start, stop, dtype)


def fill_uniform_(target: Array, key: Key, low: float, high: float, *, offset: int = 0) -> Array:
    """Fill with U[low, high).

    Parameters
    ----------
    target
        Tensor or array of any float dtype, shape, layout and device. Values are drawn in float32
        (float64 for float64) and rounded once.
    offset
        Flat index in the stream of the target's first element: a shard of a larger tensor passes
        where it starts, and gets the same values as the whole.

    Examples
    --------
    >>> whole = fill_uniform_(np.empty(8), stream_key(0), -1, 1)
    >>> part = fill_uniform_(np.empty(3), stream_key(0), -1, 1, offset=5)
    >>> bool((part == whole[5:]).all())
    True
    """
    _check_finite(low=low, high=high)
    if not low <= high:
        raise ValueError(f"uniform bounds must satisfy low <= high, got low={low}, high={high}")

    def values(start, stop, dtype):
        return uniform(key, start, stop, dtype) * dtype(high - low) + dtype(low)

    return _fill(target, values, offset, low, high)


def fill_normal_(target: Array, key: Key, mean: float, std: float, *, offset: int = 0) -> Array:
    """Fill with N(mean, std^2); `target` and `offset` as in `fill_uniform_`."""
    _check_spread(mean, std)

    def values(start, stop, dtype):
        return normal(key, start, stop, dtype) * dtype(std) + dtype(mean)

    return _fill(target, values, offset)


def fill_truncated_normal_(
    target: Array, key: Key, mean: float, std: float, low: float, high: float, *, offset: int = 0
) -> Array:
    """Fill with N(mean, std^2) conditioned on [low, high], exact for any bounds, far tails too.

    The bounds are absolute and may be infinite. `target` and `offset` are as in `fill_uniform_`.
    """
    _check_spread(mean, std)
    if not low < high:
        raise ValueError(f"truncation bounds must satisfy low < high, got low={low}, high={high}")
    if std == 0 and not low <= mean <= high:
        raise ValueError(f"with std=0 every value is the mean {mean}, outside of [{low}, {high}]")
    if std == 0:
        return _fill(target, lambda start, stop, dtype: np.full(stop - start, mean, dtype), offset)

    a, b = (low - mean) / std, (high - mean) / std

    def central(key, groups, dtype):
        return central_groups(key, groups, a, b) * dtype(std) + dtype(mean)

    def rejected(key, groups, dtype):
        return rejected_groups(key, groups, mean, std, low, high)

    def values(start, stop, dtype):
        by_polynomial = dtype == np.float32 and a <= 0 <= b and max(-a, b) <= CENTRAL
        return _values(central if by_polynomial else rejected, key, start, stop, dtype)

    return _fill(target, values, offset, low, high)


def choices(key: Key, rows: int, n: int, k: int, *, offset: int = 0) -> np.ndarray:
    """Return `k` distinct members of range(n) for each row, int64 (rows, k), uniform over subsets.

    Row r depends on the key and on ``offset + r`` alone. The order within a row is not random.
    """
    if not 0 <= k <= n:
        raise ValueError(f"cannot choose {k} distinct of {n}")
    if k * k > n:
        tickets = uniform(key, offset * n, (offset + rows) * n, np.float64).reshape(rows, n)
        return np.sort(np.argpartition(tickets, min(k, n - 1), axis=1)[:, :k], axis=1)
    chosen = np.empty((rows, k), np.int64)
    pending = np.ones(rows, bool)
    attempt = 0
    while pending.any():
        draw = uniform(
            stream_key(key, attempt), offset * k, (offset + rows) * k, np.float64
        ).reshape(rows, k)
        chosen[pending] = np.sort((draw[pending] * n).astype(np.int64), axis=1)
        pending = (np.diff(chosen, axis=1) == 0).any(axis=1)
        attempt += 1
    return chosen


def permutation(key: Key, n: int) -> np.ndarray:
    """Return a uniform random permutation of range(n), int64."""
    return np.argsort(uniform(key, 0, n, np.float64), kind="stable")


def check_target(target: Array, what: str = "tensor", floating: bool = True) -> None:
    """Raise a TypeError or ValueError unless `target` can be filled in place.

    Refused are what is neither a tensor nor an array, an integer or complex dtype (if `floating`),
    a tensor that requires grad inside a graph, a read-only array, and memory that overlaps itself.
    """
    if isinstance(target, torch.Tensor):
        if floating and not target.is_floating_point():
            raise TypeError(
                f"{what} must have a floating-point dtype to be filled in place, got {target.dtype}"
            )
        if target.requires_grad and not target.is_leaf:
            raise ValueError(
                f"{what} is part of an autograd graph: initialize the leaf, or pass {what}.detach()"
            )
        strides, shape = target.stride(), target.shape
    elif isinstance(target, np.ndarray):
        if floating and not np.issubdtype(target.dtype, np.floating):
            raise TypeError(
                f"{what} must have a floating-point dtype to be filled in place, got {target.dtype}"
            )
        if not target.flags.writeable:
            raise ValueError(f"{what} is read-only: pass a copy")
        strides, shape = target.strides, target.shape
    else:
        raise TypeError(
            f"{what} must be a torch.Tensor or numpy.ndarray, got {type(target).__name__}"
        )
    if any(step == 0 and size > 1 for step, size in zip(strides, shape, strict=True)):
        raise ValueError(
            f"{what} is expanded, several elements share one memory cell: pass {what}.clone()"
        )


def _values(law: Callable, key: Key, start: int, stop: int, dtype: type) -> np.ndarray:
    first = start // GROUP
    values = in_order(law(key, np.arange(first, -(-stop // GROUP)), dtype))
    return values[start - first * GROUP : stop - first * GROUP]


def _fill(
    target: Array,
    values: Callable[[int, int, type], np.ndarray],
    offset: int,
    low: float = -math.inf,
    high: float = math.inf,
) -> Array:
    check_target(target)
    tensor = torch.from_numpy(target) if isinstance(target, np.ndarray) else target.detach()
    if tensor.is_meta or not tensor.numel():
        return target
    low, high = _inner_bounds(tensor.dtype, low, high)
    dtype = np.float64 if tensor.dtype == torch.float64 else np.float32

    def fill(block: tuple[torch.Tensor, int]) -> None:
        part, start = block
        drawn = torch.from_numpy(values(start, start + part.numel(), dtype))
        part.copy_(drawn.to(part.dtype).clamp_(low, high).view(part.shape))

    workers = min(torch.get_num_threads(), -(-tensor.numel() // _BLOCK))
    with torch.no_grad():
        blocks = _blocks(tensor, offset)
        if workers == 1:
            for block in blocks:
                fill(block)
        else:
            with ThreadPoolExecutor(workers) as pool:
                for _ in pool.map(fill, blocks):
                    pass
    return target


def _blocks(tensor: torch.Tensor, start: int) -> Iterator[tuple[torch.Tensor, int]]:
    """Cut into views of at most _BLOCK consecutive elements, each with its first flat index."""
    if tensor.is_contiguous():
        tensor = tensor.view(-1)
    if tensor.numel() <= _BLOCK:
        yield tensor, start
        return
    row = tensor[0].numel()
    step = max(1, _BLOCK // row)
    for first in range(0, len(tensor), step):
        part = tensor[first : first + step]
        if part.numel() <= _BLOCK:
            yield part, start + first * row
        else:
            yield from _blocks(part[0], start + first * row)


def _inner_bounds(dtype: torch.dtype, low: float, high: float) -> tuple[float, float]:
    """Round the bounds of a law inwards, so that no rounded value falls outside of them."""
    inner_low, inner_high = (
        torch.tensor(bound, dtype=torch.float64).to(dtype) for bound in (low, high)
    )
    if inner_low.item() < low:
        inner_low = torch.nextafter(inner_low, torch.tensor(math.inf, dtype=dtype))
    if inner_high.item() > high:
        inner_high = torch.nextafter(inner_high, torch.tensor(-math.inf, dtype=dtype))
    if inner_low > inner_high:
        raise ValueError(
            f"no {dtype} value lies in [{low}, {high}]: widen the bounds or use a wider dtype"
        )
    return inner_low.item(), inner_high.item()


def _check_finite(**numbers: float) -> None:
    for name, number in numbers.items():
        if not math.isfinite(number):
            raise ValueError(f"{name} must be finite, got {number}")


def _check_spread(mean: float, std: float) -> None:
    _check_finite(mean=mean, std=std)
    if std < 0:
        raise ValueError(f"std must not be negative, got {std}")
