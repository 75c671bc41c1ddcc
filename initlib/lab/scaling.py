"""Variance scaling at work: the gains of schemes, and where activations let signals settle."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from initlib.fans import Fans
from initlib.fills import normal_
from initlib.lab.propagation import gain_sweep
from initlib.lab.signals import Signals, law_signals, layer_table
from initlib.lab.stack import Activation
from initlib.moments import moments
from initlib.sampling import Key, stream_key
from initlib.units import unit_rows_
from initlib.variance import Law

__all__ = [
    "FixedPoint",
    "directions",
    "fixed_point",
    "linear_gains",
    "map_lines",
    "map_points",
    "normalizing_paths",
    "torch_scales",
]

Schemes = Mapping[str, tuple[Callable[..., Tensor], float, str]]


def linear_gains(scale: float, mode: str, n_in: float, n_out: float) -> tuple[float, float]:
    """Return the forward and the backward gain of a linear layer with Var w = scale / fan.

    Besides the modes of `variance_scaling_`, "fan_max" stands for the larger fan: the variance of
    the entries of orthogonal matrices.

    Examples
    --------
    >>> linear_gains(1.0, "fan_avg", 100, 300)
    (0.5, 1.5)
    """
    fans = Fans(n_in, n_out)
    is_max = mode == "fan_max"
    variance = scale / max(fans) if is_max else Law(scale, mode, "normal").std(fans) ** 2
    return n_in * variance, n_out * variance


def map_lines(schemes: Schemes, shapes: Iterable[tuple[float, float]]) -> pd.DataFrame:
    """Return the gains of schemes by theory: columns scheme, n_in, n_out, forward, backward.

    Parameters
    ----------
    schemes
        For each name its initializer, scale and mode.
    shapes
        Pairs (n_in, n_out).
    """
    shapes = list(shapes)
    rows = [
        (name, *shape, *linear_gains(scale, mode, *shape))
        for name, (_, scale, mode) in schemes.items()
        for shape in shapes
    ]
    return pd.DataFrame(rows, columns=["scheme", "n_in", "n_out", "forward", "backward"])


def map_points(
    schemes: Schemes, shapes: Iterable[tuple[int, int]], *, key: Key | int, draws: int
) -> pd.DataFrame:
    """Measure the gains of schemes in linear layers.

    Parameters
    ----------
    schemes, shapes
        As in `map_lines`.
    key
        Seed; each scheme has a stream of its own.
    draws
        Layers drawn for each mean.

    Returns
    -------
    DataFrame
        The columns of `gain_sweep`, with scheme and predicted.
    """
    shapes, tables = list(shapes), []
    for name, (fill, scale, mode) in schemes.items():
        table = gain_sweep(fill, shapes, key=stream_key(key, name), draws=draws)
        predicted = [
            linear_gains(scale, mode, row.n_in, row.n_out)[row.direction == "backward"]
            for row in table.itertuples()
        ]
        tables.append(table.assign(scheme=name, predicted=predicted))
    return pd.concat(tables, ignore_index=True)


def torch_scales(seed: int = 0, shape: tuple[int, int] = (30, 50)) -> dict[str, float]:
    """Return fan Var w of torch's named schemes, read off their weights.

    A scheme and a standard draw, U(-1, 1) or N(0, 1), start from the same state of torch's
    generator. Their ratio is one number, squared the variance of the scheme over that of the
    standard draw; from all weights the ratio that lies farthest from their median is taken.

    Examples
    --------
    >>> {name: round(scale, 6) for name, scale in torch_scales().items()}
    {'Xavier': 1.0, 'He': 2.0, 'He by fan-out': 2.0, 'LeCun': 1.0, 'default': 0.333333}
    """
    torch_init = torch.nn.init
    he, n_out, n_in = torch_init.kaiming_normal_, *shape
    named = {
        "Xavier": (torch_init.xavier_normal_, torch_init.normal_, (n_in + n_out) / 2),
        "He": (he, torch_init.normal_, n_in),
        "He by fan-out": (partial(he, mode="fan_out"), torch_init.normal_, n_out),
        "LeCun": (partial(he, nonlinearity="linear"), torch_init.normal_, n_in),
        # The call in the constructor of nn.Linear; U(-1, 1) has variance 1/3.
        "default": (
            partial(torch_init.kaiming_uniform_, a=math.sqrt(5)),
            partial(torch_init.uniform_, a=-1.0, b=1.0),
            n_in / 3,
        ),
    }
    scales = {}
    for name, (scheme, standard, fan) in named.items():
        weight, draw = (torch.empty(shape, dtype=torch.float64) for _ in range(2))
        for tensor, fill in ((weight, scheme), (draw, standard)):
            fill(tensor, generator=torch.Generator().manual_seed(seed))
        ratio = (fan * (weight / draw).square()).flatten()
        scales[name] = ratio[(ratio - ratio.median()).abs().argmax()].item()
    return scales


class FixedPoint(NamedTuple):
    """Where the second moment of pre-activations settles, and what holds there.

    Attributes
    ----------
    q
        The second moment.
    slope
        What a deviation from q is multiplied by at each layer.
    chi
        What the squared norm of the gradient is multiplied by at each layer.
    mean, variance
        Of the activations.
    """

    q: float
    slope: float
    chi: float
    mean: float
    variance: float


def fixed_point(activation: str, gain: float = 1.0, start: float = 1.0) -> FixedPoint:
    """Find where wide layers with weights N(0, gain^2 / fan_in) leave the second moment as it is.

    Parameters
    ----------
    activation
        A name, as in `moments`.
    gain
        Of the weights.
    start
        A second moment to search from, by Newton's method on the logarithm.

    Raises
    ------
    ValueError
        When the search finds none: at some gains the second moment goes to zero or to infinity.

    Examples
    --------
    >>> print(f"{fixed_point('lecun_tanh').q:.8f}")
    0.38244080
    """
    q = start
    for _ in range(60):
        at = moments(activation, q)
        step = math.log(gain**2 * at.second_moment / q) / max(1 - at.slope, 1e-9)
        if abs(step) < 1e-13:
            return FixedPoint(q, at.slope, gain**2 * at.squared_derivative, at.mean, at.variance)
        q *= math.exp(max(-3.0, min(3.0, step)))
        if not 1e-12 < q < 1e12:
            break
    raise ValueError(
        f"{activation} with gain {gain:g} has no fixed point that was found: q = {q:g}"
    )


def directions(draws: int, n: int, second: float, *, key: Key | int) -> Tensor:
    """Return inputs (draws, n) in random directions, each with a mean square of `second`."""
    return unit_rows_(torch.empty(draws, n), math.sqrt(n * second), generator=key)


def normalizing_paths(
    activation: Activation,
    gain: float,
    places: Sequence[tuple[float, float]],
    *,
    sizes: Sequence[int],
    draws: int,
    key: Key | int,
) -> tuple[pd.DataFrame, pd.DataFrame, list[tuple[Signals, Signals]]]:
    """Follow mean and variance of activations through networks, from several kinds of input.

    Parameters
    ----------
    activation
        Name of phi.
    gain
        Weights are N(0, gain^2 / fan_in).
    places
        Mean and standard deviation of the Gaussian inputs of each path.
    sizes
        n_0 .. n_L.
    draws
        Networks for each path, with an input each.
    key
        Seed.

    Returns
    -------
    portrait : DataFrame
        Columns gain, start (number of the place), layer (0 is the input), mean and variance.
    layers : DataFrame
        The moments second and error along the first path: see `layer_table`.
    signals : list
        Measured and predicted moments of each path.
    """
    portrait, paths = [], []
    for start, (mean, std) in enumerate(places):
        inputs = torch.empty(draws, sizes[0])
        normal_(inputs, mean, std, stream_key(key, start, "inputs"))
        law = Law(gain**2, "fan_in", "normal")
        paths.append(law_signals(law, sizes, inputs, activation, key=stream_key(key, start)))
        after, second = (part.mean(axis=0) for part in (paths[-1][0].mean, paths[-1][0].second))
        path = {"mean": [mean, *after], "variance": [std**2, *(second - after**2)]}
        columns = {"gain": gain, "start": start, "layer": np.arange(len(sizes))}
        portrait.append(pd.DataFrame(columns | path))
    layers = pd.concat(
        layer_table(*paths[0], name).assign(gain=gain) for name in ("second", "error")
    )
    return pd.concat(portrait, ignore_index=True), layers, paths
