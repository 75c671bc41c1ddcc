"""The one law of random weights: independent, of mean zero, of variance scale / fan.

    Var w = scale / fan,    fan = fan_in, fan_out, their mean (fan_avg) or geometric mean (fan_geo)

With inputs of second moment one, E y^2 = fan_in Var w: scale 1 at fan_in keeps the signal of a
linear layer, scale 1 at fan_out its gradient, and an activation phi before the layer asks for
scale 1 / E phi(z)^2. The assumption is that the weights are independent of the inputs.
"""

import math
import warnings
from typing import Literal, NamedTuple

from torch import nn

from initlib.checks import check_number, did_you_mean
from initlib.fans import Fans, fans
from initlib.fills import normal_, trunc_normal_, uniform_, zeros_
from initlib.sampling import Array, Generator, check_target

Mode = Literal["fan_in", "fan_out", "fan_avg", "fan_geo"]
Distribution = Literal["normal", "uniform", "truncated_normal"]

_FAN = {
    "fan_in": lambda fan_in, fan_out: fan_in,
    "fan_out": lambda fan_in, fan_out: fan_out,
    "fan_avg": lambda fan_in, fan_out: (fan_in + fan_out) / 2,
    "fan_geo": lambda fan_in, fan_out: math.sqrt(fan_in * fan_out),
}
_DRAW = {
    "normal": lambda w, std, key: normal_(w, 0.0, std, key),
    "uniform": lambda w, std, key: uniform_(w, -math.sqrt(3) * std, math.sqrt(3) * std, key),
    "truncated_normal": lambda w, std, key: trunc_normal_(
        w, 0.0, std, -2, 2, key, bounds="corrected"
    ),
}


class Law(NamedTuple):
    """Var w = scale / fan, and the shape of the distribution."""

    scale: float
    mode: Mode
    distribution: Distribution

    def std(self, fans: Fans) -> float:
        """Return sqrt(scale / fan), the standard deviation that a weight with these fans gets."""
        return math.sqrt(self.scale / _FAN[self.mode](*fans))

    def scaled(self, gain: float) -> "Law":
        """Return the law of the weights times `gain`, a number >= 0."""
        gain = check_number("gain", gain, low=0)
        return self._replace(scale=self.scale * gain * gain)

    def fill_(self, tensor: Array, generator: Generator, layer: nn.Module | None) -> Array:
        """Fill with the law at the fans of `tensor`; arguments as in `variance_scaling_`."""
        check_target(tensor)
        check_number("scale", self.scale, low=0)
        mode = str(self.mode).lower()
        if mode not in _FAN:
            raise ValueError(
                f"Mode {mode} not supported, please use one of {list(_FAN)}"
                f"{did_you_mean(mode, _FAN)}"
            )
        if self.distribution not in _DRAW:
            raise ValueError(
                f"unknown distribution {self.distribution!r}, please use one of {list(_DRAW)}"
                f"{did_you_mean(self.distribution, _DRAW)}"
            )
        if 0 in tensor.shape:
            warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=3)
            return tensor
        std = self._replace(mode=mode).std(fans(tensor, layer))
        return _DRAW[self.distribution](tensor, std, generator) if std > 0 else zeros_(tensor)


def variance_scaling_(
    tensor: Array,
    scale: float = 1.0,
    mode: Mode = "fan_in",
    distribution: Distribution = "normal",
    generator: Generator = None,
    *,
    layer: nn.Module | None = None,
) -> Array:
    """Fill with independent weights of mean zero and variance scale / fan.

    Parameters
    ----------
    tensor : Tensor or ndarray
        Filled in place: any layout, device and float dtype, of shape (out, in, *kernel) unless
        `layer` says otherwise. An empty one is left alone, with a warning.
    scale : float
        The numerator, >= 0; at zero all weights are zero.
    mode : {"fan_in", "fan_out", "fan_avg", "fan_geo"}
        The fan in the denominator.
    distribution : {"normal", "uniform", "truncated_normal"}
        N(0, s^2); U(-sqrt(3) s, sqrt(3) s); or a normal law cut at two of its standard deviations
        and widened by 1 / 0.8796 so that the weights have variance s^2 all the same.
    generator : int, torch.Generator, numpy.random.Generator or None
        A seed, or a generator to draw one from; None stands for torch's default generator, so that
        `torch.manual_seed` rules.
    layer : Module, optional
        The layer that owns the weight, for the fans that it really has: groups, strides, transposed
        convolutions, packed matrices, embeddings. See `fans`.

    Returns
    -------
    Tensor or ndarray
        What was given.

    Raises
    ------
    ValueError
        If `scale` is negative or not finite, a name is unknown, or the fans are not defined.
    TypeError
        If `tensor` has no float dtype, or an argument is of the wrong type.

    Examples
    --------
    >>> import torch
    >>> import initlib as init
    >>> conv = torch.nn.Conv2d(256, 256, 3, groups=256)
    >>> w = init.variance_scaling_(conv.weight, 2.0, "fan_out", generator=0, layer=conv)
    >>> f"{w.std():.2f}"  # sqrt(2 / 9); by the shape alone, sqrt(2 / 2304)
    '0.47'

    References
    ----------
    LeCun et al. 1998, "Efficient BackProp", section 4.6; Glorot and Bengio 2010; He et al. 2015.
    """
    return Law(scale, mode, distribution).fill_(tensor, generator, layer)
