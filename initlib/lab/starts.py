"""The two starts of Glorot and Bengio 2010 in tanh networks: signals, gradients, weight gradients.

Their "standard" start draws weights from U[-1/sqrt(n_in), 1/sqrt(n_in)], their "normalized" one,
which is now called by either of their names, from U[-b, b] with b = sqrt(6 / (n_in + n_out)).
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from initlib.fans import Fans
from initlib.fills import normal_
from initlib.lab.estimates import Estimate, estimate
from initlib.lab.signals import (
    Signals,
    draw_networks,
    law_signals,
    layer_table,
    mean_field,
    network_signals,
    weight_variances,
)
from initlib.moments import moments
from initlib.sampling import Key, stream_key
from initlib.variance import Law, variance_scaling_

__all__ = [
    "STARTS",
    "backward_factor",
    "evenness",
    "forward_factor",
    "literal_signal",
    "literal_theory",
    "start_signals",
    "start_table",
    "start_theory",
    "variance_ratios",
]

STARTS = {"standard": Law(1 / 3, "fan_in", "uniform"), "xavier": Law(1.0, "fan_avg", "uniform")}


def start_theory(law: Law, sizes: Sequence[int], images: Tensor) -> Signals:
    """Predict tanh networks drawn from a law by `mean_field`, image by image.

    The second moment of tanh is a curved function of that of its input, so that the mean over
    images of different size isn't what the mean image would give.

    Parameters
    ----------
    law
        Of the weights, one of `STARTS` for example; biases are zero.
    sizes
        n_0 .. n_L.
    images
        Shape (..., n_0).

    Returns
    -------
    Signals
        Means over images, arrays of shape (L,).
    """
    seconds = images.double().square().mean(dim=-1).flatten().numpy()
    each = mean_field("tanh", sizes, weight_variances(law, sizes), seconds)
    return Signals(*(part.mean(axis=1) for part in each))


def start_signals(law: Law, sizes: Sequence[int], images: Tensor, *, key: Key | int) -> Signals:
    """Measure what `start_theory` predicts, with images (networks, k, n_0)."""
    return law_signals(law, sizes, images, "tanh", key=key)[0]


def forward_factor(signals: Signals) -> np.ndarray:
    """Return what a hidden layer multiplies the rms of a signal by; geometric mean over layers."""
    return _layer_factor(signals.second[..., :-1])


def backward_factor(signals: Signals) -> np.ndarray:
    """Return what a hidden layer multiplies the norm of a gradient by, on its way back."""
    return _layer_factor(signals.error[..., -2::-1])


def _layer_factor(squares: np.ndarray) -> np.ndarray:
    return (squares[..., -1] / squares[..., 0]) ** (1 / (2 * squares.shape[-1] - 2))


def start_table(measured: Signals, predicted: Signals, sizes: Sequence[int]) -> pd.DataFrame:
    """Return root mean squares in each hidden layer, beside theory.

    Parameters
    ----------
    measured, predicted
        From `start_signals` and `start_theory`.
    sizes
        n_0 .. n_L.

    Returns
    -------
    DataFrame
        Columns quantity, layer, value, low, high (95 % interval over networks) and theory.
        quantity is "signal", the rms of h_l; "gradient", the norm of df/dz_l; or "weight", the rms
        of the entries of df/dW_l.
    """
    entries = np.array([n_in * n_out for n_in, n_out in pairwise(sizes)])
    parts = {
        "signal": ("second", 1.0),
        "gradient": ("error", 1.0),
        "weight": ("weight", 1 / entries),
    }
    tables = []
    for name, (quantity, factor) in parts.items():
        table = layer_table(measured, predicted, quantity, factor)[:-1].assign(quantity=name)
        columns = ["value", "low", "high", "theory"]
        table[columns] = np.sqrt(table[columns].clip(lower=0))
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def evenness(measured: Signals, law: Law, sizes: Sequence[int]) -> dict[str, Estimate]:
    """Estimate the logarithm of std(w) |df/dW_l| over its value in the last hidden layer.

    In square layers std(w) is the same in all of them, and this compares weight gradients.

    Returns
    -------
    dict of Estimate
        "layer 1" and so on, over networks; without the layer of the output.
    """
    weighted = np.log(measured.weight * weight_variances(law, sizes))[:, :-1] / 2
    ratios = weighted[:, :-1] - weighted[:, -1:]
    return {f"layer {layer}": estimate(column) for layer, column in enumerate(ratios.T, start=1)}


def variance_ratios(*, key: Key | int, draws: int = 40) -> Estimate:
    """Estimate the mean square of weights over the variance that their rule asks for.

    Parameters
    ----------
    key
        Seed.
    draws
        Matrices for each shape.

    Returns
    -------
    Estimate
        Of both starts and of Xavier's with normal weights, each in five shapes of 4096 weights,
        from 16 inputs and 256 units to 256 inputs and 16 units: 15 cells.
    """
    laws = [*STARTS.values(), Law(1.0, "fan_avg", "normal")]
    ratios = []
    for law in laws:
        for n_in in (16, 32, 64, 128, 256):
            fans = Fans(n_in, 4096 // n_in)
            at = stream_key(key, law.distribution, f"{law.scale:g}", n_in)
            weights = torch.empty(draws, fans.fan_out, n_in)
            for draw, weight in enumerate(weights):
                variance_scaling_(weight, *law, generator=stream_key(at, draw))
            squares = weights.double().square().mean(dim=(1, 2)).numpy()
            ratios.append(squares / law.std(fans) ** 2)
    return estimate(np.array(ratios), axis=1)


def literal_theory(sizes: Sequence[int], images: Tensor) -> float:
    """Predict E h_1^2 of tanh units whose weights have standard deviation sqrt(n_in + n_out).

    Parameters
    ----------
    sizes
        n_0, n_1 of the layer.
    images
        Shape (networks, n_0).
    """
    seconds = sum(sizes) * images.double().square().sum(dim=-1).numpy()
    return float(np.mean(moments("tanh", seconds).second_moment))


def literal_signal(sizes: Sequence[int], images: Tensor, *, key: Key | int) -> Estimate:
    """Measure what `literal_theory` predicts, with Gaussian weights and an image a network."""

    def fill(weight: Tensor, generator: Key) -> Tensor:
        return normal_(weight, std=sum(sizes) ** 0.5, generator=generator)

    networks = draw_networks(fill, sizes, len(images), key=key)
    return estimate(network_signals(networks, images, "tanh").second[:, 0])
