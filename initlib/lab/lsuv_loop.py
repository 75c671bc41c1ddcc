"""The published loop of layer-sequential unit variance, and what biases do to it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from initlib.adaptive import lsuv_
from initlib.apply import initialize
from initlib.lab.stack import mlp
from initlib.orthogonal import orthogonal_
from initlib.sampling import Key, normal, stream_key

__all__ = [
    "Loop",
    "biased_layer",
    "biased_loops",
    "biased_theory",
    "loop_and_pass",
    "published_loop",
]


class Loop(NamedTuple):
    """What the published loop did.

    Attributes
    ----------
    passes
        Forward passes.
    products
        Products of a weight with a batch, where each pass ends at the layer that is looked at.
    stds
        For each layer, its standard deviation at each look.
    """

    passes: int
    products: int
    stds: list[list[float]]


def published_loop(
    model: nn.Sequential, batch: Tensor, *, tol: float = 0.01, most: int = 10
) -> Loop:
    """Scale the layers of an MLP by the loop of Mishkin and Matas, in place.

    For each layer, from the first to the last: run the network, take the variance of the layer's
    output, and divide the weights by its root; again until the variance is within `tol` of one, or
    `most` times. Biases are left alone.
    """
    products, stds = 0, []
    for place, layer in enumerate(model):
        if not isinstance(layer, nn.Linear):
            continue
        looks: list[float] = []
        while True:
            with torch.no_grad():
                variance = model[: place + 1](batch).var().item()
            looks.append(variance**0.5)
            products += len(stds) + 1
            if abs(variance - 1) < tol or len(looks) > most:
                break
            layer.weight.data /= variance**0.5
        stds.append(looks)
    return Loop(sum(map(len, stds)), products, stds)


def biased_layer(variance: float, batch: Tensor, *, key: Key | int, width: int = 256) -> nn.Linear:
    """Return an orthonormal layer with N(0, variance) biases, in the dtype of the batch."""
    layer = nn.utils.skip_init(nn.Linear, batch.shape[1], width, dtype=batch.dtype)
    orthogonal_(layer.weight, generator=stream_key(key, "weight"))
    shift = torch.from_numpy(normal(stream_key(key, "bias"), 0, width, np.float64))
    layer.bias.data = variance**0.5 * shift.to(batch.dtype)
    return layer


def biased_theory(layer: nn.Linear, batch: Tensor, looks: int) -> tuple[np.ndarray, float]:
    """Predict the published loop on a layer whose biases aren't zero.

    With weights a W the variance is ``v(a) = a^2 Var(W x) + 2 a Cov(W x, b) + Var b``, and the loop
    is ``a <- a / sqrt(v(a))``. Near the end it shrinks the error of the std by the factor
    ``Var b + a Cov(W x, b)``, the covariance of output and bias.

    Returns
    -------
    tuple
        The std at each look, and that factor at the last one; above one there is no end.
    """
    with torch.no_grad():
        bias = layer.bias.expand(len(batch), -1).double()
        bare = layer(batch).double() - bias
    bias, bare = bias - bias.mean(), bare - bare.mean()
    count = bare.numel() - 1
    parts = [(x * y).sum().item() / count for x, y in ((bare, bare), (bare, bias), (bias, bias))]
    a, stds = 1.0, []
    for _ in range(looks):
        stds.append((a * a * parts[0] + 2 * a * parts[1] + parts[2]) ** 0.5)
        a /= stds[-1]
    return np.array(stds), parts[2] + a * stds[-1] * parts[1]


def loop_and_pass(
    depths: Sequence[int], batch: Tensor, *, width: int = 64, key: Key | int = 0
) -> pd.DataFrame:
    """Scale the same networks by the published loop and by one pass of `lsuv_`, in float64.

    The loop's tolerance is so small that it scales every layer. With a larger one it leaves alone,
    after a single pass, a layer whose variance happens to be close to one.

    Returns
    -------
    DataFrame
        A row for each depth (in layers), with columns depth, loop and once, the forward passes;
        products, of the loop; and difference, the largest between the weights, relative to the
        largest weight of the layer.
    """
    rows, batch = [], batch.double()
    for depth in depths:
        models = [mlp([batch.shape[1], *[width] * depth], "tanh").double() for _ in range(2)]
        calls: list[int] = []
        models[1].register_forward_pre_hook(lambda *_, calls=calls: calls.append(1))
        initialize(models[0], "orthogonal", stream_key(key))
        loop = published_loop(models[0], batch, tol=1e-10)
        lsuv_(models[1], batch, seed=stream_key(key))
        off = [
            ((one.weight - other.weight).abs().max() / one.weight.abs().max()).item()
            for one, other in zip(models[0][::2], models[1][::2], strict=True)
        ]
        rows.append((depth, loop.passes, len(calls), loop.products, max(off)))
    return pd.DataFrame(rows, columns=["depth", "loop", "once", "products", "difference"])


def biased_loops(
    variances: Sequence[float], batch: Tensor, *, looks: int = 30, key: Key | int = 0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Run the published loop on layers whose biases aren't zero, in float64.

    Returns
    -------
    tuple of DataFrame
        A row for each variance and look, with columns bias, look, error (|std - 1|) and theory; and
        a row for each variance, with columns bias, worst (the largest difference of a std from
        theory), factor (of the error at one of the last looks, measured), predicted, last (the last
        std) and least (that of the biases, repeated for each sample).
    """
    tables, ends = [], []
    for variance in variances:
        layer = biased_layer(variance, batch.double(), key=stream_key(key))
        theory, factor = biased_theory(layer, batch.double(), looks)
        loop = published_loop(nn.Sequential(layer), batch.double(), tol=1e-16, most=looks - 1)
        stds = np.array(loop.stds[0])
        logs = np.abs(np.log(stds))
        late = int(np.flatnonzero(logs > 1e-6)[-1]) - 1
        least = layer.bias.expand(len(batch), -1).std().item()
        worst = np.abs(stds / theory[: len(stds)] - 1).max()
        ends.append((variance, worst, logs[late + 1] / logs[late], factor, stds[-1], least))
        columns = {"look": range(len(stds)), "error": np.abs(stds - 1)}
        columns |= {"theory": np.abs(theory[: len(stds)] - 1)}
        tables.append(pd.DataFrame(columns).assign(bias=variance))
    names = ["bias", "worst", "factor", "predicted", "last", "least"]
    return pd.concat(tables, ignore_index=True), pd.DataFrame(ends, columns=names)
