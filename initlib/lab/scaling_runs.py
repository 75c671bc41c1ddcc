"""Experiments on variance scaling: modes in whole networks, fixed points, truncation, row norms."""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn.init import trunc_normal_

from initlib.lab.estimates import Estimate, estimate
from initlib.lab.scaling import directions
from initlib.lab.signals import Signals, law_signals, layer_table, weight_variances
from initlib.lab.stack import Activation
from initlib.sampling import Key, stream_key
from initlib.schemes import normalized_normal_, standard_uniform_
from initlib.variance import Law, variance_scaling_

__all__ = [
    "equal_layers",
    "gradient_factor",
    "mode_ratio",
    "mode_table",
    "one_layer_moments",
    "row_norms",
    "settled",
    "truncated_stds",
]


def mode_ratio(
    modes: tuple[str, str], sizes: Sequence[int], inputs: Tensor, *, key: Key | int
) -> np.ndarray:
    """Return Var w_l |df/dW_l|^2 under the second mode over that under the first, draw by draw.

    Parameters
    ----------
    modes
        Two modes of `variance_scaling_`.
    sizes
        n_0 .. n_L of ReLU networks.
    inputs
        One row for each network; float64 for an identity.
    key
        Seed of the weights.

    Returns
    -------
    ndarray, shape (networks, L)
    """
    weighted = []
    for mode in modes:
        law = Law(2.0, mode, "normal")
        measured, _ = law_signals(law, sizes, inputs, "relu", key=key)
        weighted.append(measured.weight * weight_variances(law, sizes))
    return weighted[1] / weighted[0]


def mode_table(
    laws: Mapping[str, Law],
    sizes: Sequence[int],
    inputs: Tensor,
    activation: Activation,
    *,
    key: Key | int,
) -> pd.DataFrame:
    """Return signals and weighted gradients of networks under several laws.

    Returns
    -------
    DataFrame
        The columns of `layer_table`, and mode; quantity is "second", the second moment of the
        activations, or "weight", the squared norm of df/dW_l times Var w_l.
    """
    tables = []
    for mode, law in laws.items():
        both = law_signals(law, sizes, inputs, activation, key=key)
        factors = {"second": 1.0, "weight": weight_variances(law, sizes)}
        tables += [layer_table(*both, *item).assign(mode=mode) for item in factors.items()]
    return pd.concat(tables, ignore_index=True)


def one_layer_moments(
    laws: Sequence[str], seconds: Sequence[float], *, key: Key | int, n: int = 256, draws: int = 32
) -> dict[str, Estimate]:
    """Measure what comes out of one layer with weights of variance 1 / fan_in.

    With Gaussian weights the expected moments are those of `moments` at any width.

    Parameters
    ----------
    laws
        Distributions of `variance_scaling_`.
    seconds
        Second moments of the input.
    key
        Seed.
    n
        Inputs and units of the layer.
    draws
        Layers for each mean.

    Returns
    -------
    dict of Estimate
        Second moments of the scaled tanh for each law and input, "normal, 1"; and "SELU, mean" and
        "SELU, second moment" for an input of second moment 2.5.
    """

    def behind(law: str, second: float, activation: Activation) -> Signals:
        at = stream_key(key, law, activation, round(1e6 * second))
        inputs = directions(draws, n, second, key=stream_key(at, "inputs"))
        return law_signals(Law(1.0, "fan_in", law), [n, n], inputs, activation, key=at)[0]

    found = {
        f"{law}, {second:.3g}": estimate(behind(law, second, "lecun_tanh").second[:, 0])
        for law in laws
        for second in seconds
    }
    selu = behind("normal", 2.5, "selu")
    means = {"SELU, mean": selu.mean, "SELU, second moment": selu.second}
    return found | {name: estimate(values[:, 0]) for name, values in means.items()}


def equal_layers(
    activation: Activation,
    gain: float,
    second: float,
    *,
    sizes: Sequence[int],
    draws: int,
    key: Key | int,
) -> tuple[Signals, Signals]:
    """Measure and predict networks of N(0, gain^2 / fan_in) weights, inputs of one mean square."""
    inputs = directions(draws, sizes[0], second, key=stream_key(key, "inputs"))
    return law_signals(Law(gain**2, "fan_in", "normal"), sizes, inputs, activation, key=key)


def settled(measured: Signals, predicted: Signals, last: int = 10) -> Estimate:
    """Estimate E z_l^2 over the last layers, divided by its prediction."""
    ends = measured.pre[:, -last:].mean(axis=1)
    return estimate(ends / predicted.pre[-last:].mean())


def gradient_factor(measured: Signals, chi: float = 1.0) -> Estimate:
    """Estimate what a layer multiplies |df/dz_l|^2 by, in the mean over layers, divided by chi."""
    factors = measured.error[:, :-1] / measured.error[:, 1:]
    return estimate(factors.mean(axis=1) / chi)


def truncated_stds(std: float, *, seed: int, parts: int = 16) -> dict[str, Estimate]:
    """Measure the standard deviation of truncated normal weights over the one asked for.

    Returns
    -------
    dict of Estimate
        "cut at 2 sigma": torch's, with bounds at two standard deviations; "corrected": the
        truncated law of `variance_scaling_`; "torch's default": its default bounds, and under
        "torch's default beyond 2 sigma" the share of weights out there.
    """
    generator = torch.Generator().manual_seed(seed)
    fills = {
        "cut at 2 sigma": partial(trunc_normal_, std=std, a=-2 * std, b=2 * std),
        "corrected": partial(
            variance_scaling_, scale=100 * std**2, distribution="truncated_normal"
        ),
        "torch's default": partial(trunc_normal_, std=std),
    }
    weights = {
        name: fill(torch.empty(1000 * parts, 100), generator=generator).view(parts, -1) / std
        for name, fill in fills.items()
    }
    found = {name: estimate(w.std(dim=1)) for name, w in weights.items()}
    beyond = (weights["torch's default"].abs() > 2).double().mean(dim=1)
    return found | {"torch's default beyond 2 sigma": estimate(beyond)}


def row_norms(n: int, *, seed: int, rows: int = 4000) -> dict[str, Estimate]:
    """Measure the norm of the n weights into a unit, under N(0, 1/n) and U(-1/sqrt n, 1/sqrt n)."""
    normal, uniform = (
        fill(torch.empty(rows, n, dtype=torch.float64), generator=seed).norm(dim=1)
        for fill in (normalized_normal_, standard_uniform_)
    )
    names = "squared norm", "norm", "squared norm, uniform"
    return dict(zip(names, map(estimate, (normal**2, normal, uniform**2)), strict=True))
