"""Fan-in and fan-out of a weight: how many products reach an output, and leave an input.

Let the entries of a weight be independent, of mean zero and variance ``s^2``. Away from the
borders, whatever the correlations of the inputs ``x`` and of the output gradients ``dy``,

    E y^2  = fan_in  s^2 E x^2      (1)
    E dx^2 = fan_out s^2 E dy^2     (2)

with the mean taken over the units of the layer. These two equations are the definition used
here. They need the layer: the shape alone does not tell a grouped from a plain convolution, what
the stride is, or that a tensor packs several matrices.
"""

import math
import operator
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from torch import Tensor, nn
from torch.nn.utils import parametrize

from initlib.rehearsal import rehearsal

WEIGHT_LAYERS = (
    nn.Linear,
    nn.Bilinear,
    nn.modules.conv._ConvNd,
    nn.Embedding,
    nn.RNNBase,
    nn.RNNCellBase,
    nn.MultiheadAttention,
)
"""Layers whose weights are read by what the layer does, not by shape alone."""

NORM_LAYERS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
"""Layers that scale each unit by itself: nothing is summed, so no fan is defined."""

_GATES = {
    (nn.LSTM, nn.LSTMCell): ("i", "f", "g", "o"),
    (nn.GRU, nn.GRUCell): ("r", "z", "n"),
}
_GATED = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
_LAZY = (
    "a lazy layer has no shape before its first batch; run one through the model, then try again"
)


class Fans(NamedTuple):
    """The two fans of a weight; not a whole number where a stride does not divide the kernel."""

    fan_in: int | float
    fan_out: int | float


def fans(
    x: Tensor | np.ndarray | Sequence[int] | nn.Module, layer: nn.Module | None = None
) -> Fans:
    """Return the forward and the backward fan of a weight, from its layer or from its shape.

    In a layer, the fans are those of equations (1) and (2) at the top of this module:

    ======================  =====================================  ==============================
    layer                   fan_in                                 fan_out
    ======================  =====================================  ==============================
    Linear                  in                                     out
    Conv1d, 2d, 3d          in / groups * taps                     out / groups * taps / strides
    ConvTranspose1d, 2d,3d  in / groups * taps / strides           out / groups * taps
    Bilinear                in1 * in2                              2 out in1 in2 / (in1 + in2)
    Embedding               1                                      embedding_dim
    RNN, GRU, LSTM, cells   columns                                rows of one gate
    MultiheadAttention      columns                                rows of one of q, k, v
    ======================  =====================================  ==============================

    with ``taps`` the product of the kernel sizes and ``strides`` that of the strides. The dilation
    does not matter. Where a stride does not divide the kernel, positions differ, and the fan is
    their mean.

    - *Packed weights* (``in_proj_weight``, the gates of a recurrent layer) hold one matrix for each
      of ``blocks``; the fans are those of one matrix, as if each were a layer of its own. Where
      several blocks read the same input their gradients add up: ``E dx^2`` is the sum over blocks
      of ``fan_out s^2 E dy^2``, with ``dy`` the gradient at that block's pre-activations.
    - *Embedding* looks a row up: ``E y^2 = s^2``, a fan-in of one. Nothing flows back to an index;
      the fan-out is that of the equivalent one-hot input.
    - *Bilinear* takes two inputs; the fan-out is the mean over the units of both, given that the
      other input has unit second moment.
    - Any other layer is read by its shape, as below.

    Parameters
    ----------
    x : Tensor, ndarray, shape or Module
        The weight, or its shape. A module stands for its ``weight``: ``fans(conv)`` is
        ``fans(conv.weight, conv)``.
    layer : Module, optional
        The layer that owns the weight. ``x`` must then be one of its parameters, one block of a
        packed parameter, or have the shape of either. Without a layer the shape is read by torch's
        convention: ``(out, in, *kernel)``, no groups, stride one.

    Returns
    -------
    Fans
        ``(fan_in, fan_out)``, integers where they are whole.

    Raises
    ------
    ValueError
        For fewer than two dimensions, a shape that the layer does not have, a lazy layer that has
        not seen data, and layers whose fan is not defined (norms) or depends on the data
        (EmbeddingBag).
    TypeError
        If ``x`` or ``layer`` is none of the above.

    Examples
    --------
    >>> import torch
    >>> import initlib as init
    >>> depthwise = torch.nn.Conv2d(64, 64, 3, groups=64)
    >>> init.fans(depthwise)
    Fans(fan_in=9, fan_out=9)
    >>> init.fans(depthwise.weight)
    Fans(fan_in=9, fan_out=576)
    >>> init.fans(torch.nn.ConvTranspose2d(128, 32, 4, stride=2))
    Fans(fan_in=512, fan_out=512)

    References
    ----------
    Glorot and Bengio 2010, equations 5 and 6; He et al. 2015, equations 7 and 14 (fan-out of a
    convolution of stride one).
    """
    if isinstance(x, nn.Module):
        if layer is not None:
            raise TypeError(
                "give a layer alone, fans(layer), or a weight first, fans(weight, layer)"
            )
        return fans(_only_weight(x), x)
    shape = _shape(x)
    if layer is None:
        return _by_shape(shape)
    if not isinstance(layer, nn.Module):
        raise TypeError(f"layer must be a torch.nn.Module, not {type(layer).__name__}")
    return _in_layer(_matrix(shape, layer), layer)


