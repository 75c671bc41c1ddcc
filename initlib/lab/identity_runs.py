"""What an identity lets through: rectangular layers, convolutions, residual blocks and memory."""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional

from initlib.sampling import Key, fill_normal_, stream_key
from initlib.structured import dirac_, eye_

__all__ = [
    "copies",
    "eye",
    "eye_shares",
    "growth_samples",
    "kept_table",
    "memory_table",
    "residual_cells",
    "residual_growth",
    "share_cells",
]

CONVOLUTIONS = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
Fill = Callable[..., Tensor]


def eye(weight: Tensor, generator: Key | int | None = None) -> Tensor:
    """Fill with the identity, as a scheme that would draw random numbers if it needed any."""
    return eye_(weight)


def copies(kernel: Sequence[int], channels: int = 4, *, key: Key | int = 0) -> float:
    """Return the largest distance between an image and its convolution after `dirac_`."""
    convolution = CONVOLUTIONS[len(kernel)]
    weight = dirac_(torch.empty(channels, channels, *kernel))
    image = fill_normal_(torch.empty(1, channels, *[7] * len(kernel)), stream_key(key), 0, 1)
    with warnings.catch_warnings():  # that an even kernel needs a copy of the image
        warnings.simplefilter("ignore", UserWarning)
        copied = convolution(image, weight, padding="same")
    return (copied - image).abs().max().item()


def eye_shares(shapes: Sequence[tuple[int, int]]) -> dict[str, float]:
    """Return what `eye_` lets through of the squared norm of a vector of ones, either way.

    Parameters
    ----------
    shapes
        Pairs (out, in).

    Returns
    -------
    dict of str to float
        "in to out, forward" and "in to out, backward" of each.
    """
    shares = {}
    for out, into in shapes:
        weight = eye_(torch.empty(out, into))
        shares[f"{into} to {out}, forward"] = weight.sum(dim=1).square().sum().item() / into
        shares[f"{into} to {out}, backward"] = weight.sum(dim=0).square().sum().item() / out
    return shares


def share_cells(shapes: Sequence[tuple[int, int]]) -> dict[str, float]:
    """Return what `eye_shares` is in theory: min(in, out) / in and min(in, out) / out."""
    forward = {f"{m} to {n}, forward": min(m, n) / m for n, m in shapes}
    return forward | {f"{m} to {n}, backward": min(m, n) / n for n, m in shapes}


def residual_cells(scales: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Return by what all blocks together multiply the mean of squared norms, in theory.

    Examples
    --------
    >>> residual_cells({"plain": [1.0] * 3})
    {'plain, signal': 8.0, 'plain, gradient': 8.0}
    """
    powers = {kind: math.prod(1 + a**2 for a in factors) for kind, factors in scales.items()}
    return {f"{kind}, {way}": own for kind, own in powers.items() for way in ("signal", "gradient")}


def residual_growth(
    scales: Mapping[str, Sequence[float]], units: int, draws: int, *, key: Key | int = 0
) -> pd.DataFrame:
    """Measure squared norms of signals and gradients in residual networks at the start.

    Block l is ``x + a_l B relu(A x)``, with A of He and B of LeCun, so that its branch has the
    second moment of x, times a_l^2. The gradient is that of a linear functional of the last x.

    Parameters
    ----------
    scales
        Of each kind of network the factors a_1 .. a_L.
    units
        Width of x and of the branches.
    draws
        Networks, each with a N(0, 1) input of its own; kinds share them.

    Returns
    -------
    DataFrame
        A row for each kind, draw and block (0: the input), with columns kind, draw, block, signal
        and gradient: squared norms, relative to the input and to the last block.
    """
    start = fill_normal_(torch.empty(draws, units, 1), stream_key(key, "inputs"), 0, 1)
    depth = max(len(factors) for factors in scales.values())
    inner, outer = (
        [
            fill_normal_(torch.empty(draws, units, units), stream_key(key, side, block), 0, std)
            for block in range(depth)
        ]
        for side, std in (("inner", (2 / units) ** 0.5), ("outer", units**-0.5))
    )
    tables = []
    for kind, factors in scales.items():
        x, gates = [start], []
        for a, into, out in zip(factors, inner, outer, strict=False):
            z = into @ x[-1]
            gates.append(z > 0)
            x.append(x[-1] + a * (out @ z.relu()))
        errors = [torch.full_like(start, units**-0.5)]
        branches = list(zip(factors, inner, outer, gates, strict=False))
        for a, into, out, gate in reversed(branches):
            errors.append(errors[-1] + a * (into.mT @ (gate * (out.mT @ errors[-1]))))
        signal, gradient = (
            torch.stack(part).square().sum(dim=(2, 3)) for part in (x, errors[::-1])
        )
        blocks, networks = np.indices(signal.shape)
        columns = {"draw": networks.ravel(), "block": blocks.ravel()}
        columns |= {"signal": (signal / signal[0]).ravel(), "gradient": gradient.ravel()}
        tables.append(pd.DataFrame(columns).assign(kind=kind))
    return pd.concat(tables, ignore_index=True)


def growth_samples(growth: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return what all blocks of each network made of squared norms: cells of `residual_cells`."""
    read = {"signal": growth.block == growth.block.max(), "gradient": growth.block == 0}
    return {
        f"{kind}, {way}": own[way].to_numpy()
        for way, rows in read.items()
        for kind, own in growth[rows].groupby("kind")
    }


def kept_table(growth: pd.DataFrame, memory: pd.DataFrame) -> pd.DataFrame:
    """Return what of `residual_growth` and `memory_table` is drawn: centres and middle 80 %.

    Returns
    -------
    DataFrame
        A row for each point, with columns panel, name, step, mean, median, low and high.
    """
    tables = []
    panels = [("a", growth, "kind", "block", "signal"), ("b", growth, "kind", "block", "gradient")]
    for panel, table, name, step, column in [*panels, ("c", memory, "scheme", "t", "kept")]:
        values = table.rename(columns={name: "name", step: "step"}).groupby(["name", "step"])[
            column
        ]
        ends = {"low": values.quantile(0.1), "high": values.quantile(0.9)}
        own = pd.DataFrame({"mean": values.mean(), "median": values.median(), **ends})
        tables.append(own.reset_index().assign(panel=panel))
    return pd.concat(tables, ignore_index=True)


def memory_table(
    fills: Mapping[str, Fill], units: int, length: int, draws: int, *, key: Key | int = 0
) -> pd.DataFrame:
    """Let ReLU networks without input, ``h_(t+1) = relu(W h_t)``, remember a state h_0 >= 0.

    Returns
    -------
    DataFrame
        A row for each fill, draw and t, with columns scheme, draw, t and kept: the squared norm of
        h_t over that of h_0.
    """
    tables = []
    start = (
        fill_normal_(torch.empty(draws, units, 1), stream_key(key, "state"), 0, 1).abs().double()
    )
    for scheme, fill in fills.items():
        drawn = [
            fill(torch.empty(units, units), generator=stream_key(key, draw))
            for draw in range(draws)
        ]
        weights, states = torch.stack(drawn).double(), [start]
        for _ in range(length):
            states.append((weights @ states[-1]).relu())
        square = torch.stack(states).square().sum(dim=(2, 3))
        times, networks = np.indices(square.shape)
        columns = {"draw": networks.ravel(), "t": times.ravel()}
        columns["kept"] = (square / square[0]).ravel()
        tables.append(pd.DataFrame(columns).assign(scheme=scheme))
    return pd.concat(tables, ignore_index=True)
