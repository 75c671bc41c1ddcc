"""What the shootout claims, one number for each seed."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from initlib.lab.claims import Claims
from initlib.lab.estimates import Estimate, estimate
from initlib.lab.shootout_networks import Network
from initlib.lab.shootout_ranks import Overall, log_steps
from initlib.lab.shootout_schemes import CONTROLS, Wiring, choice, lengths

__all__ = [
    "SCALED",
    "THROUGH_ZERO",
    "Agenda",
    "agreement",
    "begun",
    "divide",
    "regret",
    "sooner",
    "spread",
]

SCALED = (
    "torch", "lecun", "xavier", "he", "exact", "orthogonal", "orthogonal-gain", "lsuv",
    "lsuv-centred",
)  # fmt: skip
THROUGH_ZERO = ("relu", "tanh", "gelu", "selu")  # phi(0) = 0


DEEP = 10  # hidden layers, from which on claims speak of deep networks


class Agenda:
    """Claims of which only those are stated that can be measured with what takes part.

    Parameters
    ----------
    claims
        Where they are kept.
    fields, schemes
        The networks and schemes that take part.
    """

    def __init__(self, claims: Claims, fields: Sequence[Network], schemes: Iterable[str]):
        self.claims = claims
        self.present = {*schemes, *(part for one in fields for part in (one.kind, one.activation))}
        depths = {one.depth for one in fields}
        if max(depths) >= DEEP and len(depths) > 1:
            self.present.add("deep")
        self.stated: set[str] = set()

    def state(self, id: str, *statement: Any, needs: Iterable[str] = (), **about: Any) -> None:
        """State a claim as `Claims.state` does, if all names in `needs` are present.

        Every claim needs MLPs of two depths, one of them deep.
        """
        if self.present.issuperset({"mlp", "deep", *needs}):
            self.claims.state(id, *statement, **about)
            self.stated.add(id)

    def measure(self, id: str, measurement: Callable[[], Any]) -> None:
        """Measure a claim, if it was stated."""
        if id in self.stated:
            self.claims.measure(id, measurement())


def begun(results: pd.DataFrame, schemes: Sequence[str]) -> float:
    """Return the share of the runs of some schemes that began to train."""
    own = results[results.scheme.isin(schemes)]
    if own.empty:
        raise ValueError(f"no run of {', '.join(schemes)} is among the results")
    return float(np.isfinite(own.steps).mean())


def sooner(results: pd.DataFrame, first: str, second: str) -> Estimate:
    """Estimate the log of second's steps over first's, on one network, over paired seeds.

    What did not begin counts as the budget.
    """
    waits = log_steps(results)
    return estimate(waits[second] - waits[first])


def spread(results: pd.DataFrame, depth: int) -> np.ndarray:
    """Return for each seed the log of the steps of the slowest over those of the fastest scheme.

    Of `SCALED` schemes, in the mean over the activations with phi(0) = 0 at one depth.
    """
    own = results[results.scheme.isin(SCALED) & results.activation.isin(THROUGH_ZERO)]

    def ratio(waits: pd.DataFrame) -> np.ndarray:
        return (waits.max(axis=1) - waits.min(axis=1)).to_numpy()

    return _over_networks(own[own.depth == depth], lambda one: ratio(log_steps(one)))


def widening(results: pd.DataFrame, shallow: int, deep: int) -> Estimate:
    """Estimate how much larger `spread` is in deep than in shallow networks."""
    return estimate(spread(results, deep) - spread(results, shallow))


def friedman(all_: Overall) -> Estimate:
    """Return Friedman's p-value in the form that a rule takes."""
    worst = all_.table.value.max() - all_.table.value.min()
    return Estimate(worst, np.nan, int(all_.table.networks.max()), np.nan, np.nan, all_.p)


def agreement(results: pd.DataFrame, wiring: Wiring) -> Estimate:
    """Estimate the rank correlation, within a network, of steps and the depth in units of xi.

    Over the schemes that theory ranks, in the mean over networks; those in which nothing began have
    no order, and are left out.
    """

    def correlation(own: pd.DataFrame) -> np.ndarray:
        steps, far = _known(own, wiring)
        found = [_spearman(row, far) for row in steps.to_numpy()]
        return np.array(found)

    found = [correlation(own) for _, own in results.groupby("network", sort=False)]
    return estimate(np.nanmean(found, axis=0))


def divide(results: pd.DataFrame, wiring: Wiring, within: float, beyond: float) -> Estimate:
    """Estimate the share that begins within some xi, less that of those beyond some more."""

    def gap(seed: int) -> float:
        near, far = [], []
        for _, own in results.groupby("network", sort=False):
            steps, distance = _known(own, wiring)
            begun_ = np.isfinite(steps.loc[seed].to_numpy())
            near.append(begun_[distance <= within])
            far.append(begun_[distance > beyond])
        return float(np.concatenate(near).mean() - np.concatenate(far).mean())

    return estimate([gap(seed) for seed in results.seed.unique()])


def regret(results: pd.DataFrame, wiring: Wiring) -> Estimate:
    """Estimate the log of the steps of theory's choice over those of the best, for each seed.

    The best in hindsight among the schemes that theory ranks; in the mean over networks.
    """

    def loss(own: pd.DataFrame) -> np.ndarray:
        steps, _ = _known(own, wiring)
        waits = log_steps(own)[steps.columns]
        chosen = choice(own.activation.iloc[0], wiring, list(waits.columns))
        return (waits[chosen] - waits.min(axis=1)).to_numpy()

    return estimate(_over_networks(results, loss))


def _over_networks(results: pd.DataFrame, one: Callable) -> np.ndarray:
    return np.mean([one(own) for _, own in results.groupby("network", sort=False)], axis=0)


def _known(own: pd.DataFrame, wiring: Wiring) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the steps (seed, scheme) of what theory ranks, and its depths in units of xi."""
    steps = own.pivot(index="seed", columns="scheme", values="steps")
    phi, depth = own.activation.iloc[0], own.depth.iloc[0]
    far = np.array([lengths(name, phi, wiring, depth) for name in steps.columns])
    known = np.isfinite(far) & ~steps.columns.isin(CONTROLS)
    return steps.loc[:, known], far[known]


def _spearman(steps: np.ndarray, far: np.ndarray) -> float:
    if len(np.unique(steps)) < 2:
        return np.nan
    return float(np.corrcoef(rankdata(steps), rankdata(np.round(far, 6)))[0, 1])
