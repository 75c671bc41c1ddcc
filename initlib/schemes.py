"""The named schemes: one line each on the one law, `variance_scaling_`.

*Two traps in the names.* Glorot and Bengio (2010) call their own scheme, here `xavier_`,
"normalized initialization", and "standard" the U(-1/sqrt(fan_in), 1/sqrt(fan_in)) that they argue
against, here `standard_uniform_` and to this day the default of torch's layers. Textbooks call
"normalized" what has 1/fan_in for variance, so that a unit's weights have squared norm one on
average: here `normalized_`, the law of LeCun under another name; `unit_rows_` makes it exact.
"""

from torch import nn

from initlib.activations import Activation, Function
from initlib.gains import calculate_gain
from initlib.sampling import Array, Generator
from initlib.variance import Law, Mode

VARIANCE_SCALING = {
    "xavier_uniform": Law(1.0, "fan_avg", "uniform"),
    "xavier_normal": Law(1.0, "fan_avg", "normal"),
    "glorot_uniform": Law(1.0, "fan_avg", "uniform"),
    "glorot_normal": Law(1.0, "fan_avg", "normal"),
    "kaiming_uniform": Law(2.0, "fan_in", "uniform"),
    "kaiming_normal": Law(2.0, "fan_in", "normal"),
    "he_uniform": Law(2.0, "fan_in", "uniform"),
    "he_normal": Law(2.0, "fan_in", "normal"),
    "lecun_uniform": Law(1.0, "fan_in", "uniform"),
    "lecun_normal": Law(1.0, "fan_in", "normal"),
    "normalized_uniform": Law(1.0, "fan_in", "uniform"),
    "normalized_normal": Law(1.0, "fan_in", "normal"),
    "standard_uniform": Law(1 / 3, "fan_in", "uniform"),
}
"""The law of each named scheme at its defaults, by the function's name without the underscore."""


def xavier_uniform_(
    tensor: Array, gain: float = 1.0, generator: Generator = None, *, layer: nn.Module | None = None
) -> Array:
    """Fill with U(-c, c), c = gain sqrt(6 / (fan_in + fan_out)): variance gain^2 / fan_avg.

    A compromise between keeping the signal (1 / fan_in) and its gradient (1 / fan_out) in a linear
    layer, or one whose activation is near the identity around zero.

    Parameters
    ----------
    tensor, generator, layer
        As in `variance_scaling_`.
    gain : float
        Factor on the weights, >= 0.

    Returns
    -------
    Tensor or ndarray
        What was given.

    Examples
    --------
    >>> import torch
    >>> import initlib as init
    >>> w = init.xavier_uniform_(torch.empty(300, 700), generator=0)
    >>> f"{w.var() * 500:.2f}"
    '1.00'

    References
    ----------
    Glorot and Bengio 2010, equation 16.
    """
    return VARIANCE_SCALING["xavier_uniform"].scaled(gain).fill_(tensor, generator, layer)


def xavier_normal_(
    tensor: Array, gain: float = 1.0, generator: Generator = None, *, layer: nn.Module | None = None
) -> Array:
    """Fill with N(0, 2 gain^2 / (fan_in + fan_out)); see `xavier_uniform_`."""
    return VARIANCE_SCALING["xavier_normal"].scaled(gain).fill_(tensor, generator, layer)


