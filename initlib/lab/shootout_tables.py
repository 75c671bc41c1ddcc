"""What the shootout tells: the decision table, learning rates, and numbers for the record."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from initlib.lab.claims import Claims
from initlib.lab.shootout_ranks import Overall
from initlib.lab.shootout_schemes import SCHEMES

__all__ = ["plotted", "record", "stable_rates", "summary", "tell"]

STABLE = 1.1  # share of the loss at chance that a stable run doesn't end above


def stable_rates(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the largest stable rate of each scheme on each network, and how much diverged.

    A rate is stable if none of its trials on the grid diverged, and none ended above 1.1 times the
    loss at chance.

    Parameters
    ----------
    trials
        Of `shootout`.

    Returns
    -------
    DataFrame
        Columns network, kind, activation, depth, scheme, stable (nan where no rate is) and
        diverged, the share of runs on the grid.
    """
    grid = trials[trials.stage == 1]
    fine = np.isinf(grid.diverged) & (grid.loss <= STABLE * grid.chance)
    rows = grid.assign(fine=fine, gone=np.isfinite(grid.diverged))
    keys = ["network", "kind", "activation", "depth", "scheme"]
    each = rows.groupby([*keys, "lr"], sort=False).fine.all().reset_index()
    stable = each.assign(stable=each.lr.where(each.fine)).groupby(keys, sort=False).stable.max()
    return pd.concat(
        [stable, rows.groupby(keys, sort=False).gone.mean().rename("diverged")], axis=1
    ).reset_index()


def tell(table: pd.DataFrame) -> pd.DataFrame:
    """Put the decisions in words, a row for each network.

    Parameters
    ----------
    table
        From `initlib.lab.shootout_ranks.decisions`.
    """
    label = {name: entry.label for name, entry in SCHEMES.items()}
    rows = []
    for row in table.itertuples():
        none = not row.best
        bound = "≥ " if row.censored and row.theory != row.best else ""
        factor = f"{bound}{row.factor:.1f} ({row.low:.1f} to {row.high:.1f})"
        rows.append(
            {
                "network": row.network,
                "start from": "none began" if none else label[row.best],
                "rate": "" if none else f"{row.rate:g}",
                "sure": "" if none else f"{row.sure:.0%}",
                "steps": "" if none else f"{row.steps:.0f}",
                "accuracy": "" if none else f"{row.accuracy:.2f}",
                "alike": ", ".join(label[name] for name in row.alike),
                "theory's choice": label[row.theory],
                "factor": "" if none else "1" if row.theory == row.best else factor,
            }
        )
    pd.set_option("display.max_colwidth", None)  # lists are there to be read
    return pd.DataFrame(rows).set_index("network")


def summary(results: pd.DataFrame, stable: pd.DataFrame) -> pd.DataFrame:
    """Return for each scheme and depth what networks had in common, over kinds and activations.

    Parameters
    ----------
    results
        Of `initlib.lab.shootout.shootout`.
    stable
        From `stable_rates`.

    Returns
    -------
    DataFrame
        A row for each scheme, columns (quantity, depth): begun, the share of runs that began;
        accuracy on test images, a run that diverged counting as none right; rate, the median of the
        largest stable rates; diverged, the share of runs on the grid.
    """
    own = results.assign(begun=np.isfinite(results.steps), accuracy=results.accuracy.fillna(0))
    means = own.groupby(["scheme", "depth"])[["begun", "accuracy"]].mean()
    rates = stable.groupby(["scheme", "depth"]).agg(
        rate=("stable", "median"), diverged=("diverged", "mean")
    )
    wide = means.join(rates).unstack("depth").round(3)
    order = [name for name in SCHEMES if name in wide.index]
    return wide.loc[order].rename(index={name: SCHEMES[name].label for name in order})


def plotted(all_: Overall, by_depth: Mapping[int, Mapping[str, Overall]]) -> pd.DataFrame:
    """Return the mean ranks of all panels of `plot_ranks` in one table."""
    parts = {("all", "all"): all_} | {
        (str(depth), kind): one for depth, kinds in by_depth.items() for kind, one in kinds.items()
    }
    tables = [
        one.table.reset_index(names="scheme").assign(
            depth=depth, kind=kind, critical_difference=one.difference
        )
        for (depth, kind), one in parts.items()
    ]
    return pd.concat(tables, ignore_index=True)


def record(claims: Claims, table: pd.DataFrame, stable: pd.DataFrame, all_: Overall) -> None:
    """Record every number of the decision table, what was stable, and the mean ranks.

    Names are ``shoot-<network>-<quantity>``; the schemes that are alike are told by
    ``shoot-<network>-alike-<scheme>``, the best by ``shoot-<network>-best-<scheme>`` and theory's
    choice by ``shoot-<network>-theory-<scheme>``.
    """
    for row in table.itertuples():
        start = f"shoot-{row.kind}-{row.activation.replace('_', '-')}-{row.depth}"
        if row.best:
            claims.record(f"{start}-best-{row.best}", row.steps, unit="steps")
            for name in ("sure", "rate", "accuracy", "reached"):
                claims.record(f"{start}-{name}", getattr(row, name))
            own = stable[(stable.network == row.network) & (stable.scheme == row.best)].iloc[0]
            claims.record(f"{start}-largest-stable-rate", own.stable)
            claims.record(f"{start}-diverged-on-the-grid", own.diverged)
        for name in row.alike:
            claims.record(f"{start}-alike-{name}", 1)
        claims.record(f"{start}-theory-{row.theory}", row.factor)
        for end in ("low", "high"):
            claims.record(f"{start}-theory-{end}", getattr(row, end))
        claims.record(f"{start}-theory-censored", int(row.censored))
    for name, row in all_.table.iterrows():
        claims.record(f"shoot-rank-{name}", row.value)
    claims.record("shoot-critical-difference", all_.difference)
