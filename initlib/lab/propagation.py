"""What one layer does to a signal, forward and backward, measured over draws of its weights.

The layer is ``y = phi(W x)`` with ``phi(z) = max(z, a z)``, no bias and W of shape (n_out, n_in):
a = 1 is a linear layer, a = 0 is ReLU. Its gains are ratios of mean squares: forward, outputs over
inputs; backward, gradient at the inputs over gradient at the outputs.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional

from initlib.lab.estimates import estimate
from initlib.sampling import Key, fill_normal_, stream_key
from initlib.schemes import lecun_normal_

__all__ = [
    "Gains",
    "gain_sweep",
    "layer_gains",
    "random_loss",
    "square_loss",
    "sum_loss",
    "sum_one_layer_up",
]

Fill = Callable[..., Tensor]
Loss = Callable[[Tensor, Key], Tensor]


class Gains(NamedTuple):
    """Gains of one layer, an array of one value for each independent draw of its weights."""

    forward: np.ndarray
    backward: np.ndarray


def random_loss(y: Tensor, key: Key) -> Tensor:
    """Return ``sum(delta * y)``, whose gradient at y is N(0, 1) noise independent of the layer."""
    return (fill_normal_(torch.empty_like(y), key, 0, 1) * y).sum()


def sum_loss(y: Tensor, key: Key) -> Tensor:
    """Return the sum of the outputs, whose gradient at y is one; the key is not used."""
    return y.sum()


def square_loss(y: Tensor, key: Key) -> Tensor:
    """Return half the sum of squares, whose gradient at y is y; the key is not used."""
    return y.square().sum() / 2


def sum_one_layer_up(y: Tensor, key: Key, n_above: int = 64) -> Tensor:
    """Return the sum of the outputs of a linear layer of `n_above` units on top of this one."""
    above = lecun_normal_(torch.empty(n_above, y.shape[-1]), generator=key)
    return functional.linear(y, above).sum()


def layer_gains(
    fill: Fill,
    n_in: int,
    n_out: int,
    *,
    key: Key | int,
    draws: int,
    a: float = 1.0,
    inputs: int = 16,
    input_mean: float = 0.5,
    loss: Loss = random_loss,
) -> Gains:
    """Measure the gains of a layer over independent draws of its weights.

    Each draw fills a fresh W, sends fresh inputs through the layer and differentiates the loss by
    autograd. The gain of a draw is the mean over its inputs of

        forward = mean_i y_i^2 / mean_j x_j^2,
        backward = mean_j (dL/dx_j)^2 / mean_i (dL/dy_i)^2.

    The inputs of a draw share its weights and are no replicates: a standard error is taken over
    draws.

    Parameters
    ----------
    fill
        Called as ``fill(W, generator=key)``; fills a float32 W of shape (n_out, n_in) in place.
    n_in, n_out
        Inputs and outputs of the layer.
    key
        Seed of everything random here; each shape and draw has a stream of its own.
    draws
        Number of independent draws of W.
    a
        Slope of phi below zero, in [0, 1].
    inputs
        Inputs that are sent through each draw.
    input_mean
        Mean of the N(input_mean, 1) inputs; they need not be centred.
    loss
        Called as ``loss(y, key)`` on the outputs, of shape (inputs, n_out); returns a scalar.

    Returns
    -------
    Gains
        Two float64 arrays of shape (draws,).

    Examples
    --------
    >>> import initlib as init
    >>> gains = layer_gains(init.lecun_normal_, 64, 16, key=0, draws=400)
    >>> print(f"{gains.forward.mean():.1f} {gains.backward.mean():.2f}")
    1.0 0.25
    """
    key = stream_key(key, n_in, n_out)
    measured = [
        _one_draw(fill, (n_out, n_in), stream_key(key, draw), a, (inputs, input_mean), loss)
        for draw in range(draws)
    ]
    return Gains(*np.array(measured).T)


def _one_draw(fill, shape, key, a, batch, loss) -> tuple[float, float]:
    weight = fill(torch.empty(shape), generator=stream_key(key, "weights"))
    x = torch.empty(batch[0], shape[1])
    fill_normal_(x, stream_key(key, "inputs"), batch[1], 1).requires_grad_()
    y = functional.leaky_relu(functional.linear(x, weight), a)
    y.retain_grad()
    loss(y, stream_key(key, "loss")).backward()
    forward = _mean_square(y) / _mean_square(x)
    backward = _mean_square(x.grad) / _mean_square(y.grad)
    return forward.mean().item(), backward.mean().item()


def _mean_square(signal: Tensor) -> Tensor:
    return signal.detach().double().square().mean(dim=1)


def gain_sweep(
    fill: Fill, shapes: Iterable[tuple[int, int]], *, key: Key | int, draws: int, **options
) -> pd.DataFrame:
    """Measure the mean gains of a layer over a range of shapes (n_in, n_out).

    Parameters
    ----------
    fill, key, draws, **options
        As in `layer_gains`.
    shapes
        Pairs (n_in, n_out).

    Returns
    -------
    DataFrame
        A row for each direction and shape, with columns direction ("forward" or "backward"), n_in,
        n_out, gain (mean over draws), its standard error se, its 95 % interval low and high, and
        draws.
    """
    columns = ["direction", "n_in", "n_out", "gain", "se", "draws", "low", "high"]
    rows = []
    for n_in, n_out in shapes:
        gains = layer_gains(fill, n_in, n_out, key=key, draws=draws, **options)
        for direction, values in gains._asdict().items():
            rows.append((direction, n_in, n_out, *estimate(values)[:5]))
    return pd.DataFrame(rows, columns=columns)
