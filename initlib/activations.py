"""Activation functions by name: value, derivative and the points where they are not smooth."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from initlib import closed_forms
from initlib.checks import check_number, did_you_mean

Function = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Activation:
    """An elementwise function of float64 arrays, with what a quadrature must know about it.

    Parameters
    ----------
    value : callable
        The function.
    derivative : callable, optional
        Its derivative wherever it has one; None leaves it to the quadrature.
    kinks : tuple of float
        Points where the function or one of its derivatives jumps.
    jumps : tuple of float
        Those among `kinks` where the function itself jumps.
    closed_form : callable, optional
        Maps an array of variances `q` to the `E phi`, `E phi^2`, `E phi'^2` and
        `d log E phi^2 / d log q` of a pre-activation N(0, q).
    closed_form_of_pair : callable, optional
        Maps arrays of `q` and angles `theta` to `E (phi(x) - phi(y))^2 / E (x - y)^2` and
        `E phi'(x) phi'(y)` of two pre-activations N(0, q) of correlation cos(theta).
    name : str
        How messages and tables call it.
    """

    value: Function
    derivative: Function | None = None
    kinks: tuple[float, ...] = ()
    jumps: tuple[float, ...] = ()
    closed_form: Callable[[np.ndarray], tuple[np.ndarray, ...]] | None = None
    closed_form_of_pair: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, ...]] | None = None
    name: str = ""

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return self.value(np.asarray(x, dtype=np.float64))


def activation(name: str, *parameters: float) -> Activation:
    """Look an activation up by name.

    Names, parameters and their defaults are those of `torch.nn.functional`; `linear`, `erf`,
    `sin`, `gelu_tanh` and `lecun_tanh` (1.7159 tanh(2x/3)) come besides.

    Parameters
    ----------
    name : str
        A key of `ACTIVATIONS`, or one of the aliases `identity`, `swish` and `prelu`.
    *parameters : float
        What the activation takes, e.g. the negative slope of `leaky_relu`.

    Returns
    -------
    Activation

    Raises
    ------
    ValueError
        If there is no such name, or it does not take these parameters.
    TypeError
        If a parameter is not a number.

    Examples
    --------
    >>> activation("leaky_relu", 0.2)(np.array([-1.0, 2.0]))
    array([-0.2,  2. ])
    """
    known = {**ACTIVATIONS, **_ALIASES}
    if name not in known:
        hint = did_you_mean(name, known) or f"; known: {', '.join(ACTIVATIONS)}"
        raise ValueError(
            f"unknown activation {name!r}{hint} (an elementwise function will do, too)"
        )
    parameters = tuple(check_number(f"a parameter of {name}", p) for p in parameters)
    try:
        made = known[name](*parameters)
    except TypeError:
        raise ValueError(f"{name} does not take {len(parameters)} parameters") from None
    label = f"{name}({', '.join(f'{p:g}' for p in parameters)})" if parameters else name
    return replace(made, name=label)


def _special(function, x):
    return function(torch.from_numpy(np.array(x, order="C"))).numpy()


def _sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


def _between(x, low, high):
    return ((x > low) & (x < high)).astype(float)


def _leaky_relu(negative_slope=0.01):
    return Activation(
        lambda x: np.where(x > 0, x, negative_slope * x),
        lambda x: np.where(x > 0, 1.0, negative_slope),
        kinks=(0,),
        closed_form=lambda q: closed_forms.leaky_relu(q, negative_slope),
        closed_form_of_pair=lambda q, theta: closed_forms.leaky_relu_pair(q, theta, negative_slope),
    )


def _erf():
    return Activation(
        lambda x: _special(torch.special.erf, x),
        lambda x: 2 / np.sqrt(np.pi) * np.exp(-x * x),
        closed_form=closed_forms.erf,
        closed_form_of_pair=closed_forms.erf_pair,
    )


def _gelu():
    def cdf(x):
        return _special(torch.special.ndtr, x)

    return Activation(
        lambda x: x * cdf(x),
        lambda x: cdf(x) + x * np.exp(-x * x / 2) / np.sqrt(2 * np.pi),
        closed_form=closed_forms.gelu,
    )


def _gelu_tanh():
    c, cubic = np.sqrt(2 / np.pi), 0.044715  # Hendrycks & Gimpel 2016, section 2

    def derivative(x):
        t = np.tanh(c * (x + cubic * x**3))
        return (1 + t) / 2 + x * (1 - t * t) * c * (1 + 3 * cubic * x * x) / 2

    return Activation(lambda x: x * (1 + np.tanh(c * (x + cubic * x**3))) / 2, derivative)


def _scaled_tanh(height, steepness):
    return Activation(
        lambda x: height * np.tanh(steepness * x),
        lambda x: height * steepness * (1 - np.tanh(steepness * x) ** 2),
    )


def _exponential_unit(alpha, width=1.0, scale=1.0):
    """scale * (x if x > 0 else alpha (exp(x / width) - 1))."""
    return Activation(
        lambda x: scale * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0) / width)),
        lambda x: scale * np.where(x > 0, 1, alpha / width * np.exp(np.minimum(x, 0) / width)),
        kinks=(0,),
    )


def _mish():
    def gate(x):
        return np.tanh(np.logaddexp(0, x))

    return Activation(
        lambda x: x * gate(x),
        lambda x: gate(x) + x * (1 - gate(x) ** 2) * _sigmoid(x),
    )


def _clipped(low, high, slope=1.0, shift=0.0):
    """clip(slope x + shift, low, high)."""
    if not low < high:
        raise ValueError(f"the lower bound must be below the upper, got {low} and {high}")
    kinks = ((low - shift) / slope, (high - shift) / slope)
    return Activation(
        lambda x: np.clip(slope * x + shift, low, high),
        lambda x: slope * _between(x, *kinks),
        kinks,
    )


def _hardswish():
    return Activation(
        lambda x: x * np.clip(x + 3, 0, 6) / 6,
        lambda x: np.where(x < 3, (2 * x + 3) / 6 * (x > -3), 1.0),
        kinks=(-3, 3),
    )


def _softshrink(threshold=0.5):
    _positive(threshold)
    return Activation(
        lambda x: x - np.clip(x, -threshold, threshold),
        lambda x: 1 - _between(x, -threshold, threshold),
        kinks=(-threshold, threshold),
    )


def _hardshrink(threshold=0.5):
    _positive(threshold)
    return Activation(
        lambda x: np.where(np.abs(x) > threshold, x, 0.0),
        lambda x: 1 - _between(x, -threshold, threshold),
        kinks=(-threshold, threshold),
        jumps=(-threshold, threshold),
    )


def _softplus(beta=1.0):
    _positive(beta)
    return Activation(lambda x: np.logaddexp(0, beta * x) / beta, lambda x: _sigmoid(beta * x))


def _tanhshrink(x):
    """x - tanh(x), by Lambert's continued fraction where the difference would cancel."""
    square = np.minimum(x * x, 1)
    rest = np.zeros_like(x)
    for odd in range(19, 1, -2):
        rest = square / (odd + rest)
    return np.where(np.abs(x) < 1, x * rest / (1 + rest), x - np.tanh(x))


