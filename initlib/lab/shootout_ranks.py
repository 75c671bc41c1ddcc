"""Who won: ranks with intervals over seeds, a critical difference, and a decision by network."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import friedmanchisquare, rankdata, studentized_range

from initlib.lab.estimates import holm, paired
from initlib.lab.shootout_schemes import CONTROLS, Wiring, choice, lengths
from initlib.sampling import stream_key, uniform

__all__ = ["Overall", "decisions", "log_steps", "overall", "ranks", "theory_table"]

RESAMPLES = 2000
LEVEL = 0.05


def log_steps(results: pd.DataFrame) -> pd.DataFrame:
    """Return the log of steps until training began, a row for each seed, a column for each scheme.

    What was not reached counts as the budget. The results are those of one network.
    """
    waits = np.log(np.minimum(results.steps, results.budget))
    return results.assign(wait=waits).pivot(index="seed", columns="scheme", values="wait")


def ranks(results: pd.DataFrame) -> pd.DataFrame:
    """Rank the schemes by steps until training began, for each network and seed; 1 is the first.

    Runs that didn't begin within the budget share the last ranks.

    Parameters
    ----------
    results
        Of `initlib.lab.shootout.shootout`.

    Returns
    -------
    DataFrame
        A row for each network, depth and seed, a column for each scheme; nan where it took no part.

    Examples
    --------
    >>> rows = [("n", 3, 0, "he", 9.0), ("n", 3, 0, "zeros", np.inf), ("n", 3, 0, "small", np.inf)]
    >>> columns = ["network", "depth", "seed", "scheme", "steps"]
    >>> ranks(pd.DataFrame(rows, columns=columns)).iloc[0].to_dict()
    {'he': 1.0, 'small': 2.5, 'zeros': 2.5}
    """
    wide = results.pivot(index=["network", "depth", "seed"], columns="scheme", values="steps")
    found = rankdata(wide.fillna(np.inf).to_numpy(), axis=1)
    for i, row in enumerate(wide.isna().to_numpy()):
        if row.any():  # those that take no part don't share the last rank with those that do
            found[i, ~row] = rankdata(wide.to_numpy()[i, ~row])
    return pd.DataFrame(found, wide.index, wide.columns).where(wide.notna())


class Overall(NamedTuple):
    """Schemes compared over networks.

    Attributes
    ----------
    table
        A row for each scheme: value, low and high, its mean rank with a 95 % bootstrap interval
        over seeds; networks, on how many it ran. The best first.
    difference
        Nemenyi's critical difference of mean ranks at 5 %, nan for fewer than two networks.
    p
        Of Friedman's test that all schemes rank alike, nan for fewer than two networks.
    """

    table: pd.DataFrame
    difference: float
    p: float


def overall(ranked: pd.DataFrame) -> Overall:
    """Compare mean ranks over networks, each network a block.

    Schemes that didn't run on every network have a mean rank, but no part in the tests.

    Parameters
    ----------
    ranked
        From `ranks`.

    References
    ----------
    Demšar 2006, sections 3.2.2 and 3.2.3.
    """
    seeds = ranked.index.unique("seed")
    by_network = ranked.groupby("network", sort=False)
    blocks = by_network.mean()
    each = ranked.groupby("seed").mean().loc[seeds].to_numpy()
    means = _resampled(each)
    low, high = np.quantile(means, [0.025, 0.975], axis=0)
    table = pd.DataFrame(
        {
            "value": blocks.mean(),
            "low": low,
            "high": high,
            "networks": blocks.notna().sum(),
        }
    ).sort_values("value", kind="stable")
    complete = blocks.dropna(axis=1)
    count, k = complete.shape
    if count < 2 or k < 3:
        return Overall(table, np.nan, np.nan)
    spread = studentized_range.ppf(1 - LEVEL, k, np.inf) / np.sqrt(2)
    difference = spread * np.sqrt(k * (k + 1) / (6 * count))
    return Overall(
        table, float(difference), float(friedmanchisquare(*complete.T.to_numpy()).pvalue)
    )


def _resampled(values: np.ndarray) -> np.ndarray:
    """Return bootstrap means over the rows, shape (resamples, columns)."""
    n = len(values)
    draws = uniform(stream_key(0, "shootout"), 0, RESAMPLES * n, np.float64)
    return values[(draws * n).astype(np.int64).reshape(RESAMPLES, n)].mean(axis=1)


def decisions(results: pd.DataFrame, wirings: Mapping[str, Wiring]) -> pd.DataFrame:
    """Decide for each network which scheme to start it from, and say how sure that is.

    Parameters
    ----------
    results
        Of `initlib.lab.shootout.shootout`, with at least 8 seeds.
    wirings
        For each kind of network.

    Returns
    -------
    DataFrame
        A row for each network: kind, activation, depth; best, the scheme of lowest mean rank ("" if
        none began); sure, the share of bootstrap samples of the seeds in which it is that; alike,
        the other schemes that a paired test doesn't tell from it (Wilcoxon, Holm, 5 %); steps, the
        geometric mean of the best, rate and accuracy, its learning rate and test accuracy at the
        end; reached, the share of its seeds that began; theory, the scheme
        of chi_1 nearest to one; factor, low and high: steps of theory's choice over those of the
        best, with a 95 % bootstrap interval; a lower bound where what didn't begin counts as the
        budget, which censored tells.
    """
    rows = []
    for network, own in results.groupby("network", sort=False):
        kind, phi, depth = own[["kind", "activation", "depth"]].iloc[0]
        waits = log_steps(own)
        ranked = ranks(own)[waits.columns].to_numpy()
        first = _order(ranked.mean(axis=0), waits)
        best = waits.columns[first]
        mine = own[own.scheme == best]
        begun = own.assign(begun=np.isfinite(own.steps)).groupby("scheme").begun.mean()
        theory = choice(phi, wirings[kind], list(waits.columns))
        ratio = paired(waits[theory], waits[best]) if theory != best else None
        rows.append(
            {
                "network": network,
                "kind": kind,
                "activation": phi,
                "depth": depth,
                "best": best if begun[best] > 0 else "",
                "sure": float((_resampled(ranked).argmin(axis=1) == first).mean()),
                "alike": tuple(_alike(waits, best)) if begun[best] > 0 else (),
                "rate": float(mine.lr.iloc[0]),
                "steps": float(np.exp(waits[best].mean())),
                "accuracy": float(mine.accuracy.fillna(0).mean()),
                "reached": float(begun[best]),
                "theory": theory,
                "factor": float(np.exp(ratio.value)) if ratio else 1.0,
                "low": float(np.exp(ratio.low)) if ratio else 1.0,
                "high": float(np.exp(ratio.high)) if ratio else 1.0,
                "censored": bool(begun[theory] < 1),
            }
        )
    return pd.DataFrame(rows)


def _order(mean_ranks: np.ndarray, waits: pd.DataFrame) -> int:
    return int(np.lexsort((waits.mean().to_numpy(), mean_ranks))[0])


def _alike(waits: pd.DataFrame, best: str) -> list[str]:
    others = [name for name in waits.columns if name != best]
    adjusted = holm([paired(waits[name], waits[best]).p for name in others])
    return [name for name, p in zip(others, adjusted, strict=True) if p > LEVEL]


def theory_table(results: pd.DataFrame, wirings: Mapping[str, Wiring]) -> pd.DataFrame:
    """Put the steps of every scheme and network beside what theory says of them.

    Parameters
    ----------
    results, wirings
        As for `decisions`.

    Returns
    -------
    DataFrame
        A row for each network and scheme that theory knows, but the controls: network, kind,
        activation, depth, scheme, lengths (depth over xi), steps (geometric mean), budget and
        reached.
    """
    rows = []
    keys = ["network", "kind", "activation", "depth", "scheme"]
    for key, own in results.groupby(keys, sort=False):
        _, kind, phi, depth, scheme = key
        far = lengths(scheme, phi, wirings[kind], depth)
        if scheme in CONTROLS or np.isnan(far):
            continue
        budget = own.budget.iloc[0]
        steps = float(np.exp(np.log(np.minimum(own.steps, budget)).mean()))
        rows.append((*key, far, steps, budget, float(np.isfinite(own.steps).mean())))
    return pd.DataFrame(rows, columns=[*keys, "lengths", "steps", "budget", "reached"])
