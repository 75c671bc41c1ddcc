"""What the gains of `initlib.gain` do in random networks: by one layer, and by many."""

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import pandas as pd

from initlib.activations import activation as named
from initlib.callables import as_activation
from initlib.gains import GainReport, gain
from initlib.lab.estimates import estimate
from initlib.lab.wide_networks import Course, follow
from initlib.moments import moments
from initlib.sampling import Key

__all__ = ["TORCH", "biased_scales", "deep_courses", "departure", "departure_table", "one_layer"]

TORCH = [
    "relu", "leaky_relu", "relu6", "elu", "celu", "selu", "gelu", "silu", "hardswish", "mish",
    "tanh", "hardtanh", "softsign", "sigmoid", "hardsigmoid", "logsigmoid", "softplus",
    "softshrink", "hardshrink", "tanhshrink",
]  # fmt: skip
"""The elementwise activations of torch, with their default parameters, that are not random."""

_MOST = 1e6


def one_layer(target: str, width: int, networks: int, key: Key | int) -> pd.DataFrame:
    """Measure what one layer with its gain keeps, for signals of variance 1.

    Parameters
    ----------
    target
        "second_moment": of pre-activations, from layer to layer; "gradient": the squared norm of
        the gradient, going back. Activations that jump have no gain for gradients, and are left
        out.
    width, networks, key
        As in `follow`.

    Returns
    -------
    DataFrame
        Indexed by activation, with columns value (the ratio), se, n, low and high.
    """
    rows = {}
    for name in TORCH:
        if target == "gradient" and named(name).jumps:
            continue
        scale = gain(name, target)
        course = follow(name, scale, 0.0, width=width, depth=1, networks=networks, key=key)
        kept = course.second[:, 1] if target == "second_moment" else course.error[:, 0]
        rows[name] = estimate(kept)[:5]
    return pd.DataFrame.from_dict(rows, orient="index", columns=["value", "se", "n", "low", "high"])


def biased_scales(report: GainReport, variance: float) -> tuple[float, float]:
    """Return sigma_w and sigma_b that keep q = 1 with biases of this variance.

    The weights get the rest, ``sigma_w^2 = (1 - variance) g^2``, and the slope of the variance map
    at its fixed point is that of the report, times ``1 - variance``.

    Examples
    --------
    >>> from initlib.gains import gain_report
    >>> sigma_w, sigma_b = biased_scales(gain_report("relu"), 0.5)
    >>> round(sigma_w, 6), round(sigma_b, 6)
    (1.0, 0.707107)
    """
    return report.second_moment * (1 - variance) ** 0.5, variance**0.5


def noise(report: GainReport, function: str | Callable | None = None) -> float:
    r"""Return v, n times the variance that one layer of n units adds to q = 1.

    The next q is ``g^2 mean phi(z)^2`` over n independent units z ~ N(0, 1), so that v is
    ``g^4 Var phi^2``. A report on a function that has no name needs the function.

    Examples
    --------
    >>> from initlib.gains import gain_report
    >>> round(noise(gain_report("relu")), 6)
    5.0
    """
    phi = as_activation(function or report.activation)
    return report.second_moment**4 * float(moments(lambda x: phi(x) ** 2).variance)


def spread(report: GainReport, layers: int) -> float:
    """Predict n Var(mean z_l^2) between networks that start at q = 1, to first order in 1/n.

    Each layer multiplies a deviation by the slope s and adds `noise`: v (1 + s^2 + ... ) with
    `layers` terms. The mean square of n units adds 2.
    """
    return noise(report) * float((report.slope ** (2.0 * np.arange(layers))).sum()) + 2


def depth_limit(report: GainReport, width: int, function: str | Callable | None = None) -> float:
    """Return the layers after which deviations of q have reached a standard deviation of one.

    Examples
    --------
    >>> from initlib.gains import gain_report
    >>> depth_limit(gain_report("tanh"), 100)
    inf
    >>> round(depth_limit(gain_report("relu"), 100), 3)
    20.0
    """
    v, slope = noise(report, function) / width, report.slope
    if abs(slope - 1) < 1e-6:
        return 1 / v
    inside = 1 + (slope**2 - 1) / v
    return float(np.log(inside) / (2 * np.log(slope))) if inside > 0 else np.inf


def deep_courses(scales: Mapping[str, tuple[float, float]], **options) -> dict[str, Course]:
    """Follow signals of variance 1 at these sigma_w and sigma_b; options are those of `follow`."""
    return {name: follow(name, *own, **options) for name, own in scales.items()}


def departure(second: np.ndarray) -> np.ndarray:
    """Return |log q|, with q between a millionth and a million.

    Examples
    --------
    >>> departure(np.array([1.0, np.e, 1 / np.e]))
    array([0., 1., 1.])
    """
    return np.abs(np.log(np.clip(np.nan_to_num(second, nan=_MOST), 1 / _MOST, _MOST)))


def departure_table(
    courses: Mapping[str, Course], reports: Iterable[GainReport] = ()
) -> pd.DataFrame:
    """Tabulate the departure of the last layer, mean over networks with its 95 % interval.

    Returns
    -------
    DataFrame
        Indexed by activation, with columns value, se, n, low and high, and slope if reported.
    """
    rows = {name: estimate(departure(own.second[:, -1]))[:5] for name, own in courses.items()}
    table = pd.DataFrame.from_dict(
        rows, orient="index", columns=["value", "se", "n", "low", "high"]
    )
    slopes = {report.activation: report.slope for report in reports}
    return table.assign(slope=[slopes.get(name, np.nan) for name in table.index])
