"""Deep linear networks that start at the identity, or near it, and what they can't learn."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
import torch

from initlib.lab.linear_nets import step
from initlib.sampling import Key, fill_normal_, stream_key
from initlib.structured import eye_

__all__ = ["STARTS", "final_losses", "linear_courses", "spare_units"]

STARTS = ("identity", "rotated", "noisy")


def final_losses(eigenvalues: Mapping[str, Sequence[float]]) -> dict[str, dict[str, float]]:
    """Return where the losses of `linear_courses` end in theory, for each target and start.

    Examples
    --------
    >>> final_losses({"one": [1.0, -1.0, 2.0, -2.0]})["one"]["identity"]
    0.5
    """
    losses = {}
    for target, own in eigenvalues.items():
        squares, negative = np.square(own), np.asarray(own) < 0
        total = squares.sum()
        losses[target] = {
            "identity": float(squares[negative].sum() / total),
            "rotated": float(squares.min() / total) if negative.sum() % 2 else 0.0,
            "noisy": 0.0,
        }
    return losses


def linear_courses(
    eigenvalues: Mapping[str, Sequence[float]],
    depth: int,
    noise: float,
    rate: float,
    steps: int,
    replicas: int,
    *,
    key: Key | int = 0,
) -> pd.DataFrame:
    """Train square linear networks that start at the identity, or near it, towards symmetric T.

    Parameters
    ----------
    eigenvalues
        Of each target; it is diagonal, so that an exact identity stays exactly diagonal.
    depth
        L.
    noise
        Size of what the starts near the identity add: A / sqrt(n) times this, with A Gaussian, or
        the rotation that its antisymmetric part generates.
    rate
        Learning rate times L.
    steps
        Of gradient descent on ``|P - T|^2 / 2``.
    replicas
        Networks near the identity, of either kind.

    Returns
    -------
    DataFrame
        A row for each target, start ("identity", "rotated", "noisy"), network and step (evenly
        spaced in its logarithm), with columns target, start, seed, step and loss (relative to
        ``|T|^2 / 2``).
    """
    n = len(next(iter(eigenvalues.values())))
    eye = torch.eye(n, dtype=torch.float64)
    factors = []
    for layer in range(depth):
        drawn = torch.empty(replicas, n, n, dtype=torch.float64)
        drawn = fill_normal_(drawn, stream_key(key, layer), 0, noise / n**0.5)
        rotated = torch.linalg.matrix_exp((drawn - drawn.mT) / 2**0.5)
        starts = torch.cat([eye[None], rotated, eye + drawn])
        factors.append(starts.repeat(len(eigenvalues), 1, 1))
    spectra = torch.tensor(np.array([*eigenvalues.values()], dtype=np.float64))
    target = spectra.diag_embed().repeat_interleave(2 * replicas + 1, dim=0)
    lr = torch.full((1, 1, 1), rate / depth, dtype=torch.float64)
    shown = set(np.unique(np.geomspace(1, steps, 80).round().astype(int)).tolist())
    names = [("identity", 0)]
    names += [(start, seed) for start in ("rotated", "noisy") for seed in range(replicas)]
    tables = []
    for count in range(1, steps + 1):
        product = step(factors, target, lr)
        if count in shown:
            loss = (product - target).square().sum(dim=(1, 2)) / target.square().sum(dim=(1, 2))
            rows = [(goal, *name, count) for goal in eigenvalues for name in names]
            columns = ["target", "start", "seed", "step"]
            tables.append(pd.DataFrame(rows, columns=columns).assign(loss=loss.numpy()))
    return pd.concat(tables, ignore_index=True)


def spare_units(width: int, hidden: int, depth: int, steps: int) -> dict[str, float]:
    """Train a linear network from `eye_` whose hidden layers are wider than input and output.

    Returns
    -------
    dict of str to float
        "spare weights", the largest change of a weight into or out of a hidden unit beyond the
        width, and "loss", relative to that at the start.
    """
    sizes = [width, *[hidden] * (depth - 1), width]
    factors = [eye_(torch.empty(n, m, dtype=torch.float64))[None] for m, n in pairwise(sizes)]
    before = [factor.clone() for factor in factors]
    target = torch.linspace(0.5, 1.5, width, dtype=torch.float64).diag() + 0.1
    lr = torch.full((1, 1, 1), 0.2 / depth, dtype=torch.float64)
    products = torch.cat([step(factors, target, lr) for _ in range(steps)])
    losses = (products - target).square().sum(dim=(1, 2))
    moved = [(after - start).abs() for after, start in zip(factors, before, strict=True)]
    spare = [change[0, width:].max() for change in moved[:-1]]
    spare += [change[0, :, width:].max() for change in moved[1:]]
    return {"spare weights": max(spare).item(), "loss": (losses[-1] / losses[0]).item()}