def _positive(parameter):
    if not parameter > 0:
        raise ValueError(f"the parameter must be positive, got {parameter:g}")
    return parameter


ACTIVATIONS: dict[str, Callable[..., Activation]] = {
    "linear": lambda: replace(_leaky_relu(1.0), kinks=()),
    "relu": lambda: _leaky_relu(0.0),
    "leaky_relu": _leaky_relu,
    "relu6": lambda: _clipped(0, 6),
    "tanh": lambda: _scaled_tanh(1.0, 1.0),
    "lecun_tanh": lambda: _scaled_tanh(1.7159, 2 / 3),  # LeCun et al. 1998, section 4.4
    "hardtanh": lambda min_val=-1.0, max_val=1.0: _clipped(min_val, max_val),
    "erf": _erf,
    "sin": lambda: Activation(np.sin, np.cos, closed_form=closed_forms.sin),
    "sigmoid": lambda: Activation(_sigmoid, lambda x: _sigmoid(x) * _sigmoid(-x)),
    "hardsigmoid": lambda: _clipped(0, 1, slope=1 / 6, shift=1 / 2),
    "logsigmoid": lambda: Activation(lambda x: -np.logaddexp(0, -x), lambda x: _sigmoid(-x)),
    "softplus": _softplus,
    "softsign": lambda: Activation(
        lambda x: x / (1 + np.abs(x)), lambda x: (1 + np.abs(x)) ** -2.0, kinks=(0,)
    ),
    "elu": lambda alpha=1.0: _exponential_unit(alpha),
    "celu": lambda alpha=1.0: _exponential_unit(_positive(alpha), alpha),
    # Klambauer et al. 2017: these make mean 0 and variance 1 a fixed point.
    "selu": lambda: _exponential_unit(1.6732632423543772, scale=1.0507009873554805),
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "silu": lambda: Activation(
        lambda x: x * _sigmoid(x), lambda x: _sigmoid(x) * (1 + x * _sigmoid(-x))
    ),
    "hardswish": _hardswish,
    "mish": _mish,
    "softshrink": _softshrink,
    "hardshrink": _hardshrink,
    "tanhshrink": lambda: Activation(_tanhshrink, lambda x: np.tanh(x) ** 2),
}
"""Functions that make an activation of its parameters, by name."""

_ALIASES = {
    "identity": ACTIVATIONS["linear"],
    "swish": ACTIVATIONS["silu"],
    "prelu": lambda weight=0.25: _leaky_relu(weight),
}
