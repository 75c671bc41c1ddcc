"""Schemes that compete in training: each with its own best learning rate, all on the same seeds."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from initlib.lab.data import Dataset
from initlib.lab.estimates import estimate
from initlib.lab.plateaus import choose_rates, curve_table, outcomes
from initlib.lab.train import Arm, Trained, train

__all__ = ["Contest", "contest", "error_table", "log_errors", "log_steps", "loss_curves"]


class Contest(NamedTuple):
    """How a contest went.

    Attributes
    ----------
    tried
        A row for each scheme that chose a rate, learning rate and trial seed, with the column
        chosen.
    results
        A row for each scheme and seed, at the chosen rate: see `outcomes`.
    losses
        Of each scheme, shape (steps, seeds).
    """

    tried: pd.DataFrame
    results: pd.DataFrame
    losses: dict[str, np.ndarray]


def contest(
    data: Dataset,
    schemes: Mapping[str, Mapping[str, Any]],
    *,
    seed: int = 0,
    replicas: int = 8,
    trials: int = 2,
    level: float = 1.0,
    plateau: float = 2.0,
    **options,
) -> Contest:
    """Train networks under several schemes, each at the rate of a grid that suits it best.

    The best rate is the one whose slowest trial begins first (`choose_rates`). Trials have seeds of
    their own, that aren't used again. Seed i of one scheme and of another see the same
    mini-batches, and share their random numbers where the schemes do: they are pairs.

    Parameters
    ----------
    data
        The data.
    schemes
        For each name its scheme, and options that it doesn't share: ``{"scheme": "he_normal",
        "activation": "tanh"}``. The option rate_of names an earlier scheme, whose rate this one is
        given: two that are said to be alike need one rate, or the choice is compared with them.
    seed
        Of everything random here.
    replicas
        Seeds of each scheme.
    trials
        Seeds that try each learning rate.
    level, plateau
        Losses (nats), as in `outcomes`. With level 0, which is never reached, that rate is best
        whose trials have the lowest loss at the end.
    **options
        Of `train`, such as hidden or channels, and steps; and rates, the grid of learning rates.

    Examples
    --------
    >>> from initlib.lab.data import load
    >>> schemes = {"he": {"scheme": "he_normal"}, "small": {"scheme": "standard_uniform"}}
    >>> options = {"hidden": [32] * 4, "rates": [0.01, 0.1], "steps": 60, "trials": 1}
    >>> both = contest(load("mnist"), schemes, replicas=2, **options)
    >>> bool((log_steps(both, "small") > log_steps(both, "he")).all())
    True
    """
    tried, results, losses, best = [], [], {}, {}
    numbers = [1000 * seed + i for i in range(replicas)]
    trial_numbers = [1000 * seed + 500 + i for i in range(trials)]
    for name, own in schemes.items():
        scheme, rates, rest = _split(options | dict(own), best)

        def run(lrs: Sequence[float], seeds: Sequence[int], scheme=scheme, rest=rest) -> Trained:
            return train(data, [Arm(scheme, lr, i) for lr in lrs for i in seeds], **rest)

        if "rate_of" not in own:
            rows = outcomes(run(rates, trial_numbers), level, plateau).assign(scheme=name, depth=0)
            tried.append(choose_rates(rows).drop(columns="depth"))
            rates = [tried[-1].lr[tried[-1].chosen].iloc[0]]
        best[name] = rates[0]
        trained = run(rates, numbers)
        results.append(outcomes(trained, level, plateau).assign(scheme=name))
        losses[name] = trained.losses
    tables = (pd.concat(part, ignore_index=True) for part in (tried, results))
    return Contest(*tables, losses)


def _split(
    options: dict[str, Any], best: Mapping[str, float]
) -> tuple[Any, Sequence[float], dict[str, Any]]:
    if "rate_of" in options:
        leader = options.pop("rate_of")
        if leader not in best:
            earlier = ", ".join(best) or "none"
            raise ValueError(f"rate_of is {leader!r}; the earlier schemes are {earlier}")
        options["rates"] = [best[leader]]
    missing = [name for name in ("scheme", "rates", "steps") if name not in options]
    if missing:
        raise ValueError(f"a scheme needs {', '.join(missing)}; got {', '.join(options)}")
    rest = {name: value for name, value in options.items() if name not in ("scheme", "rates")}
    return options["scheme"], options["rates"], rest


def log_steps(held: Contest, scheme: str, until: str = "steps") -> np.ndarray:
    """Return the logarithm of a scheme's steps until training began, in the order of the seeds.

    What was not reached counts as the budget. With `until` "left" these are the steps until the
    plateau was left.
    """
    results = held.results[held.results.scheme == scheme].sort_values("seed")
    return np.log(np.minimum(results[until], results.budget).to_numpy())


def log_errors(held: Contest, scheme: str) -> np.ndarray:
    """Return the logarithm of a scheme's share of wrong answers, in the order of the seeds.

    What diverged counts as all wrong.
    """
    results = held.results[held.results.scheme == scheme].sort_values("seed")
    return np.log1p(-results.accuracy.fillna(0).to_numpy())


def error_table(contests: Mapping[int, Contest]) -> pd.DataFrame:
    """Return test errors, mean over seeds with its 95 % interval.

    Parameters
    ----------
    contests
        By their budget of steps.

    Returns
    -------
    DataFrame
        Columns scheme, budget, lr (the chosen one), value, low and high, in percent.
    """
    rows = []
    for budget, held in contests.items():
        for scheme, part in held.results.groupby("scheme"):
            error = estimate(100 * (1 - part.accuracy.fillna(0)))
            rows.append((scheme, budget, part.lr.iloc[0], error.value, error.low, error.high))
    return pd.DataFrame(rows, columns=["scheme", "budget", "lr", "value", "low", "high"])


def loss_curves(held: Contest) -> pd.DataFrame:
    """Return the smoothed curves of all schemes: those of `curve_table`, and scheme."""
    curves = (curve_table(losses).assign(scheme=name) for name, losses in held.losses.items())
    return pd.concat(curves, ignore_index=True)
