"""Networks under layer-sequential unit variance: signals, gradients and correlations."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from initlib.adaptive import lsuv_
from initlib.apply import initialize
from initlib.lab.estimates import Estimate, estimate
from initlib.lab.lsuv_models import linear_outputs
from initlib.lab.lsuv_theory import Field, centred_correlations, lsuv_field
from initlib.lab.signals import Signals, layer_table, network_signals
from initlib.lab.stack import Activation, mlp
from initlib.moments import moments
from initlib.sampling import Key, normal, stream_key

__all__ = ["Factors", "correlation_factors", "factors", "lsuv_signals", "signal_tables"]

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


def correlation_factors(
    activations: Sequence[Activation],
    *,
    width: int,
    draws: int,
    key: Key | int,
    pairs: int = 128,
    start: float = 0.5,
    depth: int = 5,
) -> dict[str, Estimate]:
    """Compare what centred networks make of correlated pairs of normal inputs with theory.

    Returns
    -------
    dict of Estimate
        For each activation, the factor of the correlation per layer, from the first layer to the
        last, over that of `centred_correlations`.
    """
    ends: dict[str, list[float]] = {activation: [] for activation in activations}
    sizes = [width] * (depth + 1)
    for draw in range(draws):
        at = stream_key(key, draw)
        x, y = torch.from_numpy(normal(at, 0, 2 * pairs * width)).view(2, pairs, width)
        batch = torch.cat([x, start * x + (1 - start**2) ** 0.5 * y])
        for activation in activations:
            model = mlp(sizes, activation)
            lsuv_(model, batch, seed=stream_key(at, "weights"), centred=True)
            outputs = linear_outputs(model, batch)
            first, last = (_pair_correlation(z, pairs) for z in (outputs[0], outputs[-1]))
            theory = centred_correlations(activation, start, depth)[-1] / start
            ends[activation].append((last / first / theory) ** (1 / (depth - 1)))
    return {activation: estimate(values) for activation, values in ends.items()}


def _pair_correlation(z: Tensor, pairs: int) -> float:
    return nn.functional.cosine_similarity(z[:pairs], z[pairs:]).mean().item()
