"""Networks under layer-sequential unit variance: signals and gradients, and another batch."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from scipy.special import gammaincinv
from torch import Tensor, nn

from initlib.adaptive import lsuv_
from initlib.apply import initialize
from initlib.lab.estimates import Estimate, estimate
from initlib.lab.lsuv_theory import Field, lsuv_field
from initlib.lab.signals import Signals, layer_table, network_signals
from initlib.lab.stack import Activation, mlp
from initlib.moments import moments
from initlib.sampling import Key, permutation, stream_key

__all__ = ["Factors", "factors", "held_out", "lsuv_signals", "rms_table", "signal_tables"]

RULES = ("published", "centred")

Cells = dict[tuple[Activation, bool], tuple[Signals, Field]]


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
        names = {"activation": activation, "rule": RULES[centred]}
        errors.append(layer_table(*both, "error").assign(**names))
        if not centred:
            table = layer_table(*both, "spread").assign(**names)
            values = ["value", "low", "high", "theory"]
            table[values] = np.sqrt(table[values].clip(lower=0))
            spreads.append(table)
    return pd.concat(spreads, ignore_index=True), pd.concat(errors, ignore_index=True)


class Factors(NamedTuple):
    """What networks show, over what theory says: estimates over draws, by activation.

    Attributes
    ----------
    spread
        Under the published rule, the factor of the standard deviation between samples per layer.
    error
        By activation and rule, the factor of the squared gradient per layer.
    second
        Under the published rule, the second moment of activations over E phi^2 for N(0, 1).
    """

    spread: dict[str, Estimate]
    error: dict[str, Estimate]
    second: dict[str, Estimate]


def factors(cells: Cells) -> Factors:
    """Compare what `lsuv_signals` measured with theory, in the mean over layers."""
    found = Factors({}, {}, {})
    for (activation, centred), (measured, field) in cells.items():
        layers = len(field.error) - 1
        change = (measured.error[:, 0] / field.error[0]) ** (1 / layers)
        found.error[f"{activation}, {RULES[centred]}"] = estimate(change)
        if not centred:
            ratio = measured.spread / field.spread
            found.spread[activation] = estimate((ratio[:, -1] / ratio[:, 0]) ** (0.5 / layers))
            behind = moments(activation).second_moment
            found.second[activation] = estimate(measured.second.mean(axis=1) / behind)
    return found


def held_out(
    activations: Sequence[Activation],
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
    activations
        Names of phi; all see the same images and weights.
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
        A row for each activation, draw and layer (from 1), with columns activation, draw, layer,
        log_std and variance, that
        is predicted for log_std.
    """
    rows = []
    for draw in range(draws):
        at = stream_key(key, draw)
        order = torch.from_numpy(permutation(stream_key(at, "images"), len(images)))
        first, second, others = images[order[: 2 * size + rest]].split([size, size, rest])
        start = mlp(sizes)
        initialize(start, "orthogonal", stream_key(at, "weights"))
        for activation in activations:
            model = mlp(sizes, activation)
            model.load_state_dict(start.state_dict())
            lsuv_(model, first, start=None)
            both = zip(_outputs(model, second), _outputs(model, others), strict=True)
            for layer, (seen, other) in enumerate(both, start=1):
                psi = (other - other.mean()).square().mean(dim=1)
                variance = (psi.var() / psi.mean() ** 2 / (2 * size)).item()
                rows.append((activation, draw, layer, seen.std().log().item(), variance))
    return pd.DataFrame(rows, columns=["activation", "draw", "layer", "log_std", "variance"])


@torch.no_grad()
def _outputs(model: nn.Sequential, x: Tensor) -> list[Tensor]:
    """What each linear layer returns, in float64."""
    found = []
    for layer in model:
        x = layer(x)
        if isinstance(layer, nn.Linear):
            found.append(x.double())
    return found


def rms_table(unseen: pd.DataFrame) -> pd.DataFrame:
    """Return the root of the mean square of log_std, and what `held_out` predicts, for each layer.

    Parameters
    ----------
    unseen
        From `held_out`.

    Returns
    -------
    DataFrame
        A row for each activation and layer, with columns activation, layer, value, low, high (95 %,
        for a normal law of mean zero), theory, and ratio (of the mean squares).
    """
    ratios = unseen.assign(square=unseen.log_std**2, ratio=unseen.log_std**2 / unseen.variance)
    mean = ratios.groupby(["activation", "layer"])[["square", "variance", "ratio"]].mean()
    half = unseen.draw.nunique() / 2
    ends = {name: half / gammaincinv(half, p) for name, p in (("low", 0.975), ("high", 0.025))}
    table = pd.DataFrame({"value": np.sqrt(mean.square), "theory": np.sqrt(mean.variance)})
    table = table.assign(**{name: table.value * np.sqrt(f) for name, f in ends.items()})
    return table.assign(ratio=mean.ratio).reset_index()
