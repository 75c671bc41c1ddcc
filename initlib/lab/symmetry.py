"""Twin units: networks in which all units of a layer are equal, and how far they are from it.

R networks of one shape lie side by side as stacked tensors, in float64: weights (R, n_out, n_in)
and biases (R, 1, n_out). None of them sees another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from initlib import initialize
from initlib.lab.data import Dataset

ACTIVATIONS = {"relu": torch.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid}

Product = Callable[[Tensor, Tensor], Tensor]


class Network(NamedTuple):
    """R networks of one shape.

    Attributes
    ----------
    weights : list of Tensor
        Of each layer, shape (R, n_out, n_in).
    biases : list of Tensor
        Of each layer, shape (R, 1, n_out).
    activation : str
        After each layer but the last.
    """

    weights: list[Tensor]
    biases: list[Tensor]
    activation: str

    def map(self, change: Callable[[Tensor], Tensor]) -> Network:
        """Return a network whose weights and biases are changed."""
        weights, biases, activation = self
        return Network([change(w) for w in weights], [change(b) for b in biases], activation)

    def signals(self, x: Tensor, product: Product | None = None, masks=()) -> list[Tensor]:
        """Return what goes into each layer, (R, batch, n_in), and at the end the logits.

        Parameters
        ----------
        x : Tensor
            Shape (R, batch, pixels), or (batch, pixels) for all networks.
        product : callable, optional
            `by_matmul` by default.
        masks : sequence of Tensor
            What dropout multiplies the output of each hidden layer with.
        """
        product, phi = product or by_matmul, ACTIVATIONS[self.activation]
        signals = [x.expand(len(self.weights[0]), *x.shape[-2:])]
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            z = product(signals[-1], weight) + bias
            last = layer == len(self.weights) - 1
            signals.append(z if last else phi(z) * masks[layer] if masks else phi(z))
        return signals

    def accuracy(self, data: Dataset) -> np.ndarray:
        """Return the share of right answers of each network on the test images."""
        with torch.no_grad():
            logits = self.signals(data.flat().x_test.double())[-1]
        return (logits.argmax(dim=-1) == data.y_test).double().mean(dim=1).numpy()


def networks(sizes: Sequence[int], activation: str, schemes: Sequence, seed: int = 0) -> Network:
    """Return a network for each of `schemes`, all drawn from one seed; biases are zero.

    Parameters
    ----------
    sizes : sequence of int
        Inputs, hidden widths, outputs.
    activation : {"relu", "tanh", "sigmoid"}
        After each layer but the last.
    schemes : sequence
        What `initlib.initialize` takes; the weights are named "0.weight", "1.weight", ....
    seed : int
        Of the weights.
    """
    models = []
    for scheme in schemes:
        layers = [nn.Linear(*shape, dtype=torch.float64) for shape in pairwise(sizes)]
        models.append(nn.Sequential(*layers))
        initialize(models[-1], scheme, seed=seed)
    alike = list(zip(*models, strict=True))
    weights = [torch.stack([layer.weight.detach() for layer in layers]) for layers in alike]
    biases = [torch.stack([layer.bias.detach()[None] for layer in layers]) for layers in alike]
    return Network(weights, biases, activation)


def by_matmul(signal: Tensor, weight: Tensor) -> Tensor:
    """Return W h by the library's matrix product: (R, batch, n_in) to (R, batch, n_out).

    It is fast, and may add up the same numbers in one order for one unit and in another order for
    the next.
    """
    return torch.bmm(signal, weight.mT)


def in_equal_order(signal: Tensor, weight: Tensor) -> Tensor:
    """Return the same W h, with the same arithmetic for every unit, forward and backward.

    Products and sums are single operations on whole arrays, so that equal units stay equal to the
    last bit on any machine.
    """
    return _EqualOrder.apply(signal, weight)


class _EqualOrder(torch.autograd.Function):
    @staticmethod
    def forward(ctx, signal, weight):
        ctx.save_for_backward(signal, weight)
        return _add_up(signal[:, :, None, :], weight[:, None, :, :], dim=3)

    @staticmethod
    def backward(ctx, delta):
        signal, weight = ctx.saved_tensors
        down, across = delta[..., None], None
        if ctx.needs_input_grad[0]:
            across = _add_up(down, weight[:, None, :, :], dim=2)
        return across, _add_up(down, signal[:, :, None, :], dim=1)


def _add_up(a: Tensor, b: Tensor, dim: int) -> Tensor:
    """Sum a * b over a dimension by halves: one order of additions for all elements."""
    terms = a.movedim(dim, 0) * b.movedim(dim, 0)
    while len(terms) > 1:
        half = (len(terms) + 1) // 2
        terms[: len(terms) - half] += terms[half:]
        terms = terms[:half]
    return terms[0]


def spread(network: Network) -> Tensor:
    """Return how far units are from the first of their layer, (R, hidden layers): 0 for twins.

    It is the rms distance of their weights over the rms weight, of the incoming or of the outgoing
    ones, whichever is larger. All-zero weights have 0, independent ones of mean 0 about 1.4.
    """
    with torch.no_grad():
        both = [
            torch.maximum(_distance(below), _distance(above.mT))
            for below, above in pairwise(network.weights)
        ]
        return torch.stack(both, dim=1)


def _distance(weight: Tensor) -> Tensor:
    distance = (weight - weight[:, :1]).square().mean(dim=(1, 2))
    return (distance / weight.square().mean(dim=(1, 2)).clamp_min(1e-300)).sqrt()


def distinct_units(network: Network) -> np.ndarray:
    """Count the units of each hidden layer that differ in some bit: shape (R, hidden layers)."""
    counts = []
    for layer, (below, above) in enumerate(pairwise(network.weights)):
        units = torch.cat([below, network.biases[layer].mT, above.mT], dim=2)
        counts.append([len(torch.unique(one, dim=0)) for one in units])
    return np.array(counts).T


def one_unit(network: Network) -> tuple[Network, list[tuple[float, float]]]:
    """Return the network with one unit a hidden layer that a network of twins is, and its rates.

    Of the n_l twins of layer l one stays, with n_l times the outgoing weights. Under gradient
    descent the two go on as one if the learning rate of the narrow W_l is n_{l-1} / n_l times that
    of the wide one, and that of the bias 1 / n_l times; inputs and outputs count as 1.

    Returns
    -------
    Network, list of (float, float)
        The narrow network, and the `factors` for `follow`.
    """
    counts = [1, *(weight.shape[1] for weight in network.weights[:-1]), 1]
    rates = [(n_in / n_out, 1 / n_out) for n_in, n_out in pairwise(counts)]
    weights, biases = list(network.weights), list(network.biases)
    for layer in range(len(weights) - 1):
        weights[layer], biases[layer] = weights[layer][:, :1], biases[layer][..., :1]
        weights[layer + 1] = weights[layer + 1][..., :1] * counts[layer + 1]
    return Network(weights, biases, network.activation), rates
