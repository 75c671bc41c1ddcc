"""Training that watches the units: when do they part, and how long does that take?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from initlib.lab.data import Dataset
from initlib.lab.symmetry import Network, Product, spread
from initlib.lab.train import batch_order
from initlib.sampling import stream_key, uniform


class Followed(NamedTuple):
    """What was seen on the way.

    Attributes
    ----------
    losses : ndarray, shape (steps, R)
        Cross-entropy (nats) of each mini-batch before its update.
    spread : ndarray, shape (steps, R)
        `spread` after each update, the largest of the hidden layers.
    network : Network
        At the end.
    """

    losses: np.ndarray
    spread: np.ndarray
    network: Network


def follow(
    network: Network,
    data: Dataset,
    lr: float,
    steps: int,
    *,
    seeds: Sequence[int] = (0,),
    batch_size: int = 32,
    optimizer: Literal["sgd", "momentum", "adam"] = "momentum",
    product: Product | None = None,
    dropout: float = 0.0,
    factors: Sequence[tuple[float, float]] | None = None,
) -> Followed:
    """Train networks on cross-entropy, and watch how far their units are from equal.

    Parameters
    ----------
    network : Network
        As it starts; it stays as it is.
    data : Dataset
        Images are taken as rows of pixels.
    lr : float
        Learning rate.
    steps : int
        Mini-batches.
    seeds : sequence of int
        Of the mini-batches and of dropout: one for all networks, or one for each.
    batch_size : int
        Images in a mini-batch.
    optimizer : {"sgd", "momentum", "adam"}
        Plain, with momentum 0.9, or Adam with torch's defaults.
    product : callable, optional
        `by_matmul` by default.
    dropout : float
        Share of hidden activations that is set to zero at each step; the others grow to make up.
    factors : sequence of (float, float), optional
        For each layer, what the learning rates of its weight and its bias are multiplied with.

    Returns
    -------
    Followed
        Losses, spreads and the trained network.
    """
    data = data.flat()
    x, y = data.x_train.double(), data.y_train
    network = network.map(lambda tensor: tensor.clone().requires_grad_())
    descent = _optimizer(network, lr, optimizer, factors)
    batches = torch.stack([batch_order(seed, len(x), batch_size, steps) for seed in seeds], dim=1)
    losses, spreads = [], []
    for step, batch in enumerate(batches):
        masks = _masks(network, dropout, seeds, step, batch_size) if dropout else ()
        log_p = network.signals(x[batch], product, masks)[-1].log_softmax(dim=-1)
        labels = y[batch].expand(log_p.shape[:2])
        loss = -log_p.gather(-1, labels[..., None]).mean(dim=(1, 2))
        descent.zero_grad()
        loss.sum().backward()
        descent.step()
        losses.append(loss.detach())
        spreads.append(spread(network).amax(dim=1))
    seen = (torch.stack(values).numpy() for values in (losses, spreads))
    return Followed(*seen, network.map(Tensor.detach))


def _optimizer(network, lr, name, factors) -> torch.optim.Optimizer:
    factors = factors or [(1.0, 1.0)] * len(network.weights)
    tensors = [*zip(network.weights, network.biases, strict=True)]
    groups = [
        {"params": [tensor], "lr": lr * factor}
        for pair, both in zip(tensors, factors, strict=True)
        for tensor, factor in zip(pair, both, strict=True)
    ]
    if name == "adam":
        return torch.optim.Adam(groups, lr)
    return torch.optim.SGD(groups, lr, momentum={"sgd": 0.0, "momentum": 0.9}[name])


def _masks(network, dropout, seeds, step, batch_size) -> list[Tensor]:
    """Masks (R, batch, n) of each hidden layer; those of a network depend on its seed alone."""
    masks = []
    for layer, weight in enumerate(network.weights[:-1]):
        shape = batch_size, weight.shape[1]
        draws = [
            uniform(stream_key(seed, "dropout", step, layer), 0, math.prod(shape)).reshape(shape)
            for seed in seeds
        ]
        masks.append(torch.from_numpy(np.stack(draws) >= dropout).double() / (1 - dropout))
    return masks


def first_passage(curves: ArrayLike, level: float) -> np.ndarray:
    """Return the step (from 1) at which each curve first reaches `level` from below.

    Between steps it is interpolated; infinity where it isn't reached.

    Parameters
    ----------
    curves : array_like
        Shape (steps, R).
    level : float
        Of the curves.

    Examples
    --------
    >>> first_passage([[0.0, 0.0], [2.0, 1.0], [4.0, 1.0]], level=3.0)
    array([2.5, inf])
    """
    curves = np.asarray(curves, dtype=np.float64)
    above = curves >= level
    first = above.argmax(axis=0)
    columns = np.arange(curves.shape[1])
    after, before = curves[first, columns], curves[np.maximum(first - 1, 0), columns]
    with np.errstate(invalid="ignore", divide="ignore"):
        back = np.where(first > 0, (after - level) / (after - before), 0.0)
    return np.where(above.any(axis=0), first + 1 - back, np.inf)
