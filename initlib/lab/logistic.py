"""The logistic function under Xavier's rule, and the start that makes it a tanh network.

Since 2 sigma(2 z) = 1 + tanh(z), a network of logistic functions whose weights are those of a tanh
network times 2 in the first and the last layer and times 4 between, with biases of minus half the
sum of a unit's weights, computes what the tanh network computes.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from initlib.apply import initialize
from initlib.lab.estimates import Estimate, estimate
from initlib.lab.signals import law_signals
from initlib.lab.stack import mlp
from initlib.sampling import Key
from initlib.variance import Law, variance_scaling_

__all__ = ["logistic_start", "spread_factor", "twin_outputs"]


def logistic_start(depth: int, centred: bool = True) -> dict[str, Any]:
    """Return rules for `initlib.initialize` that give a logistic network a tanh network's start.

    Parameters
    ----------
    depth
        Weight layers of the network, which is one of `initlib.lab.stack.mlp`.
    centred
        Whether biases take away the mean of the activations; else they are zero.

    Returns
    -------
    dict
        With the same seed, the weights are "xavier_uniform" times 2, 4 .. 4, 2.

    Raises
    ------
    ValueError
        For fewer than 3 layers.
    """
    if depth < 3:
        raise ValueError(f"the rules are for at least 3 weight layers, got depth={depth}")
    ends = {name: _xavier_times(2) for name in ("0.weight", f"{2 * depth - 2}.weight")}
    biases = {"0.bias": "zeros", "*.bias": _centre} if centred else {}
    return ends | {"*.weight": _xavier_times(4)} | biases


def _xavier_times(factor: float) -> Callable[..., Tensor]:
    # A function and not a Law: those are filled last, after the biases that are made of them.
    def fill(weight: Tensor, generator: Key, layer: nn.Module) -> Tensor:
        scale = factor**2
        return variance_scaling_(
            weight, scale, "fan_avg", "uniform", generator=generator, layer=layer
        )

    return fill


def _centre(bias: Tensor, layer: nn.Linear) -> Tensor:
    return bias.copy_(-layer.weight.sum(dim=1) / 2)


def twin_outputs(sizes: list[int], x: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Return the outputs of a tanh network under Xavier's rule and of its logistic twin.

    Parameters
    ----------
    sizes
        n_0 .. n_L.
    x
        Inputs, shape (k, n_0), float64.
    seed
        Of the weights of both.

    Examples
    --------
    >>> tanh, logistic = twin_outputs([8, 16, 16, 4], torch.ones(1, 8, dtype=torch.float64), 0)
    >>> torch.allclose(tanh, logistic, rtol=1e-12)
    True
    """
    schemes = {"tanh": "xavier_uniform", "sigmoid": logistic_start(len(sizes) - 1)}
    outputs = []
    for activation, scheme in schemes.items():
        model = mlp(sizes, activation).double()
        initialize(model, scheme, seed=seed)
        with torch.no_grad():
            outputs.append(model(x))
    return outputs[0], outputs[1]


def spread_factor(
    images: Tensor, *, key: Key | int, width: int = 256, depth: int = 9, settled: int = 3
) -> Estimate:
    """Estimate what a logistic layer under Xavier multiplies the variance between inputs by.

    Parameters
    ----------
    images
        Shape (networks, k, n_0): k > 1 inputs for each network.
    key
        Seed.
    width, depth
        Units of a hidden layer, and weight layers.
    settled
        First layer that counts; before it the mean of the signal is still on its way.

    Returns
    -------
    Estimate
        Of the geometric mean over layers, over networks.
    """
    sizes = [images.shape[-1], *[width] * depth]
    law = Law(1.0, "fan_avg", "uniform")
    measured, _ = law_signals(law, sizes, images, "sigmoid", key=key)
    spread = np.log(measured.spread[:, settled - 1 :])
    return estimate(np.exp(np.diff(spread, axis=1).mean(axis=1)))
