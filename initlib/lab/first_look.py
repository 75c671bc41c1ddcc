"""A first look at a network: its signals under several schemes, and which of them to take."""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise

import numpy as np
import pandas as pd
from torch import Tensor, nn

from initlib import gain, initialize, orthogonal_, probe, stream_key
from initlib.activations import activation as known_activation
from initlib.lab.data import Dataset
from initlib.lab.estimates import Estimate, estimate
from initlib.lab.stack import MODULES

__all__ = [
    "after_activation",
    "build",
    "filling",
    "level",
    "look",
    "one_layer",
    "pictures",
    "recommend",
]

QUANTITIES = {
    "second_moment": "Signal",
    "gradient_second_moment": "Gradient",
    "correlation": "Two images",
}


def build(kind: str, activation: str, width: int, depth: int, inputs: Sequence[int]) -> nn.Module:
    """Build a network of equal hidden layers, without a head.

    Parameters
    ----------
    kind : {"mlp", "cnn"}
        Linear layers, or convolutions of 3 x 3 pixels with padding.
    activation : str
        A key of `initlib.lab.stack.MODULES`, after each layer.
    width, depth : int
        Units or channels of a layer, and layers.
    inputs : sequence of int
        Shape of an image: channels, height, width.

    Raises
    ------
    ValueError
        For an unknown kind or activation, or a width or depth below one.

    Examples
    --------
    >>> [type(part).__name__ for part in build("mlp", "relu", 8, 2, (1, 4, 4))]
    ['Flatten', 'Linear', 'ReLU', 'Linear', 'ReLU']
    """
    if activation not in MODULES:
        known_activation(activation)  # a name that nobody knows is refused with its neighbours
        raise ValueError(f"activation {activation!r} isn't built here; use {', '.join(MODULES)}")
    for name, number in (("width", width), ("depth", depth)):
        if number < 1:
            raise ValueError(f"{name} must be at least 1, got {number}")
    if kind == "mlp":
        sizes = [math.prod(inputs)] + [width] * depth
        layers = [nn.Linear(m, n) for m, n in pairwise(sizes)]
        start = [nn.Flatten()]
    elif kind == "cnn":
        channels = [inputs[0]] + [width] * depth
        layers = [nn.Conv2d(m, n, 3, padding=1) for m, n in pairwise(channels)]
        start = []
    else:
        raise ValueError(f"kind must be 'mlp' or 'cnn', got {kind!r}")
    parts = [part for layer in layers for part in (layer, MODULES[activation]())]
    return nn.Sequential(*start, *parts)


def pictures(data: Dataset, n: int) -> Tensor:
    """Return the first n training images, of shape (n, channels, height, width).

    Raises
    ------
    ValueError
        If the data are no images, or fewer.
    """
    images = data.x_train[:n]
    if len(images) < n or images.ndim not in (3, 4):
        raise ValueError(
            f"expected at least {n} images of rows and columns, got {tuple(images.shape)}"
        )
    return images[:, None] if images.ndim == 3 else images


def filling(scheme: str, activation: str) -> str | Callable:
    """Return what `initlib.initialize` takes for a scheme.

    Parameters
    ----------
    scheme : str
        A name that it knows; "default" stands for the weights of torch's own layers, "orthogonal"
        for orthogonal matrices with the gain of the activation.
    activation : str
        Of the network.
    """
    if scheme == "orthogonal":
        return partial(orthogonal_, gain=gain(activation))
    return "standard_uniform" if scheme == "default" else scheme


def look(
    model: nn.Module,
    images: Tensor,
    schemes: Sequence[str],
    *,
    activation: str,
    draws: int,
    seed: int = 0,
) -> pd.DataFrame:
    """Probe a network under several schemes, and under the defaults of torch.

    Parameters
    ----------
    model : Module
        From `build`; its weights are overwritten.
    images : Tensor, shape (n, ...)
        What it is shown.
    schemes : sequence of str
        Names, as for `filling`.
    activation : str
        That of the network.
    draws : int
        Draws of the weights for each scheme.
    seed : int
        Of the weights, and of the functional that is differentiated.

    Returns
    -------
    DataFrame
        Columns scheme, draw, layer (its number, from 1), part ("sum", "activation"), and those of a
        `ProbeRow`.
    """
    tables = []
    for scheme in schemes:
        for draw in range(draws):
            key = stream_key(seed, "look", draw)
            initialize(model, filling(scheme, activation), key)
            table = probe(model, images, seed=key).to_frame()
            table = table[table.type != "Flatten"]
            layers, parts = (
                np.arange(len(table)) // 2 + 1,
                ["sum", "activation"] * (len(table) // 2),
            )
            tables.append(table.assign(scheme=scheme, draw=draw, layer=layers, part=parts))
    return pd.concat(tables, ignore_index=True)


def level(seen: pd.DataFrame) -> pd.DataFrame:
    """Say how far from level signals and gradients are, from the first layer to the last.

    Parameters
    ----------
    seen : DataFrame
        From `look`.

    Returns
    -------
    DataFrame
        A row for each scheme: signal (last over first layer), gradient (first over last), each the
        geometric mean over draws; correlation in the last layer; distance, the sum of the two
        magnitudes in powers of ten. Best first.
    """
    rows = {}
    for scheme, table in after_activation(seen):
        wide = {
            name: table.pivot(index="draw", columns="layer", values=name).to_numpy()
            for name in QUANTITIES
        }
        with np.errstate(divide="ignore", invalid="ignore"):
            signal = np.log10(wide["second_moment"][:, -1] / wide["second_moment"][:, 0]).mean()
            back = wide["gradient_second_moment"]
            gradient = np.log10(back[:, 0] / back[:, -1]).mean()
        rows[scheme] = {
            "signal": 10.0**signal,
            "gradient": 10.0**gradient,
            "correlation": wide["correlation"][:, -1].mean(),
            "distance": abs(signal) + abs(gradient),
        }
    return pd.DataFrame.from_dict(rows, orient="index").sort_values("distance")


def one_layer(seen: pd.DataFrame, schemes: Sequence[str]) -> dict[str, Estimate]:
    """Compare the second moments that were measured with those of theory, one part at a time.

    Parameters
    ----------
    seen : DataFrame
        From `look`.
    schemes : sequence of str
        Of these.

    Returns
    -------
    dict
        For each scheme the ratio of measured to predicted, averaged over parts and layers; its
        standard error is that of draws.
    """
    ratio = seen.second_moment / seen.predicted_second_moment
    means = ratio.groupby([seen.scheme, seen.draw]).mean()
    return {scheme: estimate(means[scheme].to_numpy()) for scheme in schemes}


def recommend(seen: pd.DataFrame) -> list[str]:
    """Name the schemes that keep signals and gradients most level, the best first.

    Those that are within a factor of two of the best, signal and gradient taken together, are as
    good: draws of narrow networks differ by as much.

    Parameters
    ----------
    seen : DataFrame
        From `look`.
    """
    distance = level(seen).distance
    return list(distance.index[distance <= distance.min() + math.log10(2)])


def after_activation(seen: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    yield from seen[seen.part == "activation"].groupby("scheme", sort=False)