def kaiming_uniform_(
    tensor: Array,
    a: float = 0,
    mode: Mode = "fan_in",
    nonlinearity: str | Activation | Function = "leaky_relu",
    generator: Generator = None,
    *,
    layer: nn.Module | None = None,
) -> Array:
    """Fill with U(-c, c), c = gain sqrt(3 / fan): variance gain^2 / fan, 2 / fan_in by default.

    A ReLU halves the second moment of a symmetric signal; the factor two makes up for it, exactly
    and at any depth. With the slope `a` on the negative side the factor is 2 / (1 + a^2).

    Parameters
    ----------
    tensor, mode, generator, layer
        As in `variance_scaling_`.
    a : float
        The slope of the leaky ReLU for negative inputs; used for ``"leaky_relu"`` only.
    nonlinearity : str, Activation or callable
        The activation before this layer; its gain is that of `calculate_gain`.

    Returns
    -------
    Tensor or ndarray
        What was given.

    Examples
    --------
    >>> import torch
    >>> import initlib as init
    >>> w = init.he_uniform_(torch.empty(300, 700), generator=0)
    >>> f"{w.var() * 700:.2f}"
    '2.00'

    References
    ----------
    He et al. 2015, equations 10 and 14.
    """
    law = Law(1.0, mode, "uniform").scaled(calculate_gain(nonlinearity, a))
    return law.fill_(tensor, generator, layer)


def kaiming_normal_(
    tensor: Array,
    a: float = 0,
    mode: Mode = "fan_in",
    nonlinearity: str | Activation | Function = "leaky_relu",
    generator: Generator = None,
    *,
    layer: nn.Module | None = None,
) -> Array:
    """Fill with N(0, gain^2 / fan); see `kaiming_uniform_`."""
    law = Law(1.0, mode, "normal").scaled(calculate_gain(nonlinearity, a))
    return law.fill_(tensor, generator, layer)


def lecun_uniform_(
    tensor: Array, generator: Generator = None, *, layer: nn.Module | None = None
) -> Array:
    """Fill with U(-c, c), c = sqrt(3 / fan_in): variance 1 / fan_in; see `lecun_normal_`."""
    return VARIANCE_SCALING["lecun_uniform"].fill_(tensor, generator, layer)


def lecun_normal_(
    tensor: Array, generator: Generator = None, *, layer: nn.Module | None = None
) -> Array:
    """Fill with N(0, 1 / fan_in).

    Keeps the second moment of the signal in a linear layer. With the activation it was made for,
    1.7159 tanh(2 x / 3), the second moment settles at 0.382; with SELU, which was made for this
    law, at one.

    Parameters
    ----------
    tensor, generator, layer
        As in `variance_scaling_`.

    Returns
    -------
    Tensor or ndarray
        What was given.

    Examples
    --------
    >>> import torch
    >>> import initlib as init
    >>> w = init.lecun_normal_(torch.empty(300, 700), generator=0)
    >>> f"{w.var() * 700:.2f}"
    '1.00'

    References
    ----------
    LeCun, Bottou, Orr and Mueller 1998, "Efficient BackProp", section 4.6.
    """
    return VARIANCE_SCALING["lecun_normal"].fill_(tensor, generator, layer)


def standard_uniform_(
    tensor: Array, generator: Generator = None, *, layer: nn.Module | None = None
) -> Array:
    """Fill with U(-1 / sqrt(fan_in), 1 / sqrt(fan_in)): variance 1 / (3 fan_in).

    The default of torch's linear and convolution layers, spelled there `kaiming_uniform_` with
    a = sqrt(5). The signal's second moment falls threefold in each linear layer, sixfold with a
    ReLU.

    Parameters
    ----------
    tensor, generator, layer
        As in `variance_scaling_`.

    Returns
    -------
    Tensor or ndarray
        What was given.

    Examples
    --------
    >>> import torch
    >>> import initlib as init
    >>> w = init.standard_uniform_(torch.empty(300, 100), generator=0)
    >>> f"{w.abs().max():.3f}"
    '0.100'

    References
    ----------
    Glorot and Bengio 2010, equation 1.
    """
    return VARIANCE_SCALING["standard_uniform"].fill_(tensor, generator, layer)


glorot_uniform_ = xavier_uniform_
glorot_normal_ = xavier_normal_
he_uniform_ = kaiming_uniform_
he_normal_ = kaiming_normal_
normalized_uniform_ = lecun_uniform_
normalized_normal_ = lecun_normal_