def blocks(layer: nn.Module, name: str) -> tuple[str, ...]:
    """Name the matrices that a packed parameter stacks along its first dimension.

    The blocks are of equal size and in torch's order: ``tensor.chunk(len(names))`` splits them.

    Parameters
    ----------
    layer : Module
        The layer that owns the parameter.
    name : str
        The parameter's name within the layer, such as ``"weight_ih_l0"``.

    Returns
    -------
    tuple of str
        ``("q", "k", "v")`` in attention, ``("i", "f", "g", "o")`` in an LSTM, ``("r", "z", "n")``
        in a GRU (input, forget, cell, output; reset, update, new); empty if not packed.

    Examples
    --------
    >>> import torch
    >>> from initlib.fans import blocks
    >>> blocks(torch.nn.GRU(3, 5), "weight_ih_l0")
    ('r', 'z', 'n')
    >>> blocks(torch.nn.Linear(3, 5), "weight")
    ()
    """
    if isinstance(layer, nn.MultiheadAttention) and name.startswith("in_proj_"):
        return ("q", "k", "v")
    for types, gates in _GATES.items():
        if isinstance(layer, types) and name.startswith(_GATED):
            return gates
    return ()


def _shape(x: Tensor | np.ndarray | Sequence[int]) -> tuple[int, ...]:
    if isinstance(x, nn.parameter.UninitializedTensorMixin):
        raise ValueError(_LAZY)
    try:
        shape = tuple(operator.index(n) for n in getattr(x, "shape", x))
    except TypeError:
        raise TypeError(f"expected a tensor, an array, a shape or a module, not {x!r}") from None
    if any(n < 0 for n in shape):
        raise ValueError(f"a shape has no negative sizes, given {shape}")
    return shape


def _only_weight(layer: nn.Module) -> Tensor:
    computed = _computed(layer)
    weight = computed["weight"] if "weight" in computed else getattr(layer, "weight", None)
    if isinstance(weight, Tensor):
        return weight
    raise ValueError(
        f"{type(layer).__name__} has no single weight; it has {_describe(_shapes(layer))}. "
        "Name one: fans(weight, layer)"
    )


def _shapes(layer: nn.Module) -> dict[str, tuple[int, ...]]:
    """The layer's own parameters, with a parametrized one under the name the layer uses."""
    tensors = dict(layer.named_parameters(recurse=False)) | _computed(layer)
    return {name: _shape(tensor) for name, tensor in tensors.items()}


def _computed(layer: nn.Module) -> dict[str, Tensor]:
    """The layer's parametrized tensors, under the names the layer uses."""
    if not parametrize.is_parametrized(layer):
        return {}
    with rehearsal(layer):  # a look must not change a layer that counts its uses: spectral_norm
        return {name: getattr(layer, name) for name in layer.parametrizations}


def _describe(shapes: dict[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} {shape}" for name, shape in shapes.items()) or "no parameters"


def _matrix(shape: tuple[int, ...], layer: nn.Module) -> tuple[int, ...]:
    """The shape of one matrix of the parameter that has this shape, or has blocks of it."""
    shapes = _shapes(layer)
    for name, whole in shapes.items():
        count = max(1, len(blocks(layer, name)))
        one = (*(rows // count for rows in whole[:1]), *whole[1:])
        if shape in (whole, one):
            return one
    raise ValueError(
        f"{type(layer).__name__} has no parameter of shape {shape}; it has {_describe(shapes)}"
    )


def _ratio(numerator: int, denominator: int) -> int | float:
    whole, rest = divmod(numerator, denominator)
    return numerator / denominator if rest else whole


def _by_shape(shape: tuple[int, ...]) -> Fans:
    if len(shape) < 2:
        raise ValueError(
            "Fan in and fan out can not be computed for tensor with fewer than 2 dimensions"
        )
    taps = math.prod(shape[2:])
    return Fans(shape[1] * taps, shape[0] * taps)


def _in_layer(shape: tuple[int, ...], layer: nn.Module) -> Fans:
    if isinstance(layer, NORM_LAYERS):
        raise ValueError(
            f"{type(layer).__name__} scales each unit by itself, so its weight has no fan; "
            "set it by value, for example to ones"
        )
    if isinstance(layer, nn.EmbeddingBag):
        raise ValueError(
            "the fan of an EmbeddingBag is its bag size, which the layer does not know; "
            "give the std instead, for example normal_(layer.weight, std=...)"
        )
    if len(shape) < 2:
        return _by_shape(shape)
    if isinstance(layer, nn.modules.conv._ConvNd):
        taps = math.prod(shape[2:])
        dense = shape[1] * taps
        strided = _ratio(shape[0] * taps, layer.groups * math.prod(layer.stride))
        return Fans(strided, dense) if layer.transposed else Fans(dense, strided)
    if isinstance(layer, nn.Embedding):
        return Fans(1, shape[1])
    if isinstance(layer, nn.Bilinear):
        out, in1, in2 = shape
        return Fans(in1 * in2, _ratio(2 * out * in1 * in2, in1 + in2))
    return _by_shape(shape)
