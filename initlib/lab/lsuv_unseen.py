"""A network that was scaled on one batch, on another one."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from scipy.special import gammaincinv
from torch import Tensor

from initlib.adaptive import lsuv_
from initlib.apply import initialize
from initlib.lab.lsuv_models import linear_outputs
from initlib.lab.stack import Activation, mlp
from initlib.sampling import Key, permutation, stream_key

__all__ = ["held_out", "rms_table"]


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
            both = zip(linear_outputs(model, second), linear_outputs(model, others), strict=True)
            for layer, (seen, other) in enumerate(both, start=1):
                psi = (other - other.mean()).square().mean(dim=1)
                variance = (psi.var() / psi.mean() ** 2 / (2 * size)).item()
                rows.append((activation, draw, layer, seen.std().log().item(), variance))
    return pd.DataFrame(rows, columns=["activation", "draw", "layer", "log_std", "variance"])


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
