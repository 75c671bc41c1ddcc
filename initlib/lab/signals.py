"""Signals and their gradients in networks at the start, layer by layer, beside mean-field theory.

The network is ``z_l = W_l h_(l-1) + b_l``, ``h_l = phi(z_l)``, l = 1 .. L, of weights W_l of shape
(n_l, n_(l-1)), with h_0 = x. Its output is z_L. What is differentiated is a linear functional of
it, ``f = sum_k z_Lk / sqrt(n_L)``, so that no loss has a say in the gradients.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from initlib.lab.estimates import estimate
from initlib.lab.signal_theory import Signals, mean_field, weight_variances
from initlib.lab.stack import MODULES, Activation
from initlib.sampling import Key, stream_key
from initlib.variance import Law, variance_scaling_

__all__ = [
    "Signals",
    "draw_networks",
    "law_signals",
    "layer_table",
    "mean_field",
    "network_signals",
    "weight_variances",
]

Fill = Callable[..., Tensor]
Network = Sequence[tuple[Tensor, Tensor | None]]


def draw_networks(
    fill: Fill,
    sizes: Sequence[int],
    draws: int,
    *,
    key: Key | int = 0,
    dtype: torch.dtype = torch.float32,
) -> Iterator[Network]:
    """Draw independent networks without biases, each as a list of weights.

    Parameters
    ----------
    fill
        Called as ``fill(W, generator=key)``; fills W of shape (n_l, n_(l-1)) in place.
    sizes
        n_0 .. n_L.
    draws
        How many networks.
    key
        Seed of the weights; each draw and layer has a stream of its own.
    dtype
        Of the weights.
    """
    key = stream_key(key)
    for draw in range(draws):
        yield [
            (fill(torch.empty(n, m, dtype=dtype), generator=stream_key(key, draw, layer)), None)
            for layer, (m, n) in enumerate(pairwise(sizes), start=1)
        ]


def network_signals(
    networks: Iterable[Network], inputs: Tensor, activation: Activation = "relu"
) -> Signals:
    """Measure what networks do to signals and gradients.

    Parameters
    ----------
    networks
        Pairs (weight, bias or None) of each network, as from `draw_networks`.
    inputs
        Shape (draws, k, n_0): k inputs for each network, in its dtype; or (draws, n_0) for one.
    activation
        Name of phi.

    Examples
    --------
    >>> import initlib as init
    >>> networks = draw_networks(init.lecun_normal_, [64, 64, 64], 200)
    >>> signals = network_signals(networks, torch.ones(200, 64), "linear")
    >>> signals.pre.mean(axis=0).round(1)
    array([1., 1.])
    """
    inputs = inputs if inputs.ndim == 3 else inputs[:, None]
    rows = [
        _one_network(network, x, MODULES[activation]())
        for network, x in zip(networks, inputs, strict=True)
    ]
    return Signals(*np.array(rows).swapaxes(0, 1))


def _one_network(network: Network, x: Tensor, phi: nn.Module) -> np.ndarray:
    h, before, signals = x, [], []
    for weight, bias in network:
        before.append(h.detach())
        z = nn.functional.linear(h, weight.detach(), None if bias is None else bias.detach())
        signals.append(z if z.requires_grad else z.requires_grad_())
        h = phi(z)
    functional = signals[-1].sum() / signals[-1].shape[-1] ** 0.5
    errors = torch.autograd.grad(functional, signals)
    return np.array(
        [
            _moments(z.detach().double(), phi, below.double(), error.double())
            for z, below, error in zip(signals, before, errors, strict=True)
        ]
    ).T


def _moments(z: Tensor, phi: nn.Module, below: Tensor, error: Tensor) -> list[float]:
    h = phi(z)
    spread = z.var(dim=0).mean() if len(z) > 1 else torch.tensor(torch.nan)
    norms = error.square().sum(dim=1)
    weight = norms * below.square().sum(dim=1)
    parts = z.square().mean(), h.mean(), h.square().mean(), spread, norms.mean(), weight.mean()
    return [part.item() for part in parts]


def law_signals(
    law: Law, sizes: Sequence[int], inputs: Tensor, activation: Activation, *, key: Key | int = 0
) -> tuple[Signals, Signals]:
    """Measure networks drawn from a law of `variance_scaling_`, and predict what is measured.

    Parameters
    ----------
    law
        Of the weights; biases are zero.
    sizes
        n_0 .. n_L.
    inputs
        As in `network_signals`.
    activation
        Name of phi.
    key
        Seed of the weights.

    Returns
    -------
    tuple of Signals
        Measured and predicted; the prediction is that of `mean_field` for the mean square of all
        inputs.
    """

    def fill(weight: Tensor, generator: Key) -> Tensor:
        return variance_scaling_(weight, *law, generator=generator)

    networks = draw_networks(fill, sizes, len(inputs), key=key, dtype=inputs.dtype)
    second = inputs.double().square().mean().item()
    predicted = mean_field(activation, sizes, weight_variances(law, sizes), second)
    return network_signals(networks, inputs, activation), predicted


def layer_table(
    measured: Signals, predicted: Signals, quantity: str, factor: float | np.ndarray = 1.0
) -> pd.DataFrame:
    """Return a moment of each layer, mean over draws with its 95 % interval, beside theory.

    Parameters
    ----------
    measured, predicted
        From `network_signals` and `mean_field`.
    quantity
        A field of `Signals`.
    factor
        Multiplies both, one number or one for each layer.

    Returns
    -------
    DataFrame
        A row for each layer, with columns quantity, layer (from 1), value, low, high and theory.
    """
    mean = estimate(factor * getattr(measured, quantity))
    theory = factor * getattr(predicted, quantity)
    columns = {"value": mean.value, "low": mean.low, "high": mean.high, "theory": theory}
    return pd.DataFrame({"quantity": quantity, "layer": np.arange(1, len(theory) + 1), **columns})
