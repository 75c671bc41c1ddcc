"""Many networks trained at once: seeds, schemes and learning rates as one batched program."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import get_args

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from initlib import initialize
from initlib.lab.data import Dataset
from initlib.lab.stack import Activation, DataScheme, Stack, mlp
from initlib.sampling import permutation, stream_key

CHUNK = 8  # replicas in one product: more don't get faster, and leave the cache


@dataclass(frozen=True)
class Arm:
    """One network to train.

    Parameters
    ----------
    scheme : str or anything else that `initlib.initialize` takes, or DataScheme
        How its weights start; its biases start at zero, unless a scheme that looks at data says
        otherwise.
    lr : float
        Learning rate.
    seed : int
        Of the weights.
    batch_seed : int, optional
        Of the order of mini-batches; default: the same number. Arms of one batch seed see the same
        mini-batches, so that they can be compared in pairs.
    """

    scheme: str | Callable | DataScheme
    lr: float
    seed: int = 0
    batch_seed: int | None = None

    @property
    def order(self) -> int:
        """The seed of the order of mini-batches."""
        return self.seed if self.batch_seed is None else self.batch_seed


@dataclass(frozen=True)
class Trained:
    """What training was like, one entry an arm.

    Attributes
    ----------
    arms : tuple of Arm
        In the order they were given.
    losses : ndarray, shape (steps, arms)
        Cross-entropy (nats) of each mini-batch before its update; NaN once an arm has diverged.
    accuracy : ndarray, shape (arms,)
        On the test images, after the last step; NaN for an arm that diverged.
    diverged : ndarray, shape (arms,)
        Step (from 1) whose loss was no longer finite or above the limit, else infinity.
    """

    arms: tuple[Arm, ...]
    losses: np.ndarray
    accuracy: np.ndarray
    diverged: np.ndarray

    def table(self) -> pd.DataFrame:
        """Return a row for each arm: scheme, lr, seed, accuracy and diverged."""
        names = [getattr(arm.scheme, "__name__", str(arm.scheme)) for arm in self.arms]
        columns = {"lr": [arm.lr for arm in self.arms], "seed": [arm.seed for arm in self.arms]}
        outcome = {"accuracy": self.accuracy, "diverged": self.diverged}
        return pd.DataFrame({"scheme": names, **columns, **outcome})


def train(
    data: Dataset,
    arms: Sequence[Arm],
    *,
    hidden: Sequence[int],
    steps: int,
    activation: Activation = "relu",
    batch_size: int = 64,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    loss_limit: float = 1e4,
    threads: int | None = None,
) -> Trained:
    """Train an MLP for each arm by stochastic gradient descent on the cross-entropy.

    Parameters
    ----------
    data : Dataset
        Images are taken as rows of pixels. Each epoch goes through a new permutation.
    arms : sequence of Arm
        Any mix of schemes, learning rates and seeds.
    hidden : sequence of int
        Hidden widths: [128] * 21 has 22 weight layers.
    steps : int
        Mini-batches.
    activation : {"relu", "tanh", "sigmoid", "softplus", "linear", "lecun_tanh", "selu"}
        After each hidden layer.
    batch_size : int
        Images in a mini-batch.
    momentum, weight_decay : float
        As in ``torch.optim.SGD``; biases decay too.
    loss_limit : float
        A mini-batch loss (nats) above it counts as diverged. The arm is dropped; the others go on.
    threads : int, optional
        Chunks of arms trained at a time; changes no value. Default: ``$OMP_NUM_THREADS``, or one a
        core.

    Returns
    -------
    Trained
        Losses, accuracy and divergence of each arm.

    Raises
    ------
    ValueError
        For arguments out of range, before anything is trained.

    Examples
    --------
    >>> from initlib.lab.data import load
    >>> arms = [Arm("he_normal", lr=0.05, seed=seed) for seed in range(2)]
    >>> trained = train(load("mnist"), arms, hidden=[32], steps=60)
    >>> bool((trained.accuracy > 0.7).all())
    True
    """
    _check(data, arms, hidden, steps, activation, batch_size, momentum, weight_decay)
    data = data.flat()
    sizes = [data.x_train.shape[1], *hidden, data.classes]
    orders = {
        arm.order: batch_order(arm.order, len(data.x_train), batch_size, steps) for arm in arms
    }

    starts = {(id(arm.scheme), arm.seed): arm for arm in arms}  # learning rates share their starts
    built = {start: _build(sizes, activation, arm, data) for start, arm in starts.items()}
    models = [built[id(arm.scheme), arm.seed] for arm in arms]

    def run(first: int) -> tuple[Tensor, Tensor, Tensor]:
        chunk = slice(first, first + CHUNK)
        lr = [arm.lr for arm in arms[chunk]]
        stack = Stack(models[chunk], lr, activation, momentum, weight_decay)
        batches = torch.stack([orders[arm.order] for arm in arms[chunk]], dim=1)
        losses, diverged, remaining = _descend(stack, data, batches, loss_limit)
        accuracy = torch.full_like(diverged, torch.nan)
        accuracy[remaining] = stack.accuracy(data.x_test, data.y_test)
        return losses, accuracy, diverged

    with ThreadPoolExecutor(threads or default_threads()) as pool:
        chunks = pool.map(run, range(0, len(arms), CHUNK))
        losses, accuracy, diverged = (torch.cat(part, dim=-1) for part in zip(*chunks, strict=True))
    return Trained(tuple(arms), *(part.double().numpy() for part in (losses, accuracy, diverged)))


def _build(sizes: list[int], activation: Activation, arm: Arm, data: Dataset) -> nn.Sequential:
    model = mlp(sizes, activation)
    if isinstance(arm.scheme, DataScheme):
        arm.scheme.fill_(model, data.x_train, arm.seed)
    else:
        initialize(model, arm.scheme, seed=arm.seed)
    return model


def _descend(
    stack: Stack, data: Dataset, batches: Tensor, loss_limit: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Train on mini-batches (steps, R, batch), dropping replicas that diverge.

    Returns losses (steps, R), steps of divergence (R,) and the numbers of the remaining replicas.
    """
    steps, replicas, _ = batches.shape
    losses = torch.full((steps, replicas), torch.nan)
    diverged = torch.full((replicas,), torch.inf)
    remaining = torch.arange(replicas)
    for step, batch in enumerate(batches):
        images = batch[remaining]
        loss = stack.step(data.x_train[images], data.y_train[images])
        fine = loss <= loss_limit
        losses[step, remaining[fine]] = loss[fine]
        if not fine.all():
            diverged[remaining[~fine]] = step + 1
            remaining = remaining[fine]
            stack.keep(fine)
            if not len(remaining):
                break
    return losses, diverged, remaining


