"""How long training waits: steps to a loss, censored where the budget ends first."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from initlib.lab.train import Trained

__all__ = ["choose_rates", "curve_table", "log_ratio", "outcomes", "smooth", "steps_to"]


def smooth(losses: ArrayLike, window: int = 10) -> np.ndarray:
    """Return the mean of the last `window` losses at each step, of fewer in the first steps.

    Parameters
    ----------
    losses
        Shape (steps, ...), one column a replica.
    window
        Steps that are averaged, at least 1.

    Examples
    --------
    >>> smooth([4.0, 2.0, 0.0], window=2)
    array([4., 3., 1.])
    """
    losses = np.asarray(losses, dtype=np.float64)
    if window < 1:
        raise ValueError(f"window must be at least 1 step, got {window}")
    head = np.cumsum(losses[: window - 1], axis=0)
    head /= np.arange(1, len(head) + 1).reshape(-1, *[1] * (losses.ndim - 1))
    if len(losses) < window:
        return head
    tail = np.lib.stride_tricks.sliding_window_view(losses, window, axis=0).mean(axis=-1)
    return np.concatenate([head, tail])


def steps_to(losses: ArrayLike, level: float, window: int = 10) -> np.ndarray:
    """Return the first step (from 1) at which the smoothed loss is below `level`, else infinity.

    Infinity says "not within these steps" and nothing about later ones: the value is censored. A
    run that diverges stays above.

    Parameters
    ----------
    losses
        Shape (steps, replicas).
    level
        Of the loss, in nats.
    window
        As in `smooth`.

    Returns
    -------
    ndarray, shape (replicas,)
        Steps, as float.

    Examples
    --------
    >>> steps_to([[4.0, 4.0], [2.0, 4.0], [0.0, 4.0]], level=1.5, window=2)
    array([ 3., inf])
    """
    with np.errstate(invalid="ignore", over="ignore"):
        below = smooth(losses, window) < level
    return np.where(below.any(axis=0), below.argmax(axis=0) + 1.0, np.inf)


def curve_table(losses: ArrayLike, points: int = 120, window: int = 10) -> pd.DataFrame:
    """Return smoothed curves at steps spaced evenly in their logarithm, a row for each point.

    Parameters
    ----------
    losses
        Shape (steps, replicas).
    points
        Steps that are kept, at most.
    window
        As in `smooth`.

    Returns
    -------
    DataFrame
        Columns seed (the replica's number), step (from 1) and loss.

    Examples
    --------
    >>> print(curve_table([[4.0], [2.0], [0.0]], window=2).to_string(index=False))
     seed  step  loss
        0     1   4.0
        0     2   3.0
        0     3   1.0
    """
    curves = smooth(losses, window)
    steps = np.unique(np.geomspace(1, len(curves), points).round().astype(int))
    kept = pd.DataFrame(curves[steps - 1], index=steps).rename_axis(index="step", columns="seed")
    return kept.unstack().rename("loss").reset_index()


def outcomes(trained: Trained, level: float, plateau: float) -> pd.DataFrame:
    """Return when each arm began to train and left its plateau.

    Parameters
    ----------
    trained
        From `train`.
    level
        Loss (nats) below which training has begun.
    plateau
        Loss (nats) below which the plateau at chance is over.

    Returns
    -------
    DataFrame
        The rows of ``trained.table()`` with the columns steps (to `level`) and left (to `plateau`),
        infinite where not within the budget; budget, the steps there were; and loss, at the end.
    """
    return trained.table().assign(
        steps=steps_to(trained.losses, level),
        left=steps_to(trained.losses, plateau),
        budget=len(trained.losses),
        loss=smooth(trained.losses)[-1],
    )


def choose_rates(trials: pd.DataFrame) -> pd.DataFrame:
    """Choose for each depth and scheme the learning rate whose slowest trial begins to train first.

    Steps over the budget count as the budget; between rates that fail, the higher loss at the end
    decides. The slowest trial rather than their mean: a rate that is fast with one seed and never
    begins with another is no good choice.

    Parameters
    ----------
    trials
        Columns depth, scheme and lr, and those of `outcomes`; any number of rows for each rate.

    Returns
    -------
    DataFrame
        The rows of `trials`, with the column chosen.

    Examples
    --------
    >>> rows = [("he", 0.01, 90.0, 0.7), ("he", 0.03, 70.0, 0.5), ("he", 0.1, np.inf, np.nan)]
    >>> trials = pd.DataFrame(rows, columns=["scheme", "lr", "steps", "loss"])
    >>> choose_rates(trials.assign(depth=8, budget=100)).chosen.tolist()
    [False, True, False]
    """
    arm = ["depth", "scheme"]
    worst = trials.assign(
        slowest=np.minimum(trials.steps, trials.budget), loss=trials.loss.fillna(np.inf)
    )
    ranked = (
        worst.groupby([*arm, "lr"])[["slowest", "loss"]]
        .max()
        .sort_values(["slowest", "loss"])
        .reset_index()
    )
    best = ranked.drop_duplicates(arm).rename(columns={"lr": "best"})
    rates = trials[[*arm, "lr"]].merge(best[[*arm, "best"]], how="left", on=arm)
    return trials.assign(chosen=(rates.lr == rates.best).to_numpy())


def log_ratio(results: pd.DataFrame, depth: int) -> np.ndarray:
    """Return, for each seed, the logarithm of Xavier's steps over He's.

    What was not reached counts as its budget: a lower bound where Xavier alone was late.

    Parameters
    ----------
    results
        Columns depth, scheme and seed, and those of `outcomes`.
    depth
        Which networks.

    Returns
    -------
    ndarray, shape (seeds,)
        In the order of the seeds.
    """
    reached = np.minimum(results.steps, results.budget)
    table = results.assign(reached=np.log(reached))[results.depth == depth]
    pairs = table.pivot(index="seed", columns="scheme", values="reached")
    return (pairs.xavier - pairs.he).to_numpy()
