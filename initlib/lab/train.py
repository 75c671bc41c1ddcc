"""Many networks trained at once: seeds, schemes and learning rates as one batched program."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import perf_counter
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from initlib import initialize
from initlib.lab.arms import Arm, Trained
from initlib.lab.conv_stack import ConvStack, cnn
from initlib.lab.data import Dataset
from initlib.lab.optimizers import Adam, Sgd
from initlib.lab.stack import Activation, DataScheme, Stack, mlp
from initlib.lab.training_checks import check_arms, check_data, check_network, check_options
from initlib.lab.training_progress import Counter, count_steps
from initlib.sampling import permutation, stream_key

__all__ = ["Arm", "Trained", "batch_order", "default_threads", "train"]

CHUNK = 8  # replicas in one product: more don't get faster, and leave the cache


def train(
    data: Dataset,
    arms: Sequence[Arm],
    *,
    steps: int,
    hidden: Sequence[int] | None = None,
    channels: Sequence[int] | None = None,
    patch: int = 4,
    activation: Activation = "relu",
    batch_size: int = 64,
    optimizer: Literal["sgd", "adam"] = "sgd",
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    loss_limit: float = 1e4,
    gradients_every: int = 10,
    threads: int | None = None,
    progress: bool | None = None,
) -> Trained:
    """Train a network for each arm on the cross-entropy of mini-batches.

    Parameters
    ----------
    data : Dataset
        Each epoch goes through a new permutation.
    arms : sequence of Arm
        Any mix of schemes, learning rates and seeds.
    steps : int
        Mini-batches.
    hidden : sequence of int
        For an MLP, which takes images as rows of pixels: hidden widths. [128] * 21 has 22 weight
        layers.
    channels : sequence of int
        For a convolutional network instead, `cnn`: output channels of each convolution. Images are
        (height, width) or (channels, height, width).
    patch : int
        Side of the patches in which the first convolution reads an image; 1 for 3 x 3 as the
        others.
    activation : str
        After each hidden layer: relu, tanh, sigmoid, softplus, linear, lecun_tanh, selu, elu, gelu,
        silu or mish.
    batch_size : int
        Images in a mini-batch.
    optimizer : {"sgd", "adam"}
        Adam has the betas and epsilon that it has in torch, and neither of the next two.
    momentum, weight_decay : float
        As in ``torch.optim.SGD``; biases decay too.
    loss_limit : float
        A mini-batch loss (nats) above it counts as diverged. The arm is dropped; the others go on.
    gradients_every : int
        Steps from one record of the gradients to the next; at each step they cost up to half
        more time.
    threads : int, optional
        Chunks of arms trained at a time; changes no value. Default: ``$OMP_NUM_THREADS``, or one a
        core.
    progress : bool, optional
        Show the share of steps done and the time left on the standard error stream. Default: in a
        terminal only.

    Returns
    -------
    Trained
        Losses, gradients, accuracy, divergence and time of each arm.

    Raises
    ------
    ValueError
        For data or arguments that can't be trained with, before anything is trained.

    Examples
    --------
    >>> from initlib.lab.data import load
    >>> arms = [Arm("he_normal", lr=0.05, seed=seed) for seed in range(2)]
    >>> trained = train(load("mnist"), arms, hidden=[32], steps=60)
    >>> bool((trained.accuracy > 0.7).all())
    True
    """
    check_arms(arms)
    check_options(activation, optimizer, steps, gradients_every, momentum, weight_decay)
    check_data(data, batch_size)
    check_network(data, hidden, channels, patch)
    build: Callable[[], nn.Sequential]
    together: Callable[..., Stack | ConvStack]
    if channels is None:
        data = data.flat()
        sizes = [data.x_train.shape[1], *(hidden or ()), data.classes]
        build, together = partial(mlp, sizes, activation), partial(Stack, activation=activation)
    else:
        data = data.with_channels()
        image = data.x_train.shape[1:]
        build, together = partial(cnn, image, channels, data.classes, activation, patch), ConvStack
    sgd = partial(Sgd, momentum=momentum, weight_decay=weight_decay)
    descent = Adam if optimizer == "adam" else sgd
    orders = {
        arm.order: batch_order(arm.order, len(data.x_train), batch_size, steps) for arm in arms
    }

    starts = {(id(arm.scheme), arm.seed): arm for arm in arms}  # learning rates share their starts
    built = {start: _fill(build(), arm, data) for start, arm in starts.items()}
    models = [built[id(arm.scheme), arm.seed] for arm in arms]

    def run(first: int) -> tuple[Tensor, ...]:
        began = perf_counter()
        chunk = slice(first, first + CHUNK)
        stack = together(models[chunk], partial(descent, lr=[arm.lr for arm in arms[chunk]]))
        batches = torch.stack([orders[arm.order] for arm in arms[chunk]], dim=1)
        losses, gradients, diverged, remaining = _descend(
            stack, data, batches, loss_limit, gradients_every, counter
        )
        accuracy = torch.full_like(diverged, torch.nan)
        if len(remaining):
            accuracy[remaining] = _accuracy(stack, data, len(remaining))
        seconds = (perf_counter() - began) / len(diverged)
        return losses, gradients, accuracy, diverged, torch.full_like(diverged, seconds)

    steps_in_all = count_steps(steps * len(arms), f"training {len(arms)} networks", progress)
    with steps_in_all as counter, ThreadPoolExecutor(threads or default_threads()) as pool:
        chunks = pool.map(run, range(0, len(arms), CHUNK))
        parts = [torch.cat(part, dim=-1).double().numpy() for part in zip(*chunks, strict=True)]
    return Trained(tuple(arms), *parts)


def _fill(model: nn.Sequential, arm: Arm, data: Dataset) -> nn.Sequential:
    if isinstance(arm.scheme, DataScheme):
        arm.scheme.fill_(model, data.x_train, arm.seed)
    else:
        initialize(model, arm.scheme, seed=arm.seed)
    return model


def _descend(
    stack: Stack | ConvStack,
    data: Dataset,
    batches: Tensor,
    loss_limit: float,
    gradients_every: int,
    counter: Counter,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Train on mini-batches (steps, R, batch), dropping replicas that diverge.

    Returns losses (steps, R), gradient norms (records, R), steps of divergence (R,) and the numbers
    of the remaining replicas. The steps that a dropped replica doesn't take count as done.
    """
    steps, replicas, _ = batches.shape
    losses = torch.full((steps, replicas), torch.nan)
    gradients = losses[::gradients_every].double()
    diverged = torch.full((replicas,), torch.inf)
    remaining = torch.arange(replicas)
    for step, batch in enumerate(batches):
        images = batch[remaining]
        measured = step % gradients_every == 0
        loss, gradient = stack.step(data.x_train[images], data.y_train[images], measured)
        fine = loss <= loss_limit
        losses[step, remaining[fine]] = loss[fine]
        if gradient is not None:
            gradients[step // gradients_every, remaining[fine]] = gradient[fine]
        counter.advance(len(remaining))
        if not fine.all():
            counter.advance(int((~fine).sum()) * (steps - step - 1))
            diverged[remaining[~fine]] = step + 1
            remaining = remaining[fine]
            stack.optimizer.keep(fine)
            if not len(remaining):
                break
    return losses, gradients, diverged, remaining


def _accuracy(stack: Stack | ConvStack, data: Dataset, replicas: int, rows: int = 500) -> Tensor:
    """Return the share of right answers of each replica on the test images."""
    right = torch.zeros(replicas)
    for x, y in zip(data.x_test.split(rows), data.y_test.split(rows), strict=True):
        logits = stack.logits(x.expand(replicas, *x.shape))
        right += (logits.argmax(dim=-1) == y).sum(dim=1)
    return right / len(data.y_test)


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
