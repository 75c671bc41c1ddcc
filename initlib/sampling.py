"""Random values in any array: the only place that fills tensors from streams.

A fill walks the target in blocks of consecutive flat (C-order) indices, shared by a pool of
threads. A block depends on the key and on its own indices alone, so that threads, slices and
layouts cannot change a value."""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch

from initlib import compiled
from initlib.streams import (
    GROUP,
    Generator,
    Key,
    in_order,
    normal_groups,
    stream_key,
    uniform_groups,
)
from initlib.targets import Array, blocks, check_target, inner_bounds
from initlib.truncated import CENTRAL, central_groups, central_scale, rejected_groups

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

_UNBOUNDED = -math.inf, math.inf
_SHARE = 1 << 21  # elements for each thread: a millisecond of work, ten times what a thread costs
_PAST_CACHES = 1 << 22  # elements: 16 MiB, more than the caches of a core
_SUBBLOCK = 1 << 14  # elements whose ChaCha state stays in a core's second-level cache


class _Law(NamedTuple):
    """Values of a stream's groups, and the name and parameters of the same law when compiled."""

    groups: Callable[[Key, np.ndarray, type], np.ndarray]
    name: str | None = None
    parameters: tuple[float, ...] = ()


def uniform(key: Key, start: int, stop: int, dtype: type = np.float32) -> np.ndarray:
    """Return values `start` to `stop` of the key's U[0, 1) stream, float32 or float64."""
    return _draw(_uniform_law(0.0, 1.0), key, start, np.empty(stop - start, dtype))


def normal(key: Key, start: int, stop: int, dtype: type = np.float32) -> np.ndarray:
    """Return values `start` to `stop` of the key's N(0, 1) stream, float32 or float64."""
    return _draw(_normal_law(0.0, 1.0), key, start, np.empty(stop - start, dtype))


