"""How units of few weights differ from dense ones: in the tails of what they give, and in kind."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from initlib.lab.sparse_counts import SPREAD, Fill, matrices, spread
from initlib.sampling import Key, fill_normal_, fill_uniform_, stream_key
from initlib.units import sparse_

__all__ = ["INPUTS", "cosine_table", "excess_kurtosis", "image_overlaps", "tail_table"]


def _normal(x: Tensor, key: Key) -> Tensor:
    return fill_normal_(x, key, 0, 1)


def _uniform(x: Tensor, key: Key) -> Tensor:
    return fill_uniform_(x, key, -(3**0.5), 3**0.5)


def _signs(x: Tensor, key: Key) -> Tensor:
    return fill_uniform_(x, key, -1, 1).sign_()


# Laws of inputs with mean zero and variance one, and their kurtosis E x^4.
INPUTS = {"normal": (_normal, 3.0), "uniform": (_uniform, 1.8), "signs": (_signs, 1.0)}


def tail_table(counts: Sequence[int], n: int, *, draws: int, key: Key | int) -> pd.DataFrame:
    """Measure the excess kurtosis of units of few weights, under inputs of each law.

    Parameters
    ----------
    counts
        Numbers of weights.
    n
        Inputs of a unit.
    draws, key
        As in `matrices`.

    Returns
    -------
    DataFrame
        Columns law, k, value, se, low, high and theory: 3 (kurtosis of inputs - 1) / k.
    """
    rows = []
    for law, (_, kurtosis) in INPUTS.items():
        for k in counts:
            fill = partial(sparse_, nonzeros=k, std=k**-0.5)
            found = excess_kurtosis(fill, n, law, draws=draws, key=stream_key(key, law, k))
            rows.append((law, k, *spread(found), 3 * (kurtosis - 1) / k))
    return pd.DataFrame(rows, columns=["law", "k", *SPREAD, "theory"])


def excess_kurtosis(
    fill: Fill, n: int, law: str, *, draws: int, key: Key | int, units: int = 256, inputs: int = 64
) -> np.ndarray:
    """Measure E z^4 - 3 of pre-activations z whose second moment is one.

    Parameters
    ----------
    fill
        Called as ``fill(W, generator=key)``; must give each unit weights whose squares sum to one
        on average.
    n
        Inputs of a unit.
    law
        Of the independent inputs, a key of `INPUTS`.
    draws
        Each has its own weights and inputs.
    key
        Seed.
    units, inputs
        In a draw; all units meet all inputs.

    Returns
    -------
    ndarray, shape (draws,)
    """
    sample, found = INPUTS[law][0], []
    for draw, weight in enumerate(matrices(fill, (units, n), draws, key)):
        x = sample(torch.empty(inputs, n), stream_key(key, draw, "inputs"))
        z = torch.nn.functional.linear(x, weight).double()
        found.append(z.pow(4).mean().item() - 3)
    return np.array(found)


def cosine_table(counts: Sequence[int], n: int, *, draws: int, key: Key | int) -> pd.DataFrame:
    """Measure how alike the units of a square layer are, over independent inputs of variance one.

    Their correlation is the cosine between their rows.

    Returns
    -------
    DataFrame
        Columns k, value, se, low, high: n times the mean squared correlation over pairs; theory,
        which is 1; and apart, the share of pairs without a common input.
    """
    rows, pairs = [], torch.tril_indices(n, n, offset=-1)
    for k in counts:
        squares, apart = [], []
        for weight in matrices(partial(sparse_, nonzeros=k), (n, n), draws, stream_key(key, k)):
            unit = torch.nn.functional.normalize(weight, dim=1)
            squares.append(n * (unit @ unit.T)[*pairs].double().square().mean().item())
            there = (weight != 0).float()
            apart.append((there @ there.T)[*pairs].eq(0).double().mean().item())
        rows.append((k, *spread(squares), 1.0, np.mean(apart)))
    return pd.DataFrame(rows, columns=["k", *SPREAD, "theory", "apart"])


def image_overlaps(
    fill: Fill, images: Tensor, variance: float, *, draws: int, key: Key | int, units: int = 64
) -> np.ndarray:
    """Measure the squared covariance between units over images, in units of what theory says.

    For independent w and w' with E w w^T = E w' w'^T = v I, whatever their law, E (w^T C w')^2 is
    v^2 tr C^2.

    Parameters
    ----------
    fill
        Called as ``fill(W, generator=key)``.
    images
        Shape (n, pixels); C is the covariance of their pixels.
    variance
        v, of a weight.
    draws, key
        As in `matrices`.
    units
        Rows of W.

    Returns
    -------
    ndarray, shape (draws,)
    """
    covariance = images.T.double().cov(correction=0)
    expected = variance**2 * covariance.square().sum()
    pairs, found = torch.tril_indices(units, units, offset=-1), []
    for weight in matrices(fill, (units, len(covariance)), draws, key):
        weight = weight.double()
        between = (weight @ covariance @ weight.T)[*pairs]
        found.append((between.square().mean() / expected).item())
    return np.array(found)
