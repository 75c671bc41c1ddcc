"""Training of networks that were scaled on data, and how the rules compare."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from initlib.adaptive import lsuv_
from initlib.lab.contest import contest
from initlib.lab.data import Dataset
from initlib.lab.estimates import Estimate, estimate
from initlib.lab.stack import Activation, DataScheme
from initlib.sampling import permutation, stream_key

__all__ = ["Lsuv", "log_wait", "races", "shares"]

CUSTOMARY = {
    "relu": "he_normal",
    "softplus": "he_normal",
    "tanh": "xavier_normal",
    "sigmoid": "xavier_normal",
}

ArmName = tuple[str, str]  # activation and rule


@dataclass(frozen=True)
class Lsuv(DataScheme):
    """`lsuv_` as a scheme for training.

    Parameters
    ----------
    centred : bool
        As in `lsuv_`.
    images : int
        Size of the batch that the network is scaled on, drawn anew for each seed.
    """

    centred: bool = False
    images: int = 256

    def fill_(self, model: nn.Sequential, images: Tensor, seed: int) -> None:
        """Scale the model on a random batch of the images."""
        rows = torch.from_numpy(permutation(stream_key(seed, "lsuv batch"), len(images)))
        lsuv_(model, images[rows[: self.images]], seed=seed, centred=self.centred)


def races(
    data: Dataset,
    activations: Sequence[Activation],
    rules: Sequence[str],
    depths: Sequence[int],
    *,
    width: int,
    **options,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Train networks that were scaled on data, each arm at its own best learning rate.

    Parameters
    ----------
    data
        The data.
    activations
        Keys of `CUSTOMARY`.
    rules
        "published" and "centred" for `lsuv_`; "customary" for He or Glorot, by activation.
    depths
        Numbers of hidden layers.
    width
        Units of each.
    **options
        Of `contest`.

    Returns
    -------
    tuple of DataFrame
        The trials and the results of `contest`, with the columns activation, rule and depth.
    """
    schemes = {"published": Lsuv(), "centred": Lsuv(centred=True)}
    tables: tuple[list, list] = [], []
    for depth in depths:
        for phi in activations:
            entries = {
                rule: {"scheme": schemes.get(rule, CUSTOMARY[phi]), "activation": phi}
                for rule in rules
            }
            held = contest(data, entries, hidden=[width] * depth, **options)
            for table, rows in zip(tables, held[:2], strict=True):
                table.append(
                    rows.rename(columns={"scheme": "rule"}).assign(activation=phi, depth=depth)
                )
    tried, results = (pd.concat(table, ignore_index=True) for table in tables)
    return tried, results


def log_wait(results: pd.DataFrame, later: ArmName, sooner: ArmName) -> Estimate:
    """Estimate the log ratio of steps until training began, over paired seeds of the deepest nets.

    What was not reached counts as the budget.

    Parameters
    ----------
    results
        From `races`.
    later, sooner
        Activation and rule of each arm.
    """
    waits = np.log(np.minimum(results.steps, results.budget))
    deep = results.assign(wait=waits)[results.depth == results.depth.max()]
    wide = deep.pivot(index="seed", columns=["activation", "rule"], values="wait")
    return estimate(wide[later] - wide[sooner])


def shares(results: pd.DataFrame) -> pd.DataFrame:
    """Return the shares of the deepest networks that began, and that stayed on the plateau.

    Returns
    -------
    DataFrame
        Columns begins and stays, index "activation, rule".
    """
    deep = results[results.depth == results.depth.max()]
    name = deep.activation + ", " + deep.rule
    outcome = pd.DataFrame({"begins": np.isfinite(deep.steps), "stays": np.isinf(deep.left)})
    return outcome.groupby(name).mean()
