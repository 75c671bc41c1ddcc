"""What the notebook on orthogonal weights measures: norms, spectra and traces."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from initlib.lab.determinants import raw_qr
from initlib.lab.estimates import Estimate, estimate
from initlib.lab.gain_law import law_distance
from initlib.lab.signals import draw_networks, network_signals
from initlib.lab.singular_values import (
    CASES,
    EXACT,
    conv_singular_values,
    jacobian_fourth_moments,
    product_singular_values,
)
from initlib.orthogonal import orthogonal_
from initlib.sampling import Key, fill_normal_, stream_key
from initlib.schemes import lecun_normal_
from initlib.spectra import product_law

__all__ = [
    "by_cell",
    "conv_spectra",
    "density_table",
    "farthest",
    "jacobian_table",
    "norm_ratios",
    "off_law",
    "product_spectra",
    "share_of_sign",
    "spread_samples",
    "trace_table",
]

Fill = Callable[..., Tensor]


def farthest(values: ArrayLike, expected: float = 1.0) -> float:
    """Return the value that is farthest from what is expected.

    Examples
    --------
    >>> farthest([0.9, 1.0, 1.2])
    1.2
    """
    values = np.ravel(values)
    return float(values[np.abs(values - expected).argmax()])


def by_cell(samples: Mapping[str, ArrayLike]) -> dict[str, Estimate]:
    """Return the `estimate` of each cell of a claim from its replicates."""
    return {cell: estimate(own) for cell, own in samples.items()}


def norm_ratios(
    fill: Fill,
    activation: str,
    *,
    units: int,
    layers: int,
    draws: int,
    key: Key | int = 0,
    dtype: torch.dtype = torch.float32,
) -> dict[str, np.ndarray]:
    """Measure what each layer of square networks makes of the squared norm that it gets.

    Parameters
    ----------
    fill
        Called as ``fill(W, generator=key)``.
    activation
        As in `network_signals`.
    units, layers
        Of each network.
    draws
        Networks, each with a N(0, 1) input of its own.
    dtype
        Of weights and signals.

    Returns
    -------
    dict of ndarray
        "signals": of h_l over h_(l-1), l = 1 .. L, shape (draws, L). "gradients", those of a fixed
        functional of z_L: with respect to z_(l-1) over z_l, l = L .. 2, shape (draws, L - 1).
    """
    key = stream_key(key, activation)
    inputs = fill_normal_(torch.empty(draws, units, dtype=dtype), stream_key(key, "inputs"), 0, 1)
    networks = draw_networks(fill, [units] * (layers + 1), draws, key=key, dtype=dtype)
    signals = network_signals(networks, inputs, activation)
    size = inputs.double().square().mean(dim=1).numpy()
    norms = np.column_stack([size, signals.second]), signals.error[:, ::-1]
    ways = zip(("signals", "gradients"), norms, strict=True)
    return {way: own[:, 1:] / own[:, :-1] for way, own in ways}


def jacobian_table(
    n: int, depths: Sequence[int], draws: int, *, key: Key | int = 0
) -> pd.DataFrame:
    """Return the mean s^4 of Jacobians, a row for each case of `CASES`, depth and draw.

    Columns are case, n, depth, draw and moment: see `jacobian_fourth_moments`.
    """
    tables = []
    for case, (gaussian, relu) in CASES.items():
        fill = lecun_normal_ if gaussian else orthogonal_
        own = stream_key(key, case)
        moments = jacobian_fourth_moments(fill, n, depths, draws, relu=relu, key=own)
        table = pd.DataFrame(moments, columns=depths).rename_axis("draw").reset_index()
        table = table.melt("draw", var_name="depth", value_name="moment")
        tables.append(table.assign(case=case, n=n))
    return pd.concat(tables, ignore_index=True)


def spread_samples(jacobians: pd.DataFrame, depths: Sequence[int]) -> dict[str, pd.Series]:
    """Return the moments of `jacobian_table` for the cells of `spread_cells`, by cell."""
    spread = jacobians[jacobians.depth.isin(depths) & (jacobians.case != EXACT)]
    groups = spread.groupby(["case", "depth"]).moment
    return {f"{case}, {depth} layers": own for (case, depth), own in groups}


def product_spectra(
    fill: Fill, n: int, depths: Sequence[int], draws: int, *, key: Key | int = 0
) -> dict[int, np.ndarray]:
    """Return `product_singular_values` of products of several depths, by depth."""
    return {depth: product_singular_values(fill, n, depth, draws, key=key) for depth in depths}


def off_law(values: ArrayLike, depth: int) -> float:
    """Return how far the distribution function of singular values is from `product_law`."""
    s, _, below = product_law(depth)
    return law_distance(np.interp(values, s, below))


def conv_spectra(
    fill: Fill, taps: Iterable[int], channels: int, draws: int, *, key: Key | int = 0
) -> np.ndarray:
    """Return `conv_singular_values` of kernels of shape (channels, channels, *taps), by draw."""
    shape = (channels, channels, *taps)
    kernels = (torch.empty(shape, dtype=torch.float64) for _ in range(draws))
    filled = (fill(kernel, generator=stream_key(key, i)) for i, kernel in enumerate(kernels))
    return np.stack([conv_singular_values(kernel) for kernel in filled])


def density_table(
    products: Mapping[int, np.ndarray], operators: Mapping[str, np.ndarray]
) -> pd.DataFrame:
    """Return histograms of the singular values of products (a) and of convolutions (c).

    Columns are panel, of (the depth of the product, or the scheme of the convolution), s (the
    middle of the bin) and density: of ln s for products, of s for convolutions.
    """
    log_bins, bins = np.linspace(np.log(1e-3), np.log(10), 49), np.linspace(0, 2.1, 22)
    rows = []
    for panel, parts, edges in (("a", products, log_bins), ("c", operators, bins)):
        middle = (edges[1:] + edges[:-1]) / 2
        for name, values in parts.items():
            scaled = np.log(values) if panel == "a" else values
            density = np.histogram(scaled, edges)[0] / values.size / np.diff(edges)
            columns = {"panel": panel, "of": name, "s": middle, "density": density}
            rows.append(pd.DataFrame(columns))
    table = pd.concat(rows, ignore_index=True)
    return table.assign(s=np.where(table.panel == "a", np.exp(table.s), table.s))


def share_of_sign(sizes: Iterable[int], draws: int, *, key: Key | int = 0) -> float:
    """Return the least share, over sizes n, of `raw_qr` matrices with determinant (-1)^(n-1)."""
    signs = {n: torch.linalg.det(raw_qr(n, draws, key=key)).sign() for n in sizes}
    return min((own == (-1) ** (n - 1)).double().mean().item() for n, own in signs.items())


def trace_table(n: int, draws: int, *, seed: int = 0) -> pd.DataFrame:
    """Return traces of random orthogonal matrices, a row for each.

    Columns are kind ("raw QR", "initlib", "torch": the last two by `orthogonal_`), n and trace.
    """
    generator = torch.Generator().manual_seed(seed)
    key = stream_key(seed, "traces")
    matrices = {
        "raw QR": raw_qr(n, draws, key=key),
        "initlib": (
            orthogonal_(torch.empty(n, n), generator=stream_key(key, i)) for i in range(draws)
        ),
        "torch": (
            torch.nn.init.orthogonal_(torch.empty(n, n), generator=generator) for _ in range(draws)
        ),
    }
    rows = [(kind, n, q.trace().item()) for kind, own in matrices.items() for q in own]
    return pd.DataFrame(rows, columns=["kind", "n", "trace"])
