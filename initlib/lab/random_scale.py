"""Random weights of one standard deviation: gains, signals, and two laws in training."""

import math
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from initlib.fills import normal_, uniform_
from initlib.lab.data import Dataset
from initlib.lab.estimates import Estimate, estimate
from initlib.lab.plateaus import smooth
from initlib.lab.propagation import Fill, gain_sweep
from initlib.lab.signal_theory import mean_field
from initlib.lab.signals import draw_networks, layer_table, network_signals
from initlib.lab.train import Arm, train
from initlib.sampling import Key, stream_key

__all__ = [
    "fixed_std",
    "gain_table",
    "loss_differences",
    "relu_table",
    "sum_kurtosis",
]

SQRT3 = math.sqrt(3)


def fixed_std(std: float, law: str = "normal") -> Fill:
    """Return an initializer with one standard deviation for every layer.

    Parameters
    ----------
    std
        Standard deviation.
    law
        "normal" or "uniform".
    """
    if law == "normal":
        return partial(normal_, std=std)
    return partial(uniform_, a=-SQRT3 * std, b=SQRT3 * std)


def gain_table(
    stds: Sequence[float], laws: Sequence[str], widths: Sequence[int], *, key: Key | int, draws: int
) -> pd.DataFrame:
    """Measure the gains of square ReLU layers with weights of a fixed standard deviation.

    Returns
    -------
    DataFrame
        The columns of `gain_sweep`, with std, law and predicted, which is n std^2 / 2.
    """
    tables = []
    for law in laws:
        for std in stds:
            at = stream_key(key, law, f"{std:g}")
            shapes = [(width, width) for width in widths]
            table = gain_sweep(fixed_std(std, law), shapes, key=at, draws=draws, a=0.0)
            tables.append(table.assign(std=std, law=law, predicted=table.n_in * std**2 / 2))
    return pd.concat(tables, ignore_index=True)


def relu_table(
    stds: Mapping[str, float], sizes: Sequence[int], inputs: Tensor, *, key: Key | int
) -> pd.DataFrame:
    """Follow the signal through ReLU networks whose layers all have one standard deviation.

    Returns
    -------
    DataFrame
        The columns of `layer_table` for the second moment of the activations, and name.
    """
    second, tables = inputs.double().square().mean().item(), []
    for name, std in stds.items():
        fill = fixed_std(std)
        networks = draw_networks(fill, sizes, len(inputs), key=key, dtype=inputs.dtype)
        predicted = mean_field("relu", sizes, [std**2] * (len(sizes) - 1), second)
        table = layer_table(network_signals(networks, inputs), predicted, "second")
        tables.append(table.assign(name=name, std=std))
    return pd.concat(tables, ignore_index=True)


def sum_kurtosis(law: str, counts: Sequence[int], *, key: Key | int, parts: int = 32) -> Estimate:
    """Estimate the excess kurtosis of sums of n independent weights: -6 / (5 n) if uniform.

    Parameters
    ----------
    law
        "normal" or "uniform".
    counts
        The values of n.
    key
        Seed.
    parts
        Samples of 20,000 sums each, the replicates.

    Returns
    -------
    Estimate
        Arrays, one element for each n.
    """
    found = []
    for n in counts:
        weights = fixed_std(1.0, law)(torch.empty(parts, 20_000, n), generator=stream_key(key, n))
        sums = weights.sum(dim=-1, dtype=torch.float64)
        found.append((sums**4).mean(dim=1).numpy() / n**2 - 3)
    return estimate(np.array(found), axis=1)


def loss_differences(
    data: Dataset,
    schemes: tuple[str, str],
    rates: Sequence[float],
    *,
    seed: int,
    replicas: int,
    **options,
) -> tuple[pd.DataFrame, dict[str, Estimate]]:
    """Compare two schemes at each learning rate: log loss of the second minus that of the first.

    Parameters
    ----------
    data
        The data.
    schemes
        Two names.
    rates
        Learning rates.
    seed
        Of everything random here.
    replicas
        Pairs of networks with the same mini-batches.
    **options
        Of `train`.

    Returns
    -------
    table : DataFrame
        Columns lr, seed, difference (of log losses, averaged over the last ten steps) and accuracy
        (difference on the test images).
    means : dict of Estimate
        The mean difference at each rate, "lr 0.01".
    """
    tables, means = [], {}
    seeds = [1000 * seed + i for i in range(replicas)]
    for lr in rates:
        first, second = (
            train(data, [Arm(scheme, lr, i) for i in seeds], **options) for scheme in schemes
        )
        difference = np.log(smooth(second.losses)[-1] / smooth(first.losses)[-1])
        accuracy = second.accuracy - first.accuracy
        columns = {"lr": lr, "seed": seeds, "difference": difference, "accuracy": accuracy}
        tables.append(pd.DataFrame(columns))
        means[f"lr {lr:g}"] = estimate(difference)
    return pd.concat(tables, ignore_index=True), means
