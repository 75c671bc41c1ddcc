"""What the start does to unseen data, once the training images are learned to the same degree."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd
import torch
from torch import nn

from initlib.adaptive import lsuv_
from initlib.apply import initialize
from initlib.lab.data import Dataset
from initlib.lab.five_runs import follow
from initlib.lab.five_speed import start
from initlib.lab.plateaus import choose_rates
from initlib.lab.stack import Stack, mlp
from initlib.lab.train import batch_order
from initlib.sampling import permutation, stream_key

__all__ = ["accuracies", "best_rate", "fit_few", "lsuv_pair", "scale_race"]

FITTED = 0.01  # loss on the training images (nats) at which a network is compared
TESTED = 2000  # held-out images
EVERY = 10  # steps
BATCH = 20  # images in a mini-batch
RATES = (0.02, 0.01, 0.005)  # learning rates of He; those of another scale move with it as
SHIFT = -1.5  # this power

Start = Callable[[list[int], int], nn.Sequential]


def subset(data: Dataset, seed: int, n: int) -> torch.Tensor:
    """Return the numbers of n training images, and of n others, shape (2 n,)."""
    order = permutation(stream_key(seed, "subset"), len(data.x_train))
    return torch.from_numpy(order[: 2 * n])


def fit_few(
    data: Dataset,
    starts: Mapping[str, Start],
    cells: Sequence[tuple[str, float]],
    *,
    images: int,
    depth: int,
    width: int,
    steps: int,
    seeds: Sequence[int],
) -> pd.DataFrame:
    """Train on few images until all of them are right and their loss is below 0.01.

    Parameters
    ----------
    data
        Images as rows of pixels.
    starts
        For each name, makes a network from its sizes and a seed.
    cells
        Name of the start and learning rate.
    images
        Training images, others for each seed.
    depth, width, steps
        Weight layers, units of a hidden layer, the budget.
    seeds
        Of weights, images and mini-batches.

    Returns
    -------
    DataFrame
        A row for each network: start, lr, seed, steps (infinite where the budget ended first),
        budget, loss and fitted (accuracy) on the training images, accuracy on held-out ones.
    """
    rows = [(name, lr, i) for name, lr in cells for i in seeds]
    sizes = [data.x_train.shape[1], *[width] * (depth - 1), data.classes]
    chosen = {i: subset(data, i, images)[:images] for i in seeds}
    orders = {i: chosen[i][batch_order(i, images, BATCH, steps)] for i in seeds}
    own = torch.stack([chosen[i] for _, _, i in rows])

    def enough(seen: torch.Tensor, _) -> torch.Tensor:
        return (seen[:, 0] < FITTED) & (seen[:, 1] == 1)

    def look(stack: Stack, numbers: torch.Tensor) -> torch.Tensor:
        labels = data.y_train[own[numbers]]
        logits = stack.logits(data.x_train[own[numbers]])
        loss = -logits.log_softmax(dim=-1).gather(-1, labels[..., None]).mean(dim=(1, 2))
        right = (logits.argmax(dim=-1) == labels).float().mean(dim=1)
        seen = torch.stack([loss, right, torch.full_like(loss, torch.nan)], dim=1)
        done = enough(seen, numbers)
        if done.any():  # held-out images cost as much as all the training
            seen[done, 2] = _held_out(stack, done, data)
        return seen

    followed = follow(
        [starts[name](sizes, i) for name, _, i in rows],
        [lr for _, lr, _ in rows],
        data.x_train,
        data.y_train,
        torch.stack([orders[i] for _, _, i in rows], dim=1),
        look,
        enough,
        every=EVERY,
    )
    table = pd.DataFrame(rows, columns=["start", "lr", "seed"])
    loss, fitted, accuracy = followed.seen.T
    return table.assign(
        steps=followed.steps, budget=steps, loss=loss, fitted=fitted, accuracy=accuracy
    )


def _held_out(stack: Stack, which: torch.Tensor, data: Dataset) -> torch.Tensor:
    """Accuracy of some networks of a stack on held-out images."""
    h = data.x_test[:TESTED].expand(int(which.sum()), -1, -1)
    for weight, bias in zip(stack.weights, stack.biases, strict=True):
        z = torch.baddbmm(bias[which], h, weight[which].mT)
        h = z.relu()
    return (z.argmax(dim=-1) == data.y_test[:TESTED]).float().mean(dim=1)


def scale_race(
    data: Dataset,
    scales: Sequence[float],
    *,
    replicas: int,
    trials: int,
    seed: int,
    **options,
) -> pd.DataFrame:
    """Fit few images from several scales of He, each at the rate that fits them soonest.

    Parameters
    ----------
    data, options
        As in `fit_few`.
    scales
        Factors on He's standard deviation.
    replicas, trials, seed
        As in `initlib.lab.five_speed.races`.

    Returns
    -------
    DataFrame
        The columns of `fit_few`, and scale, trial and chosen.
    """
    starts = {f"{scale:g}": partial(_scaled, scale=scale) for scale in scales}
    grid = [(f"{scale:g}", float(lr * scale**SHIFT)) for scale in scales for lr in RATES]
    fit = partial(fit_few, data, starts, **options)
    tried = fit(grid, seeds=[1000 * seed + 500 + i for i in range(trials)])
    tried = choose_rates(tried.assign(scheme=tried.start, depth=0)).assign(trial=True)
    best = tried[tried.chosen].drop_duplicates("start")
    cells = list(zip(best.start, best.lr, strict=True))
    final = fit(cells, seeds=[1000 * seed + i for i in range(replicas)])
    final = final.assign(trial=False, chosen=True)
    both = pd.concat([tried.drop(columns=["scheme", "depth"]), final], ignore_index=True)
    return both.assign(scale=both.start.astype(float))


def _scaled(sizes: list[int], seed: int, scale: float) -> nn.Sequential:
    return start(sizes, scale, seed)


def best_rate(fits: pd.DataFrame, scale: float) -> float:
    """Return the learning rate that a scale has chosen."""
    return float(fits[~fits.trial & (fits.scale == scale)].lr.iloc[0])


def lsuv_pair(
    data: Dataset, lr: float, *, images: int, seeds: Sequence[int], **options
) -> pd.DataFrame:
    """Fit few images from two LSUV starts: scaled on these very images, and on as many others.

    Both begin with the same orthogonal matrices.

    Parameters
    ----------
    data, lr, images, seeds, options
        As in `fit_few`.

    Returns
    -------
    DataFrame
        The columns of `fit_few`; start is "own" or "other".
    """
    parts = {"own": slice(0, images), "other": slice(images, 2 * images)}

    def lsuv_start(sizes: list[int], seed: int, part: slice) -> nn.Sequential:
        model = mlp(sizes)
        initialize(model, "orthogonal", seed=seed)
        lsuv_(model, data.x_train[subset(data, seed, images)[part]], start=None)
        return model

    starts = {name: partial(lsuv_start, part=part) for name, part in parts.items()}
    cells = [(name, lr) for name in starts]
    return fit_few(data, starts, cells, images=images, seeds=seeds, **options)


def accuracies(fits: pd.DataFrame, by: str) -> pd.DataFrame:
    """Return test accuracies in percent, a row for each seed and a column for each `by`.

    Parameters
    ----------
    fits
        From `scale_race`, without its trials, or from `lsuv_pair`.
    by
        "scale" or "start".

    Raises
    ------
    ValueError
        If a network didn't fit its images within the budget: its accuracy would say nothing.
    """
    if "trial" in fits:
        fits = fits[~fits.trial]
    if not np.isfinite(fits.steps).all():
        late = fits[~np.isfinite(fits.steps)]
        raise ValueError(
            f"{len(late)} of {len(fits)} networks didn't fit their images within "
            f"{late.budget.iloc[0]} steps; allow more (steps)"
        )
    return 100 * fits.pivot(index="seed", columns=by, values="accuracy")
