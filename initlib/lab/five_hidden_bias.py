"""Hidden biases that all start at one value: who is active, and what is learned."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from scipy.stats import norm

from initlib.apply import initialize
from initlib.fills import constant_
from initlib.lab.data import Dataset
from initlib.lab.five_speed import scaled_he
from initlib.lab.stack import mlp
from initlib.lab.train import Arm, train

__all__ = ["BIASES", "active", "active_theory", "learned", "predicted_active"]

BIASES = (-1.0, -0.5, 0.0, 0.5, 1.0)
DEPTH = 5  # weight layers
STEPS, BATCH = 150, 32  # mini-batches, images in one
RATE = 0.01  # the best one for bias 0 on other seeds
FURTHER = (0.04, 0.02)  # rates that the lowest bias may choose from as well
TESTED = 500  # held-out images that measure accuracy
SHOWN = 100  # held-out images on which units are active or not
WIDE = 256  # units of a layer, where they are counted
TINY = 1e-60  # a signal that has died out, without dividing by zero


def learned(data: Dataset, *, width: int, seeds: Sequence[int]) -> pd.DataFrame:
    """Train He networks of 5 layers for 150 steps, for each of `BIASES`.

    All share the learning rate that suits bias 0. The lowest bias may choose among three, the one
    with the best mean accuracy on these same seeds, which favours it.

    Parameters
    ----------
    data
        Images as rows of pixels; the first 500 test images measure accuracy.
    width
        Units of a hidden layer.
    seeds
        Of weights and mini-batches.

    Returns
    -------
    DataFrame
        A row for each bias and seed: bias, lr, seed and accuracy (percent; 0 after divergence).
    """
    few = replace(data, x_test=data.x_test[:TESTED], y_test=data.y_test[:TESTED])
    cells = [(bias, RATE) for bias in BIASES] + [(min(BIASES), lr) for lr in FURTHER]
    rows = [(bias, lr, i) for bias, lr in cells for i in seeds]
    rules = {bias: _rule(bias) for bias in BIASES}
    all_arms = [Arm(rules[bias], lr, i) for bias, lr, i in rows]
    trained = train(few, all_arms, hidden=[width] * (DEPTH - 1), steps=STEPS, batch_size=BATCH)
    table = pd.DataFrame(rows, columns=["bias", "lr", "seed"])
    table = table.assign(accuracy=100 * np.nan_to_num(trained.accuracy))
    means = table.groupby(["bias", "lr"]).accuracy.mean().reset_index()
    best = means.sort_values("accuracy").drop_duplicates("bias", keep="last")
    return table.merge(best[["bias", "lr"]], on=["bias", "lr"]).reset_index(drop=True)


def _rule(bias: float) -> dict:
    return {"*weight": scaled_he(1.0), "*bias": partial(constant_, val=bias)}


def active(data: Dataset, *, seeds: Sequence[int]) -> pd.DataFrame:
    """Measure the share of active units in the last of 4 hidden layers of 256, before training.

    Parameters
    ----------
    data
        Images as rows of pixels; the first hundred test images are shown.
    seeds
        Of the weights.

    Returns
    -------
    DataFrame
        A row for each seed and a column for each of `BIASES`, in percent.
    """
    sizes = [data.x_train.shape[1], *[WIDE] * (DEPTH - 1), data.classes]
    shares: dict[float, list[float]] = {bias: [] for bias in BIASES}
    for bias in BIASES:
        for seed in seeds:
            model = mlp(sizes)
            initialize(model, _rule(bias), seed=seed)
            with torch.no_grad():
                h = model[:-1](data.x_test[:SHOWN])
            shares[bias].append(100 * (h > 0).double().mean().item())
    return pd.DataFrame(shares, index=pd.Index(seeds, name="seed"))


def predicted_active(data: Dataset, biases: Sequence[float]) -> list[float]:
    """Return what `active_theory` says of what `active` measures, in percent."""
    seconds = data.x_test[:SHOWN].double().square().mean(dim=1).numpy()
    return [100 * active_theory(bias, DEPTH - 1, seconds) for bias in biases]


def active_theory(bias: float, layers: int, second: ArrayLike = 1.0) -> float:
    r"""Predict the share of active units in the last of some wide hidden layers.

    A unit is N(b, s^2) with s^2 = 2 E h^2 of the layer below, so that with r = b / s

        P(active) = Phi(r),   E h^2 = s^2 ((1 + r^2) Phi(r) + r phi(r)).

    Parameters
    ----------
    bias
        Of all units.
    layers
        Hidden layers.
    second
        Mean square of each input; the share is a mean over inputs.

    Examples
    --------
    >>> active_theory(0.0, 4)
    0.5
    """
    second, share = np.asarray(second, dtype=np.float64), np.ones(())
    for _ in range(layers):
        r = bias / np.sqrt(np.maximum(2 * second, TINY))
        share = norm.cdf(r)
        second = 2 * second * ((1 + r**2) * share + r * norm.pdf(r))
    return float(np.mean(share))
