"""How much a trained network depends on a few of its images, and which learning rates it bears."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from initlib.lab.data import Dataset
from initlib.lab.five_runs import follow
from initlib.lab.five_speed import BATCH, best_rate, scaled_he, start
from initlib.lab.stack import Stack
from initlib.lab.train import Arm, batch_order, train
from initlib.sampling import permutation, stream_key

__all__ = ["churn", "largest_rates", "log_gap", "twins"]

SEEN = 500  # held-out images on which predictions are compared
REPEATS = {"shallow": 3, "deep": 1}  # pairs of twins for each seed; shallow ones are noisier
OCTAVES = 16  # largest_rates searches from 1 down to 2^-16
BURST = 30  # steps that a stable rate has to survive
EXCESS = 2.0  # times the first loss: more isn't stable


def churn(
    data: Dataset,
    cells: Sequence[tuple[float, float]],
    *,
    depth: int,
    width: int,
    steps: int,
    batch_size: int,
    accuracy: float,
    share: float,
    seeds: Sequence[int],
) -> pd.DataFrame:
    """Train twins that differ in a few of their images, and count where they disagree.

    Twins share weights and mini-batches. In one of them a share of the training images, the same in
    each epoch, is replaced by other images. Twins are stopped together, at the first look at which
    their mean accuracy on held-out images is high enough, so that all are compared at one accuracy.

    Parameters
    ----------
    data
        Images as rows of pixels; the last `share` of them are the spares.
    cells
        Gain and learning rate of each pair.
    depth, width, steps, batch_size
        Weight layers, units of a hidden layer, the budget, images in a mini-batch.
    accuracy
        At which a network is stopped.
    share
        Of the training images that are replaced, between 0 and 1/2.
    seeds
        Of weights, mini-batches and replaced images.

    Returns
    -------
    DataFrame
        A row for each pair: gain, lr, depth, seed, churn (the share of held-out images on which the
        twins disagree), accuracy (their mean) and steps (of the slower; infinite where the budget
        ended first).

    Raises
    ------
    ValueError
        If the share replaces no image, or more than there are spares.
    """
    n = round(len(data.x_train) / (1 + share))
    spares = len(data.x_train) - n
    if not 0 < share <= 0.5 or spares < 1:
        raise ValueError(f"share must lie in (0, 0.5] and replace an image at least, got {share}")
    rows = [(gain, lr, depth, seed) for gain, lr in cells for seed in seeds]
    orders = {}
    for seed in seeds:
        order = batch_order(seed, n, batch_size, steps)
        chosen = permutation(stream_key(seed, "replaced"), n)[:spares]
        other = torch.arange(n)
        other[torch.from_numpy(chosen)] = n + torch.arange(spares)
        orders[seed] = (order, other[order])
    sizes = [data.x_train.shape[1], *[width] * (depth - 1), data.classes]
    models = [start(sizes, gain, seed) for gain, _, _, seed in rows]
    images, labels = data.x_test[:SEEN], data.y_test[:SEEN]

    def predict(stack: Stack, _) -> torch.Tensor:
        return stack.logits(images.expand(len(stack.optimizer.lr), *images.shape)).argmax(dim=-1)

    def alike(seen: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
        right = (seen == labels).float().mean(dim=1)
        _, pair = (numbers // 2).unique(return_inverse=True)
        means = torch.zeros(int(pair.max()) + 1).scatter_reduce(
            0, pair, right, "mean", include_self=False
        )
        return means[pair] >= accuracy

    followed = follow(
        [model for model in models for _ in (0, 1)],
        [lr for _, lr, _, _ in rows for _ in (0, 1)],
        data.x_train,
        data.y_train,
        torch.stack([order for *_, seed in rows for order in orders[seed]], dim=1),
        predict,
        alike,
        every=depth,  # steps; a deeper network takes longer
    )
    first, second = followed.seen[::2], followed.seen[1::2]
    right = (followed.seen == labels.numpy()).mean(axis=1).reshape(-1, 2)
    table = pd.DataFrame(rows, columns=["gain", "lr", "depth", "seed"])
    return table.assign(
        churn=(first != second).mean(axis=1),
        accuracy=right.mean(axis=1),
        steps=followed.steps.reshape(-1, 2).max(axis=1),
    )


def twins(
    data: Dataset,
    raced: pd.DataFrame,
    *,
    width: int,
    steps: int,
    seeds: Sequence[int],
    **options,
) -> pd.DataFrame:
    """Compare the churn of the smallest and the largest scale with that of He, at each depth.

    Each comparison is at one learning rate, since a larger one makes more churn: the best one of
    the scale that bears less, which is He beside a smaller and the other beside a larger scale.

    Parameters
    ----------
    data
        Images as rows of pixels.
    raced
        From `initlib.lab.five_speed.races`, which chose the rates.
    width, steps, options
        Of `churn`: share and accuracy.
    seeds
        One for each pair of scales; the shallow network has three pairs of twins for each of them,
        seeds i, i + 100 and i + 200.

    Returns
    -------
    DataFrame
        The rows of `churn` with the columns off ("smaller" or "larger": which comparison), who
        ("He" or "off") and log_churn; twins that never disagree count as half an image there.
    """
    tables = []
    for (depth, own), repeats in zip(raced.groupby("depth"), REPEATS.values(), strict=True):
        pairs = {"smaller": (own.gain.min(), 1.0), "larger": (own.gain.max(), own.gain.max())}
        repeated = {i + 100 * repeat: i for i in seeds for repeat in range(repeats)}
        for off, (gain, by) in pairs.items():
            lr = best_rate(raced, depth, by)
            shape = {"depth": depth, "width": width, "steps": steps, "batch_size": BATCH}
            table = churn(data, [(1.0, lr), (gain, lr)], **shape, **options, seeds=list(repeated))
            table = table.assign(off=off, who=np.where(table.gain == 1.0, "He", "off"))
            tables.append(table.assign(seed=table.seed.map(repeated)))
    found = pd.concat(tables, ignore_index=True)
    return found.assign(log_churn=np.log(np.maximum(found.churn, 0.5 / SEEN)))


def log_gap(paired: pd.DataFrame, depth: int, off: str) -> np.ndarray:
    """Return log churn of the off scale less that of He, in the order of the seeds."""
    own = paired[(paired.depth == depth) & (paired.off == off)]
    wide = own.pivot_table(index="seed", columns="who", values="log_churn")  # mean of repeats
    return (wide["off"] - wide["He"]).to_numpy()


def largest_rates(
    data: Dataset,
    depths: Sequence[int],
    gains: Sequence[float],
    *,
    width: int,
    seeds: Sequence[int],
    rounds: int = 5,
) -> pd.DataFrame:
    """Find the largest learning rate at which no early loss exceeds twice the first one.

    By bisection in the logarithm, from 1 down to 2^-16, each network by itself.

    Parameters
    ----------
    data
        Images as rows of pixels.
    depths, gains
        Weight layers, and factors on He's standard deviation.
    width
        Units of a hidden layer.
    seeds
        Of weights and mini-batches.
    rounds
        Halvings of the interval: with 5 it ends half an octave wide, and its middle is returned.

    Returns
    -------
    DataFrame
        A row for each network: depth, gain, seed and log2_rate.
    """
    tables = []
    for depth in depths:
        table = pd.DataFrame([(depth, gain, i) for gain in gains for i in seeds])
        table.columns = ["depth", "gain", "seed"]
        table["log2_rate"] = _bisect(data, table, [width] * (depth - 1), rounds)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _bisect(data: Dataset, table: pd.DataFrame, hidden: list[int], rounds: int) -> np.ndarray:
    laws = {gain: scaled_he(gain) for gain in table.gain.unique()}
    few = replace(data, x_test=data.x_test[:1], y_test=data.y_test[:1])  # accuracy isn't used
    low, high = np.full(len(table), -float(OCTAVES)), np.zeros(len(table))
    for _ in range(rounds):
        middle = (low + high) / 2
        arms = [
            Arm(laws[gain], float(2**at), seed)
            for at, gain, seed in zip(middle, table.gain, table.seed.tolist(), strict=True)
        ]
        losses = train(few, arms, hidden=hidden, steps=BURST, batch_size=BATCH).losses
        # one that diverged has NaN, which is not below anything
        with np.errstate(invalid="ignore"):
            stable = (losses <= EXCESS * losses[0]).all(axis=0)
        low, high = np.where(stable, middle, low), np.where(stable, high, middle)
    return (low + high) / 2
