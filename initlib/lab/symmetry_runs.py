"""The experiments on symmetry: small networks on MNIST, each a table or what training was like."""

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import product

import numpy as np
import pandas as pd
import torch

from initlib import constant_, normal_
from initlib.lab.data import Dataset
from initlib.lab.following import Followed, follow
from initlib.lab.plateaus import smooth
from initlib.lab.symmetry import (
    Product,
    by_matmul,
    distinct_units,
    in_equal_order,
    networks,
    one_unit,
)

VALUE = 0.01
PATTERNS = tuple("".join(kinds) for kinds in product("rc", repeat=3))
RATES = {"momentum": 0.03, "adam": 0.003}
_SCHEMES = {"r": "lecun_normal", "c": partial(constant_, val=VALUE), "0": "zeros"}


def start_from(start: str | float) -> object:
    """Return the scheme that a start stands for.

    Parameters
    ----------
    start : str or float
        A letter for each matrix: r random (variance 1 / n_in), c constant (0.01), 0 zero; or the
        noise of constant weights, relative to them.
    """
    if isinstance(start, str):
        return {f"{layer}.weight": _SCHEMES[kind] for layer, kind in enumerate(start)}
    return partial(normal_, mean=VALUE, std=VALUE * start)


def run(
    data: Dataset,
    width: int,
    starts: Sequence[str | float],
    steps: int,
    *,
    activation: str = "tanh",
    seed: int = 0,
    alike: bool = False,
    narrow: bool = False,
    **options,
) -> Followed:
    """Train networks of two hidden layers, a network for each start.

    Parameters
    ----------
    data : Dataset
        Images are taken as rows of pixels.
    width : int
        Units of a hidden layer.
    starts : sequence
        As in `start_from`.
    steps : int
        Mini-batches.
    activation : {"relu", "tanh", "sigmoid"}
        After each hidden layer.
    seed : int
        Of weights, and of mini-batches and dropout unless ``seeds`` is given.
    alike : bool
        Whether all units are computed in one order of additions, so that twins stay equal.
    narrow : bool
        Train the networks with one unit a layer in place of the twins.
    **options
        For `follow`; the learning rate is 0.03, and 0.003 for Adam.
    """
    sizes = [data.flat().x_train.shape[1], width, width, data.classes]
    network = networks(sizes, activation, [start_from(start) for start in starts], seed)
    if narrow:
        network, options["factors"] = one_unit(network)
    order: Product = in_equal_order if alike else by_matmul
    rate = RATES[options.get("optimizer", "momentum")]
    return follow(network, data, rate, steps, **{"product": order, "seeds": [seed]} | options)


def watch_twins(data: Dataset, width: int, steps: int, seed: int = 0) -> pd.DataFrame:
    """Train twins of several kinds, and say how far from twins they get.

    Returns
    -------
    DataFrame
        A row for each activation, start and optimizer, with the columns spread (the largest of all
        steps), rank (second over first singular value of the hidden signals of the test images, the
        larger of the two layers), units (that are different, the larger number), apart (largest
        difference in loss to the network with one unit a layer, where the optimizer is momentum)
        and accuracy.
    """
    rows = {}
    starts = ("tanh", "ccc"), ("relu", "ccc"), ("sigmoid", "000")
    for (activation, start), optimizer in product(starts, RATES):
        options = {"activation": activation, "seed": seed, "optimizer": optimizer}
        seen = run(data, width, [start], steps, alike=True, **options)
        apart = np.nan
        if optimizer == "momentum":
            one = run(data, width, [start], steps, narrow=True, **options)
            apart = np.abs(one.losses - seen.losses).max()
        rows[f"{activation} from {start[0]}, {optimizer}"] = {
            "spread": seen.spread.max(),
            "rank": max(_second_value(h) for h in _hidden(seen, data)),
            "units": distinct_units(seen.network).max(),
            "apart": apart,
            "accuracy": seen.network.accuracy(data)[0],
        }
    return pd.DataFrame(rows).T


