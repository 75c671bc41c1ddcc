"""Jacobians of deep networks at their start, and of products of convolutions: singular values."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from initlib.activations import activation as look_up
from initlib.lab.critical_starts import Start, theory_of
from initlib.orthogonal import orthogonal_
from initlib.sampling import Key, fill_normal_, stream_key
from initlib.spectra import SpectralLaw

Fill = Callable[..., Tensor]

__all__ = [
    "conv_products",
    "curve_of",
    "density_of",
    "law_gap",
    "sample_jacobians",
    "spread_table",
]


def sample_jacobians(
    start: Start, n: int, depths: Sequence[int], draws: int, *, key: Key | int = 0
) -> dict[int, Tensor]:
    """Draw networks of n units in each layer, and return their Jacobians dh_L / dh_0.

    Parameters
    ----------
    start
        Laws of weights and biases. Each network gets one input, of which q is the variance of the
        pre-activations of the first layer.
    n
        Units of each layer, and inputs.
    depths
        Ascending L, all read off the same networks.
    draws
        Networks.
    key
        Seed.

    Returns
    -------
    dict of Tensor
        For each depth, float64 of shape (draws, n, n).
    """
    phi = look_up(start.activation)
    key = stream_key(key, *map(str, start[:3]))
    h = fill_normal_(torch.empty(draws, n, 1, dtype=torch.float64), stream_key(key, "x"), 0, 1)
    h *= (start.second / h.square().mean(dim=1, keepdim=True)).sqrt()
    jacobian, kept = torch.eye(n, dtype=torch.float64).repeat(draws, 1, 1), {}
    for layer in range(1, depths[-1] + 1):
        at = stream_key(key, layer)
        weights = _draw_weights(start, n, draws, at)
        bias = fill_normal_(torch.empty_like(h), stream_key(at, "bias"), 0, start.sigma_b)
        z = torch.baddbmm(bias, weights, h).numpy()
        h = torch.from_numpy(phi(z))
        jacobian = torch.from_numpy(phi.derivative(z)) * (weights @ jacobian)
        if layer in depths:
            kept[layer] = jacobian
    return kept


def _draw_weights(start: Start, n: int, draws: int, key: Key) -> Tensor:
    weights = torch.empty(draws, n, n, dtype=torch.float64)
    if start.weights == "gaussian":
        return fill_normal_(weights, key, 0, start.sigma_w / n**0.5)
    for draw, weight in enumerate(weights):
        orthogonal_(weight, gain=start.sigma_w, generator=stream_key(key, draw))
    return weights


def law_gap(values: np.ndarray, law: SpectralLaw) -> float:
    """Return how far the distribution function of singular values is from a law.

    Smaller values than those of the law's curve count there, since zeros are never quite zero.
    """
    s = np.sort(values, axis=None)
    seen = s > law.s[0]
    ranks = np.arange(len(s))[seen]
    below = np.interp(s[seen], law.s, law.probability)
    return float(np.maximum(below - ranks / len(s), (ranks + 1) / len(s) - below).max())


def spread_table(
    starts: Mapping[str, Start],
    widths: Mapping[int, int],
    fractions: Sequence[float],
    *,
    key: Key | int = 0,
) -> pd.DataFrame:
    """Measure how squared singular values spread in networks as deep as wide, or less deep.

    Parameters
    ----------
    starts
        By name.
    widths
        Networks for each n.
    fractions
        Depths over n, ascending.

    Returns
    -------
    DataFrame
        A row for each network and depth, with columns start, n, depth, draw, theory (variance of
        s^2, for wide networks) and spread: variance of s^2 in this network over its squared mean.
    """
    tables = []
    for name, start in starts.items():
        for n, draws in widths.items():
            depths = sorted({max(1, round(n * fraction)) for fraction in fractions})
            for depth, jacobian in sample_jacobians(start, n, depths, draws, key=key).items():
                gram = jacobian.mT @ jacobian
                mean = gram.diagonal(dim1=1, dim2=2).mean(dim=1)
                spread = gram.square().sum(dim=(1, 2)) / n / mean**2 - 1
                columns = {"start": name, "n": n, "depth": depth}
                columns["theory"] = theory_of(start, depth)
                columns |= {"draw": np.arange(draws), "spread": spread.numpy()}
                tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


def density_of(values: np.ndarray, start: Start, name: str, depth: int) -> pd.DataFrame:
    """Return the histogram of ln s, with columns start (its name), weights, depth, s and density.

    From s = 0.002 on, which leaves out what is nearly zero.
    """
    edges = np.linspace(np.log(2e-3), np.log(20), 46)
    counts = np.histogram(np.log(np.maximum(values, 1e-300)), edges)[0]
    middle = np.exp((edges[1:] + edges[:-1]) / 2)
    table = pd.DataFrame({"s": middle, "density": counts / values.size / np.diff(edges)})
    return table.assign(start=name, weights=start.weights, depth=depth)


def curve_of(law: SpectralLaw, start: Start, name: str, depth: int) -> pd.DataFrame:
    """Return the density of ln s of a law, with the columns of `density_of`."""
    table = pd.DataFrame({"s": law.s, "density": law.density * law.s})
    return table.assign(start=name, weights=start.weights, depth=depth)


def conv_products(
    fill: Fill,
    *,
    channels: int,
    taps: int,
    depth: int,
    size: int,
    draws: int,
    key: Key | int = 0,
) -> np.ndarray:
    """Return singular values of products of circular convolutions with taps x taps kernels.

    Parameters
    ----------
    fill
        Called as ``fill(kernel, generator=key)``.
    channels
        Of input and output.
    taps, size
        Of the kernel and of the image, in each of two dimensions.
    depth
        Convolutions.
    draws
        Products.
    key
        Seed.

    Returns
    -------
    ndarray, shape (draws, size * size * channels)
    """
    values = []
    for draw in range(draws):
        product = torch.eye(channels, dtype=torch.complex128)
        for layer in range(depth):
            kernel = torch.empty(channels, channels, taps, taps, dtype=torch.float64)
            fill(kernel, generator=stream_key(key, draw, layer))
            # One matrix for each frequency: see `conv_singular_values`.
            product = torch.fft.fft2(kernel, s=(size, size)).permute(2, 3, 0, 1) @ product
        values.append(torch.linalg.svdvals(product).flatten())
    return torch.stack(values).numpy()
