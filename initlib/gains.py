r"""Gains: the factor on the weights that makes up for what an activation does to a signal.

With zero biases and weights of variance `g^2 / fan_in`, one layer maps the second moment `q` of
the pre-activations to `g^2 E phi(sqrt(q) z)^2`, z ~ N(0, 1), and multiplies that of the gradients
by `chi_1 = g^2 E phi'(sqrt(q) z)^2`. A gain solves one of these for a fixed point. That it is one
does not make it stable: `GainReport.slope` tells.
"""

import math
from collections.abc import Iterable
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import ArrayLike

from initlib.activations import ACTIVATIONS, Activation, Function
from initlib.callables import as_activation
from initlib.checks import check_number, did_you_mean
from initlib.moments import moments

Target = Literal["second_moment", "variance", "gradient"]

_EXACT = "the exact gain, at every q"
_TORCH = {
    "linear": (1.0, _EXACT),
    "relu": (math.sqrt(2), _EXACT),
    "sigmoid": (1.0, "not a gain: q settles at 0.26, where gradients vanish, chi_1 = 0.056"),
    "tanh": (
        5 / 3,
        "chosen without a record: q settles at 1.18, where gradients grow, chi_1 = 1.21",
    ),
    "selu": (3 / 4, "found by trial: q falls to 0.023; SELU is made for gain 1, where q stays 1"),
}
_TORCH_LINEAR = [f"conv{transpose}{n}d" for transpose in ("", "_transpose") for n in (1, 2, 3)]


class GainReport(NamedTuple):
    """The gains of one activation at one q, with what follows from them; see `gain_report`."""

    activation: str
    q: float
    second_moment: float
    variance: float
    gradient: float
    slope: float
    chi_1: float
    torch: float | None
    torch_is: str


def gain(
    activation: str | Activation | Function,
    target: Target = "second_moment",
    q: ArrayLike = 1.0,
    *,
    tolerance: float = 1e-9,
) -> float | np.ndarray:
    r"""Compute the gain that keeps a moment of the signal, or of its gradient, across a layer.

    ===============  =========================================  ================================
    `target`         gain                                       keeps
    ===============  =========================================  ================================
    "second_moment"  :math:`\sqrt{q / E \phi(\sqrt q z)^2}`     pre-activations' second moment
    "variance"       :math:`\sqrt{q / Var \phi(\sqrt q z)}`     the same, where the mean of the
                                                                activations is taken away
    "gradient"       :math:`1 / \sqrt{E \phi'(\sqrt q z)^2}`    gradients' second moment
    ===============  =========================================  ================================

    Weights are independent with mean zero and variance gain^2 / fan_in (gain^2 / fan_out for the
    gradient), biases zero, widths large. The first and the last agree if the activation is linear
    on each side of zero, the first two if its mean is zero. Whether a deviation from `q` dies out
    or grows with depth is told by `gain_report`.

    Parameters
    ----------
    activation : str, Activation or callable
        A name (see `activation`), or an elementwise function of NumPy arrays or torch tensors.
    target : {"second_moment", "variance", "gradient"}
    q : float or array
        The second moment of the pre-activations.
    tolerance : float
        Relative accuracy of the expectations.

    Returns
    -------
    float or ndarray
        One gain for each `q`.

    Raises
    ------
    ValueError
        If no gain can do it: a function that vanishes (is constant, for "variance"), or that jumps,
        for "gradient"; and as in `moments`.
    TypeError
        If the function is not elementwise.

    Examples
    --------
    >>> import torch
    >>> round(gain("gelu"), 4)
    1.5335
    >>> round(gain(lambda x: x * torch.sigmoid(1.702 * x), target="gradient"), 4)
    1.4915

    References
    ----------
    He et al. 2015, equation 10 (ReLU); Poole et al. 2016 (any activation).
    """
    if target not in get_args(Target):
        known = ", ".join(map(repr, get_args(Target)))
        hint = did_you_mean(target, get_args(Target))
        raise ValueError(f"target must be one of {known}, got {target!r}{hint}")
    phi = as_activation(activation)
    m = moments(phi, q, tolerance=tolerance)
    kept = {
        "second_moment": m.second_moment / np.asarray(q),
        "variance": m.variance / np.asarray(q),
        "gradient": np.asarray(m.squared_derivative),
    }[target]
    if np.any(np.isinf(kept)):
        raise ValueError(
            f"{phi.name} jumps, so E phi'^2 is infinite and no gain keeps the gradient; "
            "try target='second_moment'"
        )
    if not np.all(kept > 0):
        raise ValueError(f"{phi.name} passes no {target} on at q={q}, so no gain can keep it")
    gains = kept**-0.5
    return gains.item() if gains.ndim == 0 else gains


