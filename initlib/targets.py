"""What can be filled in place: tensors and arrays, checked, cut into blocks, with their bounds."""

import math
from collections.abc import Iterator

import numpy as np
import torch

Array = torch.Tensor | np.ndarray

BLOCK = 1 << 18  # elements filled at once; bounds what a strided or a bfloat16 target needs


def check_target(target: Array, what: str = "tensor", floating: bool = True) -> None:
    """Raise a TypeError or ValueError unless `target` can be filled in place.

    Refused are what is neither a tensor nor an array, an integer or complex dtype (if `floating`),
    an intermediate result of an autograd graph (a view of a leaf is none), a read-only array, and
    memory that overlaps itself.
    """
    if isinstance(target, torch.Tensor):
        if floating and not target.is_floating_point():
            raise TypeError(
                f"{what} must have a floating-point dtype to be filled in place, got {target.dtype}"
            )
        view_of_leaf = target._base is not None and target._base.is_leaf
        if target.requires_grad and not target.is_leaf and not view_of_leaf:
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


def blocks(view: Array, start: int) -> Iterator[tuple[Array, int]]:
    """Cut into views of at most BLOCK consecutive elements, each with its first flat index."""
    size = math.prod(view.shape)
    if view.is_contiguous() if isinstance(view, torch.Tensor) else view.flags.c_contiguous:
        view = view.reshape(-1)
    if size <= BLOCK:
        yield view, start
        return
    row = size // len(view)
    step = max(1, BLOCK // row)
    for first in range(0, len(view), step):
        part = view[first : first + step]
        if row <= BLOCK:
            yield part, start + first * row
        else:
            yield from blocks(part[0], start + first * row)


def inner_bounds(target: Array, low: float, high: float) -> tuple[float, float]:
    """Round the bounds of a law inwards, so that no rounded value falls outside of them."""
    if target.dtype.itemsize >= 8 or (low, high) == (-math.inf, math.inf):
        return low, high
    is_array = isinstance(target, np.ndarray)
    dtype = torch.from_numpy(np.empty(0, target.dtype)).dtype if is_array else target.dtype
    bounds = torch.tensor([low, high], dtype=torch.float64)
    inner = bounds.to(dtype)
    inwards = torch.nextafter(inner, torch.tensor([math.inf, -math.inf], dtype=dtype))
    outside = torch.stack([inner[0].double() < bounds[0], inner[1].double() > bounds[1]])
    inner_low, inner_high = torch.where(outside, inwards, inner).tolist()
    if inner_low > inner_high:
        raise ValueError(
            f"no {dtype} value lies in [{low}, {high}]: widen the bounds or use a wider dtype"
        )
    return inner_low, inner_high
