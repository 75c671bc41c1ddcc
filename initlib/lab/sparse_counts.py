"""How many weights units and inputs of a layer have, and how large: rows and columns of W.

W is (n_out, n_in). The *size* of a unit is the sum of its squared weights: the variance of its
pre-activation, over independent inputs of variance one. That of an input, a column, is the same for
gradients.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from initlib.lab.estimates import estimate
from initlib.sampling import Key, stream_key
from initlib.units import sparse_

__all__ = [
    "SPREAD",
    "Lines",
    "count_table",
    "deviations",
    "lines",
    "matrices",
    "size_table",
    "spread",
    "torch_sparse_",
    "unread_table",
]

SPREAD = ["value", "se", "low", "high"]
Fill = Callable[..., Tensor]


class Lines(NamedTuple):
    """How many weights of each row, and of each column, aren't zero: int64 (draws, n_out or n_in).

    `row_sizes` and `column_sizes` are the sums of their squares.
    """

    rows: np.ndarray
    columns: np.ndarray
    row_sizes: np.ndarray
    column_sizes: np.ndarray


def matrices(fill: Fill, shape: tuple[int, int], draws: int, key: Key | int) -> Iterator[Tensor]:
    """Draw independent float32 matrices; each has a stream of its own."""
    for draw in range(draws):
        yield fill(torch.empty(shape), generator=stream_key(key, draw))


def torch_sparse_(weight: Tensor, generator: Key | int, nonzeros: int = 15) -> Tensor:
    """Fill with torch's own `sparse_` and N(0, 1): so many weights in each column.

    Its argument `generator` doesn't reach the places of the zeros, which come from torch's default
    generator; so that one is seeded, and put back.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int.from_bytes(stream_key(generator)[:7], "little"))
        return torch.nn.init.sparse_(weight, 1 - nonzeros / weight.shape[0], std=1.0)


def lines(fill: Fill, shape: tuple[int, int], *, draws: int, key: Key | int) -> Lines:
    """Count and sum up the weights of each unit and of each input.

    Parameters
    ----------
    fill
        Called as ``fill(W, generator=key)``; fills W in place.
    shape
        (n_out, n_in).
    draws
        Matrices.
    key
        Seed.

    Examples
    --------
    >>> from functools import partial
    >>> import initlib as init
    >>> counted = lines(partial(init.sparse_, nonzeros=15), (64, 128), draws=10, key=0)
    >>> print(counted.rows.min(), counted.rows.max(), counted.columns.mean())
    15 15 7.5
    """
    parts = []
    for weight in matrices(fill, shape, draws, key):
        there, square = weight != 0, weight.double().square()
        parts.append([there.sum(1), there.sum(0), square.sum(1), square.sum(0)])
    return Lines(*(torch.stack(part).numpy() for part in zip(*parts, strict=True)))


def deviations(values: np.ndarray, mean: float) -> np.ndarray:
    """Return the mean square deviation of sizes or counts from their known mean, for each draw."""
    return np.square(values - mean).mean(axis=1)


def count_table(counted: Lines, fixed: str) -> pd.DataFrame:
    """Return how often a unit and an input have each number of weights, beside the binomial law.

    Parameters
    ----------
    counted
        Of square layers.
    fixed
        "rows" or "columns": what has always the same number; kept as a column.

    Returns
    -------
    DataFrame
        Columns way ("incoming": of a row, "outgoing": of a column), count, share, theory and fixed.
    """
    n, tables = counted.rows.shape[1], []
    k = counted.rows.sum(axis=1)[0] // n
    at = np.arange(n + 1)
    log = [math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1) for i in at]
    binomial = np.exp(log + at * np.log(k / n) + (n - at) * np.log1p(-k / n))
    for way, counts in (("incoming", counted.rows), ("outgoing", counted.columns)):
        share = np.bincount(counts.ravel(), minlength=n + 1) / counts.size
        theory = binomial if (way == "outgoing") == (fixed == "rows") else 1.0 * (at == k)
        columns = {"way": way, "count": at, "share": share, "theory": theory, "fixed": fixed}
        tables.append(pd.DataFrame(columns)[(share > 0) | (theory > 1e-6)])
    return pd.concat(tables, ignore_index=True)


def size_table(sizes: Mapping[str, tuple[np.ndarray, int]], bins: int = 120) -> pd.DataFrame:
    """Return histograms of the sizes of units over their mean, beside their chi-square laws.

    Parameters
    ----------
    sizes
        For each kind of unit the sizes over their mean, and how many weights aren't zero.
    bins
        Between 0 and 3.

    Returns
    -------
    DataFrame
        Columns units, k, size, density and theory.
    """
    edges, tables = np.linspace(0, 3, bins + 1), []
    at = (edges[1:] + edges[:-1]) / 2
    for name, (values, k) in sizes.items():
        counts, _ = np.histogram(values, edges)
        half = k / 2  # the mean of k squared N(0, 1) is a Gamma variable
        log = half * (math.log(half) - at) + (half - 1) * np.log(at) - math.lgamma(half)
        columns = {"density": counts / (np.size(values) * edges[1]), "theory": np.exp(log)}
        tables.append(pd.DataFrame({"units": name, "k": k, "size": at} | columns))
    return pd.concat(tables, ignore_index=True)


def unread_table(
    shapes: Iterable[tuple[int, int]], k: int, *, draws: int, key: Key | int
) -> pd.DataFrame:
    """Measure the share of inputs that no unit of k weights reads.

    Returns
    -------
    DataFrame
        A row for each (n_in, n_out) of `shapes`, with columns n_in, n_out, value, se, low, high and
        theory: (1 - k / n_in)^n_out.
    """
    rows, fill = [], partial(sparse_, nonzeros=k)
    for n_in, n_out in shapes:
        at = stream_key(key, n_in, n_out)
        silent = (lines(fill, (n_out, n_in), draws=draws, key=at).columns == 0).mean(axis=1)
        rows.append((n_in, n_out, *spread(silent), (1 - k / n_in) ** n_out))
    return pd.DataFrame(rows, columns=["n_in", "n_out", *SPREAD, "theory"])


def spread(samples: ArrayLike) -> tuple[float, float, float, float]:
    """Return the mean of replicates, its standard error and its interval: a row's `SPREAD`."""
    found = estimate(samples)
    return found.value, found.se, found.low, found.high
