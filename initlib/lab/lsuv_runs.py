"""Experiments on layer-sequential unit variance: signals, other batches, training."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
import torch
from scipy.special import gammaincinv
from torch import Tensor, nn

from initlib.adaptive import lsuv_
from initlib.apply import initialize
from initlib.lab.contest import contest
from initlib.lab.data import Dataset
from initlib.lab.lsuv_theory import Field, lsuv_field
from initlib.lab.signals import Signals, layer_table, network_signals
from initlib.lab.stack import Activation, DataScheme, mlp
from initlib.sampling import Key, permutation, stream_key

__all__ = ["Lsuv", "held_out", "lsuv_signals", "races", "rms_table", "signal_tables"]

CUSTOMARY = {
    "relu": "he_normal",
    "softplus": "he_normal",
    "tanh": "xavier_normal",
    "sigmoid": "xavier_normal",
}

Cells = dict[tuple[Activation, bool], tuple[Signals, Field]]


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


def lsuv_signals(
    cells: Sequence[tuple[Activation, bool]],
    batch: Tensor,
    *,
    width: int,
    depth: int,
    draws: int,
    key: Key | int,
) -> Cells:
    """Measure networks scaled on a batch, and predict what is measured.

    Parameters
    ----------
    cells
        Pairs of an activation and whether the rule is centred. All start from the same weights.
    batch
        Shape (samples, n_0).
    width, depth
        Units of each layer, and layers.
    draws
        Networks.
    key
        Seed of the weights.
    """
    sizes, batch = [batch.shape[1], *[width] * depth], batch.double()
    rows: dict[tuple[Activation, bool], list[Signals]] = {cell: [] for cell in cells}
    for draw in range(draws):
        start = mlp(sizes).double()
        initialize(start, "orthogonal", stream_key(key, draw))
        for activation, centred in cells:
            model = mlp(sizes, activation).double()
            model.load_state_dict(start.state_dict())
            lsuv_(model, batch, start=None, centred=centred)
            network = [(layer.weight, layer.bias) for layer in model[::2]]
            rows[activation, centred].append(network_signals([network], batch[None], activation))
    field = {cell: lsuv_field(cell[0], batch.numpy(), depth, centred=cell[1]) for cell in cells}
    return {
        cell: (Signals(*map(np.concatenate, zip(*rows[cell], strict=True))), field[cell])
        for cell in cells
    }


def signal_tables(cells: Cells) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return what `lsuv_signals` found, layer by layer, means over draws with 95 % intervals.

    Returns
    -------
    tuple of DataFrame
        The standard deviation between samples under the published rule, and the squared norm of
        df/dz under both: the columns of `layer_table`, with activation and rule.
    """
    spreads, errors = [], []
    for (activation, centred), both in cells.items():
        names = {"activation": activation, "rule": "centred" if centred else "published"}
        errors.append(layer_table(*both, "error").assign(**names))
        if not centred:
            table = layer_table(*both, "spread").assign(**names)
            values = ["value", "low", "high", "theory"]
            table[values] = np.sqrt(table[values].clip(lower=0))
            spreads.append(table)
    return pd.concat(spreads, ignore_index=True), pd.concat(errors, ignore_index=True)


def held_out(
    activation: Activation,
    images: Tensor,
    sizes: Sequence[int],
    *,
    size: int,
    draws: int,
    key: Key | int,
    rest: int = 1000,
) -> pd.DataFrame:
    """Scale networks on one batch, and look at the layers on another one.

    A variance is a mean over samples of ``psi = mean over units of (z - mu)^2``, with mu the mean
    of all, so that the log of its root has a variance of ``Var psi / (4 E psi^2 size)``. One batch
    sets the scale and another measures it: twice that. psi is taken from further images.

    Parameters
    ----------
    activation
        Name of phi.
    images
        Where batches come from, without overlap.
    sizes
        n_0 .. n_L.
    size
        Images in a batch.
    draws
        Networks, each with batches of its own.
    key
        Seed.
    rest
        Images for psi.

    Returns
    -------
    DataFrame
        A row for each draw and layer (from 1), with columns draw, layer, log_std and variance, that
        is predicted for log_std.
    """
    tables = []
    for draw in range(draws):
        at = stream_key(key, draw)
        order = torch.from_numpy(permutation(stream_key(at, "images"), len(images)))
        first, second, others = images[order[: 2 * size + rest]].split([size, size, rest])
        model = mlp(sizes, activation)
        lsuv_(model, first, seed=stream_key(at, "weights"))
        x, y = second, others
        for layer, parts in enumerate(pairwise([*range(0, len(model), 2), len(model)]), start=1):
            with torch.no_grad():
                linear, *after = model[slice(*parts)]
                x, y = linear(x), linear(y)
                psi = (y - y.mean()).double().square().mean(dim=1)
                variance = (psi.var() / psi.mean() ** 2 / (2 * size)).item()
                tables.append((draw, layer, x.double().std().log().item(), variance))
                for phi in after:
                    x, y = phi(x), phi(y)
    return pd.DataFrame(tables, columns=["draw", "layer", "log_std", "variance"])


def rms_table(unseen: pd.DataFrame) -> pd.DataFrame:
    """Return the root of the mean square of log_std, and what `held_out` predicts, for each layer.

    Returns
    -------
    DataFrame
        A row for each layer, with columns layer, value, low, high (95 %, for a normal law of mean
        zero), theory, and ratio (of the mean squares).
    """
    ratios = unseen.assign(square=unseen.log_std**2, ratio=unseen.log_std**2 / unseen.variance)
    mean = ratios.groupby("layer")[["square", "variance", "ratio"]].mean()
    half = unseen.draw.nunique() / 2
    ends = {name: half / gammaincinv(half, p) for name, p in (("low", 0.975), ("high", 0.025))}
    table = pd.DataFrame({"value": np.sqrt(mean.square), "theory": np.sqrt(mean.variance)})
    table = table.assign(**{name: table.value * np.sqrt(f) for name, f in ends.items()})
    return table.assign(ratio=mean.ratio).reset_index()


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
