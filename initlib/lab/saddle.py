"""The saddle at zero: a network that knows how frequent the classes are, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from initlib.lab.data import Dataset
from initlib.lab.following import Followed, first_passage, follow
from initlib.lab.symmetry import Network, networks
from initlib.sampling import permutation, stream_key


def some_images(data: Dataset, n: int, seed: int = 0) -> Dataset:
    """Return the data with n random training images only, to be one batch."""
    chosen = permutation(stream_key(seed, "some images"), len(data.x_train))[:n]
    return replace(data, x_train=data.x_train[chosen], y_train=data.y_train[chosen])


def log_priors(data: Dataset) -> Tensor:
    """Return the logarithms of the class frequencies in the training set, centred: sum zero.

    They are what the output bias learns when the weights are zero: no other bias of sum zero has a
    smaller loss.
    """
    logs = _frequencies(data).log()
    return logs - logs.mean()


def entropy(data: Dataset) -> float:
    """Return the entropy of the class frequencies (nats), the least loss without looking at x."""
    frequencies = _frequencies(data)
    return -(frequencies * frequencies.log()).sum().item()


def _frequencies(data: Dataset) -> Tensor:
    counts = torch.bincount(data.y_train, minlength=data.classes)
    if not counts.all():
        raise ValueError(f"each class needs an image, got {counts.tolist()} images of them")
    return counts.double() / counts.sum()


def near_zero(
    data: Dataset, hidden: Sequence[int], noises: Sequence[float], seed: int = 0
) -> Network:
    """Return tanh networks at the saddle, but for their weights: the same draws times each noise.

    The draws have variance 1 / n_in. The output bias is at the log priors.

    Parameters
    ----------
    data : Dataset
        What they will be trained on.
    hidden : sequence of int
        Hidden widths.
    noises : sequence of float
        One for each network.
    seed : int
        Of the draws.
    """
    sizes = [data.flat().x_train.shape[1], *hidden, data.classes]
    one = networks(sizes, "tanh", ["lecun_normal"], seed)
    scales = torch.tensor(noises, dtype=torch.float64)[:, None, None]
    start = Network([w * scales for w in one.weights], [b * scales for b in one.biases], "tanh")
    start.biases[-1].copy_(log_priors(data).expand_as(start.biases[-1]))
    return start


def growth(data: Dataset, lr: float) -> float:
    """Return the rate at which the weights around one hidden tanh layer leave zero, a step.

    With the output bias at the log priors p, small weights follow dW_1 = W_2^T S, dW_2 = S W_1^T,
    with S = E (y - p) x^T. Gradient descent multiplies them by 1 + lr s, s being the largest
    singular value of S; the rate is the logarithm.

    Parameters
    ----------
    data : Dataset
        All training images are one batch.
    lr : float
        Learning rate.
    """
    onehot = torch.nn.functional.one_hot(data.y_train, data.classes).double()
    errors = onehot - _frequencies(data)
    cross = errors.mT @ data.flat().x_train.double() / len(errors)
    return math.log1p(lr * torch.linalg.matrix_norm(cross, 2).item())


def waits(
    data: Dataset,
    hidden: Sequence[int],
    noises: Sequence[float],
    lr: float,
    steps: int,
    seed: int = 0,
    drop: float = 0.1,
) -> np.ndarray:
    """Return how long networks `near_zero` wait: steps until the loss is `drop` below the entropy.

    They follow gradient descent, with all training images as one batch.
    """
    start = near_zero(data, hidden, noises, seed)
    options = {"optimizer": "sgd", "batch_size": len(data.y_train)}
    losses = follow(start, data, lr, steps, **options).losses
    return first_passage(-losses, drop - entropy(data))


def learn_priors(data: Dataset, hidden: Sequence[int], steps: int = 300) -> Followed:
    """Train an all-zero tanh network by gradient descent, with all training images as one batch."""
    start = near_zero(data, hidden, [0.0])
    start.biases[-1].zero_()
    return follow(start, data, 4.0, steps, optimizer="sgd", batch_size=len(data.y_train))
