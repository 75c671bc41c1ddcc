"""How long training waits: steps to a loss, censored where the budget ends first."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

__all__ = ["curve_table", "smooth", "steps_to"]


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
