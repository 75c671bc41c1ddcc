"""How deep a network can be and still train: accuracy by depth and weight scale, and its edge."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from initlib import normal_
from initlib.lab.data import Dataset
from initlib.lab.estimates import estimate
from initlib.lab.train import Arm, train
from initlib.variance import Law

__all__ = ["accuracy_map", "edge_depth", "edge_table", "edges", "start"]

LEVEL = 0.5  # accuracy at the edge
HOPELESS = 0.25  # where no seed is better, nothing deeper is tried
TESTED = 500  # test images: a standard error of 2 %, at a quarter of the cost of all


def start(sigma_w: float, sigma_b: float) -> dict:
    """Return rules for `initialize`: W ~ N(0, sigma_w^2 / fan_in), b ~ N(0, sigma_b^2).

    Examples
    --------
    >>> import torch, initlib as init
    >>> layer = torch.nn.Linear(400, 400)
    >>> _ = init.initialize(layer, start(1.5, 0.2))
    >>> f"{layer.weight.std() * 20:.1f} {layer.bias.std():.1f}"
    '1.5 0.2'
    """
    bias = partial(normal_, std=sigma_b)
    return {"*weight": Law(sigma_w**2, "fan_in", "normal"), "*bias": bias}


def accuracy_map(
    data: Dataset,
    sigma_ws: Sequence[float],
    sigma_b: float,
    *,
    depths: Sequence[int],
    steps: int,
    width: int,
    lr: float,
    seeds: Sequence[int],
    **options,
) -> pd.DataFrame:
    """Train tanh networks of every depth and weight scale, from shallow to deep.

    Once none of the seeds of a scale gets more than a quarter right, deeper networks of that scale
    aren't trained.

    Parameters
    ----------
    data
        The first 500 test images measure accuracy.
    sigma_ws, sigma_b
        Scales of weights and biases.
    depths
        Weight layers, ascending, at least 2.
    steps, width, lr
        Mini-batches, units of each hidden layer, learning rate.
    seeds
        Of weights and mini-batches; those of one number are pairs.
    **options
        Of `train`, such as batch_size.

    Returns
    -------
    DataFrame
        Columns sigma_w, depth, seed, steps, lr and accuracy (0 for one that diverged).

    Raises
    ------
    ValueError
        If depths aren't ascending.
    """
    if list(depths) != sorted(set(depths)) or depths[0] < 2:
        raise ValueError(f"depths must ascend from at least 2, got {list(depths)}")
    data = replace(data, x_test=data.x_test[:TESTED], y_test=data.y_test[:TESTED])
    tables, left = [], list(sigma_ws)
    for depth in depths:
        if not left:
            break
        table = pd.DataFrame([(s, depth, i) for s in left for i in seeds])
        table.columns = ["sigma_w", "depth", "seed"]
        arms = [Arm(start(s, sigma_b), lr, i) for s in left for i in seeds]
        trained = train(
            data, arms, hidden=[width] * (depth - 1), steps=steps, activation="tanh", **options
        )
        table = table.assign(steps=steps, lr=lr, accuracy=np.nan_to_num(trained.accuracy))
        tables.append(table)
        best = table.groupby("sigma_w").accuracy.max()
        left = [s for s in left if best[s] >= HOPELESS]
    return pd.concat(tables, ignore_index=True)


def edge_depth(depths: Sequence[float], accuracy: Sequence[float], level: float = LEVEL) -> float:
    """Return the depth at which accuracy first falls below a level.

    Between depths it is interpolated, linearly in the logarithm of depth. An edge outside of the
    depths counts as the first or the last of them.

    Examples
    --------
    >>> round(edge_depth([5, 10, 20], [0.8, 0.6, 0.4]), 2)
    14.14
    """
    below = np.flatnonzero(np.asarray(accuracy) < level)
    if not len(below):
        return float(depths[-1])
    if below[0] == 0:
        return float(depths[0])
    i = below[0]
    share = (accuracy[i - 1] - level) / (accuracy[i - 1] - accuracy[i])
    return float(depths[i - 1] * (depths[i] / depths[i - 1]) ** share)


def edges(table: pd.DataFrame) -> dict[float, np.ndarray]:
    """Return for each scale the depth L50 of every seed, in the order of the seeds.

    Parameters
    ----------
    table
        From `accuracy_map`.
    """
    ordered = table.sort_values("depth")
    found = {}
    for sigma_w, own in ordered.groupby("sigma_w"):
        runs = [run for _, run in own.groupby("seed")]
        pairs = [(run.depth.to_numpy(), run.accuracy.to_numpy()) for run in runs]
        found[sigma_w] = np.array([edge_depth(*pair) for pair in pairs])
    return found


def edge_table(
    runs: Mapping[str, pd.DataFrame], xi: Mapping[float, float], critical: float
) -> pd.DataFrame:
    """Return L50 of every run and scale, the geometric mean over seeds, with its 95 % interval.

    Parameters
    ----------
    runs
        By name: from `accuracy_map`.
    xi
        Depth scale in theory, by sigma_w.
    critical
        The critical sigma_w.

    Returns
    -------
    DataFrame
        Columns run, steps, sigma_w, phase, xi, value, low and high (layers).
    """
    rows = []
    for run, table in runs.items():
        for sigma_w, found in edges(table).items():
            mean = estimate(np.log(found))
            side = int(np.sign(sigma_w - critical))
            phase = ["critical", "chaotic", "ordered"][side]
            where = (run, int(table.steps.iloc[0]), sigma_w, phase, xi[sigma_w])
            rows.append((*where, *np.exp([mean.value, mean.low, mean.high])))
    columns = ["run", "steps", "sigma_w", "phase", "xi", "value", "low", "high"]
    return pd.DataFrame(rows, columns=columns)
