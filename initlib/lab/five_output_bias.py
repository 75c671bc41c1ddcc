"""The output bias in a task with few positives: zero, the log prior, or its opposite."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from torch import nn

from initlib.apply import initialize
from initlib.lab.data import Dataset
from initlib.lab.five_runs import follow
from initlib.lab.plateaus import choose_rates
from initlib.lab.stack import Stack, mlp
from initlib.lab.train import batch_order
from initlib.sampling import Key, permutation, stream_key

__all__ = ["arms", "by_arm", "entropy", "few_positives", "first_loss", "output_race"]

DEPTH, WIDTH = 3, 32  # weight layers, units of a hidden layer
BATCH = 128  # images in a mini-batch: two or three positives
RATES = (0.06, 0.03, 0.015)
EVERY = 5  # steps between looks at the loss
EARLY = 10  # steps that count as early


def few_positives(
    data: Dataset, positive: int, share: float = 0.02, *, key: Key | int = 0
) -> Dataset:
    """Make a task of two classes: one class of the data, thinned to a share, against all others.

    Parameters
    ----------
    data
        Images as rows of pixels.
    positive
        The class.
    share
        Of positives among the training images, up to rounding.
    key
        Chooses which positives stay. They come first.

    Raises
    ------
    ValueError
        If there is no such class, or it has too few images for this share.
    """
    if not 0 <= positive < data.classes:
        raise ValueError(f"positive must be a class from 0 to {data.classes - 1}, got {positive}")
    is_positive = data.y_train == positive
    others, own = (~is_positive).nonzero()[:, 0], is_positive.nonzero()[:, 0]
    count = round(len(others) * share / (1 - share)) if 0 < share < 1 else 0
    if not 1 <= count <= len(own):
        raise ValueError(f"a share of {share} takes {count} of the {len(own)} images of {positive}")
    kept = own[torch.from_numpy(permutation(stream_key(key, "positives"), len(own)))[:count]]
    chosen = torch.cat([kept, others])
    return replace(
        data,
        x_train=data.x_train[chosen],
        y_train=is_positive[chosen].long(),
        y_test=(data.y_test == positive).long(),
        classes=2,
    )


def entropy(task: Dataset) -> float:
    """Return the loss (nats) of a network that knows the share of positives and nothing else."""
    share = task.y_train.double().mean().item()
    return float(-share * np.log(share) - (1 - share) * np.log1p(-share))


def arms(task: Dataset) -> dict[str, float]:
    """Return for each arm the difference of its two output biases: zero, prior and wrong."""
    share = task.y_train.double().mean().item()
    logit = float(np.log(share / (1 - share)))
    return {"zero": 0.0, "prior": logit, "wrong": -logit}


def output_race(
    task: Dataset, *, steps: int, replicas: int, trials: int, seed: int
) -> pd.DataFrame:
    """Train from the three output biases until the loss is a third of the entropy of the classes.

    Hidden layers start with He, the weights of the output at zero, so that the loss at the start
    is that of the biases alone. Each arm has the rate of the grid whose slowest trial is first.
    Networks have 3 layers of 32 units and mini-batches of 128 images.

    Parameters
    ----------
    task
        From `few_positives`.
    steps
        The budget.
    replicas, trials, seed
        As in `initlib.lab.five_speed.races`.

    Returns
    -------
    DataFrame
        A row for each network: arm, lr, seed, steps (infinite where the budget ended first),
        budget, loss, early (mean loss of the first ten mini-batches), trial and chosen. Losses are
        in nats.
    """
    numbers = [1000 * seed + i for i in range(replicas)]
    trial_numbers = [1000 * seed + 500 + i for i in range(trials)]
    grid = [(arm, lr) for arm in arms(task) for lr in RATES]
    tried = _run(task, grid, trial_numbers, steps)
    tried = choose_rates(tried.assign(scheme=tried.arm, depth=DEPTH, trial=True))
    best = tried[tried.chosen].drop_duplicates("arm")
    final = _run(task, list(zip(best.arm, best.lr, strict=True)), numbers, steps)
    final = final.assign(trial=False, chosen=True)
    return pd.concat([tried.drop(columns=["scheme", "depth"]), final], ignore_index=True)


def _run(
    task: Dataset, cells: Sequence[tuple[str, float]], seeds: Sequence[int], steps: int
) -> pd.DataFrame:
    rows = [(arm, lr, i) for arm, lr in cells for i in seeds]
    sizes = [task.x_train.shape[1], *[WIDTH] * (DEPTH - 1), 2]
    orders = {i: batch_order(i, len(task.x_train), BATCH, steps) for i in seeds}
    logits, enough = arms(task), entropy(task) / 3
    share = task.y_train.double().mean().item()
    count = int(task.y_train.sum())
    shown = [slice(0, count), slice(count, 3 * count)]  # all positives, and some of the others

    def look(stack: Stack, _) -> torch.Tensor:
        own = [stack.logits(task.x_train[s].expand(len(stack.optimizer.lr), -1, -1)) for s in shown]
        of_positives, of_others = (z.log_softmax(dim=-1).mean(dim=1) for z in own)
        return -share * of_positives[:, 1] - (1 - share) * of_others[:, 0]

    followed = follow(
        [_start(sizes, logits[arm], i) for arm, _, i in rows],
        [lr for _, lr, _ in rows],
        task.x_train,
        task.y_train,
        torch.stack([orders[i] for _, _, i in rows], dim=1),
        look,
        lambda loss, _: loss < enough,
        every=EVERY,
    )
    table = pd.DataFrame(rows, columns=["arm", "lr", "seed"])
    early = followed.losses[:EARLY].mean(axis=0)
    return table.assign(steps=followed.steps, budget=steps, loss=followed.seen, early=early)


def _start(sizes: list[int], logit: float, seed: int) -> nn.Sequential:
    model = mlp(sizes)
    initialize(model, "he_normal", seed=seed)
    with torch.no_grad():
        model[-1].weight.zero_()
        model[-1].bias.copy_(torch.tensor([-logit / 2, logit / 2]))
    return model


def by_arm(raced: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return the logarithm of a column, a row for each seed and a column for each arm.

    Steps that weren't enough count as the budget.
    """
    final = raced[~raced.trial]
    final = final.assign(steps=np.minimum(final.steps, final.budget))
    return np.log(final.pivot(index="seed", columns="arm", values=name))


def first_loss(task: Dataset, arm: str) -> float:
    """Return the loss (nats) of all training images at the start of an arm."""
    model = _start([task.x_train.shape[1], 8, 2], arms(task)[arm], 0).double()
    with torch.no_grad():
        return float(nn.functional.cross_entropy(model(task.x_train.double()), task.y_train))
