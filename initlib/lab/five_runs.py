"""Networks that are trained side by side, each until enough is seen of it."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from initlib.lab.data import Dataset
from initlib.lab.estimates import LEAST_PAIRS
from initlib.lab.optimizers import Sgd
from initlib.lab.stack import Activation, Stack
from initlib.lab.train import CHUNK, default_threads

__all__ = ["Followed", "check_design", "follow", "half_size"]

Look = Callable[[Stack, Tensor], Tensor]
Enough = Callable[[Tensor, Tensor], Tensor]


class Followed(NamedTuple):
    """What was seen of R networks.

    Attributes
    ----------
    losses
        Shape (steps, R): of each mini-batch before its update (nats); NaN once a network was
        stopped or diverged.
    seen
        Shape (R, ...): what `look` returned last.
    steps
        Shape (R,): updates before that look; infinite where there never was enough.
    """

    losses: np.ndarray
    seen: np.ndarray
    steps: np.ndarray


def follow(
    models: Sequence[nn.Sequential],
    lr: Sequence[float],
    images: Tensor,
    labels: Tensor,
    batches: Tensor,
    look: Look,
    enough: Enough,
    *,
    every: int,
    activation: Activation = "relu",
    momentum: float = 0.9,
    loss_limit: float = 1e4,
    threads: int | None = None,
) -> Followed:
    """Train networks of one shape until enough is seen of each.

    Where `initlib.lab.train` gives each network the same images and number of steps, `batches`
    decides here what each of them sees (another subset, other images in a few places), and `enough`
    when it stops: at a loss or an accuracy that all are to share.

    Parameters
    ----------
    models
        R networks from `initlib.lab.stack.mlp`, with their weights; they are copied.
    lr
        Learning rate of each.
    images, labels
        The pool, of shapes (n, pixels) and (n,).
    batches
        Shape (steps, R, batch), int64: numbers in the pool.
    look
        Takes a `Stack` of some of the networks and their numbers (r,), and returns (r, ...).
    enough
        Takes what was seen, (r, ...), and these numbers; returns for each whether it stops, (r,).
    every
        Steps between looks; the first is before training, the last after it.
    activation, momentum, loss_limit, threads
        As in `initlib.lab.train.train`.

    Raises
    ------
    ValueError
        If the counts of networks, rates and mini-batches differ, or `every` is below 1.
    """
    steps, replicas = batches.shape[:2]
    if not len(models) == len(lr) == replicas > 0 or every < 1:
        raise ValueError(
            "expected one learning rate and one row of mini-batches for each network and "
            f"every >= 1, got {len(models)} networks, {len(lr)} rates, {replicas} rows and "
            f"every={every}"
        )

    def run(first: int) -> tuple[Tensor, Tensor, Tensor]:
        chunk = slice(first, first + CHUNK)
        stack = Stack(models[chunk], partial(Sgd, lr=lr[chunk], momentum=momentum), activation)
        numbers = torch.arange(replicas)[chunk]

        def step(left: Tensor, at: int) -> Tensor:
            batch = batches[at, numbers[left]]
            return stack.step(images[batch], labels[batch])[0]

        def look_at(left: Tensor) -> tuple[Tensor, Tensor]:
            seen = look(stack, numbers[left])
            return seen, enough(seen, numbers[left])

        return _descend(stack, step, look_at, steps, every, loss_limit)

    with ThreadPoolExecutor(threads or default_threads()) as pool:
        parts = list(pool.map(run, range(0, replicas, CHUNK)))
    losses = torch.cat([part[0] for part in parts], dim=1)
    seen, stopped = (torch.cat([part[i] for part in parts]) for i in (1, 2))
    return Followed(losses.numpy(), seen.numpy(), stopped.numpy())


def _descend(stack, step, look_at, steps, every, loss_limit) -> tuple[Tensor, Tensor, Tensor]:
    """Train one chunk: losses (steps, r), what was seen last (r, ...), and when (r,)."""
    left = torch.arange(len(stack.optimizer.lr))
    losses = torch.full((steps, len(left)), torch.nan)
    stopped = torch.full((len(left),), torch.inf)
    seen: Tensor | None = None
    for at in range(steps + 1):
        if at % every == 0 or at == steps:
            now, done = look_at(left)
            seen = torch.zeros_like(now) if seen is None else seen
            seen[left] = now
            if done.any():
                stopped[left[done]] = at
                left = left[~done]
                stack.optimizer.keep(~done)
        if at == steps or not len(left):
            break
        loss = step(left, at)
        fine = loss <= loss_limit
        losses[at, left[fine]] = loss[fine]
        if not fine.all():
            left = left[fine]
            stack.optimizer.keep(fine)
    return losses, seen, stopped


def check_design(
    depths: Sequence[int], gains: Sequence[float], scales: Sequence[float], replicas: int
) -> None:
    """Refuse a design that can't answer, before anything is trained.

    Parameters
    ----------
    depths
        Weight layers of the shallow and of the deep network, at least 2.
    gains
        Factors on He's weights, ascending, below and above 1 and 1 itself.
    scales
        The same for few images, with two larger than 1.
    replicas
        Paired seeds, at least 8.

    Raises
    ------
    ValueError
        That says what was given, and what is expected.
    """
    if len(depths) != 2 or not 2 <= depths[0] < depths[1]:
        raise ValueError(f"depths must be two, ascending from at least 2, got {list(depths)}")
    rising = list(gains) == sorted(set(gains)) and gains[0] > 0
    if not rising or 1 not in gains[1:-1]:
        raise ValueError(f"gains must ascend from below 1 to above it, 1 included: {list(gains)}")
    if 1 not in scales or min(scales) <= 0 or sum(scale > 1 for scale in scales) < 1:
        raise ValueError(f"scales must be positive, with 1 and a larger one, got {list(scales)}")
    if replicas < LEAST_PAIRS:
        raise ValueError(f"replicas must be at least {LEAST_PAIRS}, got {replicas}")


def half_size(data: Dataset) -> Dataset:
    """Return images of half the size, each pixel the mean of four, as rows: four times as fast.

    Shifted and scaled again so that training pixels have mean 0 and second moment 1.

    Raises
    ------
    ValueError
        If the images don't have rows and columns of even number.
    """
    shape = tuple(data.x_train.shape[1:])
    if len(shape) != 2 or shape[0] % 2 or shape[1] % 2:
        raise ValueError(f"images must have an even number of rows and columns, got {shape}")
    train, test = (nn.functional.avg_pool2d(x[:, None], 2) for x in (data.x_train, data.x_test))
    shift, scale = train.mean(), train.std(correction=0)
    train, test = (((x - shift) / scale).flatten(1) for x in (train, test))
    return replace(data, x_train=train, x_test=test)