def fill_uniform_(target: Array, key: Key, low: float, high: float, *, offset: int = 0) -> Array:
    """Fill with U[low, high).

    Parameters
    ----------
    target
        Tensor or array of any float dtype, shape, layout and device. Values are drawn in float32
        (float64 for float64) and rounded once, which may round up to `high`.
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
    return _fill(target, _uniform_law(low, high), key, offset, low, high)


def fill_normal_(target: Array, key: Key, mean: float, std: float, *, offset: int = 0) -> Array:
    """Fill with N(mean, std^2); `target` and `offset` as in `fill_uniform_`."""
    _check_spread(mean, std)
    return _fill(target, _normal_law(mean, std), key, offset)


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
    law = _truncated_law(mean, std, low, high) if std else _normal_law(mean, 0.0)
    return _fill(target, law, key, offset, low, high)


def _uniform_law(low: float, high: float) -> _Law:
    def groups(key, groups, dtype):
        return uniform_groups(key, groups, dtype) * dtype(high - low) + dtype(low)

    return _Law(groups, "uniform", (high - low, low))


def _normal_law(mean: float, std: float) -> _Law:
    def groups(key, groups, dtype):
        return normal_groups(key, groups, dtype) * dtype(std) + dtype(mean)

    return _Law(groups, "normal", (std, mean))


def _truncated_law(mean: float, std: float, low: float, high: float) -> _Law:
    a, b = (low - mean) / std, (high - mean) / std
    is_central = a <= 0 <= b and max(-a, b) <= CENTRAL

    def groups(key, groups, dtype):
        if is_central and dtype is np.float32:
            return central_groups(key, groups, a, b) * dtype(std) + dtype(mean)
        return rejected_groups(key, groups, mean, std, low, high)

    if is_central:
        return _Law(groups, "truncated", (std, mean, *central_scale(a, b)))
    return _Law(groups)


def choices(key: Key, rows: int, n: int, k: int, *, offset: int = 0) -> np.ndarray:
    """Return `k` distinct members of range(n) for each row, int64 (rows, k), uniform over subsets.

    Row r depends on the key and on ``offset + r`` alone. The order within a row is not random.
    """
    if not 0 <= k <= n:
        raise ValueError(f"cannot choose {k} distinct of {n}")
    if k * k > n:
        tickets = _tickets(key, offset * n, (offset + rows) * n).reshape(rows, n)
        return np.sort(np.argpartition(tickets, min(k, n - 1))[:, :k])
    chosen = np.empty((rows, k), np.int64)
    pending = np.ones(rows, bool)
    attempt = 0
    while pending.any():
        redraw = stream_key(key, attempt)
        draw = _tickets(redraw, offset * k, (offset + rows) * k).reshape(rows, k)
        chosen[pending] = np.sort((draw[pending] * n).astype(np.int64), axis=1)
        pending = (np.diff(chosen, axis=1) == 0).any(axis=1)
        attempt += 1
    return chosen


def permutation(key: Key, n: int) -> np.ndarray:
    """Return a uniform random permutation of range(n), int64."""
    return np.argsort(uniform(key, 0, n, np.float64), kind="stable")


def _tickets(key: Key, start: int, stop: int) -> np.ndarray:
    """Return U[0, 1) on a grid of 2^-48, from two streams of float32: those are compiled."""
    low = uniform(stream_key(key, "low"), start, stop)
    return uniform(key, start, stop) + np.multiply(low, 2.0**-24, dtype=np.float64)


def _draw(
    law: _Law,
    key: Key,
    start: int,
    out: np.ndarray,
    bounds: tuple[float, float] = _UNBOUNDED,
    *,
    past_caches: bool = False,
) -> np.ndarray:
    """Write elements ``start`` to ``start + out.size`` of a stream to `out`, one-dimensional."""
    if compiled.available and law.name and out.dtype == np.float32:
        compiled.fill(law.name, key, start, out, law.parameters, bounds, past_caches=past_caches)
        return out
    for first in range(0, out.size, _SUBBLOCK):
        part = out[first : first + _SUBBLOCK]
        begin, end = start + first, start + first + part.size
        groups = np.arange(begin // GROUP, -(-end // GROUP))
        values = in_order(law.groups(key, groups, out.dtype.type))
        part[:] = values[begin % GROUP : begin % GROUP + part.size]
        if bounds != _UNBOUNDED:
            np.clip(part, *bounds, out=part)
    return out


def _fill(
    target: Array,
    law: _Law,
    key: Key,
    offset: int,
    low: float = -math.inf,
    high: float = math.inf,
) -> Array:
    check_target(target)
    if isinstance(target, torch.Tensor) and target.is_meta:
        return target
    bounds = inner_bounds(target, low, high)
    past_caches = math.prod(target.shape) >= _PAST_CACHES
    dtype = np.float64 if target.dtype.itemsize >= 8 else np.float32
    view = target.detach() if isinstance(target, torch.Tensor) else target
    if isinstance(view, torch.Tensor) and view.is_cpu and view.dtype != torch.bfloat16:
        view = view.numpy()

    def fill(block: tuple[Array, int]) -> None:
        part, start = block
        in_place = isinstance(part, np.ndarray) and part.dtype == dtype and part.ndim == 1
        in_place = in_place and part.flags.c_contiguous
        out = part if in_place else np.empty(math.prod(part.shape), dtype)
        _draw(law, key, start, out, bounds, past_caches=past_caches and in_place)
        if isinstance(part, torch.Tensor):
            part.copy_(torch.from_numpy(out).view(part.shape))
        elif not in_place:
            part[...] = out.reshape(part.shape)

    parts = blocks(view, offset)
    workers = min(torch.get_num_threads(), math.prod(view.shape) // _SHARE)
    if workers <= 1:
        for part in parts:
            fill(part)
    else:
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(fill, parts))
    return target


def _check_finite(**numbers: float) -> None:
    for name, number in numbers.items():
        if not math.isfinite(number):
            raise ValueError(f"{name} must be finite, got {number}")


def _check_spread(mean: float, std: float) -> None:
    _check_finite(mean=mean, std=std)
    if std < 0:
        raise ValueError(f"std must not be negative, got {std}")