def gain_report(activation: str | Activation | Function, q: float = 1.0) -> GainReport:
    r"""Report every gain of an activation, its stability, and torch's constant beside it.

    Parameters
    ----------
    activation : str, Activation or callable
    q : float
        The second moment of the pre-activations.

    Returns
    -------
    GainReport
        - `second_moment`, `variance`, `gradient`: the gains, as in `gain`; the variance gain of a
          constant is infinite, the gradient gain zero where the activation jumps.
        - `slope`: of the map :math:`q \mapsto g^2 E \phi(\sqrt q z)^2` at its fixed point, for the
          second-moment gain :math:`g`. A deviation of `q` is multiplied by it at each layer.
        - `chi_1`: :math:`g^2 E \phi'^2`, the growth of the gradients' second moment by a layer,
          for the same gain; infinite where the activation jumps.
        - `torch`, `torch_is`: what `torch.nn.init.calculate_gain` returns, and what that is.

    Examples
    --------
    >>> tanh = gain_report("tanh")
    >>> round(tanh.second_moment, 4), round(tanh.slope, 3), round(tanh.chi_1, 3)
    (1.5925, 0.461, 1.178)
    >>> round(tanh.torch, 4), tanh.torch_is
    (1.6667, 'chosen without a record: q settles at 1.18, where gradients grow, chi_1 = 1.21')
    """
    phi = as_activation(activation)
    q = check_number("q", q)
    second = gain(phi, q=q)
    m = moments(phi, q)
    with np.errstate(divide="ignore"):
        variance, gradient = np.array([m.variance / q, m.squared_derivative]) ** -0.5
    name = phi.name if isinstance(activation, str | Activation) else None
    torch, torch_is = _TORCH.get(name, (None, "torch has none"))
    if name is not None and name.startswith("leaky_relu"):
        torch, torch_is = second, _EXACT
    return GainReport(
        activation=phi.name,
        q=q,
        second_moment=second,
        variance=variance.item(),
        gradient=gradient.item(),
        slope=m.slope,
        chi_1=second**2 * m.squared_derivative,
        torch=torch,
        torch_is=torch_is,
    )


def gain_table(
    activations: Iterable[str | Activation | Function] = tuple(ACTIVATIONS), q: float = 1.0
) -> list[GainReport]:
    """Report the gains of many activations, all named ones by default.

    `pandas.DataFrame(gain_table())` makes a table with one column for each field.

    Examples
    --------
    >>> [row.activation for row in gain_table() if row.slope > 1]
    ['gelu', 'gelu_tanh', 'silu', 'hardswish', 'mish', 'softshrink', 'hardshrink', 'tanhshrink']
    """
    return [gain_report(activation, q) for activation in activations]


def calculate_gain(nonlinearity: str | Activation | Function, param: float | None = None) -> float:
    """Return torch's gain for the activations that torch knows, the exact one for any other.

    A drop-in for `torch.nn.init.calculate_gain`. Its constants for tanh (5/3), sigmoid (1) and
    selu (3/4) are conventions, not gains that keep a moment: see `gain_report`.

    Parameters
    ----------
    nonlinearity : str, Activation or callable
        torch's names, including the convolutions, and whatever `gain` takes.
    param : float, optional
        The negative slope of `"leaky_relu"`, 0.01 by default; any other activation ignores it.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        For an unknown name, or a slope that is not a number.

    Examples
    --------
    >>> calculate_gain("tanh") == 5 / 3
    True
    >>> round(calculate_gain("leaky_relu", 0.2), 4), round(calculate_gain("mish"), 4)
    (1.3868, 1.4868)
    """
    if isinstance(nonlinearity, str):
        if nonlinearity in _TORCH_LINEAR:
            return 1.0
        if nonlinearity in _TORCH:
            return _TORCH[nonlinearity][0]
        if nonlinearity == "leaky_relu" and param is not None:
            if isinstance(param, bool) or not isinstance(param, int | float):
                raise ValueError(f"negative_slope {param} not a valid number")
            return math.sqrt(2 / (1 + param**2))
    try:
        return gain(nonlinearity)
    except (TypeError, ValueError) as error:
        raise ValueError(f"Unsupported nonlinearity {nonlinearity}: {error}") from error
