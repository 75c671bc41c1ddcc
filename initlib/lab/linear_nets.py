"""Deep linear networks under gradient descent, many at once.

The network is the product ``P = W_L ... W_1``. On whitened inputs the squared error of full-batch
training is ``|P - T|^2 / 2`` plus a constant, T being the correlation of outputs and inputs: data
enter by T alone. Networks that are trained together are stacked: factor l is a tensor of shape
(R, n_l, n_(l-1)), and no network sees another.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import product

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from initlib.lab.data import Dataset
from initlib.sampling import Key, stream_key

__all__ = [
    "descend",
    "draw_factors",
    "log_steps_table",
    "race",
    "race_table",
    "rate_slopes",
    "squared_error",
    "step",
    "whitened_target",
]

Fill = Callable[..., Tensor]
HOPELESS = 10.0  # a loss that grew by this factor counts as diverged


def whitened_target(data: Dataset, components: int, largest: float) -> Tensor:
    """Return the target of linear regression from whitened principal components to classes.

    Parameters
    ----------
    data
        Images are taken as rows of pixels.
    components
        Principal components of the images that are kept, each scaled to variance 1.
    largest
        The target is scaled so that this is its largest singular value.

    Returns
    -------
    Tensor, float64, shape (classes, components)
        ``E[y x^T]`` for one-hot y. Its rows sum to zero, so one singular value is zero.
    """
    x = data.x_train.flatten(1).double()
    x = x - x.mean(dim=0)
    _, vectors = torch.linalg.eigh(x.T @ x)
    x = x @ vectors[:, -components:].flip(1)
    x *= x.square().mean(dim=0).rsqrt()
    target = one_hot(data.y_train, data.classes).double().T @ x / len(x)
    return target * (largest / torch.linalg.matrix_norm(target, 2))


def draw_factors(
    fill: Fill,
    width: int,
    depth: int,
    outputs: int,
    seeds: Sequence[Key | int],
    dtype: torch.dtype = torch.float64,
) -> list[Tensor]:
    """Return stacks W_1 .. W_L, all of them width x width but for the last of `outputs` x width.

    `fill` is called as ``fill(W, generator=key)``. Network r draws from seed r.
    """
    shapes = [(width, width)] * (depth - 1) + [(outputs, width)]

    def draw(layer: int, shape: tuple[int, int]) -> Tensor:
        keys = (stream_key(seed, depth, layer) for seed in seeds)
        return torch.stack([fill(torch.empty(shape, dtype=dtype), generator=key) for key in keys])

    return [draw(layer, shape) for layer, shape in enumerate(shapes)]


def step(factors: list[Tensor], target: Tensor, lr: Tensor) -> Tensor:
    """Take a step of gradient descent in place, and return the products P before it.

    Parameters
    ----------
    factors
        W_1 .. W_L, stacked.
    target
        T, one for all networks or stacked.
    lr
        Learning rates, shape (R, 1, 1).
    """
    above = [factors[-1]]  # W_L ... W_l, from the top: all have the few rows of the output
    for factor in reversed(factors[:-1]):
        above.append(above[-1] @ factor)
    now = above.pop()
    # The gradient at W_l is (W_L ... W_(l+1))^T (P - T) (W_(l-1) ... W_1)^T.
    below = lr * (now - target)
    for factor in factors[:-1]:
        change = above.pop().mT @ below
        below = below @ factor.mT
        factor -= change
    factors[-1] = factors[-1] - below
    return now


def descend(factors: list[Tensor], target: Tensor, lr: Tensor | float, steps: int) -> np.ndarray:
    """Return the losses ``|P - T|^2 / 2`` before each step and at the end, (steps + 1, R)."""
    lr = torch.as_tensor(lr, dtype=target.dtype).reshape(-1, 1, 1)
    factors = [factor.clone() for factor in factors]
    losses = (squared_error(step(factors, target, lr), target) for _ in range(steps + 1))
    return torch.stack([*losses]).double().numpy()


def race(
    factors: list[Tensor],
    target: Tensor,
    rates: Sequence[float],
    *,
    level: float,
    budget: int,
) -> tuple[float, float]:
    """Train one network at several learning rates until the first has learned.

    Parameters
    ----------
    factors
        W_1 .. W_L, stacks of one network.
    target
        T.
    rates
        The learning rates. One at which the loss grows tenfold is out.
    level
        Loss, relative to that at the start, at which the target counts as learned.
    budget
        Steps, at most.

    Returns
    -------
    steps, rate : float
        Steps to the level, interpolated in the logarithm of the loss, and the rate that took
        fewest; infinity and NaN if none was there within the budget.
    """
    lr = torch.tensor(rates, dtype=target.dtype)
    factors = [factor.repeat(len(lr), 1, 1) for factor in factors]
    before = first = None
    for count in range(budget + 1):
        loss = squared_error(step(factors, target, lr.reshape(-1, 1, 1)), target)
        if first is None:
            before = first = loss[0]
        there = loss <= level * first
        if there.any():
            past = torch.log(before / (level * first)) / torch.log(before / loss)
            steps = torch.where(there, count - 1 + past, torch.inf)
            return steps.min().item(), lr[steps.argmin()].item()
        going = loss <= HOPELESS * first
        if not going.any():
            break
        if not going.all():
            lr, loss = lr[going], loss[going]
            factors = [factor[going] for factor in factors]
        before = loss
    return float("inf"), float("nan")


def race_table(
    fills: Mapping[str, Fill],
    depths: Mapping[str, Sequence[int]],
    target: Tensor,
    multiples: Sequence[float],
    *,
    seeds: Sequence[int],
    level: float,
    budget: int,
) -> pd.DataFrame:
    """Return what `race` says of networks of several schemes and depths.

    Parameters
    ----------
    fills, depths
        Of each scheme, how a factor is filled and the L of its networks.
    target
        T; networks have its dtype and the width of its columns.
    multiples
        Learning rates that compete, times L.
    seeds
        Of the networks, one each.
    level, budget
        As in `race`.

    Returns
    -------
    DataFrame
        A row for each scheme, depth and seed, with columns scheme, depth, seed, steps, multiple (of
        the rate that took fewest) and budget.
    """
    rows = []
    for scheme, own in depths.items():
        for depth, seed in product(own, seeds):
            shape = target.shape[1], depth, len(target)
            factors = draw_factors(fills[scheme], *shape, [seed], target.dtype)
            rates = [multiple / depth for multiple in multiples]
            steps, rate = race(factors, target, rates, level=level, budget=budget)
            rows.append((scheme, depth, seed, steps, depth * rate, budget))
    return pd.DataFrame(rows, columns=["scheme", "depth", "seed", "steps", "multiple", "budget"])


def log_steps_table(raced: pd.DataFrame) -> pd.DataFrame:
    """Return the logarithm of steps by seed (rows), scheme and depth; at most of the budget."""
    log = np.log(np.minimum(raced.steps, raced.budget))
    return raced.assign(log=log).pivot(index="seed", columns=["scheme", "depth"], values="log")


def rate_slopes(raced: pd.DataFrame, scheme: str, least: int) -> list[float]:
    """Return the slope of ln(best rate) on ln(depth) for each seed, from `least` layers on."""
    own = raced[(raced.scheme == scheme) & (raced.depth >= least)]
    return [
        np.polyfit(np.log(one.depth), np.log(one.multiple / one.depth), 1)[0]
        for _, one in own.groupby("seed")
    ]


def squared_error(product: Tensor, target: Tensor) -> Tensor:
    """Return ``|P - T|^2 / 2`` of each network, shape (R,)."""
    return (product - target).square().sum(dim=(1, 2)) / 2
