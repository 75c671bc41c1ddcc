"""When networks of several shapes begin to train, and what the steps depend on."""

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import rankdata
from torch import Tensor

from initlib.finite_width import width_beta
from initlib.lab.contest import contest, log_steps
from initlib.lab.data import Dataset
from initlib.lab.estimates import Estimate
from initlib.orthogonal import orthogonal_
from initlib.sampling import Key, stream_key, uniform
from initlib.schemes import he_normal_

__all__ = [
    "RightLengths",
    "bootstrap_rank",
    "exponents",
    "rank_correlation",
    "rank_interval",
    "rank_leads",
    "start_table",
    "wide",
]

Shapes = Mapping[str, Sequence[int]]


class RightLengths:
    """He's weights, each hidden layer scaled so that images keep their mean length in it.

    To be used as a scheme: layers are filled in order, first to last. What is random about the
    lengths is gone, and all else is He.

    Parameters
    ----------
    images : Tensor, shape (k, pixels)
        Whose mean square is kept.
    hidden : int
        Hidden layers; the output layer after them is left as it is.
    """

    def __init__(self, images: Tensor, hidden: int):
        self.images, self.hidden, self.filled = images, hidden, 0

    def __call__(self, weight: Tensor, generator: Key | int) -> Tensor:
        """Fill the next layer's weight, shape (n_l, n_(l-1)), in place."""
        layer = self.filled % (self.hidden + 1)
        self.filled += 1
        below = self.images if layer == 0 else self.below
        he_normal_(weight, generator=generator)
        if layer < self.hidden:
            h = (below @ weight.T).relu_()
            # A dead layer can't be mended by a factor.
            factor = (below.square().mean() / h.square().mean()).sqrt().nan_to_num(nan=1, posinf=1)
            weight *= factor
            self.below = h * factor
        return weight


def start_table(
    data: Dataset,
    shapes: Shapes,
    schemes: Sequence[str],
    rates: Sequence[float],
    *,
    common: float,
    **options,
) -> pd.DataFrame:
    """Measure when networks of several shapes begin to train, at one rate and at their best ones.

    Parameters
    ----------
    data
        The data.
    shapes
        Hidden widths, by name.
    schemes
        "he", "right lengths" (`RightLengths`) or "orthogonal" (with gain root 2).
    rates
        The grid from which each shape and scheme chooses its own rate; empty for the common rate
        alone.
    common
        The rate that all share in a second contest.
    **options
        Of `contest`, such as seed, replicas, trials, level and steps.

    Returns
    -------
    DataFrame
        A row for each scheme, shape, way to choose the rate ("common", "own") and seed, with
        columns scheme, shape, depth, beta, rate, lr, seed, log_steps (of the budget if not begun)
        and begun.
    """
    images = data.flat().x_train[:256]
    entries, about = {}, {}
    for scheme, (name, widths) in product(schemes, shapes.items()):
        fills = {
            "he": he_normal_,
            "right lengths": RightLengths(images, len(widths)),
            "orthogonal": partial(orthogonal_, gain=2**0.5),
        }
        arm = f"{scheme}, {name}"
        entries[arm] = {"scheme": fills[scheme], "hidden": widths}
        about[arm] = {"shape": name, "depth": len(widths), "beta": width_beta(widths)}
        about[arm] |= {"scheme": scheme}
    tables = []
    ways = {"common": {"rates": [common], "trials": 1}} | (
        {"own": {"rates": rates}} if rates else {}
    )
    for rate, extra in ways.items():
        held = contest(data, entries, **(options | extra))
        for arm, rows in held.results.groupby("scheme", sort=False):
            table = rows[["lr", "seed"]].assign(begun=np.isfinite(rows.steps), rate=rate)
            tables.append(table.assign(log_steps=log_steps(held, arm), **about[arm]))
    return pd.concat(tables, ignore_index=True)


def wide(starts: pd.DataFrame, scheme: str = "he", rate: str = "common") -> pd.DataFrame:
    """Return log steps of one scheme and way to choose the rate, shape by seed (columns)."""
    own = starts[(starts.scheme == scheme) & (starts.rate == rate)]
    return own.pivot(index=["shape", "depth", "beta"], columns="seed", values="log_steps")


def exponents(starts: pd.DataFrame, rate: str) -> pd.DataFrame:
    """Return for each seed the exponents of beta and of depth in the steps of He networks.

    They are the coefficients of the regression of log steps on log beta and log depth over shapes.

    Returns
    -------
    DataFrame
        A row for each seed, with columns beta and depth.
    """
    logs = wide(starts, rate=rate)
    known = [np.log(logs.index.get_level_values(name)) for name in ("beta", "depth")]
    design = np.column_stack([np.ones(len(logs)), *known])
    found = np.linalg.lstsq(design, logs.to_numpy(), rcond=None)[0]
    return pd.DataFrame(found[1:].T, index=logs.columns, columns=["beta", "depth"])


def rank_leads(starts: pd.DataFrame, rate: str) -> list[float]:
    """Return how much better steps rank with beta than with depth, for each seed of He networks.

    That is Spearman's correlation of steps with beta minus that with depth, over shapes.
    """
    logs = wide(starts, rate=rate)
    beta, depth = (logs.index.get_level_values(name) for name in ("beta", "depth"))
    return [rank_correlation(logs[s], beta) - rank_correlation(logs[s], depth) for s in logs]


def rank_interval(starts: pd.DataFrame, rate: str, name: str) -> Estimate:
    """Return Spearman's correlation of He networks' mean log steps with "beta" or "depth"."""
    logs = wide(starts, rate=rate)
    return bootstrap_rank(logs.to_numpy(), logs.index.get_level_values(name))


def bootstrap_rank(logs: np.ndarray, known: ArrayLike, resamples: int = 2000) -> Estimate:
    """Return Spearman's correlation of what is known of arms with their means over seeds.

    Standard error and 95 % percentile interval are the bootstrap's over seeds, always with the same
    resamples: they say what other seeds would give for these arms.

    Parameters
    ----------
    logs
        Shape (arms, seeds).
    known
        Shape (arms,).
    resamples
        Bootstrap samples.
    """
    n = logs.shape[1]
    draws = uniform(stream_key(0, "bootstrap"), 0, resamples * n, np.float64).reshape(-1, n)
    means = logs[:, (draws * n).astype(int)].mean(axis=2)
    found = np.array([rank_correlation(one, known) for one in means.T])
    low, high = np.quantile(found, [0.025, 0.975])
    value = rank_correlation(logs.mean(axis=1), known)
    # No resample may differ. Then one in all would have, by the least that a correlation can.
    arms = len(logs)
    least = 12 / (arms**3 - arms) / resamples**0.5
    return Estimate(value, max(found.std(ddof=1), least), n, low, high)


def rank_correlation(x: ArrayLike, y: ArrayLike) -> float:
    """Return Spearman's correlation.

    Examples
    --------
    >>> float(rank_correlation([1.0, 5.0, 9.0], [2.0, 3.0, 100.0]).round(6))
    1.0
    """
    return np.corrcoef(rankdata(x), rankdata(y))[0, 1]