def batch_order(seed: int, n: int, batch_size: int, steps: int) -> Tensor:
    """Return which images each mini-batch holds.

    Each epoch is a new permutation, whose rest of fewer than a mini-batch is left out.

    Parameters
    ----------
    seed : int
        Of the order.
    n, batch_size, steps : int
        Images, images in a mini-batch, and mini-batches.

    Returns
    -------
    Tensor, int64, shape (steps, batch_size)
        Numbers of images.

    Examples
    --------
    >>> sorted(batch_order(0, n=6, batch_size=2, steps=3).flatten().tolist())
    [0, 1, 2, 3, 4, 5]
    """
    per_epoch = n // batch_size
    key = stream_key(seed, "batches")
    epochs = [
        permutation(stream_key(key, epoch), n)[: per_epoch * batch_size]
        for epoch in range(-(-steps // per_epoch))
    ]
    return torch.from_numpy(np.concatenate(epochs)).view(-1, batch_size)[:steps]


def default_threads() -> int:
    """Return ``$OMP_NUM_THREADS``, or the number of cores."""
    return int(os.environ.get("OMP_NUM_THREADS", "").split(",")[0] or os.cpu_count() or 1)


def _check(data, arms, hidden, steps, activation, batch_size, momentum, weight_decay) -> None:
    if activation not in get_args(Activation):
        known = ", ".join(get_args(Activation))
        raise ValueError(f"activation {activation!r} can't be trained here; use one of {known}")
    if not arms:
        raise ValueError("there are no arms to train")
    for arm in arms:
        if not (arm.lr >= 0 and np.isfinite(arm.lr)):
            raise ValueError(f"lr must be finite and not negative, got {arm}")
    counts = {"steps": steps, "batch_size": batch_size}
    counts |= {f"hidden[{i}]": width for i, width in enumerate(hidden)}
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{name} must be at least 1, got {count}")
    if batch_size > len(data.x_train):
        raise ValueError(f"batch_size={batch_size} is more than {len(data.x_train)} images")
    if not 0 <= momentum < 1 or weight_decay < 0:
        raise ValueError(
            "momentum must lie in [0, 1) and weight_decay not be negative, "
            f"got {momentum} and {weight_decay}"
        )
