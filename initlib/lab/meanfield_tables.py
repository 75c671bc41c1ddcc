"""Measurements in wide random networks and what mean-field theory says of them, as tables."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from initlib.lab.estimates import Estimate, estimate
from initlib.lab.wide_networks import Course, follow, in_theory, scatter
from initlib.meanfield import MeanField
from initlib.sampling import Key

__all__ = [
    "at_layers",
    "course_table",
    "depth_scales",
    "layer_table",
    "map_curves",
    "measured_scales",
    "scatter_table",
]

Scales = tuple[float, float]


def layer_table(
    activation: str, starts: Iterable[tuple[float, float]], scales: Scales, **options
) -> pd.DataFrame:
    """Measure what one layer does to pairs of signals, beside the exact maps.

    Parameters
    ----------
    activation
        Name of phi.
    starts
        Pairs (q, c) of variance and correlation.
    scales
        sigma_w and sigma_b.
    **options
        width, networks and key of `follow`.

    Returns
    -------
    DataFrame
        Two rows for each start: of "q" the mean of z^2, of "c" that of z z' relative to f(q), with
        columns of, activation, q, c, value, se, n, low, high and theory.
    """
    net, rows = MeanField(activation, *scales), []
    for q, c in starts:
        course = follow(activation, *scales, depth=1, q=q, c=c, **options)
        after = net.q_map(q)
        product = estimate(course.product[:, 1] / after)
        start = activation, q, c
        rows.append(("q", *start, *estimate(course.second[:, 1])[:5], after))
        rows.append(("c", *start, *product[:5], net.c_map(c, q)))
    columns = ["of", "activation", "q", "c", "value", "se", "n", "low", "high", "theory"]
    return pd.DataFrame(rows, columns=columns)


def map_curves(activation: str, scales: Scales, q: np.ndarray, c: np.ndarray) -> pd.DataFrame:
    """Tabulate the exact maps: of variances, and of correlations at q = 1.

    Returns
    -------
    DataFrame
        Columns of ("q" or "c"), activation, x and value.
    """
    net = MeanField(activation, *scales)
    parts = {"q": (q, net.q_map(q)), "c": (c, net.c_map(c, 1.0))}
    return pd.concat(
        pd.DataFrame({"of": of, "activation": activation, "x": x, "value": value})
        for of, (x, value) in parts.items()
    )


def at_layers(estimates: Mapping[str, Estimate], layers: Sequence[int]) -> dict[str, Estimate]:
    """Take estimates of whole courses apart, into those at some layers: "name, layer".

    Examples
    --------
    >>> at_layers({"chaos": estimate([[1.0, 2.0], [1.0, 4.0]])}, [1])["chaos, 1"].value
    np.float64(3.0)
    """
    return {
        f"{name}, {at}": Estimate(e.value[at], e.se[at], e.n, e.low[at], e.high[at])
        for name, e in estimates.items()
        for at in layers
    }


def course_table(
    courses: Mapping[str, Course],
    nets: Mapping[str, MeanField],
    of: str,
    q: float | None = None,
) -> pd.DataFrame:
    """Tabulate a part of courses that were measured, mean and 95 % interval, beside theory.

    Parameters
    ----------
    courses, nets
        By name: what was measured, and the theory of it.
    of
        A field of `Course`.
    q : float, optional
        Where the courses start; None for the fixed point.

    Returns
    -------
    DataFrame
        Columns of, name, layer, value, low, high and theory.
    """
    parts = []
    for name, course in courses.items():
        mean, depth = estimate(getattr(course, of)), course.second.shape[1] - 1
        theory = in_theory(nets[name], depth, nets[name].q_star if q is None else q)
        columns = {"value": mean.value, "low": mean.low, "high": mean.high}
        layers = {"of": of, "name": name, "layer": np.arange(depth + 1)}
        parts.append(pd.DataFrame(layers | columns | {"theory": getattr(theory, of)}))
    return pd.concat(parts)


def depth_scales(activation: str, sigma_w: np.ndarray, sigma_b: float) -> pd.DataFrame:
    """Tabulate xi_c, xi_q and the layers per factor e of squared gradients."""
    net = MeanField(activation, sigma_w, sigma_b)
    gradients = 1 / np.abs(np.log(net.chi_1))
    columns = {"sigma_w": sigma_w, "xi_c": net.xi_c, "xi_q": net.xi_q, "xi_gradient": gradients}
    return pd.DataFrame(columns)


def measured_scales(growths: Mapping[float, Estimate]) -> pd.DataFrame:
    """Turn growths of log squared gradients a layer, by sigma_w, into layers per factor e.

    Those whose interval includes zero are left out.
    """
    rows = [
        (sigma_w, *(1 / abs(own[i]) for i in (0, 3, 4)))
        for sigma_w, own in growths.items()
        if own.low * own.high > 0
    ]
    table = pd.DataFrame(rows, columns=["sigma_w", "value", "low", "high"])
    table[["low", "high"]] = np.sort(table[["low", "high"]], axis=1)
    return table


def scatter_table(
    settings: Mapping[str, Scales], widths: Sequence[int], samples: int, key: Key | int
) -> pd.DataFrame:
    """Measure the variance of mean z_l^2 between networks, relative to its squared fixed point.

    Parameters
    ----------
    settings
        By activation: sigma_w and sigma_b.
    widths, samples
        How wide networks are, and how many of each.
    key
        Seed.

    Returns
    -------
    DataFrame
        Columns activation, width, value, se, n, low, high and theory; after 12 layers.
    """
    rows = []
    for name, scales in settings.items():
        net = MeanField(name, *scales)
        for width in widths:
            options = {"width": width, "depth": 12, "networks": samples, "q": net.q_star}
            second = follow(name, *scales, **options, key=key).second[:, -1]
            square = estimate((second / net.q_star - 1) ** 2)
            rows.append((name, width, *square[:5], scatter(net) / width / net.q_star**2))
    columns = ["activation", "width", "value", "se", "n", "low", "high", "theory"]
    return pd.DataFrame(rows, columns=columns)
