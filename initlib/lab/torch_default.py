"""torch's default for linear layers: networks of it, and what theory says of them."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from initlib.fills import uniform_
from initlib.lab.estimates import estimate
from initlib.lab.signal_theory import Signals
from initlib.lab.signals import Network
from initlib.sampling import Key

__all__ = ["default_rules", "default_table", "default_theory", "torch_networks"]


def torch_networks(
    sizes: Sequence[int], draws: int, *, seed: int, bias: bool = True
) -> Iterator[Network]:
    """Construct networks of torch's own linear layers, as its constructor leaves them.

    Parameters
    ----------
    sizes
        n_0 .. n_L.
    draws
        How many networks.
    seed
        Of torch's generator, whose state is put back.
    bias
        Whether to keep the biases; the weights are the same either way.
    """
    for draw in range(draws):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1_000_003 * seed + draw)
            layers = [nn.Linear(m, n) for m, n in pairwise(sizes)]
        yield [(layer.weight, layer.bias if bias else None) for layer in layers]


def default_theory(sizes: Sequence[int], inputs: Tensor, bias: bool = True) -> pd.DataFrame:
    r"""Predict ReLU networks with weights and biases of variance 1 / (3 fan_in).

    The second moment of z_l is q_(l-1) / 6 + 1 / (3 n_(l-1)), at any width. The covariance of two
    inputs follows the arc-cosine kernel, for wide layers.

    Parameters
    ----------
    sizes
        n_0 .. n_L.
    inputs
        Shape (networks, k, n_0).
    bias
        Whether there are biases.

    Returns
    -------
    DataFrame
        A row for each layer: layer, pre (E z_l^2), spread (its variance between the inputs of a
        network) and error (squared norm of df/dz_l).

    References
    ----------
    Cho and Saul 2009 (the kernel).
    """
    x = inputs.double().numpy()
    floor = [bias / (3 * n) for n in sizes[:-1]]
    covariance = x @ x.swapaxes(1, 2) / (3 * sizes[0]) + floor[0]
    rows = [_two_moments(covariance)]
    for shift in floor[1:]:
        covariance = _relu_kernel(covariance) / 3 + shift
        rows.append(_two_moments(covariance))
    depth = len(rows)
    table = pd.DataFrame(rows, columns=["pre", "spread"])
    return table.assign(layer=np.arange(1, depth + 1), error=6.0 ** np.arange(1 - depth, 1))


def default_table(
    measured: Mapping[str, Signals], theory: Mapping[str, pd.DataFrame]
) -> pd.DataFrame:
    """Return second moments, and shares of them that the input decides, beside theory.

    Parameters
    ----------
    measured
        From `network_signals` with several inputs for each network, by start.
    theory
        From `default_theory`, by start.

    Returns
    -------
    DataFrame
        Columns start, quantity ("pre", "share"), layer, value, low, high and theory.
    """
    tables = []
    for start, found in measured.items():
        line = theory[start]
        both = {"pre": (found.pre, line.pre)}
        both["share"] = (found.spread / found.pre, line.spread / line.pre)
        for quantity, (values, expected) in both.items():
            mean = estimate(values)
            columns = {"value": mean.value, "low": mean.low, "high": mean.high, "theory": expected}
            table = pd.DataFrame({"layer": line.layer, **columns})
            tables.append(table.assign(start=start, quantity=quantity))
    return pd.concat(tables, ignore_index=True)


def _two_moments(covariance: np.ndarray) -> tuple[float, float]:
    k = covariance.shape[-1]
    traces = np.trace(covariance, axis1=1, axis2=2)
    spread = (traces - covariance.sum(axis=(1, 2)) / k) / (k - 1) if k > 1 else traces * np.nan
    return traces.mean() / k, spread.mean()


def _relu_kernel(covariance: np.ndarray) -> np.ndarray:
    """E relu(a) relu(b) for jointly Gaussian a, b."""
    scale = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    scale = scale[:, :, None] * scale[:, None]
    cosine = np.clip(covariance / scale, -1, 1)
    angle = np.arccos(cosine)
    return scale * (np.sin(angle) + (np.pi - angle) * cosine) / (2 * np.pi)


def default_rules() -> dict[str, object]:
    """Return the rules by which `initlib.initialize` starts a network as torch does."""

    def bias(tensor: Tensor, generator: Key, layer: nn.Module) -> Tensor:
        bound = layer.in_features**-0.5
        return uniform_(tensor, -bound, bound, generator)

    return {"*.weight": "standard_uniform", "*.bias": bias}
