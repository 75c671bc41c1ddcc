"""Networks of sparse weights: signals in depth, and what training makes of the zeros."""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
from torch import Tensor

from initlib.apply import initialize
from initlib.lab.data import Dataset
from initlib.lab.estimates import Estimate, estimate
from initlib.lab.optimizers import Sgd
from initlib.lab.scaling import directions
from initlib.lab.scaling_runs import settled
from initlib.lab.signals import draw_networks, layer_table, mean_field, network_signals
from initlib.lab.stack import Activation, Stack, mlp
from initlib.lab.train import batch_order
from initlib.sampling import Key, stream_key

__all__ = ["Depth", "Filling", "depth_signals", "filling", "lit", "lit_share"]


class Depth(NamedTuple):
    """Signals of a network of equal layers, beside mean-field theory.

    Attributes
    ----------
    settled
        Second moment of the pre-activations over the last layers, divided by theory.
    factor
        What a layer multiplies squared gradients by, divided by theory, in the mean over layers.
    errors
        The squared gradient in each layer: see `layer_table`.
    """

    settled: Estimate
    factor: Estimate
    errors: pd.DataFrame


def depth_signals(
    fill: Callable[..., Tensor],
    gain: float,
    activation: Activation,
    *,
    n: int,
    depth: int,
    draws: int,
    key: Key | int,
) -> Depth:
    """Measure networks of square layers of variance gain / n, and compare them with theory.

    Parameters
    ----------
    fill
        Called as ``fill(W, generator=key)``.
    gain
        n times the variance of a weight.
    activation
        Name of phi.
    n, depth
        Width and number of layers.
    draws
        Networks, each with an input of second moment one.
    key
        Seed.
    """
    sizes = [n] * (depth + 1)
    inputs = directions(draws, n, 1.0, key=stream_key(key, "inputs"))
    measured = network_signals(draw_networks(fill, sizes, draws, key=key), inputs, activation)
    theory = mean_field(activation, sizes, [gain / n] * depth)
    chi = theory.error[:-1] / theory.error[1:]
    factors = measured.error[:, :-1] / measured.error[:, 1:] / chi
    errors = layer_table(measured, theory, "error")
    return Depth(settled(measured, theory, depth // 2), estimate(factors.mean(axis=1)), errors)


class Filling(NamedTuple):
    """How the first layer fills.

    Attributes
    ----------
    shares
        Share of its weights that aren't zero before each step and after the last, shape
        (steps + 1, networks).
    weights
        All of them before the first step, after it, and after the last: (networks, n_out, pixels).
    """

    shares: np.ndarray
    weights: tuple[Tensor, Tensor, Tensor]

    def table(self) -> pd.DataFrame:
        """Return the mean share and its range over networks, a row for each step."""
        spread = {"value": self.shares.mean(1), "low": self.shares.min(1)}
        spread |= {"high": self.shares.max(1)}
        return pd.DataFrame({"step": np.arange(len(self.shares))} | spread)

    def unit(self) -> dict[str, Tensor]:
        """Return a unit's weights onto a square image, before, after a step and at the end.

        It is the first network's unit that has the most weights after a step: one that feeds
        another from the start.
        """
        number = self.weights[1][0].count_nonzero(dim=1).argmax()
        side = math.isqrt(self.weights[0].shape[-1])
        names = "at the start", "after one step", f"after {len(self.shares) - 1} steps"
        images = (part[0, number].view(side, side) for part in self.weights)
        return dict(zip(names, images, strict=True))


def lit(images: Tensor) -> Tensor:
    """Return which pixels differ from zero in at least one image (n, pixels): bool (pixels,)."""
    return (images != 0).any(dim=0)


def lit_share(data: Dataset, *, seed: int, batch_size: int) -> float:
    """Return the share of pixels that are lit in the first mini-batch of `filling`."""
    batch = batch_order(seed, len(data.x_train), batch_size, steps=1)[0]
    return lit(data.x_train[batch]).double().mean().item()


def filling(
    data: Dataset,
    scheme: str | Callable,
    *,
    hidden: int,
    steps: int,
    networks: int,
    seed: int,
    lr: float = 0.03,
    batch_size: int = 64,
    activation: Activation = "tanh",
) -> Filling:
    """Train networks of one hidden layer, and watch which weights of the first layer are zero.

    Parameters
    ----------
    data
        The data, flat.
    scheme
        Of both layers, as `initialize` takes it.
    hidden
        Units of the hidden layer.
    steps
        Mini-batches.
    networks
        With weights of their own, on the same mini-batches.
    seed
        Of the first network, and of the order of mini-batches.
    lr, batch_size, activation
        As in `train`; momentum is 0.9, and there is no weight decay.

    Examples
    --------
    >>> from functools import partial
    >>> import initlib as init
    >>> from initlib.lab.data import load
    >>> scheme, data = partial(init.sparse_, nonzeros=15), load("mnist").flat()
    >>> filled = filling(data, scheme, hidden=30, steps=2, networks=2, seed=0)
    >>> filled.shares[0].round(4), filled.shares[-1]
    (array([0.0191, 0.0191]), array([1., 1.]))
    """
    sizes = [data.x_train.shape[1], hidden, data.classes]
    models = [mlp(sizes, activation) for _ in range(networks)]
    for i, model in enumerate(models):
        initialize(model, scheme, seed=seed + i)
    stack = Stack(models, partial(Sgd, lr=[lr] * networks), activation)
    batches = batch_order(seed, len(data.x_train), batch_size, steps)
    layer = stack.weights[0]
    shares, kept = [_share(layer)], [layer.clone()]
    for batch in batches:
        images = data.x_train[batch].expand(networks, -1, -1)
        stack.step(images, data.y_train[batch].expand(networks, -1))
        shares.append(_share(layer))
        if len(kept) == 1:
            kept.append(layer.clone())
    return Filling(np.array(shares), (*kept, layer.clone()))


def _share(layer: Tensor) -> np.ndarray:
    return layer.count_nonzero(dim=(1, 2)).double().div(layer[0].numel()).numpy()
