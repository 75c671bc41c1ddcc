"""What depth does to a ReLU network at its start: signals and gradients, layer by layer.

The network is ``h_0 = x``, ``z_l = W_l h_(l-1)``, ``h_l = max(z_l, 0)``, l = 1 .. L, of weight
layers W_l of shape (n_l, n_(l-1)) and zero biases. Its output is z_L.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from initlib import variance_scaling_
from initlib.sampling import Key, stream_key

__all__ = ["Signals", "layer_sizes", "reading_table", "relu_signals", "signal_table"]

Fill = Callable[..., Tensor]


def layer_sizes(inputs: int, width: int, depth: int, outputs: int) -> list[int]:
    """Return n_0 .. n_L of a network with `depth` weight layers, all hidden ones of one width.

    Examples
    --------
    >>> layer_sizes(784, 128, 4, 10)
    [784, 128, 128, 128, 10]
    """
    if depth < 1:
        raise ValueError(f"a network has at least one weight layer, got depth={depth}")
    return [inputs, *[width] * (depth - 1), outputs]


class Signals(NamedTuple):
    """Second moments in each layer, arrays of shape (draws, L)."""

    forward: np.ndarray
    gradient: np.ndarray


def relu_signals(
    fill: Fill, sizes: Sequence[int], inputs: Tensor, *, key: Key | int = 0
) -> Signals:
    """Measure activations and weight gradients of ReLU networks, one network for each input.

    The gradient is that of a fixed linear functional of the output, ``f = sum_k z_Lk / sqrt(n_L)``.
    Both moments are relative to the input's, and the gradient's is scaled by its layer's width:

        forward[l] = E h_l^2 / E x^2,  l = 0 .. L-1,
        gradient[l-1] = n_l E (df/dW_l)^2 / E x^2,  l = 1 .. L.

    With independent N(0, s / n_(l-1)) weights their expected values are (s/2)^l and (s/2)^(L-1) at
    any width: one in every layer for s = 2.

    Parameters
    ----------
    fill
        Called as ``fill(W, generator=key)``; fills W of shape (n_l, n_(l-1)) in place.
    sizes
        n_0 .. n_L.
    inputs
        Shape (draws, n_0); each row is sent through a network of its own. The dtype of the inputs
        is that of the weights.
    key
        Seed of the weights; each draw and layer has a stream of its own.

    Returns
    -------
    Signals
        Two float64 arrays of shape (draws, L).

    Examples
    --------
    >>> import initlib as init
    >>> x = torch.ones(1, 4, dtype=torch.float64)
    >>> he, half = (
    ...     relu_signals(fill, [4, 8, 8, 2], x) for fill in (init.he_normal_, init.lecun_normal_)
    ... )
    >>> (he.gradient / half.gradient).round(12)
    array([[4., 4., 4.]])
    """
    key = stream_key(key)
    moments = [_one_network(fill, sizes, x, stream_key(key, draw)) for draw, x in enumerate(inputs)]
    return Signals(*np.array(moments).swapaxes(0, 1))


def _one_network(
    fill: Fill, sizes: Sequence[int], x: Tensor, key: Key
) -> tuple[list[float], list[float]]:
    weights = [
        fill(torch.empty(n_out, n_in, dtype=x.dtype), generator=stream_key(key, layer))
        for layer, (n_in, n_out) in enumerate(pairwise(sizes), start=1)
    ]
    for weight in weights:
        weight.requires_grad_()
    h, forward = x, []
    for weight in weights:
        forward.append(_mean_square(h))
        z = weight @ h
        h = z.relu()
    gradients = torch.autograd.grad(z.sum() / len(z) ** 0.5, weights)
    gradient = [len(g) * _mean_square(g) for g in gradients]
    scale = forward[0]
    return [m / scale for m in forward], [m / scale for m in gradient]


def _mean_square(signal: Tensor) -> float:
    return signal.detach().double().square().mean().item()


def signal_table(signals: Mapping[str, Signals], scales: Mapping[str, float]) -> pd.DataFrame:
    """Return the second moments over draws, mean and middle 80 %, beside theory.

    Parameters
    ----------
    signals
        The measurements of each scheme.
    scales
        The s of each scheme, for the predictions (s/2)^l and (s/2)^(L-1).

    Returns
    -------
    DataFrame
        A row for each scheme, direction ("forward", "gradient") and layer, with columns scheme,
        direction, layer, mean, low and high (10th and 90th percentile), theory and draws.
    """
    tables = []
    for scheme, measured in signals.items():
        draws, depth = measured.forward.shape
        decay = scales[scheme] / 2
        theory = {"forward": decay ** np.arange(depth), "gradient": decay ** (depth - 1)}
        for direction, moments in measured._asdict().items():
            low, high = np.quantile(moments, [0.1, 0.9], axis=0)
            columns = {
                "scheme": scheme,
                "direction": direction,
                "layer": np.arange(depth) + (direction == "gradient"),
                "mean": moments.mean(axis=0),
                "low": low,
                "high": high,
                "theory": theory[direction],
                "draws": draws,
            }
            tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


def reading_table(
    readings: Mapping[str, Callable[[int], float]],
    sizes: Sequence[int],
    x: Tensor,
    *,
    key: Key | int = 0,
) -> pd.DataFrame:
    """Return the signal in one network for several readings of a formula, on the same draws.

    Parameters
    ----------
    readings
        By name, the s of weights N(0, s / n_(l-1)) as a function of the number of inputs n_(l-1).
    sizes
        n_0 .. n_L.
    x
        One input, shape (n_0,); float64 where signals explode.
    key
        Seed of the weights.

    Returns
    -------
    DataFrame
        A row for each reading and layer 0 .. L-1, with columns reading, layer, rms (of h_l,
        relative to the input) and theory.

    Examples
    --------
    >>> table = reading_table({"double": lambda n: 8.0}, [64, 64, 64, 1], torch.ones(64))
    >>> table.theory.tolist()
    [1.0, 2.0, 4.0]
    """
    tables = []
    for reading, scale in readings.items():

        def fill(weight: Tensor, generator: Key, scale=scale) -> Tensor:
            return variance_scaling_(weight, scale(weight.shape[1]), generator=generator)

        forward = relu_signals(fill, sizes, x[None], key=key).forward[0]
        theory = np.cumprod([1.0, *(scale(n) / 2 for n in sizes[:-2])])
        columns = {"layer": range(len(theory)), "rms": forward**0.5, "theory": theory**0.5}
        tables.append(pd.DataFrame({"reading": reading, **columns}))
    return pd.concat(tables, ignore_index=True)
