"""Critical starts: networks whose gradients keep their mean size, and the race between them."""

import math
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from torch import Tensor

from initlib.fills import normal_
from initlib.jacobian import Weights, jacobian_moments
from initlib.jacobian_law import jacobian_law
from initlib.lab.contest import contest, log_steps
from initlib.lab.data import Dataset
from initlib.lab.estimates import Estimate
from initlib.lab.narrow_runs import bootstrap_rank
from initlib.moments import moments
from initlib.orthogonal import orthogonal_
from initlib.sampling import Key
from initlib.spectra import SpectralLaw

__all__ = [
    "Start",
    "critical_start",
    "law_of",
    "race_starts",
    "rank_with_variance",
    "start_rules",
    "theory_of",
]


class Start(NamedTuple):
    """A start at which gradients keep their mean size, chi = 1.

    Attributes
    ----------
    activation
        Name of phi.
    weights
        "gaussian" or "orthogonal".
    q
        Variance of all pre-activations.
    sigma_w, sigma_b
        Scale of the weights (their standard deviation times root fan-in) and of the biases.
    """

    activation: str
    weights: Weights
    q: float
    sigma_w: float
    sigma_b: float

    @property
    def second(self) -> float:
        """The mean square of the inputs that have pre-activations of variance q."""
        return (self.q - self.sigma_b**2) / self.sigma_w**2


def critical_start(activation: str, weights: Weights, q: float) -> Start:
    """Return the scales of weights and biases that keep q, with chi = 1.

    That is ``sigma_w^2 = 1 / E phi'^2`` and ``sigma_b^2 = q - sigma_w^2 E phi^2``.

    Raises
    ------
    ValueError
        If no biases are small enough: q is no fixed point of this activation with chi = 1.

    Examples
    --------
    >>> start = critical_start("relu", "gaussian", 1.0)
    >>> print(f"{start.sigma_w**2:.6f} {start.sigma_b:.1f}")
    2.000000 0.0
    """
    phi = moments(activation, q)
    scale = 1 / phi.squared_derivative
    rest = q - scale * phi.second_moment
    if rest < -1e-12 * q:
        raise ValueError(f"with {activation}, chi = 1 and q = {q:g} would take negative variances")
    return Start(activation, weights, q, math.sqrt(scale), math.sqrt(max(rest, 0)))


def law_of(start: Start, depth: int) -> SpectralLaw:
    """Return the law of the singular values of L layers, `jacobian_law`."""
    return jacobian_law(start.activation, depth, start.q, start.sigma_w, start.weights)


def theory_of(start: Start, depth: int) -> float:
    """Return the variance of s^2 of L layers, as `jacobian_moments` has it for wide networks."""
    scales = start.q, start.sigma_w
    return jacobian_moments(start.activation, depth, *scales, start.weights).variance


def start_rules(start: Start, second: float) -> dict[str, Any]:
    """Return rules for `initialize` that start an MLP of `initlib.lab.stack` so.

    Parameters
    ----------
    start
        Of all layers but the first, whose weights have the scale at which inputs, too, have
        pre-activations of variance q.
    second
        Mean square of the inputs.
    """
    orthogonal = start.weights == "orthogonal"

    def fill(scale: float):
        def fill_layer(weight: Tensor, generator: Key | int) -> Tensor:
            if orthogonal and len(weight) == weight.shape[1]:
                return orthogonal_(weight, gain=scale, generator=generator)
            return normal_(weight, 0, scale / weight.shape[1] ** 0.5, generator=generator)

        return fill_layer

    first = math.sqrt((start.q - start.sigma_b**2) / second)
    biases = partial(normal_, mean=0, std=start.sigma_b)
    return {"0.weight": fill(first), "*.weight": fill(start.sigma_w), "*.bias": biases}


def race_starts(
    data: Dataset, starts: Mapping[str, Start], width: int, depth: int, **options
) -> pd.DataFrame:
    """Train networks under several starts, each at its own best rate.

    Parameters
    ----------
    data
        The data.
    starts
        By name.
    width, depth
        Units, and number of hidden layers.
    **options
        Of `contest`: rates, replicas, steps, level and so on.

    Returns
    -------
    DataFrame
        A row for each start and seed, with columns start, activation, weights, q, variance (of s^2
        for the square layers, in theory), lr, seed, log_steps (of the budget if the level was not
        reached) and begun.
    """
    second = data.x_train.double().square().mean().item()
    entries = {
        name: {"scheme": start_rules(start, second), "activation": start.activation}
        for name, start in starts.items()
    }
    held = contest(data, entries, hidden=[width] * depth, **options)
    tables = []
    for name, rows in held.results.groupby("scheme", sort=False):
        start = starts[name]
        about = {"start": name, "activation": start.activation, "weights": start.weights}
        about |= {"q": start.q, "variance": theory_of(start, depth - 1)}
        table = rows[["lr", "seed"]].assign(begun=np.isfinite(rows.steps), **about)
        tables.append(table.assign(log_steps=log_steps(held, name)))
    return pd.concat(tables, ignore_index=True)


def rank_with_variance(raced: pd.DataFrame) -> Estimate:
    """Return Spearman's correlation of mean log steps with the variance, over starts."""
    logs = raced.pivot(index="variance", columns="seed", values="log_steps")
    return bootstrap_rank(logs.to_numpy(), logs.index)
