"""What can't be trained, said before any training."""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from numbers import Real
from operator import index
from typing import get_args

import torch

from initlib.lab.arms import Arm
from initlib.lab.data import Dataset
from initlib.lab.stack import Activation

OPTIMIZERS = ("sgd", "adam")


def check_arms(arms: Sequence[Arm]) -> None:
    """Raise a ValueError unless there are arms, each with a learning rate that is one."""
    if not arms:
        raise ValueError("there are no arms to train")
    for arm in arms:
        if not (isinstance(arm.lr, Real) and 0 <= arm.lr < math.inf):
            raise ValueError(f"lr must be a number, finite and not negative, got {arm}")


def check_options(
    activation: str,
    optimizer: str,
    steps: int,
    gradients_every: int,
    momentum: float,
    weight_decay: float,
) -> None:
    """Raise a ValueError for an unknown name or a number out of range."""
    _check_name("activation", activation, get_args(Activation))
    _check_name("optimizer", optimizer, OPTIMIZERS)
    _check_count("steps", steps)
    _check_count("gradients_every", gradients_every)
    if not 0 <= momentum < 1 or not 0 <= weight_decay < math.inf:
        raise ValueError(
            "momentum must lie in [0, 1) and weight_decay not be negative, "
            f"got {momentum} and {weight_decay}"
        )
    if optimizer == "adam" and weight_decay:
        raise ValueError(f"Adam is trained here without weight decay, got {weight_decay}")


def check_data(data: Dataset, batch_size: int) -> None:
    """Raise a ValueError for images or labels that can't be learned from.

    `load` gives none of those; this is for a Dataset made by hand.
    """
    _check_count("batch_size", batch_size)
    if batch_size > len(data.x_train):
        raise ValueError(f"batch_size={batch_size} is more than {len(data.x_train)} images")
    parts = {"train": (data.x_train, data.y_train), "test": (data.x_test, data.y_test)}
    for part, (x, y) in parts.items():
        if len(x) != len(y):
            raise ValueError(f"{data.name}: there are {len(x)} x_{part}, but {len(y)} y_{part}")
        if not x.isfinite().all():
            raise ValueError(f"{data.name}: x_{part} has NaN or infinite pixels")
        if y.dtype != torch.int64:
            raise ValueError(f"{data.name}: y_{part} must hold integers (int64), got {y.dtype}")
        if not 0 <= y.min() <= y.max() < data.classes:
            raise ValueError(
                f"{data.name}: labels must lie in 0..{data.classes - 1}, y_{part} has "
                f"{y.min()}..{y.max()}"
            )
    if data.x_train.shape[1:] != data.x_test.shape[1:]:
        raise ValueError(
            f"{data.name}: images of x_train are {tuple(data.x_train.shape[1:])}, "
            f"those of x_test {tuple(data.x_test.shape[1:])}"
        )
    empty = torch.bincount(data.y_train, minlength=data.classes).eq(0).nonzero().flatten()
    if len(empty):
        raise ValueError(f"{data.name}: y_train has no image of class {empty[0]}")


def check_network(
    data: Dataset, hidden: Sequence[int] | None, channels: Sequence[int] | None, patch: int
) -> None:
    """Raise a ValueError unless the sizes are those of one network that takes the images."""
    if (hidden is None) == (channels is None):
        raise ValueError(
            "give either hidden, the widths of an MLP, or channels, those of a convolutional "
            f"network; got hidden={hidden}, channels={channels}"
        )
    name, sizes = ("hidden", hidden) if channels is None else ("channels", channels)
    if not isinstance(sizes, Sequence):
        raise ValueError(f"{name} must be a list of one number a layer, got {sizes!r}")
    if not sizes:
        raise ValueError(f"{name} is empty: a network of depth 0 has no hidden layer to train")
    for i, size in enumerate(sizes):
        _check_count(f"{name}[{i}]", size)
    if channels is not None:
        _check_images(data, patch)


def _check_images(data: Dataset, patch: int) -> None:
    _check_count("patch", patch)
    shape = tuple(data.x_train.shape[1:])
    if len(shape) not in (2, 3):
        raise ValueError(
            f"convolutions need images (height, width) or (channels, height, width), those of "
            f"{data.name} are {shape}"
        )
    if any(side % patch for side in shape[-2:]):
        raise ValueError(f"patch={patch} doesn't divide images of {shape[-2]} x {shape[-1]}")


def _check_name(what: str, name: str, known: Sequence[str]) -> None:
    if name not in known:
        near = difflib.get_close_matches(str(name), known)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise ValueError(f"{what} {name!r} is unknown{hint}; use one of {', '.join(known)}")


def _check_count(name: str, count: int) -> None:
    try:
        whole = index(count)
    except TypeError:
        raise ValueError(f"{name} must be a whole number, got {count!r}") from None
    if whole < 1:
        raise ValueError(f"{name} must be at least 1, got {count}")