def _hidden(seen: Followed, data: Dataset) -> list[torch.Tensor]:
    return [h[0] for h in seen.network.signals(data.flat().x_test.double())[1:3]]


def _second_value(signals: torch.Tensor) -> float:
    values = torch.linalg.svdvals(signals)
    return (values[1] / values[0]).item()


def train_zeros(data: Dataset, width: int, steps: int, seed: int = 0) -> list[float]:
    """Train from all zeros: tanh and ReLU by momentum, tanh by Adam and under dropout of a half.

    Returns
    -------
    list of float
        The largest weight of each network at the end.
    """
    ways = [
        {"activation": "tanh"},
        {"activation": "relu"},
        {"activation": "tanh", "optimizer": "adam"},
        {"activation": "tanh", "dropout": 0.5},
    ]
    trained = [run(data, width, ["000"], steps, seed=seed, **way).network for way in ways]
    return [max(weight.abs().max().item() for weight in one.weights) for one in trained]


def count_units(data: Dataset, width: int, steps: int = 40, seed: int = 0) -> pd.DataFrame:
    """Count the different units of each hidden layer after training, for each of `PATTERNS`."""
    counts = [
        distinct_units(run(data, width, [pattern], steps, seed=seed, alike=True).network)[0]
        for pattern in PATTERNS
    ]
    return pd.DataFrame(counts, index=PATTERNS, columns=["layer 1", "layer 2"])


def which_look(data: Dataset, width: int, steps: int = 150, seed: int = 0) -> pd.DataFrame:
    """Say which networks with zero matrices in place of constant ones learn to look at the image.

    Returns
    -------
    DataFrame
        For each of `PATTERNS`, with 0 in place of c, and each activation: 1 if the logits of the
        test images differ in any bit after training, 0 if they are all the same.
    """
    patterns = [pattern.replace("c", "0") for pattern in PATTERNS]
    looks = {}
    for activation in ("tanh", "relu"):
        seen = run(data, width, patterns, steps, activation=activation, seed=seed)
        logits = seen.network.signals(data.flat().x_test.double())[-1]
        looks[activation] = (logits != logits[:, :1]).any(dim=2).any(dim=1).int().tolist()
    return pd.DataFrame(looks, index=patterns)


def breaking_curves(
    noisy: Followed, noises: Sequence[float], twins: Followed, narrow: Followed, every: int = 5
) -> pd.DataFrame:
    """Return the curves of `plot_breaking`: of noisy networks, of exact twins, and of one unit."""
    parts = []
    for i, noise in enumerate(noises):
        loss, spread = smooth(noisy.losses[:, i], 20), noisy.spread[:, i]
        parts.append(pd.DataFrame({"noise": noise, "loss": loss, "spread": spread}))
    exact = {"loss": smooth(twins.losses[:, 0], 20), "spread": twins.spread[:, 0]}
    one = smooth(narrow.losses[:, 0], 20)
    parts.append(pd.DataFrame({"noise": 0.0, **exact, "one_unit": one}))
    kept = [part.assign(step=np.arange(1, len(part) + 1))[::every] for part in parts]
    return pd.concat(kept, ignore_index=True)


def waits_table(lines: Mapping[str, tuple]) -> pd.DataFrame:
    """Return the waits of `plot_breaking`.

    Parameters
    ----------
    lines : mapping
        For each start its noises, its waits, and the wait that theory gives to an array of noises;
        it is also taken between the noises, on a fine grid.
    """
    parts = []
    for start, (noises, waits, theory) in lines.items():
        fine = np.geomspace(min(noises), max(noises), 60)
        table = {"noise": [*noises, *fine], "wait": [*waits, *np.full(len(fine), np.nan)]}
        table |= {"start": start, "theory": theory(np.array(table["noise"]))}
        parts.append(pd.DataFrame(table))
    return pd.concat(parts, ignore_index=True)
