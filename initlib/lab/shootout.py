"""A shootout: schemes on networks, each at its own best learning rate, on paired seeds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from initlib.lab.data import Dataset
from initlib.lab.estimates import LEAST_PAIRS
from initlib.lab.plateaus import outcomes
from initlib.lab.shootout_networks import Network
from initlib.lab.shootout_schemes import SCHEMES, Wiring, check_schemes, padding, twins
from initlib.lab.train import Arm, train
from initlib.lab.training_checks import check_data, check_network

__all__ = ["Rules", "Shootout", "by_rate", "check", "shootout"]

BEGUN, LEFT = 0.75, 0.9  # shares of the loss at chance: training has begun, the plateau is left
FIRST_SEEDS = 2  # of each rate of the grid
FINALISTS = 3  # rates that are tried at the whole budget


@dataclass(frozen=True)
class Rules:
    """What holds for every network.

    Parameters
    ----------
    rates
        The grid of learning rates.
    width
        Units of each hidden layer of an MLP.
    channels
        Channels of each convolution of a CNN.
    patch
        Side of the patches in which the first convolution reads an image.
    replicas
        Seeds at the chosen rate; at least 8.
    trials
        Seeds that choose among the best three rates; at least 3, as the grid has two of them.
    batch_size
        Images in a mini-batch.
    seed
        Of everything random.
    """

    rates: Sequence[float]
    width: int = 48
    channels: int = 12
    patch: int = 3
    replicas: int = 10
    trials: int = 4
    batch_size: int = 32
    seed: int = 0

    def wiring(self, kind: str, side: int) -> Wiring:
        """Return what theory must know of a kind of network that sees side x side pixels."""
        if kind == "mlp":
            return Wiring(self.width)
        return Wiring(9 * self.channels, padding(side // self.patch))

    def layers(self, network: Network) -> dict[str, Any]:
        """Return the arguments of `train` for a network."""
        if network.kind == "mlp":
            return {"hidden": [self.width] * network.depth}
        return {"channels": [self.channels] * network.depth, "patch": self.patch}


class Shootout(NamedTuple):
    """How it went.

    Attributes
    ----------
    trials
        A row for each network, scheme, rate and seed that was tried, with the columns of `outcomes`
        and stage (1: the whole grid, 2: more seeds for the best rates).
    results
        A row for each network, scheme and seed at the chosen rate.
    """

    trials: pd.DataFrame
    results: pd.DataFrame


def check(
    data: Dataset,
    fields: Sequence[Network],
    budgets: Sequence[int],
    schemes: Sequence[str],
    rules: Rules,
) -> list[list[str]]:
    """Return the schemes that take part on each network; arguments as for `shootout`.

    Raises
    ------
    ValueError
        For an unknown scheme, numbers out of range, or data that a network can't see.
    """
    if len(budgets) != len(fields) or min(budgets) < 20:
        raise ValueError(f"each network needs a budget of 20 steps or more, got {list(budgets)}")
    if not rules.rates or min(rules.rates) <= 0 or len(set(rules.rates)) < len(rules.rates):
        raise ValueError(f"rates must be positive and differ, got {list(rules.rates)}")
    least = {"trials": FIRST_SEEDS + 1, "replicas": LEAST_PAIRS, "width": 1, "channels": 1}
    for name, number in least.items():
        if getattr(rules, name) < number:
            raise ValueError(f"{name} must be at least {number}, got {getattr(rules, name)}")
    check_data(data, rules.batch_size)
    for network in fields:
        layers = rules.layers(network)
        check_network(data, layers.get("hidden"), layers.get("channels"), rules.patch)
    return [check_schemes(schemes, network.kind) for network in fields]


def shootout(
    data: Dataset,
    fields: Sequence[Network],
    budgets: Sequence[int],
    schemes: Sequence[str],
    rules: Rules,
) -> Shootout:
    """Let schemes compete on every network.

    The rate of each scheme is chosen in two stages: two seeds for every rate of the grid, then more
    seeds for the best three. Better is the rate whose slowest trial begins first, and between those
    that don't begin the one whose highest loss at the end is lower. A scheme that leaves the
    plateau at no rate in the first stage has nothing to choose from, and goes on with the best rate
    of that stage. Seeds of trials aren't used again; seed i of all schemes sees the same
    mini-batches.

    Parameters
    ----------
    data
        From `shrink`.
    fields
        From `networks`.
    budgets
        Mini-batches for each of the networks.
    schemes
        Keys of `SCHEMES`.
    rules
        What holds for all.

    Raises
    ------
    ValueError
        For an unknown scheme or numbers out of range, before anything is trained.
    """
    taking_part = check(data, fields, budgets, schemes, rules)
    tables: tuple[list, list] = [], []
    for network, steps, names in zip(fields, budgets, taking_part, strict=True):
        for table, rows in zip(tables, _one(data, network, steps, names, rules), strict=True):
            table.append(rows.assign(**network._asdict(), network=str(network)))
    return Shootout(*(pd.concat(table, ignore_index=True) for table in tables))


def _one(
    data: Dataset, network: Network, steps: int, names: list[str], rules: Rules
) -> tuple[pd.DataFrame, pd.DataFrame]:
    same = twins(network.activation, names)
    starts = {n: SCHEMES[n].start(network.activation) for n in names if n not in same}

    def run(rates: dict[str, list[float]], seeds: Sequence[int], budget: int) -> pd.DataFrame:
        keys = [(name, lr, i) for name in rates for lr in rates[name] for i in seeds]
        trained = train(
            data,
            [Arm(starts[name], lr, i) for name, lr, i in keys],
            **rules.layers(network),
            steps=budget,
            activation=network.activation,
            batch_size=rules.batch_size,
        )
        chance = np.log(data.classes)
        rows = outcomes(trained, BEGUN * chance, LEFT * chance)
        return rows.assign(scheme=[name for name, _, _ in keys], chance=chance)

    seeds = [1000 * rules.seed + i for i in range(rules.replicas)]
    trial_seeds = [1000 * rules.seed + 500 + i for i in range(rules.trials)]
    grid = {name: list(rules.rates) for name in starts}
    tried = run(grid, trial_seeds[:FIRST_SEEDS], steps).assign(stage=1)
    order = by_rate(tried)
    alive = set(tried.scheme[np.isfinite(tried.left)])
    finals = {name: rates[:FINALISTS] for name, rates in order.items() if name in alive}
    if finals:
        more = run(finals, trial_seeds[FIRST_SEEDS:], steps).assign(stage=2)
        tried = pd.concat([tried, more])
        among = [
            lr in finals.get(name, []) for name, lr in zip(tried.scheme, tried.lr, strict=True)
        ]
        order |= by_rate(tried[among])
    results = run({name: rates[:1] for name, rates in order.items()}, seeds, steps)
    return _with_twins(tried, same), _with_twins(results, same)


def by_rate(rows: pd.DataFrame) -> dict[str, list[float]]:
    """Return the rates of each scheme, from its trials, the best first."""
    worst = rows.assign(
        steps=np.minimum(rows.steps, rows.budget), loss=rows.loss.fillna(np.inf)
    ).groupby(["scheme", "lr"], sort=False)[["steps", "loss"]]
    ranked = worst.max().reset_index().sort_values(["steps", "loss"])
    return {name: own.lr.tolist() for name, own in ranked.groupby("scheme", sort=False)}


def _with_twins(rows: pd.DataFrame, same: dict[str, str]) -> pd.DataFrame:
    copies = [rows[rows.scheme == twin].assign(scheme=name) for name, twin in same.items()]
    return pd.concat([rows, *copies], ignore_index=True)
