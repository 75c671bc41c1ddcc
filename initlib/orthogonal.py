"""Orthogonal weights: matrices, exactly uniform over all of them, and convolutions."""

import math
import operator
from typing import Literal

import numpy as np
import torch
from torch import nn

from initlib.checks import check_number, did_you_mean
from initlib.fans import fans
from initlib.fills import zeros_
from initlib.haar import fill_haar_
from initlib.sampling import Array, Generator, Key, check_target, stream_key

Keep = Literal["forward", "backward"]
_KEEP = ("forward", "backward")


def orthogonal_(
    tensor: Array,
    gain: float = 1,
    generator: Generator = None,
    *,
    keep: Keep | None = None,
    layer: nn.Module | None = None,
) -> Array:
    """Fill with `gain` times a matrix W of orthonormal rows or columns, Haar distributed.

    The tensor is seen as a matrix of ``len(tensor)`` rows: ``W W^T = I`` if it is not taller than
    wide, else ``W^T W = I``. A square W keeps the norm of every signal and of every gradient. A
    rectangular one keeps the second moment of a unit towards the side with fewer units; towards the
    other it spreads the same norm over more of them, from 64 inputs to 256 outputs a quarter for
    each. `keep` makes up for that, in one direction.

    The values depend on the generator's key and the shape, whatever the layout, the device and the
    number of threads. Another make of processor may round the last digits in another way.

    Parameters
    ----------
    tensor : Tensor or ndarray
        Filled in place: two dimensions or more, any layout, device and float dtype. The matrix is
        computed on the CPU, in float32 (float64 for float64), and rounded once.
    gain : float
        Factor on the weights.
    generator : int, torch.Generator, numpy.random.Generator or None
        As in `uniform_`.
    keep : {"forward", "backward"} or None
        Further scale W so that ``E y^2 = gain^2 E x^2`` for an output unit, or so that
        ``E dx^2 = gain^2 E dy^2`` for an input unit, in the mean over W. For a matrix the factor is
        sqrt(out / in) where "forward" widens, sqrt(in / out) where "backward" does, else one.
    layer : nn.Module, optional
        The layer of the weight, whose `fans` count for `keep`.

    Returns
    -------
    Tensor or ndarray
        What was given; untouched if it is empty or on the meta device.

    Raises
    ------
    ValueError
        If `tensor` has fewer than two dimensions, `gain` is not finite or `keep` is unknown.
    TypeError
        If `tensor` has no float dtype.

    Examples
    --------
    >>> import torch
    >>> import initlib as init
    >>> w = init.orthogonal_(torch.empty(3, 5), generator=0)
    >>> torch.allclose(w @ w.T, torch.eye(3), atol=1e-6)
    True
    >>> wide = init.orthogonal_(torch.empty(256, 64), keep="forward", generator=0)
    >>> f"{wide.square().sum(1).mean():.3f}"
    '1.000'

    References
    ----------
    Saxe, McClelland and Ganguli 2013, section 3; Stewart 1980, "The efficient generation of random
    orthogonal matrices".
    """
    check_target(tensor)
    if tensor.ndim < 2:
        raise ValueError("Only tensors with 2 or more dimensions are supported")
    gain = check_number("gain", gain)
    _check_keep(keep)
    if _is_left_alone(tensor):
        return tensor
    if keep is not None:
        fan_in, fan_out = fans(tensor, layer)
        size = math.prod(tensor.shape)
        orthonormal = min(len(tensor), size // len(tensor))
        gain *= math.sqrt(size / orthonormal / (fan_in if keep == "forward" else fan_out))
    _fill_orthogonal_(tensor, stream_key(generator), gain)
    return tensor


def delta_orthogonal_(
    tensor: Array,
    gain: float = 1,
    generator: Generator = None,
    *,
    groups: int = 1,
    keep: Keep | None = None,
) -> Array:
    """Fill a convolution weight with zeros but for its centre tap, which is `orthogonal_`.

    The convolution then acts on the channels of each pixel alone, and as an operator on whole
    images all of its singular values are `gain` (with more inputs than outputs, as many as can
    be). Those of `orthogonal_` on the same weight are not: it makes the rows of the flattened
    weight orthonormal, and patches overlap.

    The centre of a kernel of k taps is tap ``(k - 1) // 2``. For even k this is the one that
    ``padding="same"`` puts on the pixel itself.

    Parameters
    ----------
    tensor : Tensor or ndarray
        Shape (out, in / groups, *kernel) with a kernel of one to three dimensions; else as in
        `orthogonal_`.
    gain, generator, keep
        As in `orthogonal_`.
    groups : int
        Groups of the convolution; each gets a matrix of its own.

    Returns
    -------
    Tensor or ndarray
        What was given.

    Raises
    ------
    ValueError
        If the shape is not that of a convolution, or `groups` does not divide its outputs.

    Examples
    --------
    >>> import torch
    >>> import initlib as init
    >>> w = init.delta_orthogonal_(torch.empty(8, 4, 3, 3), generator=0)
    >>> torch.allclose(w[:, :, 1, 1].T @ w[:, :, 1, 1], torch.eye(4), atol=1e-6)
    True
    >>> int((w != 0).sum())
    32

    References
    ----------
    Xiao et al. 2018, "Dynamical isometry and a mean field theory of CNNs", section 3.
    """
    check_target(tensor)
    if not 3 <= tensor.ndim <= 5:
        raise ValueError(
            "Only tensors with 3, 4, or 5 dimensions are supported, (out, in / groups, *kernel); "
            f"got shape {tuple(tensor.shape)}"
        )
    groups = operator.index(groups)
    if groups < 1 or tensor.shape[0] % groups:
        raise ValueError(
            f"dim 0 must be divisible by groups, got {tensor.shape[0]} channels and groups={groups}"
        )
    gain = check_number("gain", gain)
    _check_keep(keep)
    if _is_left_alone(tensor):
        return tensor
    key = stream_key(generator)
    zeros_(tensor)
    centre = (slice(None), slice(None), *((taps - 1) // 2 for taps in tensor.shape[2:]))
    channels = len(tensor) // groups
    for group in range(groups):
        matrix = tensor[centre][group * channels : (group + 1) * channels]
        orthogonal_(matrix, gain, stream_key(key, group), keep=keep)
    return tensor


def _is_left_alone(tensor: Array) -> bool:
    return 0 in tensor.shape or (isinstance(tensor, torch.Tensor) and tensor.is_meta)


def _check_keep(keep: str | None) -> None:
    if keep is not None and keep not in _KEEP:
        raise ValueError(
            f"keep must be one of {_KEEP} or None, got {keep!r}{did_you_mean(keep, _KEEP)}"
        )


def _fill_orthogonal_(target: Array, key: Key, gain: float) -> None:
    work = plain = _plain_view(target)
    if plain is None:
        dtype = torch.float64 if target.dtype.itemsize >= 8 else torch.float32
        work = torch.empty(tuple(target.shape), dtype=dtype, device="cpu")
    matrix = work.view(len(work), -1)
    fill_haar_(matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T, key, gain)
    if plain is None and isinstance(target, np.ndarray):
        target[...] = work.numpy()
    elif plain is None:
        target.detach().copy_(work)


def _plain_view(target: Array) -> torch.Tensor | None:
    """Return the target as a tensor, if it is one that can be computed in."""
    if isinstance(target, np.ndarray):
        is_plain = target.flags.carray and target.dtype in (np.float32, np.float64)
        return torch.from_numpy(target) if is_plain else None
    is_plain = target.is_cpu and target.dtype in (torch.float32, torch.float64)
    return target.detach() if is_plain and target.is_contiguous() else None
